"""Two at work on the same project: nobody's points, keys, objects or voxels are lost (C3–C5, C7, C33, C36, C42)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.errors import AnnotationError, ConflictError, FormatError, NotFoundError
from tomoportal.storage import Stat, open_store
from tomoportal.testing.faulty import FaultyStore

SIZE = (8, 8, 260)


def again(config: Path) -> copick.CopickPicks:
    """The picks as somebody else sees them."""
    run = copick.from_file(config).get_run("TS_001")
    assert run is not None
    return run.get_picks("ribosome", "ada", "1")[0]


def place(*numbers: float) -> np.ndarray:
    return np.array([[number, 0.0, 0.0] for number in numbers])


def xs(picks: copick.CopickPicks) -> list[float]:
    return sorted(picks.numpy()[0][:, 0].tolist())


def points(*numbers: float) -> list[copick.CopickPoint]:
    return [copick.CopickPoint(location={"x": number, "y": 0, "z": 0}) for number in numbers]


def at_once(work: Callable[[Any], None], each: Sequence[Any]) -> None:
    with ThreadPoolExecutor(len(each)) as pool:
        assert list(pool.map(work, each)) == [None] * len(each)


# --- merging


@pytest.mark.parametrize("way", ["from_numpy", "points"])
def test_c3_merging_what_was_written_blindly_takes_nothing_away(
    way: str, picks: copick.CopickPicks, config: Path
) -> None:
    """Who never loaded the list cannot have removed points that somebody else added."""
    picks.from_numpy(place(1))
    mine = again(config)
    picks.from_numpy(place(1, 2))
    if way == "points":
        mine.points = points(7)
    with pytest.raises(ConflictError):
        mine.store() if way == "points" else mine.from_numpy(place(7))
    mine.store(merge=True)
    assert xs(again(config)) == [1, 2, 7]


def test_c3_merging_nothing_takes_nothing_away(picks: copick.CopickPicks, config: Path) -> None:
    mine = again(config)
    picks.from_numpy(place(1))
    with pytest.raises(ConflictError):
        mine.from_numpy([])
    assert xs(again(config)) == [1]


def test_c3_a_merge_tells_points_by_location_and_orientation(picks: copick.CopickPicks, config: Path) -> None:
    """Both turned the same point, each in another way: both orientations are there, and neither is overwritten."""

    def turned(*rows: list[float]) -> np.ndarray:
        matrix = np.eye(4)[None].copy()
        matrix[0, :2, :2] = rows
        return matrix

    picks.from_numpy(place(1))
    theirs, mine = again(config), again(config)
    assert xs(theirs) == xs(mine) == [1]
    theirs.from_numpy(place(1), turned([0, -1], [1, 0]))
    mine.points[0].transformation = turned([0, 1], [-1, 0])[0]
    mine.store(merge=True)
    assert xs(again(config)) == [1, 1]
    assert sorted(again(config).numpy()[1][:, 1, 0].tolist()) == [-1, 1]


def test_c3_c10_keys_of_documents_and_points_are_merged_three_way(picks: copick.CopickPicks, config: Path) -> None:
    picks.from_numpy(place(1, 2))
    path = Path(picks.path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "note": "old", "reviewed": False, "voxel_spacing": 10.0}))
    mine, theirs = again(config), again(config)
    assert len(mine.points) == len(theirs.points) == 2
    mine.meta.reviewed = True  # type: ignore[attr-defined]
    mine.points[0].colour = "red"  # type: ignore[attr-defined]
    theirs.meta.note = "new"  # type: ignore[attr-defined]
    theirs.meta.added = {"by": "them"}  # type: ignore[attr-defined]
    theirs.trust_orientation = False
    theirs.meta.voxel_spacing = 20.0
    theirs.points[1].shape = "round"  # type: ignore[attr-defined]
    theirs.store()
    mine.store(merge=True)
    found = json.loads(path.read_text())
    told = {key: found[key] for key in ("note", "reviewed", "added", "trust_orientation", "voxel_spacing")}
    assert told == {
        "note": "new", "reviewed": True, "added": {"by": "them"}, "trust_orientation": False, "voxel_spacing": 20.0,
    }  # fmt: skip
    assert [(point.get("colour"), point.get("shape")) for point in found["points"]] == [("red", None), (None, "round")]


def test_c3_what_somebody_deleted_comes_back_by_a_merge_with_all_its_keys(
    picks: copick.CopickPicks, config: Path
) -> None:
    picks.meta.note = "kept"  # type: ignore[attr-defined]
    picks.from_numpy(place(1))
    mine = again(config)
    assert xs(mine) == [1]
    again(config).delete()
    mine.points = [*mine.points, *points(2)]
    with pytest.raises(ConflictError, match="deleted"):
        mine.store()
    assert not Path(picks.path).exists()
    mine.store(merge=True)
    assert xs(again(config)) == [1, 2]
    assert json.loads(Path(picks.path).read_text())["note"] == "kept"


def test_c3_new_picks_that_somebody_made_and_filled_meanwhile_are_theirs(run: copick.CopickRun, config: Path) -> None:
    assert run.picks == run.filaments == []
    theirs = copick.from_file(config).get_run("TS_001")
    assert theirs is not None
    theirs.new_picks("ribosome", "1").from_numpy(place(1, 2))
    theirs.new_filaments("microtubule", "1").from_numpy([[[0, 0, 0], [1, 1, 1]]])
    mine = run.new_picks("ribosome", "1", exist_ok=True)
    assert xs(mine) == [1, 2]
    mine.points = [*mine.points, *points(3)]
    mine.store()
    assert xs(again(config)) == [1, 2, 3]
    assert len(run.new_filaments("microtubule", "1", exist_ok=True).filaments) == 1
    with pytest.raises(ValueError, match="already exist"):
        run.new_picks("ribosome", "1")


# --- restoring


def test_c5_a_save_while_somebody_restores_is_refused_and_the_other_way_round(
    picks: copick.CopickPicks, config: Path
) -> None:
    picks.from_numpy(place(1))
    picks.from_numpy(place(1, 2))
    mine = again(config)
    assert xs(mine) == [1, 2]
    picks.restore(2)
    assert xs(again(config)) == [1]
    with pytest.raises(ConflictError):
        mine.from_numpy(place(5))
    with pytest.raises(ConflictError):
        mine.restore(1)
    assert xs(again(config)) == [1]
    mine.restore(1, overwrite=True)
    assert xs(again(config)) == xs(mine) == []
    mine.refresh()
    mine.restore(mine.history()[-1])
    assert xs(again(config)) == [1]


def test_c5_filaments_and_meshes_are_restored_too(run: copick.CopickRun, config: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    filaments = run.new_filaments("microtubule", "1")
    for length in (1.0, 2.0):
        filaments.from_numpy([[[0, 0, 0], [length, 0, 0]]])
    filaments.restore(2)
    assert filaments.numpy()[0][-1].tolist() == [1, 0, 0]
    mesh = run.new_mesh("membrane", "1")
    for size in (1.0, 2.0):
        mesh.mesh = trimesh.creation.box((size, size, size))
        mesh.store()
    mesh.restore(2)
    assert mesh.mesh.extents.tolist() == [1, 1, 1]
    found = copick.from_file(config).runs[0]
    assert found.filaments[0].numpy()[0][-1].tolist() == [1, 0, 0]
    assert found.meshes[0].mesh.extents.tolist() == [1, 1, 1]


def test_c5_a_version_that_is_broken_is_not_restored(picks: copick.CopickPicks) -> None:
    picks.from_numpy(place(1))
    Path(picks.path).write_text("{")
    picks.store(overwrite=True)
    broken = picks.history()[-1]
    with pytest.raises(FormatError, match="no JSON"):
        picks.restore(broken)
    assert xs(picks) == [1]


# --- versions are not times


def test_c3_a_change_in_the_same_tick_of_the_clock_is_seen(picks: copick.CopickPicks, config: Path) -> None:
    """Upstream writes into the file itself: the same inode, and on coarse clocks the same time and size."""
    picks.from_numpy(place(1))
    path, mine = Path(picks.path), again(config)
    assert xs(mine) == [1]
    before = path.stat()
    text = path.read_text()
    with path.open("r+") as file:
        file.write(text.replace('"x": 1.0', '"x": 2.0'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size)
    for stale in (mine, picks):  # one has loaded, the other saved
        with pytest.raises(ConflictError):
            stale.from_numpy(place(1, 3))
    mine.store(merge=True)
    assert xs(again(config)) == [2, 3]


class CoarseStore(FaultyStore):
    """A server whose clock stands still: documents of one size have one version tag."""

    def _coarse(self, stat: Stat) -> Stat:
        return Stat(stat.key, stat.size, 0.0, f"{stat.size:x}")

    def local_path(self, key: str) -> None:
        return None

    def stat(self, key: str) -> Stat:
        return self._coarse(super().stat(key))

    def children(self, prefix: str = "") -> tuple[list[str], list[Stat]]:
        folders, files = super().children(prefix)
        return folders, [self._coarse(stat) for stat in files]

    def get_version(self, key: str) -> tuple[bytes, str]:
        return self.get(key), self.stat(key).etag

    def put(self, key: str, data: Any, *, if_match: str | None = None, **options: Any) -> str:
        if if_match is not None and self.stat(key).etag != if_match:
            raise ConflictError("changed", where=key)
        super().put(key, data, **options)
        return self.stat(key).etag


def test_c3_a_server_with_a_coarse_clock_loses_nothing_that_was_loaded(config: Path) -> None:
    settings = copick.CopickConfigFSSpec.model_validate_json(config.read_text())
    store = CoarseStore(open_store("memory://"))

    def opened() -> copick.CopickPicks:
        (picks,) = copick.CopickRoot(settings, overlay=store).picks()
        return picks

    copick.CopickRoot(settings, overlay=store).new_run("TS_001").new_picks("ribosome", "1").from_numpy(place(1))
    mine, theirs = opened(), opened()
    assert xs(mine) == xs(theirs) == [1]
    theirs.from_numpy(place(2))
    with pytest.raises(ConflictError):
        mine.from_numpy(place(3))
    mine.store(merge=True)
    assert xs(opened()) == [2, 3]


def test_c3_a_clock_that_is_behind_makes_no_version_come_again(tmp_path: Path) -> None:
    """A file of a machine whose clock is ahead is replaced by one that is newer still."""
    store = open_store(tmp_path)
    seen = {store.put("a/x", b"1")}
    ahead = (tmp_path / "a" / "x").stat().st_mtime_ns + 10**12
    os.utime(tmp_path / "a" / "x", ns=(ahead, ahead))
    for number in range(20):
        tag = store.stat("a/x").etag
        seen.add(tag)
        assert store.put("a/x", b"%d" % (number % 2), if_match=tag) == store.stat("a/x").etag
        time = (tmp_path / "a" / "x").stat().st_mtime_ns
        assert time > ahead
        ahead = time
    assert len(seen) == 21


def test_c3_a_copy_by_hard_links_stays_as_it_was(run: copick.CopickRun, tmp_path: Path) -> None:
    """``cp -al`` of a project shares inodes, which nothing of ours writes into."""
    picks = run.new_picks("ribosome", "1")
    picks.from_numpy(place(1))
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.ones(SIZE))
    run.new_segmentation(10, "membrane", "1").from_numpy(np.ones(SIZE, int))
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "overlay", copy, copy_function=os.link)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    picks.from_numpy(place(2))
    picks.restore(2)
    tomogram.set_region(0, z=1)
    run.segmentations[0].from_numpy(np.zeros(SIZE, int))
    run.segmentations[0].set_region(1, z=1)
    picks.delete()
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_c5_what_somebody_saves_while_it_is_deleted_is_not_lost(
    picks: copick.CopickPicks, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a document and its removal somebody saves: the state in the history is theirs."""
    picks.from_numpy(place(1))
    theirs = again(config)
    assert xs(theirs) == [1]
    from tomoportal.copick import versions

    remember, calls = versions._remember, []

    def meanwhile(*arguments: object) -> None:
        remember(*arguments)  # type: ignore[arg-type]
        if not calls:
            calls.append(1)
            theirs.from_numpy(place(1, 2))

    monkeypatch.setattr(versions, "_remember", meanwhile)
    picks.delete()
    monkeypatch.undo()
    assert not Path(picks.path).exists()
    made = picks.run.new_picks("ribosome", "1")
    made.restore(made.history()[-1])
    assert xs(made) == [1, 2]


