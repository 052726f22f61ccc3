"""What is there and what is not: lists, state in memory, foreign files (C15–C30, C36, C38–C41, C45, C60–C64)."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.copick.listing import Listing
from tomoportal.errors import AnnotationError
from tomoportal.storage import Store, open_store
from tomoportal.testing.faulty import FaultyStore

RUN = "overlay/ExperimentRuns/TS_001"


def settings(config: Path) -> copick.CopickConfigFSSpec:
    return copick.CopickConfigFSSpec.model_validate_json(config.read_text())


def with_static(tmp_path: Path, make_config, build) -> copick.CopickRoot:
    """A project whose present overlay becomes the static source."""
    build(copick.from_file(make_config(tmp_path)))
    (tmp_path / "overlay").rename(tmp_path / "static")
    return copick.from_file(make_config(tmp_path, static_root=f"local://{tmp_path}/static/"))


def build_one(root: copick.CopickRoot) -> None:
    run = root.new_run("TS_001")
    run.new_picks("ribosome", "1").from_numpy(np.ones((2, 3)))
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.ones((8, 8, 8)))
    tomogram.new_features("sobel").from_numpy(np.ones((8, 8, 8)))
    run.new_segmentation(10, "membrane", "1").from_numpy(np.ones((8, 8, 8), int))
    run.new_mesh("membrane", "1")


# --- state in memory


def test_opening_fills_no_list(config: Path, run: copick.CopickRun) -> None:
    run.new_voxel_spacing(10).new_tomogram("wbp")
    root = copick.from_file(config)
    assert root._runs is root._objects is None
    found = root.get_run("TS_001")
    assert found is not None
    assert root._runs is None
    spacing = found.get_voxel_spacing(10)
    assert spacing is not None
    assert found._voxel_spacings is found._picks is found._meshes is found._segmentations is found._filaments is None
    assert spacing._tomograms is None
    assert spacing.tomograms[0]._features is None
    assert found.picks == []
    assert found._picks == []


def test_c18_one_object_per_name(root: copick.CopickRoot, run: copick.CopickRun, config: Path) -> None:
    run.new_voxel_spacing(10)
    fresh = copick.from_file(config)
    first = fresh.get_run("TS_001")
    assert first is not None
    assert fresh.get_run("TS_001") is first
    assert fresh.runs[0] is first
    spacing = first.get_voxel_spacing(10)
    assert spacing is first.get_voxel_spacing(10.0001)
    assert first.voxel_spacings == [spacing]
    assert fresh.get_run("TS_002") is None
    assert fresh.get_run("..") is None
    assert fresh.get_run("a/b") is None


def test_c15_everything_is_deleted(run: copick.CopickRun) -> None:
    spacing = run.new_voxel_spacing(10)
    for name in ("t0", "t1", "t2", "t3"):
        spacing.new_tomogram(name)
    for name in ("f0", "f1", "f2"):
        spacing.tomograms[0].new_features(name)
    spacing.tomograms[0].delete_features()
    assert spacing.tomograms[0].features == []
    assert spacing.tomograms[0].query_features() == []
    spacing.delete_tomograms()
    assert spacing.tomograms == spacing.query_tomograms() == []


def test_c16_deleting_before_listing(run: copick.CopickRun, config: Path) -> None:
    run.new_voxel_spacing(10).new_tomogram("wbp")
    root = copick.from_file(config)
    found = root.get_run("TS_001")
    assert found is not None
    found.delete_voxel_spacings(10)
    assert found.voxel_spacings == []
    copick.from_file(config).delete_run("TS_001")
    copick.from_file(config).delete_run("nobody")
    assert copick.from_file(config).runs == []


def test_c17_static_parts_stop_a_deletion_before_it_begins(tmp_path: Path, make_config) -> None:
    root = with_static(tmp_path, make_config, build_one)
    run = root.runs[0]
    # What is in the overlay comes first in every list, and would be deleted first.
    run.new_picks("proteasome", "0", "a")
    run.new_mesh("membrane", "0", "a")
    run.new_segmentation(5, "membrane", "0", user_id="a")
    run.voxel_spacings[0].tomograms[0].new_features("a")
    run.voxel_spacings[0].new_tomogram("a").new_features("a")
    run.new_voxel_spacing(5).new_tomogram("wbp")
    run = copick.from_file(tmp_path / "copick_config.json").runs[0]
    tomogram = run.voxel_spacings[1].get_tomograms("wbp")[0]

    def there() -> list[str]:
        return sorted(str(path) for path in (tmp_path / "overlay").rglob("*"))

    before = there()
    for delete in (
        run.delete,
        run.delete_voxel_spacings,
        run.delete_picks,
        run.delete_segmentations,
        run.delete_meshes,
        run.voxel_spacings[1].delete,
        run.voxel_spacings[1].delete_tomograms,
        tomogram.delete_features,
        tomogram.delete,
    ):
        with pytest.raises(PermissionError, match=r"Cannot delete .* in a read-only source"):
            delete()
        assert there() == before
    assert {picks.pickable_object_name for picks in run.query_picks()} == {"ribosome", "proteasome"}
    assert len(copick.from_file(tmp_path / "copick_config.json").runs[0].picks) == 2


def test_c19_exist_ok_gives_what_can_be_written(tmp_path: Path, make_config) -> None:
    root = with_static(tmp_path, make_config, build_one)
    run = root.runs[0]
    assert run.picks[0].read_only
    picks = run.new_picks("ribosome", "1", exist_ok=True)
    assert not picks.read_only
    picks.from_numpy(np.zeros((1, 3)))
    assert run.picks == [picks]
    spacing = run.get_voxel_spacing(10)
    assert spacing is not None
    for made in (
        spacing.new_tomogram("wbp", exist_ok=True),
        spacing.tomograms[0].new_features("sobel", exist_ok=True),
        run.new_segmentation(10, "membrane", "1", exist_ok=True),
        run.new_mesh("membrane", "1", exist_ok=True),
    ):
        assert not made.read_only
    assert run.new_picks("ribosome", "1", exist_ok=True) is picks


def test_c20_objects_can_be_reset(root: copick.CopickRoot) -> None:
    made = root.new_object("virus", True, radius=5.0, pdb_id="1ABC", metadata={"a": 1})
    assert made.label == 5
    same = root.new_object("virus", True, radius=None, metadata={}, exist_ok=True)
    assert same is made
    assert (made.radius, made.metadata, made.pdb_id, made.label) == (None, {}, "1ABC", 5)


def test_everything_survives_pickling(run: copick.CopickRun) -> None:
    build_one_here = run.root
    run.new_picks("ribosome", "1").from_numpy(np.ones((2, 3)))
    run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(np.ones((8, 8, 8)))
    run.new_segmentation(10, "membrane", "1")
    for thing in (build_one_here, run, run.picks[0], run.voxel_spacings[0].tomograms[0], run.segmentations[0]):
        assert repr(pickle.loads(pickle.dumps(thing))).split(" at ")[0] == repr(thing).split(" at ")[0]
    assert pickle.loads(pickle.dumps(run.picks[0])).numpy()[0].shape == (2, 3)
    assert len({run, run.picks[0], run.root}) == 3


# --- foreign files


def test_c21_to_c26_nothing_unparsable_is_fatal(run: copick.CopickRun, config: Path, tmp_path: Path) -> None:
    build_one_of = run.new_picks("ribosome", "1")
    build_one_of.from_numpy(np.ones((1, 3)))
    run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(np.ones((4, 4, 4)))
    folder = tmp_path / RUN
    for name in (
        "Picks/foo.json", "Picks/a_b_c_d.json", "Picks/__.json", "Picks/.hidden.json", "Picks/x.txt", "Meshes/x.glb",
        "Segmentations/garbage.zarr/.zgroup", "Segmentations/x_u_1_m.zarr/.zgroup", "Segmentations/10.000_file.zarr",
        "VoxelSpacingFoo/wbp.zarr/.zgroup", "VoxelSpacing10.000.bak/wbp.zarr/.zgroup", "VoxelSpacingnan/a",
        "VoxelSpacing10.000/stray.zarr", "VoxelSpacing10.000/notes.txt", "notes.txt", "Extra/notes.txt",
        ".hidden/x", "../stray.txt", "../.hiddenrun/Picks/a_b_c.json",
    ):  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    (folder / "Picks" / "ada_2_ribosome.json").write_text('{"points": [')
    root = copick.from_file(config)
    found = root.runs
    assert [each.name for each in found] == ["TS_001"]
    assert [(each.user_id, each.session_id) for each in found[0].picks] == [("ada", "1"), ("ada", "2")]
    assert [each.voxel_size for each in found[0].voxel_spacings] == [10.0]
    assert [each.tomo_type for each in found[0].voxel_spacings[0].tomograms] == ["wbp"]
    assert found[0].segmentations == found[0].meshes == []
    assert found[0].picks[0].numpy()[0].tolist() == [[1, 1, 1]]
    with pytest.raises(ValueError, match=r"ada_2_ribosome\.json.*line 1"):
        found[0].picks[1].numpy()
    reported = {os.path.relpath(problem.where, folder) for problem in root.report(contents=True)}
    assert reported == {
        "Picks/foo.json", "Picks/a_b_c_d.json", "Picks/__.json", "Picks/x.txt", "Meshes/x.glb",
        "Picks/ada_2_ribosome.json",
        "Segmentations/garbage.zarr", "Segmentations/x_u_1_m.zarr", "Segmentations/10.000_file.zarr", "VoxelSpacingFoo",
        "VoxelSpacing10.000.bak", "VoxelSpacingnan", "VoxelSpacing10.000/stray.zarr", "VoxelSpacing10.000/notes.txt",
        "VoxelSpacingnan/a", "notes.txt", "Extra",
        "../stray.txt",
    }  # fmt: skip


def test_c23_other_decimals_are_found_where_they_are(run: copick.CopickRun, config: Path, tmp_path: Path) -> None:
    run.new_voxel_spacing(10).new_tomogram("wbp").from_numpy(np.full((4, 4, 4), 3.0))
    run.new_segmentation(10, "all", "1", True).from_numpy(np.ones((4, 4, 4), int))
    folder = tmp_path / RUN
    (folder / "VoxelSpacing10.000").rename(folder / "VoxelSpacing10")
    (folder / "Segmentations/10.000_ada_1_all-multilabel.zarr").rename(
        folder / "Segmentations/10_ada_1_all-multilabel.zarr"
    )
    found = copick.from_file(config).runs[0]
    spacing = found.get_voxel_spacing(10.0)
    assert spacing is not None
    assert spacing.tomograms[0].numpy().max() == 3
    found.segmentations[0].from_numpy(np.zeros((4, 4, 4), int))
    names = sorted(path.name for path in (folder / "Segmentations").iterdir())
    assert names == [".history", "10_ada_1_all-multilabel.zarr"]
    assert spacing.new_tomogram("sirt")._folder.where.endswith("VoxelSpacing10/sirt.zarr")


def test_c24_c25_types_and_sessions_with_endings_inside(run: copick.CopickRun, config: Path) -> None:
    spacing = run.new_voxel_spacing(10)
    for name in ("features", "my-features-x", "x.zarr.y"):
        spacing.new_tomogram(name)
    spacing.new_tomogram("wbp").new_features("sobel.zarr.x")
    run.new_picks("ribosome", "s.json.x")
    run.new_segmentation(10, "a-multilabel-b", "1", True, user_id="multilabel-x")
    found = copick.from_file(config).runs[0]
    names = [each.tomo_type for each in found.voxel_spacings[0].tomograms]
    assert names == ["features", "my-features-x", "wbp", "x.zarr.y"]
    assert [each.feature_type for each in found.voxel_spacings[0].tomograms[2].features] == ["sobel.zarr.x"]
    assert [each.session_id for each in found.picks] == ["s.json.x"]
    assert [(each.name, each.user_id, each.segmentation_type) for each in found.segmentations] == [
        ("a-multilabel-b", "multilabel-x", "multilabel")
    ]


def test_c26_names_are_data_not_patterns(tmp_path: Path, make_config) -> None:
    folder = tmp_path / "odd[1].zarr *"
    folder.mkdir()
    root = copick.from_file(make_config(folder))
    run = root.new_run("TS[1]{a}")
    run.new_picks("ribosome", "1")
    run.new_voxel_spacing(10).new_tomogram("wbp").new_features("sobel")
    found = copick.from_file(folder / "copick_config.json").get_run("TS[1]{a}")
    assert found is not None
    assert len(found.picks) == 1
    assert [each.feature_type for each in found.voxel_spacings[0].tomograms[0].features] == ["sobel"]


def test_c27_the_overlay_shadows_static(tmp_path: Path, make_config) -> None:
    root = with_static(tmp_path, make_config, build_one)
    run = root.runs[0]
    run.new_picks("ribosome", "1", exist_ok=True).from_numpy(np.zeros((5, 3)))
    found = copick.from_file(tmp_path / "copick_config.json").runs[0]
    assert [len(each.numpy()[0]) for each in found.picks] == [5]
    assert [each.read_only for each in found.get_picks(include_shadowed=True)] == [True, False]
    assert [each.read_only for each in found.get_segmentations()] == [True]
    assert [each.voxel_size for each in found.voxel_spacings] == [10.0]


def test_c28_one_place_given_twice_is_one_source(tmp_path: Path, make_config) -> None:
    build_one(copick.from_file(make_config(tmp_path)))
    (tmp_path / "link").symlink_to(tmp_path / "overlay")
    for spelling in (f"local://{tmp_path}/overlay/", f"{tmp_path}/link", f"file://{tmp_path}/x/../overlay"):
        (tmp_path / "x").mkdir(exist_ok=True)
        root = copick.from_file(make_config(tmp_path, static_root=spelling, static_fs_args={"anon": True}))
        assert root.static_is_overlay
        assert [each.read_only for each in root.runs[0].get_picks(include_shadowed=True)] == [False]


def test_c30_lists_are_sorted(run: copick.CopickRun, config: Path) -> None:
    for size in (100, 9.5, 20):
        run.new_voxel_spacing(size)
    spacing = run.get_voxel_spacing(20)
    assert spacing is not None
    for name in ("wbp", "a", "sirt"):
        spacing.new_tomogram(name)
    found = copick.from_file(config).runs[0]
    assert [each.voxel_size for each in found.voxel_spacings] == [9.5, 20, 100]
    assert [each.tomo_type for each in found.voxel_spacings[1].tomograms] == ["a", "sirt", "wbp"]


def test_c36_runs_of_the_config_restrict_the_project(tmp_path: Path, make_config) -> None:
    root = copick.from_file(make_config(tmp_path))
    for name in ("a", "b", "c"):
        root.new_run(name).new_picks("ribosome", "1")
    root = copick.from_file(make_config(tmp_path, runs=["c", "a", "zzz"]))
    assert [run.name for run in root.runs] == ["a", "c"]
    assert len(root.runs[0].picks) == 1
    assert copick.from_file(tmp_path / "copick_config.json").get_run("b") is None
    with pytest.raises(AnnotationError, match="restricts"):
        root.new_run("d")


def test_c38_voxel_sizes_are_equal_to_three_decimals(run: copick.CopickRun, config: Path) -> None:
    run.new_voxel_spacing(7.84049)
    for fresh in (copick.from_file(config).runs[0], run):
        for size in (7.84, 7.84049, 7.8401):
            assert fresh.get_voxel_spacing(size) is not None
        assert fresh.voxel_spacings
        for size in (7.84, 7.84049, 7.8401):
            assert fresh.get_voxel_spacing(size) is not None
        assert fresh.get_voxel_spacing(7.841) is None
    with pytest.raises(AnnotationError, match="already exists"):
        run.new_voxel_spacing(7.84)


def test_c39_c41_filters(run: copick.CopickRun) -> None:
    for user, session in (("ada", "1"), ("ada", "2"), ("tool", "0")):
        run.new_picks("ribosome", session, user)
        run.new_segmentation(10, "membrane", session, user_id=user)
        run.new_segmentation(
            10.0, "membrane", session, user_id=user, is_instance=False, is_panoptic=False, exist_ok=True
        )
        run.new_segmentation(20, "membrane", session, user_id=user, is_instance=True)
    assert len(run.get_picks()) == 3
    assert len(run.get_picks(["ribosome", "membrane"], user_id="ada", session_id=("1", "0"))) == 1
    assert len(run.get_picks(object_name="x")) == 0
    assert len(run.get_segmentations(voxel_size=10)) == 3
    assert len(run.get_segmentations(voxel_size=[10, np.float32(20)])) == 3
    assert len(run.get_segmentations(is_instance=None)) == 6
    assert len(run.get_segmentations(is_instance=True, user_id="tool")) == 1
    assert len(run.segmentations) == 6
    assert {each.user_id for each in run.user_picks()} == {"ada"}
    assert [each.user_id for each in run.tool_picks()] == ["tool"]
    run.root.user_id = None
    assert len(run.user_picks()) == 2
    spacing = run.new_voxel_spacing(10)
    spacing.new_tomogram("wbp")
    assert len(spacing.get_tomograms()) == 1
    with pytest.deprecated_call(match="get_tomogram is deprecated"):
        assert spacing.get_tomogram("wbp") is spacing.tomograms[0]
    run.delete_segmentations()
    assert len(run.segmentations) == 3


def test_c45_colours(run: copick.CopickRun, tmp_path: Path) -> None:
    run.new_picks("ribosome", "1")
    run.new_mesh("ribosome", "1")
    run.new_segmentation(10, "ribosome", "1")
    run.new_segmentation(10, "other", "1", True)
    assert run.picks[0].color == run.meshes[0].color == (255, 0, 0, 255)
    assert [each.color for each in run.segmentations] == [(255, 0, 0, 255), [128, 128, 128, 0]]
    run.root.config.pickable_objects = []
    run.root.refresh()
    with pytest.raises(ValueError, match=r"ribosome is not a recognized object name \(run: TS_001\)"):
        _ = run.picks[0].color
    with pytest.raises(ValueError, match="not a recognized"):
        _ = run.meshes[0].color
    assert run.segmentations[0].color == [128, 128, 128, 0]


# --- refreshing


def test_refresh_sees_what_others_wrote(root: copick.CopickRoot, run: copick.CopickRun, config: Path) -> None:
    assert run.picks == run.segmentations == run.voxel_spacings == []
    build_one_elsewhere = copick.from_file(config)
    build_one_elsewhere.new_run("TS_002")
    other = build_one_elsewhere.get_run("TS_001")
    assert other is not None
    other.new_picks("ribosome", "1")
    other.new_voxel_spacing(10).new_tomogram("wbp")
    assert run.picks == []
    run.refresh()
    assert len(run.picks) == 1
    assert [each.tomo_type for each in run.voxel_spacings[0].tomograms] == ["wbp"]
    assert len(root.runs) == 1
    root.refresh()
    assert [each.name for each in root.runs] == ["TS_001", "TS_002"]
    shutil.rmtree(other.overlay_path)
    root.reconnect()
    assert [each.name for each in root.runs] == ["TS_002"]


# --- few requests


class Remote(FaultyStore):
    """A store without local paths, as an object store."""

    def local_path(self, key: str) -> None:
        return None


def many(store: Store, settings_: copick.CopickConfigFSSpec, runs: int) -> copick.CopickRoot:
    root = copick.CopickRoot(settings_, overlay=store)
    empty = b'{"pickable_object_name": "ribosome", "user_id": "a", "session_id": "1", "points": []}'
    for n in range(runs):
        place = f"ExperimentRuns/TS_{n:03d}"
        store.put(f"{place}/.meta", b"meta")
        store.put(f"{place}/Picks/a_1_ribosome.json", empty)
        store.put(f"{place}/VoxelSpacing10.000/wbp.zarr/.zgroup", b"{}")
        for chunk in range(3):
            store.put(f"{place}/VoxelSpacing10.000/wbp.zarr/0/0/0/{chunk}", b"")
        store.put(f"{place}/Segmentations/10.000_a_1_membrane.zarr/.zgroup", b"{}")
    return root


@pytest.mark.parametrize("most_keys", [200, 5])
def test_c59_a_listing_of_everything_costs_few_requests(
    config: Path, most_keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomoportal.copick.folders._MOST_KEYS", most_keys)
    monkeypatch.setattr("tomoportal.copick.folders._PAGE", 150)
    store = Remote(open_store("memory://"))
    root = many(store, settings(config), 40)
    store.counts.clear()
    assert len(root.picks()) == len(root.segmentations()) == len(root.tomograms("wbp", 10)) == 40
    requests = store.counts["list"] + store.counts["children"] + store.counts["scan"]
    assert requests <= (9 if most_keys > 10 else 9 + 4 * 40)
    names = [picks.path for picks in root.picks()]
    assert names == sorted(names)


def test_c60_refresh_asks_the_store_and_not_the_listing(config: Path) -> None:
    store = Remote(open_store("memory://"))
    root = many(store, settings(config), 3)
    assert len(root.picks()) == 3
    for n in range(3):
        store.put(f"ExperimentRuns/TS_{n:03d}/Picks/b_1_ribosome.json", b"{}")
    assert len(root.picks()) == 3
    for run in root.runs:
        run.refresh_picks()
    assert len(root.picks()) == 6
    assert len(copick.CopickRoot(settings(config), overlay=store).picks()) == 6


def test_c60_a_refreshed_project_shows_what_others_did_in_runs_that_are_held(config: Path) -> None:
    root, other = copick.from_file(config), copick.from_file(config)
    held = root.new_run("TS_001")
    held.new_picks("ribosome", "1").from_numpy([[1.0, 0.0, 0.0]])
    tomogram = held.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.ones((4, 4, 4), np.float32))
    assert len(held.picks) == len(held.voxel_spacings) == 1
    run = other.runs[0]
    run.picks[0].from_numpy([[2.0, 0.0, 0.0]])
    run.new_picks("ribosome", "2")
    run.new_voxel_spacing(20)
    run.voxel_spacings[0].new_tomogram("denoised")
    root.refresh()
    assert root.runs[0] is held  # C18
    assert [each.session_id for each in held.picks] == ["1", "2"]
    assert held.picks[0].numpy()[0].tolist() == [[2, 0, 0]]
    assert [each.voxel_size for each in held.voxel_spacings] == [10, 20]
    assert len(held.get_voxel_spacing(10).tomograms) == 2


def test_a_listing_is_never_old_for_what_is_asked_again(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Remote(open_store("memory://"))
    many(store, settings(config), 3)
    listing = Listing(store)
    places = [f"ExperimentRuns/TS_00{n}/Picks" for n in range(3)]
    assert [len(listing.folder(place).files) for place in places] == [1, 1, 1]
    store.put(f"{places[1]}/b_1_ribosome.json", b"{}")
    store.put(f"{places[2]}/b_1_ribosome.json", b"{}")
    assert [len(listing.folder(place).files) for place in places[1:]] == [2, 2]
    now = time.monotonic() + 100
    monkeypatch.setattr("tomoportal.copick.listing.time.monotonic", lambda: now)
    assert len(listing.folder("ExperimentRuns/TS_000/Segmentations").folders) == 1


def test_c61_objects_cost_one_listing_per_source(config: Path) -> None:
    store = Remote(open_store("memory://"))
    root = copick.CopickRoot(settings(config), overlay=store)
    store.counts.clear()
    assert len(root.pickable_objects) == 4
    assert sum(store.counts.values()) == 1


def test_documents_of_every_entity_are_where_upstream_has_them(run: copick.CopickRun, tmp_path: Path) -> None:
    build_one(run.root) if run.root.get_run("TS_001") is None else None
    picks = run.new_picks("ribosome", "1")
    assert picks.path == f"{tmp_path}/{RUN}/Picks/ada_1_ribosome.json"
    assert picks.directory == f"{tmp_path}/{RUN}/Picks"
    assert run.new_mesh("membrane", "0", "tool").path == f"{tmp_path}/{RUN}/Meshes/tool_0_membrane.glb"
    segmentation = run.new_segmentation(7.84, "all", "0", True, "tool")
    assert segmentation.path == f"{tmp_path}/{RUN}/Segmentations/7.840_tool_0_all-multilabel.zarr"
    assert segmentation.filename == "7.840_tool_0_all-multilabel.zarr"
    tomogram = run.new_voxel_spacing(7.84).new_tomogram("wbp")
    assert tomogram.overlay_path == f"{tmp_path}/{RUN}/VoxelSpacing7.840/wbp.zarr"
    assert tomogram.overlay_stem == f"{tmp_path}/{RUN}/VoxelSpacing7.840/wbp"
    assert tomogram.new_features("sobel").path == f"{tmp_path}/{RUN}/VoxelSpacing7.840/wbp_sobel_features.zarr"
    assert json.loads(Path(picks.path).read_text())["run_name"] == "TS_001"
    assert (Path(run.overlay_path) / ".meta").read_bytes() == b"meta"
    assert picks.fs.exists(picks.path)
