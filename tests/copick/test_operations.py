"""Operations over runs: calls for each, lists in order, additions (C52, C53, C56, C68)."""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.copick.operations import adding, getting, options
from tomoportal.copick.operations.mapping import map_runs, report_results
from tomoportal.copick.particles.handlers import read_volume


@pytest.fixture
def project(root: copick.CopickRoot) -> copick.CopickRoot:
    for number in range(5):
        run = root.new_run(f"TS_{number}")
        for size in (10.0, 20.0):
            for kind in ("wbp", "denoised"):
                tomogram = run.new_voxel_spacing(size, exist_ok=True).new_tomogram(kind)
                tomogram.new_features("sobel")
        run.new_picks("ribosome", "1")
        run.new_picks("proteasome", "0", "tool")
        run.new_mesh("membrane", "1")
        run.new_segmentation(10, "membrane", "1")
        run.new_segmentation(20, "ribosome", "1", is_instance=True)
    return root


def test_a_run_that_fails_is_told_apart_from_one_without_result(project: Any, caplog: Any) -> None:
    """C53"""

    def check(run: copick.CopickRun, limit: int, own: int) -> int | None:
        if run.name == "TS_3":
            raise KeyError(own)
        return None if run.name == "TS_1" else limit + own

    names = (run.name for run in project.runs)  # a generator is as good as a list
    found = map_runs(check, project, names, run_args=({"own": n} for n in range(5)), limit=10, show_progress=False)
    assert dict(found) == {"TS_0": 10, "TS_1": None, "TS_2": 12, "TS_3": None, "TS_4": 14}
    assert list(found.errors) == ["TS_3"]
    assert "Error processing run TS_3" in caplog.text
    with pytest.raises(KeyError):
        map_runs(check, project, project.runs, run_args=[{"own": 1}] * 5, limit=0, raise_on_error=True)
    with pytest.raises(ValueError, match="Length of runs and run_args"):
        map_runs(check, project, iter(project.runs), run_args=[{}])
    with pytest.raises(ValueError, match="Invalid parallelism"):
        map_runs(check, project, [], parallelism="fibre")  # type: ignore[arg-type]
    assert isinstance(map_runs(check, project, ["nowhere"], limit=0, own=0).errors["nowhere"], ValueError)
    with pytest.raises(ValueError, match="Invalid run type"):
        map_runs(check, project, [3])  # type: ignore[list-item]


