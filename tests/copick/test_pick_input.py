"""Documents of picks become tables: the fast way, and the plain ones that it must agree with."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.copick import pick_input
from tomoportal.copick.pick_documents import PickTable, table_of
from tomoportal.copick.pick_input import read_picks
from tomoportal.copick.pick_output import write_picks
from tomoportal.errors import FormatError

FIELDS = {"pickable_object_name": "ribosome", "user_id": "ada", "session_id": "1", "unit": "angstrom"}

numbers = st.floats(allow_nan=False, allow_infinity=False, width=64) | st.integers(-(2**53), 2**53)
rows = st.lists(numbers, min_size=4, max_size=4)
bottoms = st.just([0, 0, 0, 1]) | st.just([0.0, -0.0, 0.0, 1.0]) | st.just([0, 1e-9, 0, 1])
matrices = st.builds(lambda upper, bottom: [*upper, bottom], st.lists(rows, min_size=3, max_size=3), bottoms)
identity = st.just(np.eye(4).tolist())
points = st.fixed_dictionaries(
    {"location": st.fixed_dictionaries({"x": numbers, "y": numbers, "z": numbers})},
    optional={
        "transformation_": identity | matrices | st.none(),
        "instance_id": st.integers(-(2**63), 2**63 - 1) | st.none(),
        "score": numbers | st.none(),
    },
)


def same(one: PickTable, other: PickTable) -> bool:
    return one.same_as(other) and one.all_transforms().tobytes() == other.all_transforms().tobytes()


@given(st.lists(points, max_size=5))
def test_all_ways_to_read_a_document_give_one_table(given_points: list[dict[str, Any]]) -> None:
    data = json.dumps({**FIELDS, "points": given_points}).encode()
    table = read_picks(data, "x").table
    assert same(table, pick_input._table_of_structs(pick_input._DECODER.decode(data).points, "x"))
    if all(point.get("transformation_", 0) is not None for point in given_points):  # absent, but never null
        assert same(table, pick_input._read_any(data, "x").table)


def test_a_regular_document_takes_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_input, "_table_of_structs", None)
    turned = np.eye(4)[None].repeat(3, 0)
    turned[1, :3] = [[0, -1, 0, 5.5], [1, 0, 0, -0.0], [0, 0, 1, 0]]
    table = table_of(np.arange(9).reshape(3, 3) / 7, turned, [0, 2**40, 1], [0.5, 1, -1])
    for written in (write_picks(table, FIELDS), write_picks(table, FIELDS, compact=True)):
        found = read_picks(written, "x").table
        assert same(found, table)
        assert found.all_transforms().tobytes() == turned.tobytes()
        assert all(column is None or column.base is None for column in (found.positions, found.rotations, found.scores))
    assert read_picks(json.dumps({**FIELDS, "points": []}).encode(), "x").table.count == 0


def test_columns_of_defaults_take_no_memory() -> None:
    plain = read_picks(write_picks(table_of(np.ones((2, 3))), FIELDS), "x").table
    assert (plain.rotations, plain.translations, plain.instance_ids, plain.scores) == (None, None, None, None)
    moved = np.eye(4)[None].repeat(2, 0)
    moved[1, :3, 3] = 1, 2, 3
    table = read_picks(write_picks(table_of(np.ones((2, 3)), moved), FIELDS), "x").table
    assert table.rotations is None
    assert table.translations is not None
    assert np.array_equal(table.all_transforms(), moved)


@pytest.mark.parametrize("bottom", [[0, 0, 0, 2], [1, 0, 0, 1], [0, 0, 0.1, 1]])
def test_c42_a_matrix_that_is_not_affine_is_refused_with_its_place(bottom: list[float]) -> None:
    good, bad = np.eye(4).tolist(), [*np.eye(4).tolist()[:3], bottom]
    place = {"location": {"x": 0, "y": 0, "z": 0}}
    text = json.dumps({**FIELDS, "points": [{**place, "transformation_": each} for each in (good, bad)]})
    for data in (text, text.replace('"x"', '"note": 1, "x"', 1)):
        with pytest.raises(FormatError, match=r"points\[1\]\.transformation_ is not affine"):
            read_picks(data.encode(), "x")


def test_units_are_converted_with_the_translation() -> None:
    matrix = np.eye(4)
    matrix[:3, 3] = 1, 2, 3
    point = {"location": {"x": 1, "y": 0, "z": 0}, "transformation_": matrix.tolist()}
    found = read_picks(json.dumps({**FIELDS, "unit": "nm", "points": [point]}).encode(), "x")
    assert found.table.positions.tolist() == [[10, 0, 0]]
    assert found.table.all_translations().tolist() == [[10, 20, 30]]
    assert found.fields["unit"] == "angstrom"


def test_an_id_that_no_array_holds_is_refused() -> None:
    point = {"location": {"x": 1, "y": 0, "z": 0}, "instance_id": 2**63}
    with pytest.raises(FormatError, match=r"points\[0\] is no point"):
        read_picks(json.dumps({**FIELDS, "points": [point]}).encode(), "x")
