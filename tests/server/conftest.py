"""One real server on a small archive for all tests of the room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tomoportal.archive import Archive
from tomoportal.server import LiveServer, Settings
from tomoportal.testing.sample_archive import write_sample_archive

BIG = "10001/TS_1/Frames/big.bin"
BIG_SIZE = 9_000_001


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """The sample archive, with a file that is sent in several pieces and some odd ones."""
    archive = write_sample_archive(tmp_path_factory.mktemp("archive"))
    pattern = bytes(range(251)) * (BIG_SIZE // 251 + 1)
    archive.store.put(BIG, pattern[:BIG_SIZE])
    archive.store.put("10001/TS_1/empty.txt", b"")
    archive.store.put("10001/TS_1/100% & ümlaut #1?.txt", b"odd")
    archive.store.put("10001/TS_1/page.html", b"<script>alert(1)</script>")
    archive.store.put(".tomoportal/cache/secret.json", b"{}")
    return archive


@pytest.fixture(scope="session")
def folder(archive: Archive) -> Path:
    path = archive.store.local_path("")
    assert path is not None
    return path


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[LiveServer]:
    with LiveServer(Settings(archive=str(folder))) as server:
        yield server


@pytest.fixture
def http(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Accept-Encoding": "identity"}) as client:
        yield client
