"""Dynamo tables: positions from 1, complex numbers, tomograms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.dynamo import dynamo_points, dynamo_tomograms
from tomoportal.formats.rotations import about_x, about_z


def row(position=(10, 20, 30), shift=(0, 0, 0), angles=(0, 0, 0), tomogram=1, extra=0, **columns):
    values = ["0"] * (26 + extra)
    values[3:6], values[6:9], values[23:26] = map(str, shift), map(str, angles), map(str, position)
    values[19] = str(tomogram)
    for column, value in columns.items():
        values[int(column.removeprefix("c")) - 1] = value
    return " ".join(values)


def points(*rows, **arguments):
    return dynamo_points("\n".join(rows).encode(), "t.tbl", **{"shape": "Point", **arguments})


def test_the_first_voxel_of_a_table_is_1_and_ours_is_0():
    table = row(position=(1, 1, 1)), row(position=(10, 20, 30), shift=(0.5, -1, 2))
    assert points(*table).locations.tolist() == [[0, 0, 0], [9.5, 18, 31]]
    assert points(*table, first_voxel=0).locations.tolist() == [[1, 1, 1], [10.5, 19, 32]]


def test_orientation():
    found = points(row(angles=(30, 60, 75)), shape="OrientedPoint").rotations[0]
    np.testing.assert_allclose(found, about_z([-30])[0] @ about_x([-60])[0] @ about_z([-75])[0], atol=1e-12)


def test_filters():
    table = row(tomogram=3, c22="1"), row(position=(5, 5, 5), tomogram=4, c22="2"), row(tomogram=3, c22="2")
    assert len(points(*table)) == 3
    assert len(points(*table, filter_value="3")) == 2
    assert points(*table, filter_value="tomo=4,class=2").locations.tolist() == [[4, 4, 4]]
    assert len(points(*table, filter_value="5")) == 0
    with pytest.raises(FormatError, match="no number"):
        points(*table, filter_value="TS_03")


def test_complex_numbers_count_with_their_real_part():
    table = row(c24="10+1.2074e-06i", c4="0-3e-9i", c10="0.5+0i", extra=15)
    assert points(table).locations.tolist() == [[9, 19, 29]]
    with pytest.raises(FormatError, match="Column 24"):
        points(row(c24="10+0.5i"))


def test_columns_that_are_not_used_may_hold_anything():
    assert len(points(row(c13="NaN", c17="-", c23="Inf"))) == 1


@pytest.mark.parametrize(("bad", "message"), [("nan", "Column 25"), ("1_0", "Column 25"), ("x", "Column 25")])
def test_bad_numbers_are_named(bad, message):
    with pytest.raises(FormatError, match=message) as refused:
        points(row(), row(c25=bad))
    assert refused.value.where == "t.tbl:2"


def test_short_rows_are_refused():
    with pytest.raises(FormatError, match="25 columns"):
        points(" ".join(["0"] * 25))


def test_the_index_of_tomograms():
    assert dynamo_tomograms(b"1\ttomo one.mrc\n2 b.mrc\n", "t.doc") == {1: "tomo one.mrc", 2: "b.mrc"}
    for text in (b"a b\n", b"1\n", b"1 a\n1 b\n"):
        with pytest.raises(FormatError):
            dynamo_tomograms(text, "t.doc")


@given(st.lists(st.tuples(*[st.floats(-1e5, 1e5)] * 6), max_size=20))
def test_numbers_survive(rows):
    found = points(*(row(position=values[:3], shift=values[3:]) for values in rows))
    expected = np.array([np.add(values[:3], values[3:]) for values in rows]).reshape(-1, 3) - 1
    np.testing.assert_array_equal(found.locations, expected)


@pytest.mark.real_data
def test_real_tables(real_data):
    folder = real_data / "annotations/dynamo"
    data = (folder / "b4_motl_CR_dynamo.tbl").read_bytes()
    found = dynamo_points(data, "b4", shape="OrientedPoint", filter_value="2")
    assert len(dynamo_points(data, "b4", shape="Point")) == 1343
    np.testing.assert_allclose(found.locations[0], [507.0651, 548.1602, 166.6847], atol=1e-9)
    # narot = −180 and tilt = −79.159: a negative tilt is how cryoCAT writes TOM's (phi 180, theta 79.159, psi −144.13)
    expected = about_z([-144.13])[0] @ about_x([79.159])[0] @ about_z([180])[0]
    np.testing.assert_allclose(found.rotations[0], expected, atol=1e-12)
    found = dynamo_points((folder / "t_complex.tbl").read_bytes(), "complex", shape="OrientedPoint")
    assert len(found) == 8742
    np.testing.assert_allclose(found.locations[0], [1018.9 - 1.4197 - 1, 759.36 + 0.57826 - 1, 641.59 + 1.5785 - 1])
    tomograms = dynamo_tomograms((folder / "tmap_complex.doc").read_bytes(), "doc")
    assert len(tomograms) == 48
    assert tomograms[1] == "tomo_ts01.mrc_15.00Apx.mrc"
