"""A process that dies, or a store that fails, at any change that any kind of save makes (C1, C2, C6, C7)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.copick.tasks import perform
from tomoportal.copick.transfers import by_uri
from tomoportal.copick.transfers.by_uri import plan_transfer
from tomoportal.errors import StorageError
from tomoportal.storage import Store, open_store
from tomoportal.testing.faulty import FaultyStore, Killed

SIZE = (6, 6, 150)
"""Two chunks."""


def build(root: copick.CopickRoot) -> None:
    """Everything of a project, in the state 1."""
    trimesh = pytest.importorskip("trimesh")
    run = root.new_run("TS_001")
    run.new_picks("ribosome", "1").from_numpy(np.full((3, 3), 1.0))
    run.new_filaments("microtubule", "1").from_numpy([np.full((2, 3), 1.0) * [[0], [1]]])
    mesh = run.new_mesh("membrane", "1")
    mesh.mesh = trimesh.creation.box((1, 1, 1))
    mesh.store()
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.full(SIZE, 1.0))
    tomogram.new_features("sobel").from_numpy(np.full(SIZE, 1.0))
    run.new_segmentation(10, "membrane", "1").from_numpy(np.full(SIZE, 1))
    run.new_segmentation(10, "all", "1", is_panoptic=True).from_numpy(np.full((2, *SIZE), 1))
    root.pickable_objects[0].from_numpy(np.full(SIZE, 1.0), 10)


def run_of(root: copick.CopickRoot) -> copick.CopickRun:
    (run,) = root.runs
    return run


def save_mesh(root: copick.CopickRoot, state: int) -> None:
    import trimesh

    mesh = run_of(root).meshes[0]
    mesh.mesh = trimesh.creation.box((state,) * 3)
    mesh.store(overwrite=True)


def save_filaments(root: copick.CopickRoot, state: int) -> None:
    line = np.full((2, 3), float(state)) * [[0], [1]]
    run_of(root).filaments[0].from_numpy([line], overwrite=True)


def tomogram_of(root: copick.CopickRoot) -> copick.CopickTomogram:
    return run_of(root).voxel_spacings[0].tomograms[0]


def segmentation_of(root: copick.CopickRoot, kind: str) -> copick.CopickSegmentation:
    (found,) = (each for each in run_of(root).segmentations if each.segmentation_type == kind)
    return found


Save = Callable[[copick.CopickRoot, int], Any]
State = Callable[[copick.CopickRoot], Any]
KINDS: dict[str, tuple[Save, State]] = {
    "picks": (
        lambda root, state: run_of(root).picks[0].from_numpy(np.full((3, 3), float(state)), overwrite=True),
        lambda root: np.unique(run_of(root).picks[0].numpy()[0]),
    ),
    "filaments": (save_filaments, lambda root: [run_of(root).filaments[0].numpy()[0].max()]),
    "mesh": (save_mesh, lambda root: np.unique(run_of(root).meshes[0].mesh.extents)),
    "tomogram": (
        lambda root, state: tomogram_of(root).from_numpy(np.full(SIZE, float(state))),
        lambda root: np.unique(tomogram_of(root).numpy()),
    ),
    "features": (
        lambda root, state: tomogram_of(root).features[0].from_numpy(np.full(SIZE, float(state))),
        lambda root: np.unique(tomogram_of(root).features[0].numpy()),
    ),
    "binary": (
        lambda root, state: segmentation_of(root, "binary").from_numpy(np.full(SIZE, state)),
        lambda root: np.unique(segmentation_of(root, "binary").numpy()),
    ),
    "panoptic": (
        lambda root, state: segmentation_of(root, "panoptic").from_numpy(np.full((2, *SIZE), state % 4 + 1)),
        lambda root: (np.unique(segmentation_of(root, "panoptic").numpy()) - 1) % 4,
    ),
    "density map": (
        lambda root, state: root.pickable_objects[0].from_numpy(np.full(SIZE, float(state)), 10),
        lambda root: np.unique(root.pickable_objects[0].numpy()),
    ),
}


def rooted(config: Path, store: Store) -> copick.CopickRoot:
    return copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)


@pytest.mark.parametrize("kill", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_c2_c7_a_save_that_dies_at_any_change_leaves_the_old_or_the_new(
    kind: str, kill: bool, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = open_store(tmp_path / "overlay", create=True)
    build(rooted(config, inner))
    # Who died here was this process, which lives: its leftovers are to be taken for those of a dead one.
    monkeypatch.setattr("tomoportal.copick.volume_folders.is_abandoned", lambda token, modified: True)
    save, state_of = KINDS[kind]
    if kind == "panoptic":
        monkeypatch.setattr(copick.CopickSegmentation, "_labels", lambda self: dict.fromkeys(range(1, 5), "x"))
    before: list[float] = [float(value) for value in state_of(rooted(config, inner))]
    number = 0
    while True:
        store = FaultyStore.only_writes(inner, fail_at=number, kill=kill)
        done, state = False, number + 2
        try:
            save(rooted(config, store), state)
            done = True
        except (StorageError, Killed):
            pass
        clean = rooted(config, inner)
        found = [float(value) for value in state_of(clean)]
        assert found in (before, [float(state % 4) if kind == "panoptic" else float(state)])
        assert clean.report(contents=True) == []
        before = found
        if done:
            break
        number += 1
    assert number > 1
    save(rooted(config, inner), 3)
    left = [path.name for path in (tmp_path / "overlay").rglob(".*") if ".new-" in path.name or ".old-" in path.name]
    assert left == []


@pytest.mark.parametrize("what", ["new_run", "new_picks", "delete", "restore"])
def test_c2_creations_deletions_and_restorations_that_die_can_be_repeated(
    what: str, config: Path, tmp_path: Path
) -> None:
    def step(root: copick.CopickRoot) -> None:
        if what == "new_run":
            root.new_run("TS_002", exist_ok=True).new_voxel_spacing(5, exist_ok=True)
        elif what == "new_picks":
            run_of(root).new_picks("ribosome", "2", exist_ok=True)
        elif what == "delete":
            run_of(root).delete_picks("ribosome")
        else:
            run_of(root).picks[0].restore(2)

    number = 0
    while True:
        folder = tmp_path / str(number)
        inner = open_store(folder, create=True)
        picks = rooted(config, inner).new_run("TS_001").new_picks("ribosome", "1")
        picks.from_numpy(np.full((1, 3), 1.0))
        picks.from_numpy(np.full((1, 3), 2.0))
        store, done = FaultyStore.only_writes(inner, fail_at=number, kill=True), False
        try:
            step(rooted(config, store))
            done = True
        except Killed:
            pass
        clean = rooted(config, inner)
        assert clean.report(contents=True) == []
        lists = [each.numpy()[0][:, 0].tolist() for each in clean.get_run("TS_001").picks]  # type: ignore[union-attr]
        allowed = {
            "new_run": ([[2.0]],), "new_picks": ([[2.0]], [[2.0], []]), "delete": ([[2.0]], []),
            "restore": ([[2.0]], [[1.0]]),
        }  # fmt: skip
        assert lists in allowed[what]
        step(rooted(config, inner))
        again = [each.numpy()[0][:, 0].tolist() for each in rooted(config, inner).get_run("TS_001").picks]  # type: ignore[union-attr]
        assert again == allowed[what][-1]
        if what in ("delete", "restore"):  # the last state is in the history
            assert b'"x": 2.0' in b"".join(path.read_bytes() for path in folder.rglob(".history/*/*.json"))
        if done:
            break
        number += 1
    assert number > 0


def test_c6_a_move_that_dies_anywhere_is_finished_by_the_next_one(config: Path, tmp_path: Path) -> None:
    number = 0
    while True:
        inner = open_store(tmp_path / str(number), create=True)
        picks = rooted(config, inner).new_run("TS_001").new_picks("ribosome", "1")
        picks.meta.note = "kept"  # type: ignore[attr-defined]
        picks.from_numpy(np.full((1, 3), 1.0))
        store, done = FaultyStore.only_writes(inner, fail_at=number, kill=True), False
        try:
            perform(plan_transfer(rooted(config, store), "picks", "ribosome:ada/1", "ribosome:bob/1", move=True))
            done = True
        except Killed:
            pass
        left = run_of(rooted(config, inner)).picks
        assert left
        assert all(each.numpy()[0].tolist() == [[1, 1, 1]] and each.meta.note == "kept" for each in left)  # type: ignore[attr-defined]
        if any(each.user_id == "ada" for each in left):
            tasks = plan_transfer(rooted(config, inner), "picks", "ribosome:ada/1", "ribosome:bob/1", move=True)
            assert [error for _, error in perform(tasks)] == [None]
        assert [each.user_id for each in run_of(rooted(config, inner)).picks] == ["bob"]
        if done:
            break
        number += 1
    assert number > 1


def move(root: copick.CopickRoot, target: str) -> list[str]:
    return [str(error) for _, error in perform(plan_transfer(root, "picks", "ribosome:ada/1", target, move=True))]


def test_c6_c9_a_move_never_removes_what_is_nowhere_else(
    picks: copick.CopickPicks, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same points with other keys are no copy; a copy that was changed meanwhile leaves the source."""
    picks.from_numpy(np.ones((1, 3)))
    picks.run.new_picks("ribosome", "1", "bob").from_numpy(np.ones((1, 3)))
    picks.meta.note = "only here"  # type: ignore[attr-defined]
    picks.trust_orientation = False
    picks.store()
    assert "exists already" in move(copick.from_file(config), "ribosome:bob/1")[0]
    copy_document = by_uri.copy_document

    def copied(source: Any, *arguments: Any) -> None:
        copy_document(source, *arguments)
        (found,) = copick.from_file(config).picks(user_id="eve")
        found.from_numpy(np.zeros((1, 3)))

    monkeypatch.setattr(by_uri, "copy_document", copied)
    assert "not the same as the source, which stays" in move(copick.from_file(config), "ribosome:eve/1")[0]
    assert sorted(each.user_id for each in copick.from_file(config).picks()) == ["ada", "bob", "eve"]


FOREVER = """
import sys
sys.path.insert(0, sys.argv[3])
import test_killed
import tomoportal.copick as copick
save = test_killed.KINDS[sys.argv[2]][0]
number = 1
while True:
    number += 1
    save(copick.from_file(sys.argv[1]), number)
    print("saved", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "panoptic"])
def test_c1_c7_kill_9_at_any_moment(kind: str, config: Path, tmp_path: Path) -> None:
    """The process really dies; whoever reads afterwards finds one state, and the next save removes the rest."""
    build(copick.from_file(config))
    save, state_of = KINDS[kind]
    for delay in (0.0, 0.004, 0.02, 0.1):
        process = subprocess.Popen(
            [sys.executable, "-c", FOREVER, str(config), kind, str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "saved\n"
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        root = copick.from_file(config)
        assert root.report(contents=True) == []
        assert len(state_of(root)) == 1
        save(copick.from_file(config), 1)
    assert [float(value) for value in state_of(copick.from_file(config))] == [1.0]
    left = [path for path in (tmp_path / "overlay").rglob(".*") if ".new-" in path.name or "-tmp-" in path.name]
    assert left == []
