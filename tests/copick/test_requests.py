"""What a loop over a project costs on a store where every request costs its latency: how many, how many at a time."""

from __future__ import annotations

import builtins
import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import tomoportal.copick as copick
from tomoportal.copick import folders
from tomoportal.copick.folders import RUNS, Folder, folders_by_folder, folders_of_runs
from tomoportal.copick.read_ahead import ReadAhead
from tomoportal.server import LiveServer, Settings
from tomoportal.storage import Stat, Store, open_store
from tomoportal.storage.base import Folder as ListedFolder
from tomoportal.testing.faulty import FaultyStore

DOCUMENT = {
    "pickable_object_name": "ribosome", "user_id": "tool", "session_id": "0", "unit": "angstrom",
    "points": [{"location": {"x": 1.0, "y": 2.0, "z": 3.0}}],
}  # fmt: skip


class Remote(FaultyStore):
    """A store without local paths, whose listings count once per thousand keys; keeps the names of what was read."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.read: list[str] = []

    def local_path(self, key: str) -> None:
        return None

    def scan(self, prefix: str = "", *, after: str = "", by_folder: bool = False) -> Iterator[Stat | ListedFolder]:
        for number, found in enumerate(self.inner.scan(prefix, after=after, by_folder=by_folder)):
            if number % 1000 == 0:
                self.step("scan", prefix)
            yield found

    def get_version(self, key: str) -> tuple[bytes, str]:
        self.read.append(key)
        return self.inner.get_version(key)


class Crowded(Remote):
    """Answers what is fetched ahead when so many requests wait, and then, once, when so many more do."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.expected = [30, 60]
        self.most = self.waiting = 0
        self.change = threading.Condition()

    def get_version(self, key: str) -> tuple[bytes, str]:
        if threading.current_thread().name.startswith("read-ahead"):
            with self.change:
                self.waiting += 1
                self.most = max(self.most, self.waiting)
                if self.expected and self.waiting >= self.expected[0]:
                    del self.expected[0]
                    self.change.notify_all()
                else:
                    before = len(self.expected)
                    assert self.change.wait_for(lambda: len(self.expected) < before or not before, timeout=300)
                self.waiting -= 1
        return super().get_version(key)


def fill(store: Store, runs: int, objects: int, chunks: int = 1) -> None:
    for number in range(runs):
        place = f"{RUNS}/TS_{number:04d}"
        store.put(f"{place}/.meta", b"meta", durable=False)
        for each in range(objects):
            name = f"object{each}"
            data = json.dumps({**DOCUMENT, "pickable_object_name": name, "run_name": f"TS_{number:04d}"}).encode()
            store.put(f"{place}/Picks/tool_0_{name}.json", data, durable=False)
        for kind in ("VoxelSpacing10.000/wbp", "Segmentations/10.000_tool_0_membrane"):
            store.put(f"{place}/{kind}.zarr/.zgroup", b"{}", durable=False)
            for chunk in range(chunks):
                store.put(f"{place}/{kind}.zarr/0/0/0/{chunk}", b"", durable=False)


def root_on(store: Store, config: Path) -> copick.CopickRoot:
    return copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)


def test_c59_a_project_of_5000_picks_is_read_by_few_listings_and_one_request_each(config: Path) -> None:
    store = Crowded(open_store("memory://"))
    fill(store.inner, 500, 10)
    root = root_on(store, config)
    assert sum(len(picks.numpy()[0]) for run in root.runs for picks in run.picks) == 5000
    assert sorted(store.read) == sorted(set(store.read))
    assert len(store.read) == 5000
    assert store.counts["scan"] + store.counts["children"] + store.counts["list"] <= 30  # 7,500 keys
    assert store.expected == []
    assert 60 <= store.most <= 64


