"""Saving picks: nobody's work is lost (C1–C6, C9–C14)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tomoportal.copick as copick
from tomoportal.copick.pick_documents import PickTable, compact, merge_tables, point_names
from tomoportal.errors import (
    AnnotationError,
    ConflictError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    TomoportalError,
)
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore, Killed


def again(config: Path) -> copick.CopickPicks:
    """The picks as somebody else sees them."""
    run = copick.from_file(config).get_run("TS_001")
    assert run is not None
    return run.get_picks("ribosome", "ada", "1")[0]


def place(*numbers: float) -> np.ndarray:
    return np.array([[number, 0.0, 0.0] for number in numbers])


def xs(picks: copick.CopickPicks) -> list[float]:
    return picks.numpy()[0][:, 0].tolist()


# --- conflicts


def test_c3_a_save_over_somebody_elses_is_refused(picks: copick.CopickPicks, config: Path) -> None:
    theirs = again(config)
    theirs.from_numpy(place(1, 2))
    with pytest.raises(ConflictError, match=r"merge=True.*overwrite=True"):
        picks.from_numpy(place(3))
    assert xs(again(config)) == [1, 2]
    picks.refresh()
    picks.from_numpy(place(3))
    assert xs(again(config)) == [3]


def test_c3_overwrite_replaces_and_keeps_theirs_in_the_history(picks: copick.CopickPicks, config: Path) -> None:
    again(config).from_numpy(place(1, 2))
    picks.from_numpy(place(3), overwrite=True)
    assert xs(again(config)) == [3]
    last = picks.history()[-1]
    picks.restore(last)
    assert xs(again(config)) == [1, 2]


def test_c3_merge_keeps_both(picks: copick.CopickPicks, config: Path) -> None:
    picks.from_numpy(place(1, 2, 3))
    theirs = again(config)
    theirs.from_numpy(place(1, 3, 4), scores=np.array([0.5, 1, 1]))  # takes 2 away, adds 4, scores 1
    picks.points = [*picks.points[1:], copick.CopickPoint(location={"x": 5, "y": 0, "z": 0})]  # takes 1 away, adds 5
    picks.store(merge=True)
    assert sorted(xs(again(config))) == [3, 4, 5]


def test_c3_a_listed_document_carries_the_version_it_was_listed_with(picks: copick.CopickPicks, config: Path) -> None:
    picks.from_numpy(place(1))
    blind = again(config)  # listed, never loaded
    picks.from_numpy(place(1, 2))
    blind.points = []
    with pytest.raises(ConflictError):
        blind.store()
    assert xs(again(config)) == [1, 2]


def test_c3_saving_what_somebody_deleted(picks: copick.CopickPicks, config: Path) -> None:
    again(config).delete()
    with pytest.raises(ConflictError, match="deleted"):
        picks.from_numpy(place(1))
    picks.store(merge=True)
    assert xs(again(config)) == [1]


def test_c4_what_is_saved_already_is_not_written_again(picks: copick.CopickPicks, config: Path) -> None:
    picks.from_numpy(place(1, 2))
    before = os.stat(picks.path).st_mtime_ns
    idle = again(config)
    assert len(idle.points) == 2
    idle.store()
    assert os.stat(picks.path).st_mtime_ns == before
    picks.from_numpy(place(7))
    idle.store()  # still what it loaded: nothing to save, and so no conflict and no loss
    assert xs(again(config)) == [7]


def test_c4_also_for_documents_that_others_format_otherwise(picks: copick.CopickPicks, config: Path) -> None:
    document = {
        "points": [{"location": {"x": "1", "y": 2, "z": 3}, "score": None, "colour": "red"}],
        "pickable_object_name": "ribosome",
        "user_id": "ada",
        "session_id": "1",
    }
    Path(picks.path).write_text(json.dumps(document))
    idle = again(config)
    assert idle.points[0].location.x == 1.0
    idle.store()
    assert json.loads(Path(picks.path).read_text()) == document


# --- what is kept


def test_c10_unknown_keys_survive_a_rewrite(picks: copick.CopickPicks, config: Path) -> None:
    picks.from_numpy(place(1, 2))
    document = json.loads(Path(picks.path).read_text())
    document["portal_metadata"] = {"annotation": {"id": 7, "authors": ["Ada"]}}
    document["points"][1]["colour"] = ["red", {"deep": 1}]
    document["points"][0]["location"]["t"] = 4
    Path(picks.path).write_text(json.dumps(document))
    for change in ("points", "arrays"):
        theirs = again(config)
        if change == "points":
            theirs.points[0].score = 0.25
            theirs.store()
        else:
            theirs.trust_orientation = False
            theirs.store()
    found = json.loads(Path(picks.path).read_text())
    assert found["portal_metadata"] == document["portal_metadata"]
    assert found["points"][1]["colour"] == document["points"][1]["colour"]
    assert found["points"][0]["location"] == {"x": 1.0, "y": 0.0, "z": 0.0, "t": 4}
    assert found["points"][0]["score"] == 0.25
    assert found["trust_orientation"] is False


def test_c10_from_numpy_keeps_the_keys_of_the_document(picks: copick.CopickPicks, config: Path) -> None:
    document = json.loads(Path(picks.path).read_text())
    Path(picks.path).write_text(json.dumps({**document, "portal_metadata": 1, "voxel_spacing": 10.0}))
    again(config).from_numpy(place(1))
    found = json.loads(Path(picks.path).read_text())
    assert (found["portal_metadata"], found["voxel_spacing"], found["run_name"]) == (1, 10.0, "TS_001")


def test_c11_the_name_of_the_file_is_the_identity(picks: copick.CopickPicks, config: Path) -> None:
    picks.from_numpy(place(1))
    moved = Path(picks.path).with_name("bob_2_proteasome.json")
    Path(picks.path).rename(moved)
    root = copick.from_file(config)
    run = root.get_run("TS_001")
    assert run is not None
    found = run.get_picks("proteasome", "bob", "2")[0]
    assert xs(found) == [1]
    assert (found.user_id, found.pickable_object_name, found.path) == ("bob", "proteasome", str(moved))
    assert (found.meta.user_id, found.meta.session_id, found.meta.pickable_object_name) == ("bob", "2", "proteasome")
    assert any("its name says 'bob'" in problem.what for problem in root.problems())
    found.store()
    assert json.loads(moved.read_text())["user_id"] == "bob"
    assert [path.name for path in moved.parent.glob("*.json")] == ["bob_2_proteasome.json"]


def test_c13_cleared_points_stay_cleared(picks: copick.CopickPicks, config: Path) -> None:
    picks.from_numpy(place(1, 2))
    picks.points = []
    assert picks.points == []
    assert len(picks.numpy()[0]) == 0
    picks.store()
    assert again(config).points == []


def test_c14_empty_picks_are_read_once(config: Path, tmp_path: Path) -> None:
    store = FaultyStore(open_store(tmp_path / "overlay", create=True))
    root = copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)
    picks = root.new_run("TS_001").new_picks("ribosome", "1")
    before = store.counts["get"]
    for _ in range(3):
        assert picks.points == []
        assert len(picks.numpy()[0]) == 0
    assert store.counts["get"] == before


def test_c91_new_picks_are_one_conditional_write(config: Path, tmp_path: Path) -> None:
    store = FaultyStore(open_store(tmp_path / "overlay", create=True))
    root = copick.CopickRoot(copick.CopickConfigFSSpec.model_validate_json(config.read_text()), overlay=store)
    run = root.new_run("TS_001")
    assert run.picks == []
    before = store.counts["put"]
    run.new_picks("ribosome", "1")
    assert store.counts["put"] == before + 1


# --- history


def test_c5_every_save_keeps_the_state_before(picks: copick.CopickPicks, config: Path) -> None:
    for number in range(4):
        picks.from_numpy(place(*range(number + 1)))
    versions = picks.history()
    assert [version.number for version in versions] == [1, 2, 3, 4]
    difference = picks.diff(2)  # one point
    assert difference.removed[:, 0].tolist() == [1, 2, 3]
    assert len(difference.added) == 0
    picks.restore(3)
    assert xs(again(config)) == [0, 1]
    assert [version.number for version in picks.history()] == [1, 2, 3, 4, 5]
    with pytest.raises(NotFoundError, match="kept are: 1, 2, 3, 4, 5"):
        picks.restore(99)


def test_c5_the_history_is_bounded(tmp_path: Path, make_config) -> None:
    root = copick.from_file(make_config(tmp_path, history=3))
    picks = root.new_run("TS_001").new_picks("ribosome", "1")
    for number in range(6):
        picks.from_numpy(place(number))
    assert [version.number for version in picks.history()] == [4, 5, 6]


def test_c5_what_was_deleted_is_in_the_history(picks: copick.CopickPicks, run: copick.CopickRun) -> None:
    picks.from_numpy(place(5))
    picks.delete()
    assert not Path(picks.path).exists()
    assert run.picks == []
    made = run.new_picks("ribosome", "1")
    made.restore(made.history()[-1])
    assert xs(made) == [5]


def test_diff_of_two_lists(picks: copick.CopickPicks, run: copick.CopickRun) -> None:
    picks.from_numpy(place(1, 2, 3))
    other = run.new_picks("ribosome", "2")
    other.from_numpy(place(2, 3, 4), scores=np.array([0.5, 1.0, 1.0]))
    found = picks.diff(other)
    assert (found.added[:, 0].tolist(), found.removed[:, 0].tolist(), found.changed) == ([4], [1], 1)


# --- read-only, failing and dying


def test_static_picks_are_read_only(tmp_path: Path, make_config) -> None:
    copick.from_file(make_config(tmp_path)).new_run("TS_001").new_picks("ribosome", "1").from_numpy(place(1))
    (tmp_path / "overlay").rename(tmp_path / "static")
    root = copick.from_file(make_config(tmp_path, static_root=str(tmp_path / "static")))
    picks = root.runs[0].picks[0]
    assert picks.read_only
    picks.points = []
    with pytest.raises(PermissionError, match="Cannot store picks in a read-only source"):
        picks.store()
    with pytest.raises(PermissionError, match="Cannot delete picks in a read-only source"):
        picks.delete()
    assert xs(copick.from_file(tmp_path / "copick_config.json").runs[0].picks[0]) == [1]


def test_a_read_only_overlay(config: Path, picks: copick.CopickPicks, tmp_path: Path) -> None:
    picks.from_numpy(place(1))
    settings = copick.CopickConfigFSSpec.model_validate_json(config.read_text())
    root = copick.CopickRoot(settings, overlay=open_store(tmp_path / "overlay", read_only=True))
    found = root.runs[0].picks[0]
    assert found.read_only
    with pytest.raises(ReadOnlyError):
        found.from_numpy(place(2))
    with pytest.raises(PermissionError):
        root.runs[0].new_picks("ribosome", "9")


@pytest.mark.parametrize("kill", [False, True])
def test_c2_a_save_that_fails_anywhere_leaves_the_old_or_the_new(kill: bool, tmp_path: Path, make_config) -> None:
    settings = copick.CopickConfigFSSpec.model_validate_json(make_config(tmp_path).read_text())
    inner = open_store(tmp_path / "overlay", create=True)
    copick.CopickRoot(settings, overlay=inner).new_run("TS_001").new_picks("ribosome", "1").from_numpy(place(0))
    state, number = [0.0], 0
    while True:
        store = FaultyStore(inner, fail_at=number, kill=kill)
        try:
            run = copick.CopickRoot(settings, overlay=store).get_run("TS_001")
            assert run is not None
            run.get_picks("ribosome", "ada", "1")[0].from_numpy(place(*range(100, 101 + number)))
            done = True
        except (StorageError, Killed):
            done = False
        clean = copick.CopickRoot(settings, overlay=inner)
        found = xs(clean.runs[0].picks[0])
        assert found in (state, [*range(100, 101 + number)])
        assert clean.report() == []
        state = found
        if done:
            break
        number += 1
    assert number > 5
    assert state[0] == 100


class UnreliableStore(FaultyStore):
    """Every n-th request fails."""

    every = 3

    def step(self, operation: str, key: str) -> None:
        super().step(operation, key)
        if self.operations % self.every == 0:
            raise StorageError(f"injected fault in {operation}", where=key)


@pytest.mark.parametrize("every", [2, 3, 7, 11])
def test_on_a_store_that_fails_every_nth_request_trying_again_loses_nothing(
    every: int, tmp_path: Path, make_config
) -> None:
    """Listings that failed are not kept as empty ones, and what was said to be saved is there."""
    settings = copick.CopickConfigFSSpec.model_validate_json(make_config(tmp_path).read_text())
    inner = open_store(tmp_path / "overlay", create=True)
    copick.CopickRoot(settings, overlay=inner).new_run("TS_001").new_picks("ribosome", "1").from_numpy(place(0))
    store = UnreliableStore(inner)
    store.every = every
    root = copick.CopickRoot(settings, overlay=store)
    saved, failures = [0.0], 0
    for number in range(1, 40):
        try:
            run = root.get_run("TS_001")
            assert run is not None
            picks = run.get_picks("ribosome", "ada", "1")[0]
            picks.from_numpy(place(number), overwrite=True)
            saved = [float(number)]
        except StorageError:
            failures += 1
        clean = copick.CopickRoot(settings, overlay=inner)
        found = xs(clean.runs[0].picks[0])
        assert found in (saved, [float(number)])
        assert clean.report() == []
        saved = found
    assert failures
    assert every < 7 or saved[0] > 30, "a save is fewer requests"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b'{"points": 3}', b"\xff\xfe", b'{"points": [{}]}', b"[" * 100_000]
)
def test_broken_json_is_named_and_stops_nothing_else(picks: copick.CopickPicks, config: Path, content: bytes) -> None:
    picks.run.new_picks("ribosome", "2").from_numpy(place(2))
    Path(picks.path).write_bytes(content)
    root = copick.from_file(config)
    found = {each.session_id: each for each in root.runs[0].picks}
    with pytest.raises(ValueError, match=r"ada_1_ribosome\.json") as error:
        found["1"].numpy()
    assert isinstance(error.value, TomoportalError)
    assert xs(found["2"]) == [2.0]


SAVE_FOREVER = """
import sys
import numpy as np
import tomoportal.copick as copick
picks = copick.from_file(sys.argv[1]).get_run("TS_001").get_picks("ribosome", "ada", "1")[0]
print("ready", flush=True)
number = 0
while True:
    number += 1
    picks.from_numpy(np.full((500, 3), float(number)))
