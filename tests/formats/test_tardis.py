"""TARDIS' tables of instances."""

import numpy as np
import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.points import AngstromPoints, VoxelPoints
from tomoportal.formats.tardis import tardis_points


def test_ids_and_units():
    points = tardis_points(b"IDs,X [A],Y [A],Z [A]\n0,4,8,12\n1.0, 6,4,2\n\n", "t.csv")
    assert isinstance(points, AngstromPoints)
    assert points.locations.tolist() == [[4, 8, 12], [6, 4, 2]]
    assert points.instance_ids.tolist() == [0, 1]
    assert isinstance(tardis_points(b"IDs,X [px],Y [px],Z [px]\n0,4,8,12\n", "t.csv"), VoxelPoints)
    assert isinstance(tardis_points(b"0,4,8,12\n", "t.csv"), VoxelPoints)
    assert len(tardis_points(b"IDs,X [A],Y [A],Z [A]\n", "t.csv")) == 0


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (b"IDs,X,Y,Z\n0.5,1,2,3\n", "t.csv:2", "not a whole number"),
        (b"IDs,X,Y,Z\n0,1,2,3\n\n1,x,2,3\n", "t.csv:4", "three coordinates"),
        (b"IDs,X,Y,Z\n1e300,1,2,3\n", "t.csv:2", "not a whole number"),
        (b"contour_id,x [pix],y [pix]\n0,370,364\n", "t.csv:2", "two coordinates"),
        (b"\0\0\0", "t.csv", "binary"),
    ],
)
def test_what_is_refused(text, where, message):
    with pytest.raises(FormatError, match=message) as refused:
        tardis_points(text, "t.csv")
    assert refused.value.where == where


@pytest.mark.real_data
def test_real_tables(real_data):
    folder = real_data / "annotations/csv"
    points = tardis_points((folder / "tardis_cz.csv").read_bytes(), "cz")
    assert points.instance_ids.tolist()[:4] == [0, 0, 1, 1]
    assert points.locations[0].tolist() == [4, 8, 12]
    points = tardis_points((folder / "derived_tardis_microtubules.csv").read_bytes(), "mt")
    assert isinstance(points, AngstromPoints)
    assert (len(points), points.object_count) == (10, 3)
    np.testing.assert_array_equal(points.locations[1], [4826.72, 10968.458, 535.147])
    with pytest.raises(FormatError, match="two coordinates"):
        tardis_points((folder / "membrane_contours.csv").read_bytes(), "membrane")
