"""Saves of several processes at once, of all that a project holds, counted afterwards: none is lost (C3, C92)."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.errors import ConflictError

SIZE = 24
"""Edge of the segmentation, of which every save writes a voxel of its own."""


def run_of(config: str) -> copick.CopickRun:
    run = copick.from_file(config).get_run("TS_001")
    assert run is not None
    return run


def retried(change: Callable[[], None]) -> None:
    """Until nobody else saved in between: each time somebody's save went through, so that this ends."""
    while True:
        try:
            return change()
        except ConflictError:
            time.sleep(0)


class Writer:
    """One process: the ``number``-th save of each kind adds something that tells who made it."""

    def __init__(self, config: str, worker: int, sessions: int) -> None:
        self.config, self.worker, self.sessions = config, worker, sessions
        self.run = run_of(config)
        self.filaments = self.run.filaments[0]
        self.segmentation = self.run.segmentations[0]

    def picks(self, number: int) -> None:
        """Merged."""
        picks = self.run.get_picks("ribosome", "ada", str(1 + number % self.sessions))[0]
        picks.points = [*picks.points, copick.CopickPoint(location={"x": self.worker, "y": number, "z": 0})]
        picks.store(merge=True)

    def filament(self, number: int) -> None:
        """Read again and repeated."""

        def change() -> None:
            self.filaments.load()
            place = (float(self.worker), float(number), 0.0)
            made = copick.CopickFilament(instance_id=self.worker * 10**6 + number + 1, points=[place, (0, 0, 0)])
            self.filaments.filaments = [*self.filaments.filaments, made]
            self.filaments.store()

        retried(change)

    def mesh(self, number: int) -> None:
        import trimesh

        def change() -> None:
            mesh = run_of(self.config).meshes[0]
            scene = mesh.mesh
            scene.add_geometry(trimesh.creation.box(), geom_name=f"{self.worker}-{number}")
            mesh.store()

        retried(change)

    def voxel(self, number: int) -> None:
        """All in the same chunk."""
        place = number * 8 + self.worker
        z, y, x = np.unravel_index(place, (SIZE,) * 3)
        self.segmentation.set_region(self.worker + 1, x=int(x), y=int(y), z=int(z))

    def config_object(self, number: int) -> None:
        def change() -> None:
            root = copick.from_file(self.config)
            root.new_object(f"object-{self.worker}-{number}", True)
            root.save_config(self.config)

        retried(change)


def save(config: str, worker: int, counts: dict[str, int], sessions: int) -> None:
    writer = Writer(config, worker, sessions)
    orders = [(number / count, kind, number) for kind, count in counts.items() for number in range(count)]
    for _, kind, number in sorted(orders):  # kinds in turns
        getattr(writer, kind)(number)


def interleave(config: Path, workers: int, counts: dict[str, int], sessions: int) -> int:
    """Let ``workers`` processes save; returns how many saves were counted in the project afterwards."""
    run = copick.from_file(config).new_run("TS_001")
    for session in range(1, sessions + 1):
        run.new_picks("ribosome", str(session))
    run.new_filaments("microtubule", "1")
    run.new_mesh("membrane", "1")
    run.new_segmentation(10, "all", "1", True).from_numpy(np.zeros((SIZE,) * 3, int), dtype="u1")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=save, args=(str(config), n, counts, sessions)) for n in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0

    root = copick.from_file(config)
    assert root.report(contents=True) == []
    found = root.runs[0]
    per_session = [[tuple(row) for row in picks.numpy()[0][:, :2].tolist()] for picks in found.picks]
    points = {point for rows in per_session for point in rows}
    assert sum(map(len, per_session)) == len(points)
    assert points == {(float(n), float(number)) for n in range(workers) for number in range(counts["picks"])}
    ids = set(found.filaments[0].instance_ids().tolist())
    assert ids == {n * 10**6 + number + 1 for n in range(workers) for number in range(counts["filament"])}
    voxels = found.segmentations[0].numpy().ravel()
    for n in range(workers):
        assert voxels[n : 8 * counts["voxel"] : 8].tolist() == [n + 1] * counts["voxel"]
    objects = [each.name for each in root.pickable_objects if each.name.startswith("object-")]
    wanted = {f"object-{n}-{number}" for n in range(workers) for number in range(counts["config_object"])}
    assert set(objects) == wanted
    labels = [each.label for each in root.pickable_objects]
    assert len(set(labels)) == len(labels)
    meshes = 0
    if counts.get("mesh"):
        meshes = len(found.meshes[0].mesh.geometry)
        assert meshes == workers * counts["mesh"]
    return len(points) + len(ids) + int(np.count_nonzero(voxels)) + len(wanted) + meshes


def test_c3_interleaved_saves_of_several_processes_lose_nothing(config: Path) -> None:
    counts = {"picks": 12, "filament": 8, "voxel": 8, "config_object": 4}
    assert interleave(config, 3, counts, sessions=2) == 3 * 32


@pytest.mark.slow
def test_c3_ten_thousand_interleaved_saves_lose_nothing(tmp_path: Path, make_config) -> None:
    """Points go to forty documents, so that 10,000 saves are not slowed down by the length of one."""
    pytest.importorskip("trimesh")
    counts = {"picks": 1500, "filament": 60, "voxel": 380, "config_object": 50, "mesh": 10}
    assert interleave(make_config(tmp_path, history=2), 5, counts, sessions=40) == 10_000