"""


def test_c1_kill_9_while_saving_and_a_reader_that_never_sees_half(picks: copick.CopickPicks, config: Path) -> None:
    path = Path(picks.path)
    for delay in (0.05, 0.13, 0.21):
        process = subprocess.Popen([sys.executable, "-c", SAVE_FOREVER, str(config)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        end = time.monotonic() + delay
        while time.monotonic() < end:
            points = json.loads(path.read_bytes())["points"]
            assert len({point["location"]["x"] for point in points}) <= 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        found = xs(again(config))
        assert len(found) in (0, 500)
        assert len(set(found)) <= 1
    again(config).from_numpy(place(1))
    assert xs(again(config)) == [1]
    assert [path.name for path in path.parent.iterdir() if path.name.startswith(".tomoportal")] == []


# --- merging, as a property

rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), max_size=6, unique_by=lambda row: row[0])


def table(found: list[tuple[int, int]]) -> PickTable:
    places = np.array([[x, 0.0, 0.0] for x, _ in found]).reshape(-1, 3)
    return compact(places, None, np.array([mark for _, mark in found], np.int64), None, None)


def marks(found: PickTable) -> dict[float, int]:
    return dict(zip(found.positions[:, 0].tolist(), found.all_ids().tolist(), strict=True))


@given(rows, rows, rows)
def test_a_merge_is_three_way(base: list, mine: list, theirs: list) -> None:
    old, new, other = dict(base), dict(mine), dict(theirs)
    found = merge_tables(table(base), table(mine), table(theirs))
    assert len(point_names(found)) == found.count
    expected = {}
    for x in set(new) | set(other):
        if x in old and (x not in new or x not in other):
            continue  # one of us took it away
        changed = x in new and new[x] != old.get(x)
        expected[x] = new[x] if changed or x not in other else other[x]
    assert marks(found) == expected


def test_arrays_that_do_not_fit_are_refused_in_upstreams_words(picks: copick.CopickPicks) -> None:
    eyes = np.tile(np.eye(4), (2, 1, 1))
    bad = eyes.copy()
    bad[1, 3, 3] = 2
    cases = [
        ({"transforms": eyes[:1]}, "Number of positions and transforms must be the same"),
        ({"transforms": bad}, "Last element of transformation matrix must be 1.0"),
        ({"instance_ids": [1]}, "instance_ids must have shape"),
        ({"instance_ids": [-1, 1]}, "instance_ids must be >= 0"),
        ({"instance_ids": [0.5, 1]}, "instance_ids must be integers"),
        ({"scores": [1.0]}, "scores must have shape"),
        ({"scores": [np.nan, 1.0]}, "scores must be finite"),
        ({"transforms": eyes * np.array([1, 1, 1, 1.0])[:, None] * [[[2, 1, 1, 1]]]}, "no rotations"),
    ]
    for arguments, words in cases:
        with pytest.raises(AnnotationError, match=words):
            picks.from_numpy(place(1, 2), **arguments)
    with pytest.raises(ValueError, match="finite"):
        picks.from_numpy(place(np.nan))
    assert picks.refresh() is None
    assert xs(picks) == []


@pytest.mark.parametrize(
    "positions",
    [[[1, 2, 3]], np.array([[1, 2, 3]], "f4"), np.asfortranarray([[1.0, 2, 3]]), np.arange(1.0, 7)[None, :3],
     np.arange(12.0).reshape(2, 6)[:1, ::2] / 2 + 1, np.zeros((0, 3)), []],
)  # fmt: skip
def test_arrays_of_every_kind(positions: object, picks: copick.CopickPicks, config: Path) -> None:
    picks.from_numpy(positions)
    assert again(config).numpy()[0].tolist() in ([[1, 2, 3]], [])