# --- configs


def test_c3_a_config_that_somebody_saved_is_not_replaced(config: Path, tmp_path: Path) -> None:
    mine, theirs = copick.from_file(config), copick.from_file(config)
    theirs.new_object("virus", True)
    theirs.save_config(config)
    mine.new_object("vault", True)
    with pytest.raises(ConflictError, match="saved by somebody else"):
        mine.save_config(config)
    names = [each["name"] for each in json.loads(config.read_text())["pickable_objects"]]
    assert names[-1] == "virus"
    mine.save_config(tmp_path / "elsewhere.json")  # a file of its own
    mine.save_config(tmp_path / "elsewhere.json")
    retry = copick.from_file(config)
    assert retry.new_object("vault", True).label == 6
    retry.save_config(config)
    retry.new_object("capsid", True)
    retry.save_config(config)
    mine.save_config(config, overwrite=True)
    assert [each.name for each in copick.from_file(config).pickable_objects][-1] == "vault"


# --- volumes


def test_c7_two_writers_of_one_volume_leave_one_of_both(config: Path, run: copick.CopickRun) -> None:
    """Chunks of zeros are not stored, so that a mixture of two volumes would show the other one's voxels in them."""
    run.new_segmentation(10, "all", "1", True).from_numpy(np.ones(SIZE, int))

    volumes = [np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)]
    volumes[0][..., :100], volumes[1][..., 200:] = 1, 2

    def write(volume: np.ndarray) -> None:
        mine = copick.from_file(config).runs[0].segmentations[0]
        for _ in range(25):
            mine.from_numpy(volume, overwrite=True)

    at_once(write, volumes)
    folder = Path(run.segmentations[0].path)
    found = copick.from_file(config).runs[0].segmentations[0].numpy()
    assert any(np.array_equal(found, volume) for volume in volumes)
    assert sorted(path.name for path in folder.parent.iterdir()) == [".history", folder.name]


