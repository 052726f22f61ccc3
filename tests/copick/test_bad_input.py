"""Whatever lies in a project's folders, one thing stops nothing else; names that are created come back (C21, C31)."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tomoportal.copick as copick
from tomoportal.errors import AnnotationError, TomoportalError
from tomoportal.storage import open_store

SIZE = (4, 4, 4)


def build(root: copick.CopickRoot) -> Path:
    """One of everything; returns the folder of the overlay."""
    run = root.new_run("TS_001")
    run.new_picks("ribosome", "1").from_numpy(np.ones((2, 3)))
    run.new_filaments("microtubule", "1").from_numpy([[[0, 0, 0], [1, 2, 3]]])
    run.new_mesh("membrane", "1")
    for flags in ({}, {"is_instance": True}):
        run.new_segmentation(10, "ribosome", "1", **flags).from_numpy(np.ones(SIZE, int))  # type: ignore[arg-type]
    run.new_segmentation(10, "all", "1", is_panoptic=True).from_numpy(np.ones((2, *SIZE), int))
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.ones(SIZE))
    tomogram.new_features("sobel").from_numpy(np.ones(SIZE))
    root.pickable_objects[0].from_numpy(np.ones(SIZE), 10)
    return Path(root.root_overlay)


def told(config: Path) -> list[Any]:
    """Everything that can be read, by name."""
    root = copick.from_file(config)
    found: list[Any] = []
    for run in root.runs:
        found += [(run.name, "picks", each.session_id, len(each.points)) for each in run.picks]
        found += [(run.name, "filaments", each.session_id, len(each.filaments)) for each in run.filaments]
        found += [(run.name, "mesh", each.session_id) for each in run.meshes]
        found += [(run.name, each.segmentation_type, int(each.numpy().sum())) for each in run.segmentations]
        for spacing in run.voxel_spacings:
            for tomogram in spacing.tomograms:
                found.append((run.name, tomogram.tomo_type, float(tomogram.numpy().sum())))
                found += [(each.feature_type, float(each.numpy().sum())) for each in tomogram.features]
    maps = [each.numpy() for each in root.pickable_objects]
    return [*found, *(float(each.sum()) for each in maps if each is not None)]


FOLDERS = (
    "", "ExperimentRuns", "ExperimentRuns/TS_001", "Objects", *(
        f"ExperimentRuns/TS_001/{name}"
        for name in ("Picks", "Meshes", "Filaments", "Segmentations", "InstanceSegmentations", "PanopticSegmentations",
                     "VoxelSpacing10.000", "VoxelSpacing10.000/wbp.zarr", "VoxelSpacing10.000/wbp.zarr/0")
    ),
)  # fmt: skip
STRAYS = (
    "notes.txt", "Thumbs.db", ".DS_Store", "._a_1_ribosome.json", "~$x.json", "a b.json", "x.zarr.tmp", "é.json",
    "a_b.zarr", "a_b_.json", "*.json", "\n.json", "VoxelSpacing", "VoxelSpacing-1", "VoxelSpacing1e400",
)  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_c21_foreign_files_in_every_folder_hinder_nothing(folder: str, root: copick.CopickRoot, config: Path) -> None:
    place = build(root) / folder
    before = told(config)
    assert len(before) == 9
    for name in STRAYS:
        (place / name).write_bytes(b"\x00\xff{")
        (place / f"{name}.d").mkdir()
    (place / "dangling.json").symlink_to(place / "nowhere")
    (place / "ada_9_ribosome.json.d" if folder.endswith("Picks") else place / "loop.zarr").symlink_to(place)
    os.mkfifo(place / "pipe.json")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(place)  # the names of sockets are short
        try:
            server.bind("s.json")
        finally:
            os.chdir(here)
    found = [each for each in told(config) if not str(each[0] if isinstance(each, tuple) else "").endswith(".d")]
    assert found == before
    root = copick.from_file(config)
    reported = {os.path.basename(problem.where) for problem in root.report(contents=True)}
    if folder and not folder.endswith(("wbp.zarr", "/0")):
        assert "notes.txt" in reported
    assert ".DS_Store" not in reported


BROKEN = (b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"unit": 3}', b"glTF", b"\x00" * 1000)


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_c21_every_document_may_be_broken_alone(
    content: bytes, root: copick.CopickRoot, config: Path, tmp_path: Path
) -> None:
    """It is listed, its content is a clear error with its path, and everything else is read."""
    place = build(root) / "ExperimentRuns/TS_001"
    run = root.runs[0]
    run.new_picks("ribosome", "2")
    for name in ("Picks/ada_2_ribosome.json", "Filaments/ada_1_microtubule.json", "Meshes/ada_1_membrane.glb"):
        (place / name).write_bytes(content)
    for name in ("Segmentations/10.000_ada_1_ribosome.zarr", "VoxelSpacing10.000/wbp.zarr"):
        (place / name / ".zattrs").write_bytes(content)
        (place / name / "0" / ".zarray").write_bytes(content)
    found = copick.from_file(config).runs[0]
    assert len(found.picks[0].points) == 2
    tomogram = found.voxel_spacings[0].tomograms[0]
    broken: list[tuple[Any, str]] = [
        (found.picks[1].load, "ada_2_ribosome.json"),
        (found.filaments[0].load, "ada_1_microtubule.json"),
        (found.meshes[0].load, "ada_1_membrane.glb"),
        (found.segmentations[0].numpy, "10.000_ada_1_ribosome.zarr"),
        (tomogram.numpy, "wbp.zarr"),
    ]
    for read, name in broken:
        with pytest.raises((ValueError, FileNotFoundError), match=name.replace(".", r"\.")) as caught:
            read()
        assert isinstance(caught.value, TomoportalError)
    assert tomogram.features[0].numpy().sum() == 64
    reported = " ".join(str(problem.where) for problem in copick.from_file(config).report(contents=True))
    for _, name in broken:
        assert name in reported


# --- names of every character


@settings(max_examples=120)
@given(st.text(max_size=20))
@example("TS_001")
@example("a/../b")
@example("CON.txt")
@example("\u202e\u200b")
@example("\ud800")
@example("a\u2028b")
@example("%2e%2e")
def test_c31_a_run_s_name_comes_back_or_leaves_no_trace(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings_ = copick.CopickConfigFSSpec(pickable_objects=[], overlay_root=folder)
        refused = None
        try:
            copick.CopickRoot(settings_).new_run(name)
        except AnnotationError as error:
            refused = error
        if refused is not None:
            assert refused.fix
            assert list(Path(folder).rglob("*")) == []
            return
        assert [run.name for run in copick.CopickRoot(settings_).runs] == [name]
        found = copick.CopickRoot(settings_).get_run(name)
        assert found is not None
        found.delete()
        assert copick.CopickRoot(settings_).runs == []


@settings(max_examples=80)
@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_c32_names_of_documents_and_volumes_come_back_as_they_were_told(user: str, session: str, kind: str) -> None:
    objects = [copick.PickableObject(name="ribosome", is_particle=True)]
    store = open_store("memory://")
    settings_ = copick.CopickConfigFSSpec(pickable_objects=objects, overlay_root="memory://")
    run = copick.CopickRoot(settings_, overlay=store).new_run("a")
    spacing = run.new_voxel_spacing(7.84)
    made: list[Any] = []
    for make in (
        lambda: run.new_picks("ribosome", session, user),
        lambda: run.new_segmentation(10, kind, session, True, user),
        lambda: spacing.new_tomogram(kind),
        lambda: spacing.tomograms[0].new_features(user) if spacing.tomograms else None,
    ):
        with suppress(AnnotationError):
            made.append(make())
    again = copick.CopickRoot(settings_, overlay=store).runs[0]
    tomograms = again.voxel_spacings[0].tomograms
    found = [
        *((each.user_id, each.session_id) for each in again.picks),
        *((each.name, each.user_id, each.session_id) for each in again.segmentations),
        *(each.tomo_type for each in tomograms),
        *((each.tomo_type, each.feature_type) for tomogram in tomograms for each in tomogram.features),
    ]
    told_: list[Any] = []
    for each in made:
        if isinstance(each, copick.CopickPicks):
            told_.append((each.user_id, each.session_id))
        elif isinstance(each, copick.CopickSegmentation):
            told_.append((each.name, each.user_id, each.session_id))
        elif isinstance(each, copick.CopickTomogram):
            told_.append(each.tomo_type)
        elif each is not None:
            told_.append((each.tomo_type, each.feature_type))
    assert found == told_
