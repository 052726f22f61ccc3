"""Make the demo's raw files: runs in parallel, each complete or absent, the config last."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tomoportal.demo.campaign import SCALES, Scale, ScaleName
from tomoportal.demo.config import LAB, config_yaml, run_table
from tomoportal.demo.lab_files import write_mrc
from tomoportal.demo.simulation import DETECTOR_BINNING, NOTES, recipe_digest, simulate_run
from tomoportal.errors import SettingsError
from tomoportal.formats.mrc import HEADER_SIZE
from tomoportal.ingest.workers import nameless_locks, uninterrupted
from tomoportal.storage import Store, open_store, sha256_of

__all__ = ["CONFIG", "make_demo"]

CONFIG = "demo.yaml"

Progress = Callable[[int, int, str], None]


def make_demo(
    folder: str | os.PathLike[str],
    jobs: int | None = None,
    progress: Progress | None = None,
    scale: ScaleName = "full",
) -> Path:
    """Simulate the deposition below ``folder`` and return the path of its ingestion config.

    The bytes depend on ``scale`` only, not on ``jobs`` (default: the number of cores). Runs that are complete are
    kept, which their digests tell, so that a killed call is finished by the next one.
    """
    chosen = SCALES[scale]()
    path = Path(folder)
    store = open_store(path, create=True)
    lab = store.sub(LAB)
    _refuse_foreign_runs(lab, chosen)
    count = len(chosen.runs)
    notes: dict[int, dict[str, Any]] = {}
    for index in range(count):
        kept = _complete(lab, chosen, index)
        if kept is not None:
            notes[index] = kept
    missing = [index for index in range(count) if index not in notes]
    if progress:
        progress(len(notes), count, "")
    for index, note in _simulated(path, scale, missing, min(jobs or os.cpu_count() or 1, max(len(missing), 1))):
        notes[index] = note
        if progress:
            progress(len(notes), count, chosen.runs[index].name)
    ordered = [notes[index] for index in range(count)]
    _write_gain(lab, chosen)
    _put(lab, "run_data.csv", run_table(chosen, ordered))
    _put(store, CONFIG, config_yaml(chosen, ordered))
    return path / CONFIG


def _refuse_foreign_runs(lab: Store, scale: Scale) -> None:
    """The config finds runs by their folders, so a folder of another scale or another program would be taken too."""
    expected = {f"{run.dataset.folder}/{run.name}" for run in scale.runs}
    for folder in sorted({run.dataset.folder for run in scale.runs}):
        for name in lab.children(folder)[0]:
            if f"{folder}/{name}" not in expected:
                raise SettingsError(
                    "The folder holds a run that is not of this demo.",
                    where=f"{lab.url}/{folder}/{name}",
                    fix="Choose another folder for the demo's raw files, or remove this one.",
                )


def _simulated(path: Path, scale: ScaleName, runs: list[int], jobs: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """(index, notes) of every run as it is finished."""
    if jobs < 2 or len(runs) < 2:
        for index in runs:
            yield _simulate(str(path), scale, index)
        return
    # New interpreters, not forks: a caller may run threads or hold database connections.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_end_on_interrupt) as pool:
        with uninterrupted():
            tasks = [pool.submit(_simulate, str(path), scale, index) for index in runs]
        try:
            for task in as_completed(tasks):
                yield task.result()
        except BrokenProcessPool as error:
            raise SettingsError(
                "A process that simulated a run was ended from outside, as happens when memory runs out.",
                where=str(path),
                fix="Run it again with fewer jobs (each needs about 0.5 GB); complete runs are kept.",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _end_on_interrupt() -> None:
    """Ctrl-C reaches every process of the terminal: a worker ends at once, without a word; its run is not complete."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see uninterrupted(); one that came is heard now
    nameless_locks()


def _simulate(path: str, scale: ScaleName, index: int) -> tuple[int, dict[str, Any]]:
    chosen = SCALES[scale]()
    return index, simulate_run(chosen, chosen.runs[index], open_store(path).sub(LAB))


def _complete(lab: Store, scale: Scale, index: int) -> dict[str, Any] | None:
    """The notes of a run whose files are all there with the digests that they were written with."""
    run = scale.runs[index]
    key = f"{run.dataset.folder}/{run.name}/{NOTES}"
    if not lab.exists(key):
        return None
    notes: dict[str, Any] = json.loads(lab.get(key))
    if notes["recipe"] != recipe_digest(scale, run):
        return None
    for name, digest in notes["files"].items():
        if not lab.exists(name) or sha256_of(lab, name).sha256 != digest:
            return None
    return notes


def _write_gain(lab: Store, scale: Scale) -> None:
    """A gain reference as of a camera in four quadrants; the stacks are corrected already."""
    key = "gain/simulated_camera_gain.mrc"
    side = scale.shape[2] * DETECTOR_BINNING
    if lab.exists(key) and lab.stat(key).size == HEADER_SIZE + 4 * side * side:
        return
    rng = np.random.default_rng(9001)
    gain = 1.0 + rng.normal(scale=0.02, size=(1, side, side)) + rng.normal(scale=0.01, size=(1, 1, side))
    gain[:, : side // 2] *= 1.015
    gain[:, :, side // 2 :] *= 0.99
    voxels = (gain / gain.mean()).astype(np.float32)
    write_mrc(lab, key, voxels, scale.pixel / DETECTOR_BINNING, "tomoportal demo: gain reference", is_stack=True)


def _put(store: Store, key: str, data: bytes) -> None:
    if not store.exists(key) or store.get(key) != data:
        store.put(key, data)
