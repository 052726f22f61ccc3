"""Stores on real file servers, OpenSSH's ``sshd`` and Samba's ``smbd``: the conformance suite, and what servers do."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tomoportal.errors import ConflictError, NotFoundError, ReadOnlyError, StorageError
from tomoportal.storage import Store
from tomoportal.storage.filesystem_spec import FsspecStore, open_fsspec
from tomoportal.storage.owners import new_token
from tomoportal.testing.file_servers import FileServer, ServerIsMissing, outage, smb_server, ssh_server
from tomoportal.testing.stores import StoreTests

_serial = itertools.count()


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the SMB server serves."""
    return tmp_path_factory.mktemp("smb")


@pytest.fixture(scope="module")
def smb(share: Path) -> Iterator[FileServer]:
    try:
        with smb_server(share) as server:
            yield server
    except ServerIsMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def ssh() -> Iterator[FileServer]:
    try:
        with ssh_server() as server:
            yield server
    except ServerIsMissing as error:
        pytest.skip(str(error))


@pytest.mark.slow
class TestSsh(StoreTests):
    @pytest.fixture
    def store(self, ssh: FileServer, tmp_path: Path) -> Store:
        return open_fsspec(f"ssh://{tmp_path}/root", ssh.arguments)


_OTHER_NAMES = re.compile(r"test_any_scan|odd_names.*\*|test_glob\[(run\*/a\.mrc|RUN1)")
"""Tests with names that no share can hold, or that differ in case only."""


@pytest.mark.slow
class TestSmb(StoreTests):
    @pytest.fixture
    def store(self, smb: FileServer, request: pytest.FixtureRequest) -> Store:
        if _OTHER_NAMES.search(request.node.name):
            pytest.skip("an SMB share holds no such names, or takes them for one")
        return open_fsspec(f"smb:///share/root{next(_serial)}", smb.arguments)


