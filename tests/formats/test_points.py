import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tomoportal.errors import FormatError
from tomoportal.formats.points import AngstromPoints, Points, VoxelPoints
from tomoportal.formats.rotations import about_z

coordinates = st.floats(-1e6, 1e6)
locations = st.integers(0, 20).flatmap(lambda n: hnp.arrays(np.float64, (n, 3), elements=coordinates))


@given(locations, st.floats(0.01, 100))
def test_units_convert_by_the_spacing_and_back(array, spacing):
    points = VoxelPoints(array)
    angstrom = points.in_angstrom(spacing)
    assert isinstance(angstrom, AngstromPoints)
    assert angstrom.unit == "angstrom"
    np.testing.assert_allclose(angstrom.locations, array * spacing)
    np.testing.assert_allclose(angstrom.in_voxels(spacing).locations, array, rtol=1e-12, atol=1e-300)
    assert points.in_voxels(spacing) is points
    assert angstrom.in_angstrom(spacing) is angstrom


@pytest.mark.parametrize("spacing", [0, -1, float("nan"), float("inf")])
def test_impossible_spacings_are_refused(spacing):
    with pytest.raises(FormatError):
        VoxelPoints(np.zeros((1, 3))).in_angstrom(spacing)
    with pytest.raises(FormatError):
        AngstromPoints(np.zeros((1, 3))).in_voxels(spacing)


def test_kinds_counts_and_immutability():
    point = VoxelPoints(np.zeros((4, 3)))
    oriented = VoxelPoints(np.zeros((4, 3)), np.tile(np.eye(3), (4, 1, 1)))
    instances = VoxelPoints(np.zeros((4, 3)), instance_ids=np.array([7, 7, 2, 7]))
    assert [p.kind for p in (point, oriented, instances)] == ["point", "orientedPoint", "instancePoint"]
    assert [p.object_count for p in (point, oriented, instances)] == [4, 4, 2]
    assert [VoxelPoints.empty(p.kind).kind for p in (point, oriented, instances)] == [
        "point",
        "orientedPoint",
        "instancePoint",
    ]
    with pytest.raises(ValueError, match="read-only"):
        point.locations[0, 0] = 1


def test_the_callers_array_stays_writable():
    array = np.zeros((1, 3))
    VoxelPoints(array)
    array[0, 0] = 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros((2, 2)),), "locations"),
        ((np.full((1, 3), np.nan),), "not finite"),
        ((np.zeros((2, 3)), np.zeros((1, 3, 3))), "rotations"),
        ((np.zeros((2, 3)), None, np.zeros(3, int)), "instance ids"),
        ((np.zeros((1, 3)), np.eye(3)[None], np.zeros(1, int)), "not both"),
        ((np.zeros((1, 3)), None, np.array([1.5])), "not whole"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays, message):
    with pytest.raises(FormatError, match=message):
        VoxelPoints(*arrays)


def test_reversing_the_axes_turns_a_rotation_about_z_into_one_about_x():
    points = VoxelPoints(np.array([[1.0, 2.0, 3.0]]), about_z([90]))
    turned = points.with_axes_reversed()
    assert turned.locations.tolist() == [[3.0, 2.0, 1.0]]
    # x → y becomes z → y, and y → −x becomes y → −z
    np.testing.assert_allclose(turned.rotations[0], [[1, 0, 0], [0, 0, 1], [0, -1, 0]], atol=1e-12)
    again = turned.with_axes_reversed()
    np.testing.assert_array_equal(again.rotations, points.rotations)


def test_selecting_and_concatenating():
    points = VoxelPoints(np.arange(9.0).reshape(3, 3), instance_ids=np.array([1, 2, 3]))
    chosen = points.select(np.array([True, False, True]))
    assert chosen.instance_ids.tolist() == [1, 3]
    both = VoxelPoints.concatenate([chosen, points])
    assert both.instance_ids.tolist() == [1, 3, 1, 2, 3]
    assert len(VoxelPoints.concatenate([])) == 0
    with pytest.raises(FormatError):
        VoxelPoints.concatenate([points, VoxelPoints.empty()])
    assert isinstance(both, Points)


def test_a_point_lies_in_the_voxel_of_its_rounded_coordinate():
    points = VoxelPoints(np.array([[-0.4, 0, 0], [-0.6, 0, 0], [3.4, 2.4, 1.4], [3.6, 0, 0], [0, 0, 2.0]]))
    assert points.outside((2, 3, 4)).tolist() == [False, True, False, True, True]