def test_two_writers_of_regions_in_one_chunk_lose_nothing(config: Path, run: copick.CopickRun) -> None:
    run.new_segmentation(10, "all", "1", True).from_numpy(np.zeros(SIZE, int))

    def write(first: int) -> None:
        mine = copick.from_file(config).runs[0].segmentations[0]
        for x in range(first, 60, 2):
            mine.set_region(1, x=x)

    at_once(write, (0, 1))
    assert run.segmentations[0].numpy()[0, 0].tolist() == [1] * 60 + [0] * 200


# --- names


@pytest.mark.parametrize(("one", "other"), [("Ada", "ada"), ("Jos\u00e9", "Jose\u0301")])
def test_c33_names_that_a_disk_cannot_tell_apart_are_refused(one: str, other: str, run: copick.CopickRun) -> None:
    """Differences of case only, or of Unicode form only: on macOS both files would be the same."""
    root, spacing = run.root, run.new_voxel_spacing(10)
    root.new_run(one)
    run.new_picks("ribosome", "1", one)
    run.new_mesh("ribosome", one)
    run.new_filaments("microtubule", one)
    run.new_segmentation(10, one, "1", True)
    tomogram = spacing.new_tomogram(one)
    tomogram.new_features(one)
    for make in (
        lambda: root.new_run(other),
        lambda: run.new_picks("ribosome", "1", other),
        lambda: run.new_mesh("ribosome", other),
        lambda: run.new_filaments("microtubule", other),
        lambda: run.new_segmentation(10, other, "1", True),
        lambda: spacing.new_tomogram(other),
        lambda: tomogram.new_features(other),
    ):
        with pytest.raises(AnnotationError, match="only in case or Unicode form") as caught:
            make()
        assert caught.value.fix
    run.new_segmentation(20, other, "1", True)  # another file


