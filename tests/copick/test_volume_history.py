"""Versions of segmentations: what somebody else saved is not replaced, what is replaced can come back (C3, C5, C7)."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import tomoportal.copick as copick
from tomoportal.copick.tasks import perform
from tomoportal.copick.transfers.by_uri import plan_removal, plan_restore, plan_transfer
from tomoportal.copick.volume_folders import volume_lock
from tomoportal.errors import AnnotationError, ConflictError, NotFoundError, StorageError
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore

SIZE = (6, 7, 150)
"""Two chunks."""
FLAGS = {"binary": {}, "multilabel": {"is_multilabel": True}, "instance": {"is_instance": True},
         "panoptic": {"is_panoptic": True}}  # fmt: skip


@pytest.fixture(params=["disk", "memory"])
def opened(request: pytest.FixtureRequest, config: Path, tmp_path: Path) -> Callable[[], copick.CopickRoot]:
    """Opens the project, as another process would: on a disk, and in a store that cannot rename folders."""
    memory = open_store("memory://")

    def root(**changes: Any) -> copick.CopickRoot:
        told = {**json.loads(config.read_text()), **changes}
        store = memory if request.param == "memory" else open_store(tmp_path / "overlay", create=True)
        return copick.CopickRoot(copick.CopickConfigFSSpec.model_validate(told), overlay=store)

    return root


def made(root: copick.CopickRoot, kind: str = "binary") -> copick.CopickSegmentation:
    flags: dict[str, Any] = FLAGS[kind]
    return root.new_run("TS_001", exist_ok=True).new_segmentation(10, "membrane", "1", exist_ok=True, **flags)


def theirs(opened: Callable[[], copick.CopickRoot]) -> copick.CopickSegmentation:
    return opened().runs[0].segmentations[0]


def full(value: int, kind: str = "binary") -> np.ndarray:
    return np.full((2, *SIZE) if kind == "panoptic" else SIZE, value)


def value(segmentation: copick.CopickSegmentation) -> int:
    (found,) = np.unique(segmentation.numpy())
    return int(found)


# --- conflicts


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", FLAGS)
def test_c3_a_segmentation_that_somebody_else_saved_is_not_replaced(
    kind: str, zarr_format: int, opened: Callable[..., copick.CopickRoot]
) -> None:
    mine = made(opened(zarr_format=zarr_format), kind)
    mine.from_numpy(full(1, kind))
    other = theirs(opened)
    assert value(other) == 1
    other.from_numpy(full(2, kind))
    with pytest.raises(ConflictError, match=r"was saved by somebody else since you loaded it(.|\n)*overwrite=True"):
        mine.from_numpy(full(3, kind))
    assert value(theirs(opened)) == 2
    assert value(mine) == 2  # which loads it
    mine.from_numpy(full(3, kind))
    other.from_numpy(full(1, kind), overwrite=True)
    assert value(theirs(opened)) == 1
    assert [value_of(other, each.number) for each in other.history()] == [1, 2, 3]


def value_of(segmentation: copick.CopickSegmentation, number: int) -> int:
    found = np.unique(segmentation._previous(number).read("0", None))
    assert len(found) == 1
    return int(found[0])


@pytest.mark.parametrize("way", ["region", "zarr", "part"])
def test_c3_a_stroke_of_somebody_else_is_not_lost_by_a_save_of_everything(
    way: str, opened: Callable[..., copick.CopickRoot]
) -> None:
    made(opened()).from_numpy(full(1))
    mine, other = theirs(opened), theirs(opened)
    if way == "part":
        mine.numpy(z=0)
    else:
        mine.numpy()
    if way == "zarr":
        zarr.open_array(other.zarr(), path="0", mode="r+")[0] = 5
    else:
        other.set_region(5, z=0)
    with pytest.raises(ConflictError):
        mine.from_numpy(full(2))
    mine.refresh()
    mine.from_numpy(full(2))
    assert value(theirs(opened)) == 2


def test_c3_strokes_of_this_object_are_no_conflict_but_those_of_others_between_them_are(
    opened: Callable[..., copick.CopickRoot],
) -> None:
    mine = made(opened())
    mine.from_numpy(full(1), levels=2)
    mine.set_region(3, x=slice(100, 140))
    mine.set_region(4, z=0)
    mine.from_numpy(full(2), levels=2)
    theirs(opened).set_region(5, x=0)
    mine.set_region(6, z=0)  # in the same chunk, which keeps both
    with pytest.raises(ConflictError):
        mine.from_numpy(full(2))
    assert theirs(opened).numpy()[:, 0, 0].tolist() == [6, 5, 5, 5, 5, 5]


def test_c3_who_writes_blindly_has_loaded_what_was_there_when_it_was_opened(
    opened: Callable[..., copick.CopickRoot],
) -> None:
    root = opened()
    mine = made(root)
    made(opened()).from_numpy(full(1))  # somebody made and filled it meanwhile
    with pytest.raises(ConflictError):
        mine.from_numpy(full(2))
    with pytest.raises(AnnotationError, match="already exists"):
        opened().runs[0].new_segmentation(10, "membrane", "1")
    found = opened().runs[0].new_segmentation(10, "membrane", "1", exist_ok=True)
    theirs(opened).from_numpy(full(3))
    with pytest.raises(ConflictError):
        found.from_numpy(full(2))
    theirs(opened).from_numpy(full(4))  # nobody looked before: what is replaced stays in the history
    other = theirs(opened)
    other.numpy(z=0)
    theirs(opened).delete()
    with pytest.raises(ConflictError, match="was deleted by somebody else"):
        other.from_numpy(full(2))


def test_c3_a_run_that_was_listed_before_somebody_filled_it_says_that_it_exists(
    opened: Callable[..., copick.CopickRoot],
) -> None:
    run = opened().new_run("TS_001")
    assert run.segmentations == []
    made(opened()).from_numpy(full(1))
    with pytest.raises(AnnotationError, match=r"already exists(.|\n)*somebody has just made it"):
        run.new_segmentation(10, "membrane", "1")
    found = run.new_segmentation(10, "membrane", "1", exist_ok=True)
    assert value(found) == 1


def test_c3_zarr_in_place_of_numpy(opened: Callable[..., copick.CopickRoot]) -> None:
    """Who writes everything anew through zarr is refused like from_numpy; the old state stays in the history."""
    made(opened()).from_numpy(full(1))
    mine, other = theirs(opened), theirs(opened)
    late = mine.zarr()
    other.from_numpy(full(2))
    with pytest.raises(ConflictError):
        zarr.open_group(late, mode="w")
    assert value(theirs(opened)) == 2
    group = zarr.open_group(mine.zarr(), mode="w", zarr_format=2)
    group.create_array("0", shape=SIZE, dtype="u1", chunks=(8, 8, 64))[...] = 7
    assert value(theirs(opened)) == 7
    assert [value_of(mine, each.number) for each in mine.history()] == [1, 2]
    mine.from_numpy(full(3))  # what zarr wrote is its own
    zarr.create_array(mine.zarr(), name="0", shape=SIZE, dtype="u1", overwrite=True, zarr_format=2)[...] = 8
    assert value(theirs(opened)) == 8


def test_stores_for_zarr_are_sent_to_other_processes_without_the_project(
    opened: Callable[..., copick.CopickRoot], tmp_path: Path
) -> None:
    mine = made(opened())
    mine.from_numpy(full(1))
    if mine._source.store.local_path("") is None:
        pytest.skip("a store in memory stays where it is")
    sent = pickle.loads(pickle.dumps(mine.zarr()))
    assert sent == mine.zarr()
    assert len(pickle.dumps(mine.zarr())) < 1000
    zarr.open_array(sent, path="0", mode="r+")[0] = 3
    assert mine.numpy(z=0, y=0, x=0) == 3
    again = pickle.loads(pickle.dumps(mine))
    again.from_numpy(full(2), overwrite=True)


# --- history


def test_c5_what_is_replaced_or_deleted_stays_and_comes_back(opened: Callable[..., copick.CopickRoot]) -> None:
    mine = made(opened())
    assert mine.history() == []
    for number in range(1, 7):
        mine.from_numpy(full(number))
    kept = mine.history()
    assert [each.number for each in kept] == [3, 4, 5]
    assert [value_of(mine, each.number) for each in kept] == [3, 4, 5]
    stored = [sum(stat.size for stat in mine._source.store.list(each.key)) for each in kept]
    assert [each.size for each in kept] == stored
    assert kept[0].replaced <= kept[1].replaced <= kept[2].replaced
    mine.restore(4)
    assert value(mine) == 4
    with pytest.raises(NotFoundError, match=r"no version 1\.(.|\n)*kept are: 4, 5, 6"):
        mine.restore(1)
    other = theirs(opened)
    other.restore(other.history()[-1])
    with pytest.raises(ConflictError):
        mine.restore(5)
    mine.restore(5, overwrite=True)
    assert value(theirs(opened)) == 5
    assert opened().report(contents=True) == []
    mine.delete()
    assert opened().runs[0].segmentations == []
    assert opened().report(contents=True) == []
    again = made(opened())
    assert value_of(again, again.history()[-1].number) == 5
    again.restore(again.history()[-1])
    assert value(theirs(opened)) == 5


def test_c5_the_bound_is_a_setting(opened: Callable[..., copick.CopickRoot]) -> None:
    mine = made(opened(volume_history=1))
    for number in range(1, 5):
        mine.from_numpy(full(number))
    assert [value_of(mine, each.number) for each in mine.history()] == [3]
    none = opened(volume_history=0).runs[0].segmentations[0]
    none.from_numpy(full(9))
    none.set_region(8, z=0)
    none.delete()
    assert [each.number for each in none.history()] == [3]
    assert made(opened(volume_history=0)).numpy is not None


def test_c5_other_volumes_have_no_history(opened: Callable[..., copick.CopickRoot]) -> None:
    tomogram = opened().new_run("TS_001").new_voxel_spacing(10).new_tomogram("wbp")
    for number in (1.0, 2.0):
        tomogram.from_numpy(np.full(SIZE, number))
    tomogram.delete()
    assert [stat.key for stat in tomogram._source.store.list("ExperimentRuns") if ".history" in stat.key] == []


def test_c4_the_same_labels_are_no_other_version(run: copick.CopickRun) -> None:
    segmentation = made(run.root)
    for _ in range(3):
        segmentation.from_numpy(full(1))
    assert segmentation.history() == []
    segmentation.from_numpy(full(1), levels=2)
    assert len(segmentation.history()) == 1


def test_c5_the_state_before_the_first_stroke_is_kept_without_a_copy(config: Path, tmp_path: Path) -> None:
    made(copick.from_file(config)).from_numpy(full(1), levels=2)
    mine = copick.from_file(config).runs[0].segmentations[0]
    for z in range(3):
        mine.set_region(5, z=z, x=slice(0, 10))
    (version,) = mine.history()
    assert value_of(mine, version.number) == 1
    folder, old = Path(mine.path), Path(mine._source.where(version.key))
    linked = [path for path in old.rglob("*") if path.is_file() and path.stat().st_nlink == 2]
    assert {str(path.relative_to(old)) for path in linked} == {
        "0/.zarray", "0/0/0/1", "1/.zarray"
    }  # fmt: skip
    assert (folder / "0/0/0/0").stat().st_ino != (old / "0/0/0/0").stat().st_ino
    assert np.unique(mine.numpy()).tolist() == [1, 5]
    again = copick.from_file(config).runs[0].segmentations[0]
    zarr.open_array(again.zarr(), path="0", mode="r+")[5] = 9
    assert len(again.history()) == 2
    assert np.unique(again._previous(2).read("0", None)).tolist() == [1, 5]
    shutil.copytree(tmp_path / "overlay", tmp_path / "copy")
    assert copick.from_file(config).report(contents=True) == []


def test_c5_a_stroke_before_which_nothing_can_be_kept_is_not_made(config: Path, tmp_path: Path) -> None:
    made(copick.from_file(config)).from_numpy(full(1))
    store = FaultyStore(open_store(tmp_path / "overlay"), counted=lambda operation, key: operation == "copy")
    root = copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)
    mine = root.runs[0].segmentations[0]
    store.fail_at = 1
    with pytest.raises(StorageError, match="injected"):
        mine.set_region(5, z=0)
    store.fail_at = None
    assert value(mine) == 1
    assert mine.history() == []
    mine.set_region(5, z=0)
    assert [value_of(mine, each.number) for each in mine.history()] == [1]


def test_c8_a_region_is_not_written_into_a_volume_of_another_kind(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody replaces the volume after this object has looked at it, and before it has the lock."""
    made(copick.from_file(config)).from_numpy(full(1))
    mine = copick.from_file(config).runs[0].segmentations[0]

    def lock(store: Any, key: str) -> Any:
        monkeypatch.undo()
        copick.from_file(config).runs[0].segmentations[0].from_numpy(full(300))
        return volume_lock(store, key)

    monkeypatch.setattr("tomoportal.copick.zarr_folders.volume_lock", lock)
    with pytest.raises(ConflictError, match="another kind"):
        mine.set_region(5, z=0)
    assert value(mine) == 300


