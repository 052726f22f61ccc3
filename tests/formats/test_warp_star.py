"""Warp's, WarpTools' and M's particles."""

import numpy as np
import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.points import AngstromPoints, VoxelPoints
from tomoportal.formats.rotations import from_relion_angles
from tomoportal.formats.star import read_star
from tomoportal.formats.warp_star import warp_counts, warp_points


def star(**tables):
    text = ""
    for name, columns in tables.items():
        text += f"\ndata_{name}\n\nloop_\n" + "".join(f"_{column}\n" for column in columns)
        text += "".join(" ".join(map(str, row)) + "\n" for row in zip(*columns.values(), strict=True))
    return read_star(text.encode(), "w.star")


M = {
    "wrpCoordinateX1": [100, 200],
    "wrpCoordinateX2": [101, 201],
    "wrpCoordinateY1": [10, 20],
    "wrpCoordinateZ1": [1, 2],
    "wrpAngleRot1": [10, 0],
    "wrpAngleTilt1": [20, 0],
    "wrpAnglePsi1": [30, 0],
    "wrpSourceName": ["a.tomostar", "b.tomostar"],
}
WARP = {
    "rlnCoordinateX": [10, 20],
    "rlnCoordinateY": [1, 2],
    "rlnCoordinateZ": [3, 4],
    "rlnMicrographName": ["a.tomostar", "b.tomostar"],
}


@pytest.mark.parametrize("single", [False, True])
def test_m_files_hold_angstrom(single):
    columns = {label.rstrip("1"): values for label, values in M.items() if label[-1] != "2"} if single else M
    points = warp_points(star(particles=columns), shape="OrientedPoint", filter_value="a.tomostar")
    assert isinstance(points, AngstromPoints)
    assert points.locations.tolist() == [[100, 10, 1]]
    np.testing.assert_array_equal(points.rotations, from_relion_angles([[10, 20, 30]]))
    assert warp_counts(star(particles=columns)) == {"a.tomostar": 1, "b.tomostar": 1}


def test_pixels_become_angstrom_by_each_groups_pixel_size():
    optics = {"rlnOpticsGroup": [1, 2], "rlnImagePixelSize": [4, 8]}
    particles = {**WARP, "rlnOpticsGroup": [2, 1], "rlnOriginXAngst": [1, 0], "rlnOriginYAngst": [0, 0]}
    particles["rlnOriginZAngst"] = [0, 2]
    points = warp_points(star(optics=optics, particles=particles), shape="Point")
    assert isinstance(points, AngstromPoints)
    assert points.locations.tolist() == [[79, 8, 24], [80, 8, 14]]


def test_warp_1_tells_its_pixel_size_through_the_magnification():
    table = star(p={**WARP, "rlnDetectorPixelSize": [10, 10], "rlnMagnification": [10000, 20000]})
    assert warp_points(table, shape="Point").locations[:, 0].tolist() == [100, 100]
    with pytest.raises(FormatError, match="above 0"):
        warp_points(star(p={**WARP, "rlnDetectorPixelSize": [10, 10], "rlnMagnification": [0, 1]}), shape="Point")


def test_without_any_pixel_size_positions_are_voxels():
    points = warp_points(star(p=WARP), shape="Point", filter_value="b.tomostar")
    assert isinstance(points, VoxelPoints)
    assert points.locations.tolist() == [[20, 2, 4]]


def test_what_is_refused():
    with pytest.raises(FormatError, match="wrpCoordinateX1"):
        warp_points(star(p={"a": [1]}), shape="Point")
    with pytest.raises(FormatError, match="lack rlnAngleRot"):
        warp_points(star(p=WARP), shape="OrientedPoint")
    columns = {label: values for label, values in WARP.items() if label.startswith("rlnC")}
    with pytest.raises(FormatError, match="do not say their tomogram"):
        warp_points(star(p=columns), shape="Point", filter_value="a")


@pytest.mark.real_data
def test_a_real_export(real_data):
    path = real_data / "annotations/star/warp2_particles_matching.star"
    table = read_star(path.read_bytes(), path.name)
    assert sum(warp_counts(table).values()) == 1218
    points = warp_points(table, shape="OrientedPoint", filter_value="TS_17.tomostar")
    assert len(points) == 128
    np.testing.assert_allclose(points.locations[0], [354.242 * 4, 397.132 * 4, 75.828 * 4])
    np.testing.assert_array_equal(points.rotations[0], from_relion_angles([[3867.465, 671.269, 10742.958]])[0])
    # tomograms.star: 4400 × 6000 × 1000 pixels of 0.7894 Å
    everything = warp_points(table, shape="Point").locations
    assert (everything >= 0).all()
    assert (everything <= np.array([4400, 6000, 1000]) * 0.7894).all()
