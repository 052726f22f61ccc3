"""Documents of picks that are larger than anyone would like: some points at a time, in bounded memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.copick import pick_input, pick_output
from tomoportal.copick.pick_input import read_picks
from tomoportal.copick.pick_output import write_picks
from tomoportal.errors import FormatError

FIELDS = {"pickable_object_name": "ribosome", "user_id": "ada", "session_id": "1"}
TURN = [[0.0, -1.0, 0.0, 4.0], [1.0, 0.0, 0.0, 5.0], [0.0, 0.0, 1.0, 6.0], [0.0, 0.0, 0.0, 1.0]]


def point(number: int, **more: Any) -> dict[str, Any]:
    return {"location": {"x": number, "y": number + 0.5, "z": -number}, **more}


DOCUMENTS: dict[str, dict[str, Any]] = {
    "empty": {"points": []},
    "absent": {},
    "null": {"points": None, "trust_orientation": False},
    "plain": {"points": [point(n, instance_id=n, score=n / 10) for n in range(7)]},
    "turned late": {"points": [point(n) for n in range(5)] + [point(9, transformation_=TURN)]},
    "odd late": {"points": [point(n) for n in range(5)] + [point(9, colour={"a": [1]}, score=None)]},
    "odd location": {"points": [{"location": {"x": 1, "y": 2, "z": 3, "w": 4}}, point(1, instance_id=None)] * 3},
    "nm": {"unit": "nm", "points": [point(n, transformation_=TURN) for n in range(5)], "mine": {"a": None}},
    "text": {"points": [{"location": {"x": "1", "y": "2", "z": "3"}}] * 4},
}
BAD: dict[str, Any] = {
    "no point": {"points": [point(n) for n in range(5)] + [7]},
    "not affine": {"points": [point(n) for n in range(4)] + [point(1, transformation_=[[1.0] * 4] * 4)]},
    "no list": {"points": 5},
    "no user": {"user_id": None},
    "no length": {"unit": "pixel", "points": [point(1)]},
}


def told(data: bytes) -> Any:
    try:
        found = read_picks(data, "file")
    except FormatError as error:
        return str(error)
    table = found.table
    known = {key: value for key, value in found.fields.items() if value != DEFAULTS.get(key, ...)}
    arrays = (table.positions, table.all_transforms(), table.all_ids(), table.all_scores())
    return [known, *(each.tolist() for each in arrays), table.extras]


DEFAULTS = {"run_name": None, "voxel_spacing": None, "unit": "angstrom", "trust_orientation": True}


@pytest.mark.parametrize("name", [*DOCUMENTS, *BAD])
def test_a_document_that_is_read_in_blocks_gives_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with the number of the point that is wrong."""
    data = json.dumps({**FIELDS, **{**DOCUMENTS, **BAD}[name]}).encode()
    expected = told(data)
    monkeypatch.setattr(pick_input, "_LARGE", 0)
    monkeypatch.setattr(pick_input, "_BLOCK", 2)
    assert told(data) == expected
    assert isinstance(expected, str) == (name in BAD)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"points": [NaN]}', b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_told_as_before(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = told(data)
    monkeypatch.setattr(pick_input, "_LARGE", -1)
    assert told(data) == expected
    assert isinstance(expected, str)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_is_written_in_blocks_has_the_same_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_picks(json.dumps({**FIELDS, **DOCUMENTS[name]}).encode(), "file")
    expected = write_picks(found.table, found.fields)
    monkeypatch.setattr(pick_output, "_BLOCK", 2)
    assert write_picks(found.table, found.fields) == expected
    assert told(expected)[1:] == told(json.dumps({**FIELDS, **DOCUMENTS[name]}).encode())[1:]


@pytest.mark.parametrize(
    "more", [b',"x":' + b"[" * 100_000 + b"]" * 100_000, b',"points":' + b"[" * 100_000 + b"]" * 100_000]
)
def test_brackets_without_end_are_refused_and_the_file_stays(more: bytes, root: copick.CopickRoot) -> None:
    run = root.new_run("TS_1")
    run.new_picks("ribosome", "1", "ada")
    place = Path(run.picks[0].path)
    place.write_bytes(json.dumps(FIELDS).encode()[:-1] + more + b"}")
    fresh = copick.from_file(root_config(root)).get_run("TS_1").picks[0]  # type: ignore[union-attr]
    with pytest.raises(FormatError, match="nested too deeply"):
        fresh.numpy()
    assert fresh.history() == []
    assert place.stat().st_size > 200_000


def root_config(root: copick.CopickRoot) -> Path:
    return Path(root.root_overlay).parent / "copick_config.json"


# Counts its own CPU seconds and its own peak above what it had before, which no other program on the machine changes.
MILLION = """
import json, resource, sys, time
import numpy as np
import tomoportal.copick as copick

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000

root = copick.from_file(sys.argv[1])
picks = root.get_run("TS_1").picks[0]
picks.path  # listed
before, start = peak(), time.process_time()
positions = picks.numpy()[0] if sys.argv[2] == "points" else picks.arrays().positions
told = [len(positions), time.process_time() - start, peak() - before]
start = time.process_time()
picks.from_numpy(positions[::-1])
print(json.dumps([*told, time.process_time() - start, peak() - before, len(picks.history())]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "count", "megabytes", "after_saving", "seconds"),
    [("points", 10**6, 900, 1700, 60), ("odd", 2 * 10**5, 400, 700, 40)],
)
def test_a_million_points_in_one_document(
    kind: str, count: int, megabytes: int, after_saving: int, seconds: int, root: copick.CopickRoot
) -> None:
    """200 MB that are read with three times, and 800 MB that are written with twice, their size; one odd key each
    costs time, and nothing is lost."""
    run = root.new_run("TS_1")
    run.new_picks("ribosome", "1", "ada")
    more = ', "colour": "red"' if kind == "odd" else ""
    with Path(run.picks[0].path).open("w") as file:
        file.write(json.dumps(FIELDS)[:-1] + ', "points": [')
        for number in range(count):
            place = f'{{"x": {number / 8}, "y": {number / 4}, "z": {number / 2}}}'
            rest = f'"transformation_": {TURN}, "instance_id": {number}{more}'
            file.write(f'{"," if number else ""}{{"location": {place}, {rest}}}')
        file.write("]}")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", MILLION, root_config(root), kind], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found, read, peak, written, later, versions = json.loads(done.stdout)
    assert found == count
    assert versions == 1
    assert peak < megabytes
    assert later < after_saving
    assert read + written < seconds
    fresh = copick.from_file(root_config(root)).get_run("TS_1").picks[0]  # type: ignore[union-attr]
    np.testing.assert_array_equal(fresh.numpy()[0][[0, -1], 0], [(count - 1) / 8, 0])


@pytest.mark.slow
def test_a_million_unknown_keys_survive(root: copick.CopickRoot) -> None:
    """C10"""
    run = root.new_run("TS_1")
    run.new_picks("ribosome", "1", "ada")
    place = Path(run.picks[0].path)
    place.write_text(json.dumps({**FIELDS, "points": [], **{f"key_{number}": number for number in range(10**6)}}))
    fresh = copick.from_file(root_config(root)).get_run("TS_1").picks[0]  # type: ignore[union-attr]
    fresh.from_numpy([[1, 2, 3]])
    found = json.loads(place.read_text())
    assert len(found["points"]) == 1
    assert sum(key.startswith("key_") for key in found) == 10**6
    assert found["key_999999"] == 999_999