def test_c5_elsewhere_strokes_have_no_history(config: Path) -> None:
    store = open_store("memory://")
    root = copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)
    mine = made(root)
    mine.from_numpy(full(1))
    again = copick.CopickRoot(root.config, overlay=store).runs[0].segmentations[0]
    again.set_region(2, z=0)
    assert again.history() == []


def test_c5_versions_cost_one_copy_per_chunk_on_an_object_store(config: Path) -> None:
    store = FaultyStore(open_store("memory://"))
    root = copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)
    mine = made(root)
    labels = np.random.default_rng(0).integers(1, 5, (260, 260, 260)).astype(np.uint8)
    mine.from_numpy(labels)
    store.counts.clear()
    mine.from_numpy(labels + 1)
    assert store.counts["copy"] == 28
    assert store.counts["get"] <= 6
    assert store.counts["list"] + store.counts["children"] + store.counts["stat"] <= 12
    store.counts.clear()
    copick.CopickRoot(root.config, overlay=store).runs[0].segmentations[0].numpy(z=5)
    assert store.counts["list"] <= 1


# --- differences


def test_c5_differences_are_counted_by_label_within_a_region(opened: Callable[..., copick.CopickRoot]) -> None:
    mine = made(opened(), "multilabel")
    labels = np.zeros(SIZE, int)
    labels[1:3, 2:4, 120:140] = 1
    mine.from_numpy(labels)
    changed = labels.copy()
    changed[1, 2, 120:130] = 2
    changed[2, 2, 125] = 0
    changed[5, 6, 149] = 300
    mine.from_numpy(changed)
    found = mine.diff(1)
    assert (found.voxels, found.added, found.removed) == (12, {1: 11}, {2: 10, 300: 1})
    assert found.box == (slice(1, 6), slice(2, 7), slice(120, 150))
    other = opened().runs[0].new_segmentation(10, "membrane", "2", is_multilabel=True)
    other.from_numpy(changed)
    assert mine.diff(other).box is None
    assert mine.diff(other).voxels == 0
    other.from_numpy(np.ones((2, 2, 2), int))
    with pytest.raises(AnnotationError, match="different sizes"):
        mine.diff(other)


