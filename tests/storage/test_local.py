"""What only a folder does: links, errors of the file system, what killed processes leave, locks between processes."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from unittest import mock

import pytest

from tomoportal.errors import ConflictError, LockedError, NotFoundError, StorageError
from tomoportal.storage import Store, open_store
from tomoportal.storage import local as local_module


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "root", create=True)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        open_store(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotFoundError, match="not a folder"):
        open_store(tmp_path / "file")
    (tmp_path / "a b").mkdir()
    assert open_store(f"file://{tmp_path}/a%20b").local_path("") == tmp_path / "a b"
    monkeypatch.chdir(tmp_path)
    assert open_store("a b").url == str(tmp_path / "a b")
    with pytest.raises(StorageError, match="gopher"):
        open_store("gopher://host/path")


def test_a_store_goes_to_another_process(store: Store) -> None:
    store.put("a/b", b"1")
    assert pickle.loads(pickle.dumps(store)).get("a/b") == b"1"
    assert pickle.loads(pickle.dumps(store.sub("a"))).get("b") == b"1"


def test_read_only(store: Store) -> None:
    store.put("key", b"1")
    reader = open_store(store.url, read_only=True)
    assert reader.get("key") == b"1"
    for change in (
        lambda: reader.put("key", b"2"),
        lambda: reader.open_writer("key"),
        lambda: reader.delete("key"),
        lambda: reader.delete_tree(""),
        lambda: reader.move("key", "other"),
        lambda: reader.lock("name").__enter__(),
    ):
        with pytest.raises(StorageError, match="read-only"):
            change()
    assert store.get("key") == b"1"


# --- links


def test_links_do_not_lead_out(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("secret")
    (root / "folder").symlink_to(tmp_path / "secret")
    (root / "file").symlink_to(tmp_path / "secret" / "file")
    for key in ("folder/file", "file"):
        for call in (
            lambda key=key: store.get(key),
            lambda key=key: store.put(key, b""),
            lambda key=key: store.stat(key),
        ):
            with pytest.raises(StorageError, match="leads out"):
                call()
    assert list(store.list()) == []
    assert store.children() == ([], [])
    assert store.glob("**/*") == []
    store.delete_tree("")
    assert (tmp_path / "secret" / "file").read_text() == "secret"

    follower = open_store(root, follow_links=True)
    assert [stat.key for stat in follower.list()] == ["file", "folder/file"]
    assert pickle.loads(pickle.dumps(follower)).get("folder/file") == b"secret"


def test_links_inside_are_followed_but_not_in_circles(store: Store, tmp_path: Path) -> None:
    store.put("a/file", b"1")
    (tmp_path / "root" / "link").symlink_to("a")
    (tmp_path / "root" / "a" / "circle").symlink_to("..")
    (tmp_path / "root" / "dangling").symlink_to("nowhere")
    assert [stat.key for stat in store.list()] == ["a/file", "link/file"]
    assert store.get("link/file") == b"1"


def test_a_pipe_is_no_file_and_a_link_to_itself_says_so(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root/pipe")
    (tmp_path / "root/circle").symlink_to("circle")
    reads = (
        store.get,
        store.get_version,
        lambda key: store.get_range(key, 0, 1),
        lambda key: list(store.chunks(key, 1)),
    )
    for read in reads:
        with pytest.raises(NotFoundError, match="pipe"):
            read("pipe")
        with pytest.raises(StorageError, match="leads to itself") as caught:
            read("circle")
        assert caught.value.fix


def test_a_root_that_is_a_link_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    store = open_store(tmp_path / "link")
    store.put("a", b"1")
    assert [stat.key for stat in store.list()] == ["a"]


# --- errors


@pytest.mark.parametrize(
    ("number", "text"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission"), (errno.EDQUOT, "quota")]
)
def test_errors_name_the_key_and_a_way_out(store: Store, tmp_path: Path, number: int, text: str) -> None:
    failure = OSError(number, os.strerror(number))
    with mock.patch.object(local_module.os, "replace", side_effect=failure):
        with pytest.raises(StorageError, match=text) as caught:
            store.put("a/key", b"1")
        with pytest.raises(StorageError, match=text), store.open_writer("a/key") as writer:
            writer.write(b"1")
    assert caught.value.where == "a/key"
    assert caught.value.fix
    assert files(tmp_path / "root") == []


def test_a_full_disk_while_writing_leaves_nothing(store: Store, tmp_path: Path) -> None:
    writer = store.open_writer("a/key")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    os.dup2(descriptor, writer._file.fileno())  # type: ignore[attr-defined]
    os.close(descriptor)
    with pytest.raises(StorageError, match="disk is full"), writer:
        writer.write(b"1" * 100_000)
    assert files(tmp_path / "root") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(store: Store, tmp_path: Path) -> None:
    (tmp_path / "root").chmod(0o500)
    with pytest.raises(StorageError, match="permission"):
        store.put("key", b"1")


def test_a_file_in_the_way_of_a_folder(store: Store) -> None:
    store.put("a", b"1")
    for call in (lambda: store.put("a/b", b"2"), lambda: store.put("a/b/c", b"2"), lambda: store.open_writer("a/b")):
        with pytest.raises(StorageError, match="is a file, not a folder"):
            call()
    store.put("folder/file", b"1")
    with pytest.raises(StorageError, match="is a folder"):
        store.put("folder", b"2")
    assert store.get("a") == b"1"


# --- what is left behind


def _run(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], stdout=subprocess.PIPE, text=True
    )


def test_temporary_files_of_the_dead_are_hidden_and_swept(store: Store, tmp_path: Path) -> None:
    code = """
        import os, sys
        from tomoportal.storage import open_store
        writer = open_store(sys.argv[1]).open_writer("a/big")
        writer.write(b"1" * 1000)
        os.kill(os.getpid(), 9)
    """
    with _run(code, store.url) as process:
        process.wait()
    left = list((tmp_path / "root" / "a").iterdir())
    assert len(left) == 1
    assert list(store.list()) == []
    assert store.children("a") == ([], [])
    alive = store.open_writer("a/other")
    assert not left[0].exists()
    fresh = open_store(store.url)
    fresh.put("a/key", b"1")
    alive.close()
    assert [stat.key for stat in fresh.list()] == ["a/key", "a/other"]
    assert files(tmp_path / "root") == ["a", "a/key", "a/other"]


def test_temporary_files_of_other_machines_are_swept_by_age(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "root" / "a"
    folder.mkdir(parents=True)
    young, old = folder / ".tomoportal-tmp-01234567-1-0", folder / ".tomoportal-tmp-01234567-1-1"
    for path in (young, old):
        path.write_text("")
    os.utime(old, (time.time() - 90_000,) * 2)
    store.put("a/key", b"1")
    assert (young.exists(), old.exists()) == (True, False)


# --- locks


def test_a_lock_ends_with_its_process(store: Store) -> None:
    code = """
        import sys, time
        from tomoportal.storage import open_store
        with open_store(sys.argv[1]).lock("name"):
            print("held", flush=True)
            time.sleep(60)
    """
    with _run(code, store.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match="another process"), store.lock("name", timeout=0.05):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    with store.lock("name", timeout=1.0):
        pass


def test_processes_take_turns(store: Store) -> None:
    store.put("count", b"0")
    code = """
        import sys
        from tomoportal.storage import open_store
        store = open_store(sys.argv[1])
        for _ in range(50):
            with store.lock("a/b"):
                store.put("count", str(int(store.get("count")) + 1).encode(), durable=False)
    """
    processes = [_run(code, store.url) for _ in range(3)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert store.get("count") == b"150"


def test_a_file_system_without_hard_links(store: Store) -> None:
    with mock.patch.object(local_module.os, "link", side_effect=OSError(errno.EPERM, "no links")):
        store.put("key", b"1", if_absent=True)
        with pytest.raises(ConflictError):
            store.put("key", b"2", if_absent=True)
    assert store.get("key") == b"1"


def test_a_move_between_file_systems_copies(store: Store, tmp_path: Path) -> None:
    store.put("a/1", b"1")
    store.put("a/b/2", b"2")
    real, failure = os.replace, OSError(errno.EXDEV, "another device")

    def replace(source: str, target: str) -> None:
        if ".tomoportal-tmp-" not in str(source):
            raise failure
        real(source, target)

    with (
        mock.patch.object(local_module.os, "replace", side_effect=replace),
        mock.patch.object(local_module.os, "rename", side_effect=failure),
    ):
        store.move("a", "c")
    assert files(tmp_path / "root") == ["c", "c/1", "c/b", "c/b/2"]
    assert store.get("c/b/2") == b"2"