@pytest.mark.parametrize("length", [150, 177, 178, 179, 190, 200, 215, 240, 255])
def test_c33_a_name_that_is_accepted_can_be_written(length: int, run: copick.CopickRun) -> None:
    """Volumes are written beside the old ones, under names that are longer."""
    spacing, one, other = run.new_voxel_spacing(10), "x" * 100, "y" * (length - 100)
    kept = 0
    for make in (
        lambda: spacing.new_tomogram("x" * length),
        lambda: run.new_segmentation(10, one, other, True),
        lambda: run.new_picks("ribosome", one, other),
    ):
        with suppress(AnnotationError):
            made = make()
            kept += 1
            for _ in range(2):
                made.from_numpy(np.ones((2, 3)) if isinstance(made, copick.CopickPicks) else np.ones((2, 2, 2), int))
    assert kept == sum((length <= 200, length <= 187, length <= 240))
    with pytest.raises(AnnotationError, match="over 255 bytes"):
        run.new_picks("ribosome", "x" * 200, "y" * 41)


# --- units


def test_c42_filaments_in_other_units_are_refused(run: copick.CopickRun, config: Path) -> None:
    filaments = run.new_filaments("microtubule", "1")
    filaments.from_numpy([[[0, 0, 0], [1, 1, 1]]])
    path = Path(filaments.path)
    path.write_text(path.read_text().replace('"angstrom"', '"nanometer"'))
    found = copick.from_file(config).runs[0].filaments[0]
    with pytest.raises(FormatError, match="nanometer"):
        found.numpy()