def test_c5_differences_of_panoptic_segmentations_see_instances(opened: Callable[..., copick.CopickRoot]) -> None:
    mine = made(opened(), "panoptic")
    both = full(1, "panoptic")
    mine.from_numpy(both)
    both[1, 0, 0, :3] = 2
    mine.from_numpy(both)
    found = mine.diff(mine.history()[0])
    assert (found.voxels, found.added, found.removed) == (3, {1: 3}, {1: 3})
    assert found.box == (slice(0, 1), slice(0, 1), slice(0, 3))


# --- commands and tasks


def test_c5_a_segmentation_that_was_removed_is_listed_and_comes_back(opened: Callable[..., copick.CopickRoot]) -> None:
    mine = made(opened(), "instance")
    mine.from_numpy(full(1))
    uri = "membrane:ada/1@10?instance=true"
    assert [error for _, error in perform(plan_removal(opened(), "segmentation", uri))] == [None]
    assert opened().runs[0].segmentations == []
    with pytest.raises(AnnotationError, match="names 0 segmentation"):
        plan_restore(opened(), "segmentation", "membrane:ada/1@10", "TS_001", 1)
    (task,) = plan_restore(opened(), "segmentation", uri, "TS_001", 1)
    assert task.action == "create"
    assert perform([task])[0][1] is None
    assert value(theirs(opened)) == 1


