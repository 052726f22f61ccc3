"""copick's picks: translations, instance ids and scores are used or kept (F34)."""

import json

import numpy as np
import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.copick_picks import copick_points, read_copick_picks

TURN = [[0, -1, 0, 5], [1, 0, 0, -2], [0, 0, 1, 0.5], [0, 0, 0, 1]]


def picks(*points, **entries):
    document = {"pickable_object_name": "ribosome", "user_id": "u", "session_id": 1, "unit": "angstrom", **entries}
    return json.dumps({"points": list(points), **document} if "points" not in entries else document).encode()


def point(x=1, y=2, z=3, **entries):
    return {"location": {"x": x, "y": y, "z": z}, "transformation_": TURN, "instance_id": 4, "score": 0.5, **entries}


def test_f34_the_translation_is_added_to_the_location():
    points = copick_points(picks(point()), "p.json", shape="OrientedPoint")
    assert points.unit == "angstrom"
    assert points.locations.tolist() == [[6, 0, 3.5]]
    np.testing.assert_array_equal(points.rotations[0], np.array(TURN)[:3, :3])


def test_f34_instance_ids_are_the_files():
    points = copick_points(picks(point(), point(instance_id=7)), "p.json", shape="InstanceSegmentation")
    assert points.instance_ids.tolist() == [4, 7]


def test_ids_that_tell_nothing_give_way_to_the_row_number():
    for entry in ({"instance_id": 0}, {"instance_id": None}):
        points = copick_points(picks(point(**entry), point(**entry)), "p.json", shape="InstanceSegmentation")
        assert points.instance_ids.tolist() == [0, 1]


def test_f34_scores_are_kept():
    found = read_copick_picks(picks(point(), point(score=None)), "p.json")
    np.testing.assert_array_equal(found.scores, [0.5, np.nan])
    assert (found.object_name, found.user_id, found.session_id, found.run_name) == ("ribosome", "u", "1", None)


def test_points_null_and_points_without_transformation():
    assert len(copick_points(picks(points=None), "p.json", shape="OrientedPoint")) == 0
    points = copick_points(picks({"location": {"x": 1, "y": 2, "z": 3}}), "p.json", shape="OrientedPoint")
    assert points.rotations[0].tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"points": ' + b"[" * 100_000,
        picks({"location": {"x": 1, "y": 2}}),
        picks(point(transformation_=[[1, 0], [0, 1]])),
        picks(point(instance_id=2**70)),
        picks(point(instance_id=1.5)),
        picks(point(), unit="pixel"),
        picks(point(x=1e999)),
    ],
)
def test_what_is_refused(data):
    with pytest.raises(FormatError):
        copick_points(data, "p.json", shape="Point")


def test_a_matrix_that_is_no_rotation_is_refused_only_where_it_matters():
    mirror = [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    data = picks(point(transformation_=mirror))
    assert len(copick_points(data, "p.json", shape="Point")) == 1
    with pytest.raises(FormatError, match="no rotation"):
        copick_points(data, "p.json", shape="OrientedPoint")


@pytest.mark.real_data
def test_the_portals_fixture(real_data):
    data = (real_data / "annotations/copick/cz_copick.json").read_bytes()
    points = copick_points(data, "cz", shape="OrientedPoint")
    assert points.locations.tolist()[:2] == [[40, 20, 30], [0, 50, 10]]
    np.testing.assert_allclose(points.rotations[0][0], [0, -(0.5**0.5), 0.5**0.5])
    assert len(points) == 4
    assert read_copick_picks(data, "cz").scores.tolist() == [1, 1, 1, 1]
