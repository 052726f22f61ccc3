"""Behaviours of the list of upstream's faults that no other module of these tests holds, each named by its number."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.copick.operations import statistics
from tomoportal.copick.picks import CopickPoint
from tomoportal.errors import TomoportalError
from tomoportal.storage.local import LocalStore
from tomoportal.storage.reconnecting import ReconnectingFileSystem, is_connection_error

SITUATIONS: dict[str, tuple[type[Exception], str]] = {
    "root.new_run('TS_001')": (ValueError, "already exists"),
    "root.new_object('ribosome', True)": (ValueError, "already exists"),
    "root.new_object('a_b', True)": (ValueError, "invalid characters"),
    "run.new_picks('nothing', '1')": (ValueError, "not found in pickable objects"),
    "picks.from_numpy([[1, 2, 3]], [[1]] * 2)": (ValueError, "must be the same"),
    "picks.from_numpy([[1, 2, 3]], None, [-1])": (ValueError, "must be >= 0"),
    "picks.from_numpy([[1, 2, 3]], None, [0.5])": (ValueError, "must be integers"),
    "picks.from_numpy([[1, 2, 3]], None, None, [float('nan')])": (ValueError, "must be finite"),
    "picks.from_numpy([[1, 2]])": (ValueError, "shape"),
    "run.new_voxel_spacing(-1)": (ValueError, "positive"),
    "run.new_voxel_spacing(10).new_tomogram('wbp').numpy()": (FileNotFoundError, "File not found"),
    "run.new_voxel_spacing(10).new_tomogram('wbp').numpy('1')": (KeyError, "there is no level '1'"),
    "run.new_segmentation(10, 'all', '1', True, is_instance=True)": (ValueError, "one type"),
    "copick.resolve_copick_objects('a:b:c', root, 'picks')": (ValueError, "Invalid picks URI"),
    "copick.resolve_copick_objects('re:[', root, 'picks')": (ValueError, "Invalid regex pattern"),
    "copick.resolve_copick_objects('*', root, 'points')": (ValueError, "Unknown object type"),
    "copick.resolve_copick_objects('*', root, 'picks', 'x')": (ValueError, "Run 'x' not found"),
    "copick.from_string('{')": (ValueError, "no JSON"),
    'copick.from_string(\'{"config_type": "x"}\')': (ValueError, "Unknown config_type"),
    "copick.from_file('/nowhere/config.json')": (FileNotFoundError, ""),
    "copick.sanitize_name('***')": (ValueError, "cannot be empty"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_c47_errors_are_of_one_tree_and_of_the_builtin_class(
    situation: str, root: copick.CopickRoot, picks: copick.CopickPicks
) -> None:
    kind, words = SITUATIONS[situation]
    names = {"root": root, "run": picks.run, "picks": picks, "copick": copick}
    with pytest.raises(TomoportalError) as caught:
        eval(situation, names)
    assert isinstance(caught.value, kind)
    assert words in str(caught.value)


def test_c58_each_folder_is_scanned_once(
    root: copick.CopickRoot, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        run = root.new_run(f"TS_{number}")
        for session in "123":
            run.new_picks("ribosome", session)
            run.new_segmentation(10, "membrane", session)
        run.new_voxel_spacing(10).new_tomogram("wbp")
    scanned: list[str] = []
    scan = os.scandir

    def counted(place: Any = ".") -> Any:
        scanned.append(str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", counted)
    fresh = copick.from_file(config)
    for run in fresh.runs:
        assert len(run.picks) == len(run.segmentations) == 3
        assert [each.tomo_type for spacing in run.voxel_spacings for each in spacing.tomograms] == ["wbp"]
    assert len([place for place in scanned if place.endswith("Picks")]) == 4
    assert len([place for place in scanned if place.endswith("/Segmentations")]) == 4
    assert len(scanned) <= 1 + 4 * 6


def test_c62_every_root_has_a_connection_of_its_own() -> None:
    class Lister:
        forgotten = 0

        def _invalidate_all_caches(self) -> None:
            self.forgotten += 1

    class Broken:
        def cat_file(self, path: str) -> bytes:
            raise ConnectionResetError(104, "gone")

    place = "memory://c62"
    fsspec.filesystem("memory").pipe_file("/c62/x", b"here")
    one, other = ReconnectingFileSystem(place), ReconnectingFileSystem(place)
    assert one is not other
    mine, theirs = Lister(), Lister()
    one._root_ref, other._root_ref = weakref.ref(mine), weakref.ref(theirs)
    one._fs = Broken()
    assert one.cat_file("/c62/x") == b"here"
    assert (mine.forgotten, theirs.forgotten) == (1, 0)
    with pytest.raises(FileNotFoundError):
        one.cat_file("/c62/missing")
    assert mine.forgotten == 1
    assert not is_connection_error(OSError(2, "no"))
    assert is_connection_error(BrokenPipeError())


def no_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **fields: Any) -> Any:
        raise AssertionError("a point became an object")

    monkeypatch.setattr(CopickPoint, "model_construct", refuse)
    monkeypatch.setattr(CopickPoint, "__init__", refuse)


def test_c63_points_are_counted_without_objects(picks: copick.CopickPicks, monkeypatch: pytest.MonkeyPatch) -> None:
    picks.from_numpy(np.ones((50, 3)))
    no_objects(monkeypatch)
    found = statistics.picks_stats(picks.run.root)
    assert found["total_picks"] == 50


def test_c64_all_of_a_project_in_one_call(root: copick.CopickRoot) -> None:
    for name in ("a", "b"):
        run = root.new_run(name)
        run.new_picks("ribosome", "1")
        run.new_picks("proteasome", "1")
        run.new_mesh("membrane", "1")
        run.new_filaments("microtubule", "1")
        run.new_segmentation(10, "membrane", "1")
        run.new_voxel_spacing(10).new_tomogram("wbp")
    assert [each.run.name for each in root.picks("ribosome")] == ["a", "b"]
    assert len(root.picks()) == 4
    assert len(root.meshes()) == len(root.filaments()) == len(root.segmentations(voxel_size=10)) == 2
    assert len(root.tomograms("wbp", 10)) == 2
    assert root.tomograms("wbp", 20) == []


def test_c65_arrays_come_without_objects(
    picks: copick.CopickPicks, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 5000
    picks.from_numpy(np.ones((count, 3)), np.tile(np.eye(4), (count, 1, 1)), np.arange(count), np.ones(count))
    with monkeypatch.context() as patched:
        no_objects(patched)
        fresh = copick.from_file(config).runs[0].picks[0]
        assert fresh.numpy()[0].shape == (count, 3)
        assert fresh.instance_ids().tolist() == list(range(count))
        assert len(fresh.scores()) == len(fresh.full_positions()) == count
        assert len(fresh.arrays().positions) == count
    assert isinstance(fresh.points[7], CopickPoint)


def test_c66_a_save_is_one_write_and_can_be_compact(
    tmp_path: Path, make_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[str] = []
    put = LocalStore.put

    def counted(self: LocalStore, key: str, data: Any, **rest: Any) -> str:
        places.append(key)
        return put(self, key, data, **rest)

    root = copick.from_file(make_config(tmp_path, compact=True))
    picks = root.new_run("a").new_picks("ribosome", "1")
    generator = np.random.default_rng(0)
    monkeypatch.setattr(LocalStore, "put", counted)
    positions = generator.uniform(size=(1000, 3))
    picks.from_numpy(positions, scores=generator.uniform(size=1000))
    assert [key for key in places if ".history" not in key] == [picks._key]
    data = Path(picks.path).read_bytes()
    assert b"\n" not in data
    assert len(data) < 250 * 1000
    assert list(json.loads(data))[:3] == ["pickable_object_name", "user_id", "session_id"]
    again = copick.from_file(tmp_path / "copick_config.json").runs[0].picks[0]
    assert np.array_equal(again.numpy()[0], positions)
    again.store()
    assert Path(picks.path).read_bytes() == data


def test_c68_c69_memory_is_bounded(run: copick.CopickRun, tmp_path: Path) -> None:
    """A volume is stored with its coarser levels and a few chunks in memory, and read with one copy."""
    size = (96, 400, 400)
    np.save(tmp_path / "volume.npy", np.random.default_rng(0).normal(size=size).astype(np.float32))
    volume = np.load(tmp_path / "volume.npy", mmap_mode="r")
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(volume[:8])  # what is imported on first use does not count
    tracemalloc.start()
    try:
        tomogram.from_numpy(volume)
        assert tracemalloc.get_traced_memory()[1] < volume.nbytes / 7 + 9 * 128**3 * 4  # levels, and some chunks
        tracemalloc.reset_peak()
        found = tomogram.numpy()
        assert tracemalloc.get_traced_memory()[1] < volume.nbytes + 48e6  # chunks of 8 MB, packed and unpacked
    finally:
        tracemalloc.stop()
    assert np.array_equal(found, volume)


def test_c71_chunks_are_made_by_several_threads(run: copick.CopickRun, monkeypatch: pytest.MonkeyPatch) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core, one thread")
    workers = set()
    put = LocalStore.put

    def noted(self: LocalStore, key: str, data: Any, **rest: Any) -> str:
        if ".zarr" in key:
            workers.add(threading.current_thread().name)
        return put(self, key, data, **rest)

    monkeypatch.setattr(LocalStore, "put", noted)
    volume = np.random.default_rng(0).normal(size=(130, 260, 260))
    run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(volume)
    assert len({name for name in workers if name != threading.main_thread().name}) >= 2
