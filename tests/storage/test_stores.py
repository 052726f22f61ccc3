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