def test_c6_copies_and_moves_keep_what_they_replace_and_nothing_of_the_history_goes_along(
    opened: Callable[..., copick.CopickRoot],
) -> None:
    mine = made(opened())
    mine.from_numpy(full(1))
    mine.from_numpy(full(2))
    target = opened().runs[0].new_segmentation(10, "membrane", "2")
    target.from_numpy(full(5))
    tasks = plan_transfer(opened(), "segmentation", "membrane:ada/1@10", "membrane:ada/2@10", overwrite=True)
    assert [error for _, error in perform(tasks)] == [None]
    one, other = opened().runs[0].segmentations
    assert [value(one), value(other)] == [2, 2]
    assert [value_of(one, each.number) for each in one.history()] == [1]
    assert [value_of(other, each.number) for each in other.history()] == [5]
    tasks = plan_transfer(opened(), "segmentation", "membrane:ada/1@10", "membrane:bob/1@10", move=True)
    assert [error for _, error in perform(tasks)] == [None]
    moved = opened().runs[0].get_segmentations(user_id="bob")[0]
    assert moved.history() == []
    assert [value_of(one, each.number) for each in one.history()] == [1, 2]


# --- other programs

THEIRS = """
import json, sys
import numpy as np
import copick
root = copick.from_file(sys.argv[1])
run = root.get_run("TS_001")
told = [[s.name, s.user_id, int(s.numpy().max())] for s in run.segmentations]
if len(sys.argv) > 2:
    run.segmentations[0].from_numpy(np.full((6, 7, 150), int(sys.argv[2]), np.uint8))
print(json.dumps(told))
"""


