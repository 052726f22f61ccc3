"""The conformance suite on every store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tomoportal.storage import Store, open_store
from tomoportal.testing.faulty import FaultyStore
from tomoportal.testing.object_server import s3_server
from tomoportal.testing.stores import StoreTests

_serial = itertools.count()


class TestLocal(StoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store(tmp_path / "root", create=True)


class TestMemory(StoreTests):
    @pytest.fixture
    def store(self) -> Store:
        return open_store("memory://")


class TestFaulty(StoreTests):
    @pytest.fixture
    def store(self) -> Store:
        return FaultyStore(open_store("memory://"))


class TestViewOfLocal(StoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        parent = open_store(tmp_path, create=True)
        parent.put("other", b"stays")
        yield parent.sub("view/here")
        assert parent.get("other") == b"stays"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server() as url:
        yield url


class TestS3(StoreTests):
    @pytest.fixture
    def store(self, bucket: str) -> Store:
        address, _, query = bucket.partition("?")
        return open_store(f"{address}/prefix{next(_serial)}?{query}")


def test_a_glob_lists_only_folders_that_can_match() -> None:
    inner = open_store("memory://")
    for key in ("a/x.mrc", "a/v.zarr/0/0/0", "a/v.zarr/0/0/1", "b/c/x.mrc", "b/d/y.txt", "z/x.mrc"):
        inner.put(key, b"")
    listed: list[str] = []

    class Watching(FaultyStore):
        def step(self, operation: str, key: str) -> None:
            listed.append(f"{operation} {key}")

    store = Watching(inner)
    for pattern, expected in (
        ("**/*.mrc", ["children ", "children a", "children b", "children b/c", "children b/d", "children z"]),
        ("a/*.zarr", ["children a"]),
        ("[ab]/c/*.mrc", ["children ", "children a/c", "children b/c"]),
        ("b/c/x.mrc", ["stat b/c/x.mrc"]),
    ):
        listed.clear()
        assert store.glob(pattern)
        assert listed == expected