def test_runs_go_to_other_processes(project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C75's promise on files: roots and entities survive pickling."""
    (tmp_path / "own_callback.py").write_text("import os\ndef tell(run, add): return os.getpid(), run.name + add\n")
    monkeypatch.syspath_prepend(tmp_path)
    tell = importlib.import_module("own_callback").tell
    found = map_runs(tell, project, project.runs, workers=2, parallelism="process", add="!")
    assert not found.errors
    assert {name: told for name, (_, told) in found.items()} == {f"TS_{n}": f"TS_{n}!" for n in range(5)}
    assert os.getpid() not in {number for number, _ in found.values()}


def test_results_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    report_results({"a": {"processed": 2, "errors": []}}, 2)
    report_results({"a": {"processed": 2, "errors": ["x"]}, "b": None}, 4, logging.getLogger("mine"))
    assert "all 2 items" in caplog.text
    assert "Failed to process 2 items" in caplog.text
    assert "b failed completely" in caplog.text


def test_lists_are_in_the_order_of_the_runs(project: Any, config: Path) -> None:
    """C56"""
    project.save_config(config)
    for parallel in (False, True):
        told: dict[str, Any] = {"parallel": parallel, "workers": 3, "show_progress": False}
        picks = getting.get_picks(config, object_name=["ribosome"], **told)
        assert [each.run.name for each in picks] == [f"TS_{n}" for n in range(5)]
        assert len(getting.get_picks(project, "TS_1", **told)) == 2
        assert len(getting.get_picks(project, project.get_run("TS_1"), user_id="tool", **told)) == 1
        assert len(getting.get_meshes(project, ["TS_1", "TS_2"], **told)) == 2
        assert len(getting.get_segmentations(project, **told)) == 5
        assert len(getting.get_segmentations(project, is_instance=None, **told)) == 10
        assert len(getting.get_voxelspacings(project, voxel_size=10, **told)) == 5
        assert len(getting.get_tomograms(project, voxel_size=[10.0, 20], tomo_type="wbp", **told)) == 10
        assert len(getting.get_features(project, tomo_type=["wbp"], feature_type="sobel", **told)) == 10
    with pytest.raises(ValueError, match="'nowhere' not found"):
        getting.get_runs(project, ["TS_1", "nowhere"])
    with pytest.raises(ValueError, match="Runs 'here', 'there' not found"):  # all of them at once
        getting.get_runs(project, ["here", "TS_1", "there"])


def test_tomograms_are_added_from_arrays_and_from_levels(root: copick.CopickRoot) -> None:
    volume = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    made = adding.add_tomogram(root, "a", "wbp", volume, 10.0, transpose="2,1,0", flip="0,2", log=True)
    assert np.array_equal(made.numpy(), np.flip(volume.transpose(2, 1, 0), (0, 2)))
    assert made._folder.paths() == ["0"]
    with pytest.raises(ValueError, match="already exists"):
        adding.add_tomogram(root, "a", "wbp", volume, 10.0)
    made = adding.add_tomogram(root, "a", "wbp", volume, 10.0, overwrite=True, create_pyramid=True, meta={"by": "me"})
    assert made._folder.paths() == ["0", "1", "2"]
    levels = {20.0: volume[::2, ::2, ::2], 10.0: volume}
    made = adding.add_tomogram(root, "a", "raw", levels, chunks=(2, 2, 2))
    assert made.voxel_spacing.voxel_size == 10
    assert np.array_equal(made.numpy("1"), levels[20.0])
    for arguments, words in (
        ((volume,), "Voxel spacing must be provided"),
        ((levels, 7.0), "not found in provided pyramid"),
    ):
        with pytest.raises(ValueError, match=words):
            adding.add_tomogram(root, "a", "new", *arguments)
    with pytest.raises(ValueError, match="Could not find run"):
        adding.add_tomogram(root, "b", "wbp", volume, 10.0, create=False)
    for wrong in ("1,0", "a,b,c", "0,0,1"):
        with pytest.raises(ValueError, match="axes"):
            adding.add_tomogram(root, "a", "new", volume, 10.0, transpose=wrong)
    with pytest.raises(ValueError, match="axes that the volume has not"):
        adding.add_tomogram(root, "a", "new", volume, 10.0, flip="3")


def test_features_belong_to_the_spacing_that_was_asked_for(root: copick.CopickRoot) -> None:
    """C52"""
    volume = np.ones((4, 4, 4), np.float32)
    for size in (1.0, 10.0):
        adding.add_tomogram(root, "a", "wbp", volume * size, size)
    made = adding.add_features(root, "a", 10.0, "wbp", "sobel", np.ones((2, 4, 4, 4)))
    assert made.tomogram.voxel_spacing.voxel_size == 10
    assert made.numpy().shape == (2, 4, 4, 4)
    with pytest.raises(ValueError, match="Could not find tomogram"):
        adding.add_features(root, "a", 10.0, "other", "sobel", volume)
    with pytest.raises(ValueError, match="already exists"):
        adding.add_features(root, "a", 10.0, "wbp", "sobel", volume, exist_ok=True)


def test_runs_spacings_and_objects_are_added(root: copick.CopickRoot, config: Path) -> None:
    assert adding.add_run(root, "a").name == "a"
    assert adding.add_voxelspacing(root, "a", 10.0).voxel_size == 10
    assert adding.get_or_create_voxelspacing(root.runs[0], 20.0).voxel_size == 20
    with pytest.raises(ValueError, match="Could not find voxel spacing"):
        adding.get_or_create_voxelspacing(root.runs[0], 30.0, create=False)
    volume = np.ones((4, 4, 4), np.float32)
    made = adding.add_object(
        root,
        "virus",
        True,
        volume=volume,
        voxel_size=5.0,
        save_config=True,
        config_path=config,
        filament={"polar": True},
    )
    assert made.has_density_map()
    assert copick.from_file(config).get_object("virus").is_filament  # type: ignore[union-attr]
    for arguments, words in (
        ({"volume": volume}, "voxel_size must be provided"),
        ({"save_config": True}, "config_path must be provided"),
    ):
        with pytest.raises(ValueError, match=words):
            adding.add_object(root, "other", True, **arguments)  # type: ignore[arg-type]
    for name, words in (("nothing", "not found in root configuration"), ("membrane", "not a particle object")):
        with pytest.raises(ValueError, match=words):
            adding.add_object_volume(root, name, volume, 5.0)
    assert adding.add_object_volume(root, "ribosome", volume, 5.0).numpy() is not None


def test_text_becomes_lists_and_maps() -> None:
    assert options.parse_list(" a, b") == ["a", "b"]
    assert options.parse_list("") == []
    assert options.parse_mapping("a:b, c") == {"a": "b", "c": "c"}
    assert options.parse_dataset_ids("1, 2") == [1, 2]
    with pytest.raises(ValueError, match="no dataset ids"):
        options.parse_dataset_ids("DS-1")


def test_two_files_for_one_run_are_an_error_before_anything_is_made(
    root: copick.CopickRoot, caplog: pytest.LogCaptureFixture
) -> None:
    """C105"""
    with pytest.raises(ValueError, match="Two files belong to the run TS_1"):
        options.prepare_runs_from_paths(root, ["a/TS_1_x.mrc", "b/TS_1_y.mrc"], "", r"(TS_\d)")
    with pytest.raises(ValueError, match="Could not find run"):
        options.prepare_runs_from_paths(root, ["TS_1.mrc"], "", create=False)
    assert root.runs == []
    found = options.prepare_runs_from_paths(root, ["TS_1.mrc", "TS_2.mrc"], "", run_name_prefix="x_")
    assert found == {"x_TS_1": "TS_1.mrc", "x_TS_2": "TS_2.mrc"}
    found = options.prepare_runs_from_paths(root, ["TS_1.mrc", "other.mrc"], "", r"(TS_\d)", "x_")
    assert found == {"x_TS_1": "TS_1.mrc"}
    assert "other.mrc: 'other' does not match" in caplog.text
    assert [run.name for run in root.runs] == ["x_TS_1", "x_TS_2"]
    assert options.prepare_runs_from_paths(root, ["any.mrc"], "own") == {"own": "any.mrc"}


def test_missing_objects_come_from_the_source(root: copick.CopickRoot, tmp_path: Path, make_config: Any) -> None:
    (tmp_path / "target").mkdir()
    place = make_config(tmp_path / "target", pickable_objects=[{"name": "other", "is_particle": True, "label": 4}])
    target = copick.from_file(place)
    options.ensure_pickable_objects(root, target, place, ["microtubule", "ribosome"], {"ribosome": "rib"}, log=True)
    saved = {each.name: each for each in copick.from_file(place).pickable_objects}
    assert set(saved) == {"other", "microtubule", "rib"}
    assert saved["microtubule"].is_filament
    assert saved["microtubule"].label == 5
    assert saved["rib"].radius == 120
    with pytest.raises(ValueError, match="not found in the source"):
        options.ensure_pickable_objects(root, target, place, ["nothing"], {})


@pytest.mark.real_data
def test_volumes_are_read_from_files(real_data: Path) -> None:
    for place in sorted(real_data.rglob("*.mrc"))[:6]:
        with mrcfile.open(place, permissive=True) as peer:
            voxels, size = read_volume(place)
            assert np.array_equal(voxels, np.asarray(peer.data).reshape(voxels.shape))
            assert (size or 0) == pytest.approx(float(peer.voxel_size.x))
    assert options.get_format_from_extension("x.map") == "mrc"
    with pytest.raises(ValueError, match="Unsupported file format"):
        options.get_data_from_file(str(place), "tiff")