def test_c3_c5_upstream_sees_no_history_and_what_it_writes_is_noticed(config: Path, upstream: Any) -> None:
    mine = made(copick.from_file(config))
    for number in (1, 2, 3):
        mine.from_numpy(full(number))
    mine.set_region(3, z=0)
    assert upstream(THEIRS, config) == [["membrane", "ada", 3]]
    assert upstream(THEIRS, config, 7) == [["membrane", "ada", 3]]
    with pytest.raises(ConflictError):
        mine.from_numpy(full(4))
    assert value(mine) == 7
    mine.from_numpy(full(4))
    assert value_of(mine, mine.history()[-1].number) == 7
    mine.delete()
    assert upstream(THEIRS, config) == []


# --- failures


def test_c5_a_disk_that_is_full_loses_neither_the_volume_nor_its_versions(config: Path, tmp_path: Path) -> None:
    store = FaultyStore.only_writes(open_store(tmp_path / "overlay", create=True))
    root = copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)
    mine = made(root)
    mine.from_numpy(full(1))
    mine.from_numpy(full(2))
    number = 0
    while True:
        store.operations, store.fail_at = 0, number
        try:
            mine.from_numpy(full(3))
            break
        except StorageError:
            store.fail_at = None
            found = theirs(lambda: copick.from_file(config))
            states = [*(value_of(found, each.number) for each in found.history()), value(found)]
            assert states in ([1, 2], [1, 2, 3], [2, 3], [1, 3])
            if states[-1] == 3:  # the new one was in its place before something failed: nobody else wrote it
                mine.from_numpy(full(2))
                states = [*(value_of(found, each.number) for each in found.history()), value(found)]
                assert states[-1] == 2
            shutil.rmtree(tmp_path / "overlay")
            (tmp_path / "overlay").mkdir()
            root.refresh()
            mine = made(copick.CopickRoot(root.config, overlay=store))
            mine.from_numpy(full(1))
            mine.from_numpy(full(2))
        number += 1
    assert number > 5


def test_c44_a_history_in_a_read_only_source_is_read(config: Path, tmp_path: Path, make_config: Any) -> None:
    mine = made(copick.from_file(config))
    mine.from_numpy(full(1))
    mine.from_numpy(full(2))
    (tmp_path / "overlay").rename(tmp_path / "static")
    found = copick.from_file(make_config(tmp_path, static_root=str(tmp_path / "static"))).runs[0].segmentations[0]
    assert [each.number for each in found.history()] == [1]
    assert found.diff(1).voxels == np.prod(SIZE)
    with pytest.raises(PermissionError, match="Cannot store segmentation in a read-only source"):
        found.restore(1)
    assert os.listdir(tmp_path / "static/ExperimentRuns/TS_001/Segmentations/.history")
