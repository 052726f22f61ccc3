"""A store over another one does what a store does, and never touches the one below."""

from __future__ import annotations

from pathlib import Path

import pytest

from tomoportal.errors import ConflictError
from tomoportal.storage import Stat, Store, open_store
from tomoportal.storage.overlay import OverlayStore
from tomoportal.testing.faulty import FaultyStore
from tomoportal.testing.stores import StoreTests


class TestOverlayStore(StoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        lower = open_store(tmp_path / "lower", create=True)
        return OverlayStore(lower, open_store(tmp_path / "upper", create=True))


def test_the_store_below_is_read_and_never_changed(tmp_path: Path) -> None:
    lower = open_store(tmp_path / "lower", create=True)
    for key in ("a/1", "a/2", "b/c/3", "d"):
        lower.put(key, key.encode())
    before = {stat.key: lower.get(stat.key) for stat in lower.list()}
    store = OverlayStore(lower, open_store(tmp_path / "upper", create=True))
    store.put("a/1", b"new")
    store.delete("d")
    store.move("b", "e")
    store.put("f", b"6")
    assert {stat.key: store.get(stat.key) for stat in store.list()} == {
        "a/1": b"new",
        "a/2": b"a/2",
        "e/c/3": b"b/c/3",
        "f": b"6",
    }
    assert store.children() == (["a", "e"], [store.stat("f")])
    assert not store.is_folder("b")
    assert store.local_path("d") is None
    store.put("d", b"again")
    store.delete("d")
    assert not store.exists("d")
    store.delete_tree("")
    assert list(store.list()) == []
    assert {stat.key: lower.get(stat.key) for stat in lower.list()} == before


class Watched(FaultyStore):
    """Looks, after each change, at what another thread would see in this moment."""

    store: Store

    def delete(self, key: str) -> None:
        super().delete(key)
        assert not self.store.exists(key)

    def move(self, source: str, target: str) -> None:
        super().move(source, target)
        assert not self.store.exists(source)
        assert self.store.get(target) == b"new"


def test_what_is_deleted_or_moved_is_not_seen_below_for_a_moment(tmp_path: Path) -> None:
    lower = open_store(tmp_path / "lower", create=True)
    upper = Watched(open_store(tmp_path / "upper", create=True))
    upper.store = store = OverlayStore(lower, upper)
    for key in ("a", "b"):
        lower.put(key, b"old")
        store.put(key, b"new")
    store.delete("a")
    store.move("b", "c")
    assert [stat.key for stat in store.list()] == ["c"]


def test_of_two_who_change_what_lies_below_one_wins(tmp_path: Path) -> None:
    """The other one's change comes between the look at the version and the write."""
    lower = open_store(tmp_path / "lower", create=True)
    upper = open_store(tmp_path / "upper", create=True)
    etag = lower.put("a", b"old")

    class Late(FaultyStore):
        def stat(self, key: str) -> Stat:
            found = self.inner.stat(key)
            upper.put(key, b"theirs")
            return found

    with pytest.raises(ConflictError):
        OverlayStore(Late(lower), upper).put("a", b"mine", if_match=etag)
    assert OverlayStore(lower, upper).get("a") == b"theirs"
