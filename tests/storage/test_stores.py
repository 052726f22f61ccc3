"""The conformance suite on every store."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tomoportal.errors import NotFoundError, ReadOnlyError
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


FORKS = """
import multiprocessing, os, sys
from tomoportal.errors import StorageError
from tomoportal.storage import open_store

def read(store):
    return store.get("a")

def refused(opened):
    try:
        opened().get("a")
    except StorageError as error:
        return "forkserver" in str(error)
    return False

def forked(work):
    child = os.fork()
    if child == 0:
        os._exit(0 if work() else 1)
    assert os.waitpid(child, 0)[1] == 0

if __name__ == "__main__":
    store = open_store(sys.argv[1])
    forked(lambda: store.put("a", b"1"))
    assert store.get("a") == b"1"
    forked(lambda: refused(lambda: store))
    forked(lambda: refused(lambda: open_store(sys.argv[1])))
    assert store.get("a") == b"1"
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.apply(read, (store,)) == b"1"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_a_fork_of_a_process_that_read_from_s3_is_told_instead_of_waiting_for_ever(bucket: str, tmp_path: Path) -> None:
    """One that was made before works, and so do those of a fork server."""
    script = tmp_path / "forks.py"
    script.write_text(FORKS)
    done = subprocess.run([sys.executable, "-W", "ignore", script, bucket], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_copies_on_a_disk_are_second_names_that_writes_do_not_change(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for number in range(3):
        store.put(f"x/{number}", b"%d" % number)
    store.copy_files([(f"x/{number}", f"y/z/{number}") for number in range(3)])
    assert (tmp_path / "y/z/0").stat().st_nlink == 2
    store.put("x/1", b"new")
    store.delete("x/2")
    assert [store.get(f"y/z/{number}") for number in range(3)] == [b"0", b"1", b"2"]
    with pytest.raises(NotFoundError):
        store.copy_files([("missing", "z")])


def test_missing_keys_are_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys the client asks the machine for some; that nobody answers there says nothing to a user."""

    class Refusing(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(ReadOnlyError, match="no keys for the object store are set") as error:
                open_store("s3://bucket?endpoint=http://127.0.0.1:9").get("key")
        finally:
            server.shutdown()
            thread.join()
    assert "anonymous=true" in str(error.value)