@pytest.mark.parametrize(
    ("page", "most_keys", "way"), [(1000, 200, "one page"), (30, 200, "ranges"), (30, 5, "folders")]
)
def test_every_way_to_list_a_project_finds_the_same(
    page: int, most_keys: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_PAGE", page)
    monkeypatch.setattr(folders, "_MOST_KEYS", most_keys)
    store = Remote(open_store("memory://"))
    fill(store.inner, 40, 3)
    for odd in ("a", "a-b", "a.b", "a0", "TS_0007-x", "TS_0007.x", "µ", "\U0001f9ca", "zz"):  # not in the order of keys
        store.put(f"{RUNS}/{odd}/Picks/tool_0_x.json", b"{}")
        store.put(f"{RUNS}/{odd}/VoxelSpacing1.000/wbp.zarr/.zgroup", b"{}")
    for stray in ("stray.txt", "TS_0007.txt", "zzz"):
        store.put(f"{RUNS}/{stray}", b"")
    for chunk in range(800 if way == "ranges" else 0):  # one run alone has many chunks
        store.put(f"{RUNS}/TS_0020/VoxelSpacing10.000/wbp.zarr/0/0/0/{chunk}", b"")
    runs = store.children(RUNS)[0]
    plain = folders_by_folder(store, runs)
    store.counts.clear()
    found = folders_of_runs(store)
    assert {key: each for key, each in found.items() if key in plain} == {
        key: each for key, each in plain.items() if key in found
    }
    assert set(plain) - set(found) == set()
    assert all(key == RUNS or key.count("/") > 2 or key in plain for key in found)
    assert (store.counts["scan"], store.counts["children"]) == {
        "one page": (1, 0), "ranges": (17, 1 + 3 + 9), "folders": (1, 1 + 49 + 3 * 40 + 2 * 9),
    }[way]  # fmt: skip


@pytest.mark.parametrize("page", [1000, 100])
def test_servers_that_list_in_no_order_are_believed(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Shuffled(Remote):
        def scan(self, prefix: str = "", *, after: str = "", by_folder: bool = False) -> Iterator[Stat | ListedFolder]:
            found = list(super().scan(prefix, after=after, by_folder=by_folder))
            return iter(random.Random(0).sample(found, len(found)))

    monkeypatch.setattr(folders, "_PAGE", page)
    store = Shuffled(open_store("memory://"))
    fill(store.inner, 30, 3)
    found = folders_of_runs(store)
    plain = folders_by_folder(store, store.children(RUNS)[0])
    assert {key: found[key] for key in plain} == plain
    assert list(found[f"{RUNS}/TS_0000/Picks"].files) == [f"tool_0_object{n}.json" for n in range(3)]


def test_a_store_that_knows_folders_only_is_never_looked_into_zarr_stores(tmp_path: Path) -> None:
    class Folders(Remote):
        lists_keys = False

    store = Folders(open_store(tmp_path.as_uri()))
    fill(store.inner, 3, 2, chunks=5)
    found = folders_of_runs(store)
    assert store.counts == {"children": 1 + 3 + 3 * 3}
    assert found[f"{RUNS}/TS_0001/Segmentations"] == Folder(["10.000_tool_0_membrane.zarr"])


def test_a_real_server_is_listed_in_ranges(tmp_path: Path) -> None:
    fill(open_store(tmp_path / "archive" / "project", create=True), 60, 20)
    with LiveServer(Settings(archive=str(tmp_path / "archive"), bucket="bucket")) as server:
        remote = open_store(f"s3://bucket/project?endpoint={server.url}/s3&anonymous=true")
        found = folders_of_runs(remote)
        assert found[f"{RUNS}/TS_0059/Picks"].files.keys() == {f"tool_0_object{n}.json" for n in range(20)}
        plain = folders_by_folder(remote, remote.children(RUNS)[0])
        assert len(plain) == 60 * 4
        assert {key: found[key] for key in plain} == plain


# --- reading ahead


def documents(runs: int, objects: int, size: int = 10) -> tuple[Remote, list[Stat]]:
    store = Remote(open_store("memory://"))
    for number in range(runs):
        for each in range(objects):
            store.inner.put(f"{RUNS}/TS_{number:03d}/Picks/user{number}_1_object{each:02d}.json", bytes(size))
    return store, builtins.list(store.inner.list(RUNS))


def read_all(store: Remote, stats: list[Stat], wanted: list[Stat]) -> int:
    """How many documents were read that nobody wanted."""
    ahead = ReadAhead(store, lambda key: stats)
    for stat in wanted:
        assert len(ahead.read(stat.key)[0]) == stat.size
    assert {stat.key for stat in wanted} <= set(store.read)
    return len(store.read) - len(wanted)


def test_a_loop_over_one_object_fetches_no_other() -> None:
    store, stats = documents(100, 20)
    assert read_all(store, stats, [stat for stat in stats if stat.key.endswith("object07.json")]) == 0


def test_a_loop_over_two_objects_fetches_others_in_its_first_run_only() -> None:
    store, stats = documents(100, 20)
    assert read_all(store, stats, [stat for stat in stats if stat.key.endswith(("07.json", "11.json"))]) <= 20


def test_reading_everything_reads_each_document_once_and_in_any_order_little_more() -> None:
    store, stats = documents(50, 5)
    assert read_all(store, stats, stats) == 0
    store, stats = documents(50, 5)
    assert read_all(store, stats, stats[::-1]) <= len(stats) * 0.3
    store, stats = documents(50, 5)
    assert read_all(store, stats, random.Random(1).sample(stats, 100)) <= 130


def test_what_is_ahead_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomoportal.copick.read_ahead._MOST_BYTES", 1000)
    store, stats = documents(50, 5, size=300)
    ahead = ReadAhead(store, lambda key: stats)
    held = 0
    for stat in stats:
        ahead.read(stat.key)
        held = max(held, len(ahead._waiting))
    assert held == 3
    assert len(store.read) == len(stats)
