"""A store over another one does what a store does, and never touches the one below."""

from __future__ import annotations

from pathlib import Path

import pytest

from tomoportal.storage import Store, open_store
from tomoportal.storage.overlay import OverlayStore
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