def test_c10_points_that_are_assigned_without_loading_keep_the_document_s_keys(
    picks: copick.CopickPicks, config: Path
) -> None:
    path = Path(picks.path)
    told = {**json.loads(path.read_text()), "trust_orientation": False, "voxel_spacing": 10.0, "note": 1}
    path.write_text(json.dumps(told))
    mine = again(config)
    mine.points = points(1)
    mine.store()
    found = json.loads(path.read_text())
    assert {**found, "points": []} == {**told, "points": []}
    assert xs(again(config)) == [1]


def test_c5_without_a_history_saves_are_conditional_all_the_same(tmp_path: Path, make_config: Any) -> None:
    config = make_config(tmp_path, history=0)
    picks = copick.from_file(config).new_run("TS_001").new_picks("ribosome", "1")
    mine = again(config)
    picks.from_numpy(place(1))
    picks.from_numpy(place(1, 2))
    assert picks.history() == []
    assert list((tmp_path / "overlay").rglob(".history")) == []
    with pytest.raises(ConflictError):
        mine.from_numpy(place(3))
    mine.store(merge=True)
    assert xs(again(config)) == [1, 2, 3]
    assert [error["loc"] for error in _errors_of(tmp_path, make_config, history=-1)] == [("history",)]


def _errors_of(folder: Path, make_config: Any, **changes: Any) -> list[Any]:
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as caught:
        copick.from_file(make_config(folder, **changes))
    return list(caught.value.errors())


def test_c3_two_who_bring_back_what_was_deleted_keep_both(
    picks: copick.CopickPicks, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look that finds nothing and the write somebody else has written."""
    from tomoportal.copick import versions

    mine, theirs = again(config), again(config)
    mine.points, theirs.points = [*mine.points, *points(1)], [*theirs.points, *points(2)]
    again(config).delete()
    load, calls = versions.load, []

    def meanwhile(*arguments: Any) -> tuple[bytes, str]:
        try:
            return load(*arguments)
        except NotFoundError:
            calls.append(1)
            if len(calls) == 2:  # the first look told that it was deleted, the second comes before the write
                theirs.store(merge=True)
            raise

    monkeypatch.setattr(versions, "load", meanwhile)
    mine.store(merge=True)
    assert len(calls) > 2
    assert xs(again(config)) == [1, 2]
