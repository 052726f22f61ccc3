"""IMOD models: contours, slicer angles, and files that promise more than they hold."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.imod_model import IMOD_FIRST_VOXEL, imod_points, read_imod_model
from tomoportal.formats.rotations import about_x, about_y, about_z


def contour(*points):
    body = b"".join(struct.pack(">3f", *point) for point in points)
    return b"CONT" + struct.pack(">iIii", len(points), 0, 0, 0) + body


def model(*chunks, end=b"IEOF"):
    return b"IMODV1.2".ljust(240, b"\0") + b"".join(chunks) + end


def chunk(tag, body):
    return tag + struct.pack(">i", len(body)) + body


def thing(name=b"vesicles"):
    return b"OBJT" + name.ljust(64, b"\0") + bytes(112)


def slicer(centre, angles):
    return chunk(b"SLAN", struct.pack(">i3f3f32s", 1, *angles, *centre, b"view"))


MESH = b"MESH" + struct.pack(">iiIhh", 2, 3, 0, 0, 0) + bytes(2 * 12 + 3 * 4)
TWO = model(
    thing(b"a"),
    contour((1, 2, 3), (4, 5, 6)),
    chunk(b"IMAT", bytes(16)),
    MESH,
    contour(),
    thing(b"b"),
    contour((7, 8, 9)),
)


def test_points_of_all_contours_and_the_meshes_passed_over():
    parsed = read_imod_model(TWO, "m.mod")
    assert parsed.object_names == ("a", "b")
    assert parsed.objects == (1, 1, 2)
    assert imod_points(TWO, "m.mod", shape="Point").locations.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert imod_points(TWO, "m.mod", shape="Point", filter_value="2").locations.tolist() == [[7, 8, 9]]
    assert len(imod_points(TWO, "m.mod", shape="Point", filter_value="name=a")) == 2
    assert len(imod_points(TWO, "m.mod", shape="Point", filter_value="3")) == 0
    with pytest.raises(FormatError, match="belong to no object"):
        imod_points(TWO, "m.mod", shape="OrientedPoint", filter_value="1")


def test_contours_or_objects_are_instances():
    assert imod_points(TWO, "m.mod", shape="InstanceSegmentation").instance_ids.tolist() == [1, 1, 3]
    by_object = imod_points(TWO, "m.mod", shape="InstanceSegmentation", instances="object")
    assert by_object.instance_ids.tolist() == [1, 1, 2]


def test_slicer_angles_are_orientations():
    data = model(thing(), contour((0, 0, 0)), slicer((10, 20, 30), (10, 20, 30)))
    points = imod_points(data, "m.mod", shape="OrientedPoint")
    assert points.locations.tolist() == [[10, 20, 30]]
    expected = about_z([-30])[0] @ about_y([-20])[0] @ about_x([-10])[0]
    np.testing.assert_allclose(points.rotations[0], expected, atol=1e-9)
    with pytest.raises(FormatError, match="no slicer angles"):
        imod_points(TWO, "m.mod", shape="OrientedPoint")


def test_imods_own_origin_can_be_subtracted():
    points = imod_points(TWO, "m.mod", shape="Point", first_voxel=IMOD_FIRST_VOXEL)
    assert points.locations[0].tolist() == [0.5, 1.5, 3]


def test_a_model_may_end_without_ieof():
    assert len(imod_points(model(thing(), contour((1, 1, 1)), end=b""), "m.mod", shape="Point")) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"MODV1.2",
        b"IMODV1.2",
        model(contour((1, 2, 3))),
        model(thing(), b"CONT" + struct.pack(">iIii", 2**31 - 1, 0, 0, 0)),
        model(thing(), b"CONT" + struct.pack(">iIii", -1, 0, 0, 0)),
        model(thing(), b"MESH" + struct.pack(">iiIhh", 2**31 - 1, 2**31 - 1, 0, 0, 0)),
        model(thing(), b"MESH" + struct.pack(">iiIhh", 5, -20, 0, 0, 0)),
        model(thing(), b"VIEW" + struct.pack(">i", -8)),
        model(thing(), b"VIEW" + struct.pack(">i", 2**31 - 1)),
        model(thing(), b"CONT\0", end=b""),
        model(thing()[:100], end=b""),
        model(thing(), contour((np.nan, 0, 0))),
        model(thing(), slicer((0, np.inf, 0), (0, 0, 0))),
    ],
)
def test_what_is_refused(data):
    with pytest.raises(FormatError):
        read_imod_model(data, "m.mod")


coordinate = st.floats(-1e5, 1e5, width=32)


@given(st.lists(st.lists(st.tuples(coordinate, coordinate, coordinate), max_size=5), max_size=5))
def test_contours_survive(contours):
    parsed = read_imod_model(model(thing(), *(contour(*points) for points in contours)), "m.mod")
    assert [points.tolist() for points in parsed.contours] == [[list(point) for point in one] for one in contours]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "count", "contours", "objects", "first", "views"),
    [
        ("correct189", 74, 74, 1, (98.5, 691.5, 112), 0),
        ("cz_oriented_points", 4, 4, 1, (235.42159, 682.91248, 301.95468), 4),
        ("slicer_angle_example", 4, 4, 1, (235.42159, 682.91248, 301.95468), 4),
        ("meshed_contour_example", 286, 67, 1, (673.69580, 853.43494, 32.87541), 0),
        ("multiple_objects_example", 6, 2, 3, (367.00006, 661.83344, 134), 4),
        ("two_contour_example", 25, 2, 1, (64.33334, 64.66667, 80), 0),
    ],
)
def test_real_models(real_data, name, count, contours, objects, first, views):
    data = (real_data / f"annotations/imod/{name}.mod").read_bytes()
    parsed = read_imod_model(data, name)
    assert (len(parsed.contours), len(parsed.object_names), len(parsed.slicer_views)) == (contours, objects, views)
    points = imod_points(data, name, shape="Point")
    assert len(points) == count
    np.testing.assert_allclose(points.locations[0], first, atol=1e-5)
    assert imod_points(data, name, shape="InstanceSegmentation").object_count == contours


@pytest.mark.real_data
def test_real_slicer_angles(real_data):
    data = (real_data / "annotations/imod/cz_oriented_points.mod").read_bytes()
    points = imod_points(data, "cz", shape="OrientedPoint")
    np.testing.assert_allclose(points.locations[0], (235.51958, 682.74414, 302), atol=1e-5)
    x, y, z = read_imod_model(data, "cz").slicer_views[0].angles
    assert (round(x, 2), round(y, 2), round(z, 2)) == (13.1, 0.0, -30.2)
    assert abs(points.rotations[0][2, 2] - np.cos(np.radians(x))) < 1e-9
