"""One real server on a small archive for all tests of the room."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from tomoportal.archive import Archive
from tomoportal.server import LiveServer, Settings
from tomoportal.storage import open_store
from tomoportal.testing.object_server import s3_server
from tomoportal.testing.programs import Program
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


@pytest.fixture(scope="session")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of an archive below a prefix of a bucket; its catalog is on the local disk."""
    with s3_server() as url:
        address, _, query = url.partition("?")
        archive = f"{address}/our/archive?{query}"
        store = write_sample_archive(open_store(archive)).store
        store.put("10001/TS_1/100% & ümlaut #1?.txt", b"odd")
        store.put(".tomoportal/cache/secret.json", b"{}")
        settings = Settings(archive=archive, db=f"sqlite:///{tmp_path_factory.mktemp('db')}/catalog.sqlite")
        with LiveServer(settings) as server:
            yield server


@pytest.fixture(scope="session", params=["local", "bucket"])
def any_server(request: pytest.FixtureRequest) -> LiveServer:
    """The server of an archive on the local disk, and of one in a bucket."""
    name = "server" if request.param == "local" else "bucket_server"
    found: LiveServer = request.getfixturevalue(name)
    return found


@pytest.fixture
def http(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Accept-Encoding": "identity"}) as client:
        yield client


Serving = Callable[..., AbstractContextManager[tuple[Program, str]]]


@pytest.fixture(scope="session")
def serving() -> Serving:
    """``serving(*options, cwd=folder)`` → ``tomoportal serve`` in a process of its own, and its address."""

    @contextmanager
    def serving(*options: str, cwd: Path) -> Iterator[tuple[Program, str]]:
        with Program([sys.executable, "-m", "tomoportal", "serve", "--port", "0", *options], cwd=cwd) as program:
            yield program, program.says(r"http://\S+")

    return serving