@pytest.fixture(params=["ssh", "smb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, FileServer, Path]:
    """The URL of an empty folder, its server, and where the folder lies on this machine."""
    server: FileServer = request.getfixturevalue(request.param)
    if request.param == "ssh":
        return f"ssh://{tmp_path}/root", server, tmp_path / "root"
    name = f"own{next(_serial)}"
    return f"smb:///share/{name}", server, request.getfixturevalue("share") / name


def opened(place: tuple[str, FileServer, Path]) -> FsspecStore:
    return open_fsspec(place[0], place[1].arguments)


def test_a_file_server_keeps_what_a_store_promises(place: tuple[str, FileServer, Path]) -> None:
    store, other = opened(place), opened(place)
    assert store.children() == ([], [])
    first = store.put("a/b", b"0123456789")
    assert (store.get_range("a/b", 3, 4), store.get_range("a/b", 8, 9)) == (b"3456", b"89")
    second = store.put("a/b", b"9876543210")  # as large, in the same second
    assert first != second == other.stat("a/b").etag == other.children("a")[1][0].etag
    with pytest.raises(ConflictError):
        other.put("a/b", b"x", if_match=first)
    with pytest.raises(ConflictError):
        other.put("a/b", b"x", if_absent=True)
    other.put("a/b", b"y", if_match=second)
    for key in ("none", "a", "a/none", "a/b/c"):
        with pytest.raises(NotFoundError):
            store.get(key)
    for run in ("TS[1]", "TS1", "a b", "ä#%20&+='~!"):
        store.put(f"runs/{run}/x", b"1")
    store.delete_tree("runs/TS[1]")
    store.move("runs/a b", "runs/moved")
    assert [stat.key for stat in other.list("runs")] == ["runs/TS1/x", "runs/moved/x", "runs/ä#%20&+='~!/x"]
    assert not any(".tomoportal" in str(path) for path in place[2].rglob("*"))


def test_links_on_a_server_are_followed(place: tuple[str, FileServer, Path]) -> None:
    store = opened(place)
    store.put("runs/a/x", b"1")
    (place[2] / "runs/linked").symlink_to(place[2] / "runs/a")
    (place[2] / "runs/nowhere").symlink_to(place[2] / "none")
    assert store.children("runs")[0] == ["a", "linked"]
    assert store.get("runs/linked/x") == b"1"


def test_of_many_creators_one_wins_and_no_change_is_lost(place: tuple[str, FileServer, Path]) -> None:
    """Each with a connection of its own, as processes have."""
    stores = [opened(place) for _ in range(4)]
    won: list[int] = []

    def work(number: int) -> None:
        store = stores[number]
        try:
            store.put("count", b"", if_absent=True)
            won.append(number)
        except ConflictError:
            pass
        for _ in range(4):
            while True:
                data, etag = store.get_version("count")
                try:
                    store.put("count", data + b"%d" % number, if_match=etag)
                    break
                except ConflictError:
                    continue

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert sorted(stores[0].get("count")) == sorted(b"0123" * 4)


def test_a_server_that_comes_back_is_connected_again(place: tuple[str, FileServer, Path]) -> None:
    """Whatever is asked first, and also after the ten seconds for which a restart of a machine's service takes."""
    store = opened(place)
    store.put("a/b", b"1")
    for action, away in (
        (lambda: store.get("a/b"), 10),
        (lambda: store.put("a/b", b"1"), 0.1),
        (lambda: store.children("a"), 0.1),
        (lambda: store.put(f"a/{next(_serial)}", b"1", if_absent=True), 0.1),
        (lambda: store.put("a/b", b"1", if_match=store.stat("a/b").etag), 0.1),
    ):
        with outage(place[1], away) as pauses:
            action()
        assert away <= sum(pauses) < away + 2.1
    assert store.get("a/b") == b"1"


def test_a_connection_that_broke_before_its_first_use_is_opened_again(place: tuple[str, FileServer, Path]) -> None:
    """sshfs remembers then that there can be no channels, and never tries again."""
    store = opened(place)
    place[1].restart()
    assert not store.exists("a/b")
    store.put("a/b", b"1")
    assert store.get("a/b") == b"1"


def test_threads_that_meet_a_new_connection_at_once(place: tuple[str, FileServer, Path]) -> None:
    """smbprotocol lets one of them use what another one still opens, and loses count of what it may send."""
    store = opened(place)
    store.put("a/large", b"1" * 20_000_000)
    threads = 8
    together = threading.Barrier(threads)

    def work(number: int) -> None:
        together.wait()
        if number == 0:
            assert len(store.get("a/large")) == 20_000_000
        for _ in range(5):
            assert store.exists("a/large")

    with ThreadPoolExecutor(threads) as pool:
        for _ in range(2):
            place[1].restart()
            for _ in pool.map(work, range(threads)):
                pass


def test_a_server_that_stays_away_is_told(place: tuple[str, FileServer, Path]) -> None:
    store = opened(place)
    store.put("a/b", b"1")
    told = "no answer from the server: .*\n.*check that the server runs"
    with outage(place[1]):
        for action in (
            lambda: store.get("a/b"),
            lambda: store.exists("a/b"),
            lambda: store.put("a/b", b"2", if_match="1"),
            lambda: store.is_folder("a/b"),  # is not told that there is none
            lambda: store.delete_tree("a/b"),
        ):
            with pytest.raises(StorageError, match=f"b: {told}"):
                action()
        with pytest.raises(StorageError, match=told):
            opened(place)
    assert store.get("a/b") == b"1"


WRITE_FOREVER = """
import json, sys
from tomoportal.storage.filesystem_spec import open_fsspec
store = open_fsspec(sys.argv[1], json.loads(sys.argv[2]))
number = 0
while True:
    number += 1
    store.put("a/b", b"%09d" % number * 50_000, if_match=store.stat("a/b").etag)
    print("ready", flush=True)
"""


def test_kill_9_while_writing_leaves_the_old_or_the_new(place: tuple[str, FileServer, Path]) -> None:
    store, path = opened(place), place[2] / "a/b"
    store.put("a/b", b"%09d" % 0 * 50_000)
    command = [sys.executable, "-c", WRITE_FOREVER, place[0], json.dumps(place[1].arguments)]
    for delay in (0.03, 0.11):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        end = time.monotonic() + delay
        while time.monotonic() < end:
            for data in (path.read_bytes(), store.get("a/b")):
                assert len(data) == 450_000
                assert data == data[:9] * 50_000
        process.kill()
        process.wait()
        process.stdout.close()
        assert len(store.get("a/b")) == 450_000
    end = time.monotonic() + 60
    while True:
        store = opened(place)
        store.put("a/b", b"after", if_match=store.stat("a/b").etag)
        assert store.get("a/b") == b"after"
        left = [each.name for each in path.parent.iterdir()]
        if left == ["b"]:  # what the dead left is swept, as soon as the server has noticed that they are
            break
        assert time.monotonic() < end, left


def test_a_lock_that_a_dead_writer_left_is_broken(
    place: tuple[str, FileServer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once if its process was of this machine, else when it has been the same for a while."""
    store = opened(place)
    etag = store.put("a/b", b"1")
    for holder in ("another-1f-0", f"{new_token().partition('-')[0]}-7fffffff-0"):
        (place[2] / "a/.tomoportal-tmp-lock-b").write_text(holder)
        monkeypatch.setattr("tomoportal.storage.filesystem_spec._LOCK_ENDS", 0.5 if "another" in holder else 30.0)
        started = time.monotonic()
        etag = store.put("a/b", b"2", if_match=etag)
        assert 0.5 * ("another" in holder) <= time.monotonic() - started < 20
    assert [path.name for path in (place[2] / "a").iterdir()] == ["b"]


def _read_in_a_fork(store: FsspecStore, answer: Any) -> None:
    answer.put(store.get("a/b"))


def test_a_forked_process_has_a_connection_of_its_own(place: tuple[str, FileServer, Path]) -> None:
    store = opened(place)
    store.put("a/b", b"1")
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    process = context.Process(target=_read_in_a_fork, args=(store, answer))
    process.start()
    assert answer.get(timeout=300) == b"1"
    process.join()
    assert store.get("a/b") == b"1"


def test_a_share_that_is_read_only_says_so(smb: FileServer, share: Path) -> None:
    name = f"own{next(_serial)}"
    open_fsspec(f"smb:///share/{name}", smb.arguments).put("a/b", b"1")
    locked = open_fsspec(f"smb:///locked/{name}", smb.arguments)
    assert locked.get("a/b") == b"1"
    for action in (
        lambda: locked.put("a/b", b"2"),
        lambda: locked.put("a/c", b"2", if_absent=True),
        lambda: locked.put("a/b", b"2", if_match=locked.stat("a/b").etag),
        lambda: locked.delete("a/b"),
        lambda: locked.delete_tree("a"),
        lambda: locked.move("a/b", "a/c"),
    ):
        with pytest.raises(ReadOnlyError, match="refuses access"):
            action()
    assert [path.name for path in (share / name / "a").iterdir()] == ["b"]


def test_names_that_no_share_can_hold_are_refused(smb: FileServer) -> None:
    store = open_fsspec(f"smb:///share/own{next(_serial)}", smb.arguments)
    for name in ("a:b", "a*", "a?", 'a"', "a<b", "a|b", "a\\b", "a.", "a ", "a\n"):
        for action in (lambda: store.put(f"x/{name}", b"1"), lambda: store.get(f"{name}/x")):  # noqa: B023
            with pytest.raises(StorageError, match="cannot hold the name"):
                action()
    assert list(store.list()) == []
