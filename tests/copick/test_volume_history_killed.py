"""A process that dies at any change of a segmentation, and several that replace it: nothing is lost (C3, C5, C7)."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.errors import ConflictError, StorageError
from tomoportal.storage import Store, open_store
from tomoportal.testing.faulty import FaultyStore, Killed

SIZE = (4, 5, 150)
"""Two chunks."""


def rooted(config: Path, store: Store, **changes: Any) -> copick.CopickRoot:
    told = {**json.loads(config.read_text()), **changes}
    return copick.CopickRoot(copick.CopickConfigFSSpec.model_validate(told), overlay=store)


def segmentation_of(root: copick.CopickRoot) -> copick.CopickSegmentation:
    return root.new_run("TS_001", exist_ok=True).new_segmentation(10, "membrane", "1", exist_ok=True)


def states_of(root: copick.CopickRoot) -> list[list[int]]:
    """The values in every version, then those that are there now; none if it is not there or half-written."""
    found = segmentation_of(root)
    kept = [np.unique(found._previous(each).read("0", None)).tolist() for each in found.history()]
    if found._folder.is_empty():
        return [*kept, []]
    if not any(found._source.store.exists(f"{found._key}/{name}") for name in (".zattrs", "zarr.json")):
        return [*kept, []]
    return [*kept, np.unique(found.numpy()).tolist()]


Step = Callable[[copick.CopickSegmentation], None]
STEPS: dict[str, tuple[Step, list[int]]] = {
    "save": (lambda found: found.from_numpy(np.full(SIZE, 5)), [5]),
    "region": (lambda found: found.set_region(5, z=0), [4, 5]),
    "restore": (lambda found: found.restore(2), [2]),
    "delete": (lambda found: found.delete(), []),
}


def fill(root: copick.CopickRoot) -> None:
    mine = segmentation_of(root)
    for value in (1, 2, 3, 4):
        mine.from_numpy(np.full(SIZE, value))


@pytest.mark.parametrize("kill", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("what", STEPS)
@pytest.mark.parametrize("place", ["disk", "memory"])
def test_c5_c7_who_dies_anywhere_loses_neither_what_was_there_nor_a_version(
    place: str, what: str, kill: bool, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the versions 1 to 4, of which three are kept beside the current one."""
    monkeypatch.setattr("tomoportal.copick.volume_folders.is_abandoned", lambda token, modified: True)
    step, after = STEPS[what]
    number, done = 0, False
    fill(rooted(config, open_store(tmp_path / "filled", create=True)))
    while not done:
        if place == "disk":
            shutil.copytree(tmp_path / "filled", tmp_path / str(number))
            inner = open_store(tmp_path / str(number))
        else:
            inner = open_store("memory://")
            fill(rooted(config, inner))
        store = FaultyStore.only_writes(inner)
        found = segmentation_of(rooted(config, store))
        store.operations, store.fail_at, store.kill = 0, number, kill
        try:
            step(found)
            done = True
        except (StorageError, Killed):
            pass
        if place == "disk":
            assert rooted(config, inner).report(contents=True) == []
        *kept, now = states_of(rooted(config, inner))
        assert now in ([4], after, []) if place == "memory" or what == "delete" else now in ([4], after)
        assert all(each in ([1], [2], [3], [4]) for each in kept)
        assert [4] in [*kept, now] or now == [4, 5]
        assert [3] in kept
        if done:
            break
        if not kill and what != "delete":  # the same object may try again
            store.fail_at = None
            step(found)
            assert states_of(rooted(config, inner))[-1] == after
        segmentation_of(rooted(config, inner)).from_numpy(np.full(SIZE, 6))
        *kept, now = states_of(rooted(config, inner))
        assert now == [6]
        assert len(kept) <= 3
        assert [4] in kept or [4, 5] in kept
        left = [stat.key for stat in inner.list() if ".new-" in stat.key or ".old-" in stat.key or ".gone-" in stat.key]
        assert left == []
        number += 1
    assert number > 1


# --- several at once


