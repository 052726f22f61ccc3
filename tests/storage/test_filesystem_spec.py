"""Stores through fsspec: the conformance suite on its local and its in-memory file system."""

from __future__ import annotations

import itertools
import pickle
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest

from tomoportal.errors import MissingPartError, NotFoundError, StorageError
from tomoportal.storage import Store, server_connection
from tomoportal.storage.filesystem_spec import FsspecStore, open_fsspec
from tomoportal.storage.protocols import protocol_of
from tomoportal.testing.scripted_server import ScriptedServer
from tomoportal.testing.stores import StoreTests

_serial = itertools.count()


class TestLocal(StoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_fsspec(f"file://{tmp_path}/root", {"auto_mkdir": True})


class TestMemory(StoreTests):
    @pytest.fixture
    def store(self) -> Store:
        return open_fsspec(f"memory://root{next(_serial)}")


class Breaking:
    """A file system whose connection breaks at the first call."""

    def __init__(self, inner: Any, error: Exception) -> None:
        self.inner, self.error, self.calls, self.reads = inner, error, 0, 0

    def __getattr__(self, name: str) -> Any:
        self.calls += 1
        self.reads += name == "cat_file"
        if self.calls == 1 and name == "cat_file":
            raise self.error
        return getattr(self.inner, name)


class ConnectionLost(Exception):
    pass


@pytest.mark.parametrize("error", [ConnectionLost("lost"), BrokenPipeError(32, "pipe"), OSError(104, "reset")])
def test_a_broken_connection_is_opened_again_once(error: Exception, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    store = open_fsspec(f"file://{tmp_path}")
    store._protocol.fs = Breaking(store._protocol.fs, error)
    assert store.get("a") == b"1"
    assert not isinstance(store._protocol.fs, Breaking)


def test_other_errors_are_not_tried_again(tmp_path: Path) -> None:
    store = open_fsspec(f"file://{tmp_path}")
    store._protocol.fs = breaking = Breaking(store._protocol.fs, PermissionError(13, "no"))
    with pytest.raises(StorageError, match="no"):
        store.get("a")
    assert breaking.reads == 1


@pytest.mark.parametrize("kind", ["busy", "closed"])
def test_a_web_server_that_does_not_answer_is_no_missing_file(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    clock = SimpleNamespace(sleep=lambda seconds: None, monotonic=time.monotonic)
    monkeypatch.setattr(server_connection, "time", clock)
    with ScriptedServer(lambda number, asked: (503, {}, b"")) as server:
        store = open_fsspec(server.url)
        if kind == "closed":
            server.close()
        for action in (store.get, store.stat, store.exists, store.is_folder, store.children):
            with pytest.raises(StorageError, match="no answer from the server"):
                action("a")


def test_stores_are_pickled_by_url_and_arguments(tmp_path: Path) -> None:
    store = open_fsspec(f"file://{tmp_path}", {"auto_mkdir": True})
    store.put("a/b", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert isinstance(again, FsspecStore)
    assert again.get("a/b") == b"1"


def test_c60_new_files_are_seen_despite_the_directory_cache(tmp_path: Path) -> None:
    one, other = (open_fsspec(f"simplecache::file://{tmp_path}") for _ in range(2))
    one.put("a/b", b"1")
    assert [stat.key for stat in other.list()] == ["a/b"]
    one.put("a/c", b"1")
    assert [stat.key for stat in other.list()] == ["a/b", "a/c"]


def test_names_are_no_patterns_when_folders_are_deleted() -> None:
    """C26, also where it hurts most: the file systems' own way to delete `TS[1]` deletes `TS1`."""
    store = open_fsspec(f"memory://root{next(_serial)}")
    for run in ("TS[1]", "TS1", "TS*", "TSx"):
        store.put(f"runs/{run}/a/b", b"1")
    for run in ("TS[1]", "TS*"):
        store.delete_tree(f"runs/{run}")
    assert [stat.key for stat in store.list()] == ["runs/TS1/a/b", "runs/TSx/a/b"]


def test_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, **arguments: Any) -> Any:
        raise ImportError('SMB requires "smbprotocol"')

    monkeypatch.setattr(fsspec.core, "url_to_fs", refuse)
    for protocol, extra in (("smb", "smb"), ("ssh", "ssh"), ("sftp", "ssh"), ("https", "http")):
        with pytest.raises(MissingPartError, match=rf"tomoportal\[{extra}\]"):
            open_fsspec(f"{protocol}://host/x")


def test_ssh_without_its_package_is_refused() -> None:
    """fsspec's own client, which may be there instead, cannot replace a file and is not tested."""

    class Sftp:
        protocol = ("sftp", "ssh")

    with pytest.raises(MissingPartError, match=r"tomoportal\[ssh\]"):
        protocol_of(Sftp(), "/x")


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Protocol not known"):
        open_fsspec("nothing://x")
    missing = next(name for name in ("adlfs", "smb", "dropbox", "gs") if _package_is_missing(name))
    with pytest.raises(MissingPartError):
        open_fsspec(f"{missing}://host/x")
    with pytest.raises(NotFoundError):
        open_fsspec(f"file://{tmp_path}").get("none")


def _package_is_missing(protocol: str) -> bool:
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError:
        return True
    except ValueError:
        return False
    return False