def test_c7_who_reads_while_others_replace_has_one_version_whole(config: Path) -> None:
    segmentation_of(copick.from_file(config)).from_numpy(np.full(SIZE, 1))

    def replace_often() -> None:
        mine = copick.from_file(config).runs[0].segmentations[0]
        for number in range(40):
            mine.from_numpy(np.full(SIZE, number % 5 + 2))

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(replace_often)
        reader = copick.from_file(config).runs[0].segmentations[0]
        while not done.done():
            assert len(np.unique(reader.numpy())) == 1
        done.result()


def replace(config: str, worker: int, saves: int, told: Any) -> None:
    """Each save adds a voxel to what is there; what it wrote is told, with what was refused."""
    root = copick.from_file(config)
    mine = root.runs[0].segmentations[0]
    refused = 0
    for number in range(saves):
        while True:
            labels = mine.numpy()
            labels.reshape(-1)[worker * saves + number] = worker + 1
            try:
                mine.from_numpy(labels)
                break
            except ConflictError:
                refused += 1
                time.sleep(0.001 * worker)
    told.put((worker, refused))


def replaced_by_processes(config: Path, workers: int, saves: int) -> tuple[copick.CopickSegmentation, int]:
    made = segmentation_of(copick.from_file(config))
    made.from_numpy(np.zeros(SIZE, np.uint8))
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    processes = [context.Process(target=replace, args=(str(config), n, saves, told)) for n in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    refused = sum(told.get()[1] for _ in processes)
    return copick.from_file(config).runs[0].segmentations[0], refused


def check(found: copick.CopickSegmentation, workers: int, saves: int) -> None:
    flat = found.numpy().ravel()
    for worker in range(workers):
        assert flat[worker * saves : (worker + 1) * saves].tolist() == [worker + 1] * saves
    kept = [np.count_nonzero(found._previous(each).read("0", None)) for each in found.history()]
    total = workers * saves
    assert kept == list(range(total - len(kept), total))  # each save is one voxel more than the one before it
    place = Path(found.path).parent
    assert sorted(path.name for path in place.iterdir()) == [".history", Path(found.path).name]
    assert all(path.name.endswith(".zarr") for path in (place / ".history" / Path(found.path).stem).iterdir())


def test_c3_two_processes_replace_one_segmentation_and_lose_nothing(tmp_path: Path, make_config: Any) -> None:
    found, _ = replaced_by_processes(make_config(tmp_path, volume_history=5), 2, 8)
    check(found, 2, 8)
    assert len(found.history()) == 5


@pytest.mark.slow
def test_c3_two_processes_replace_one_segmentation_two_hundred_times(tmp_path: Path, make_config: Any) -> None:
    """Every save is in the history or was refused: all two hundred versions are there, each one voxel apart."""
    found, refused = replaced_by_processes(make_config(tmp_path, volume_history=250), 2, 100)
    check(found, 2, 100)
    assert len(found.history()) == 200
    assert refused > 0


def save_forever(config: str) -> None:
    mine = copick.from_file(config).runs[0].segmentations[0]
    number = 0
    while True:
        number += 1
        mine.from_numpy(np.full((64, 256, 256), number % 250 + 1, np.uint8))


@pytest.mark.slow
def test_c5_c7_kill_9_while_a_segmentation_is_replaced(config: Path, tmp_path: Path) -> None:
    """Whatever is there afterwards is whole, also in the history."""
    segmentation_of(copick.from_file(config)).from_numpy(np.full((64, 256, 256), 1, np.uint8))
    context = multiprocessing.get_context("spawn")
    for delay in (0.0, 0.01, 0.02, 0.03, 0.05, 0.1):
        process = context.Process(target=save_forever, args=(str(config),))
        process.start()
        folder = tmp_path / "overlay/ExperimentRuns/TS_001/Segmentations"
        before = sorted(folder.glob(".history/*/*.zarr"))
        while sorted(folder.glob(".history/*/*.zarr")) == before:
            assert process.is_alive()
            time.sleep(0.002)
        time.sleep(delay)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        root = copick.from_file(config)
        assert root.report(contents=True) == []
        states = states_of(root)
        assert all(len(each) == 1 for each in states)
        assert len(states) >= 2
    segmentation_of(copick.from_file(config)).from_numpy(np.full((64, 256, 256), 251, np.uint8))
    left = [path.name for path in folder.rglob(".*") if any(word in path.name for word in (".new-", ".old-", ".gone-"))]
    assert left == []
