"""Motivelists in EM files, and EM files that are none."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.motivelist import motivelist_points
from tomoportal.formats.rotations import about_x, about_z


def em(table, *, machine=6, kind=5, shape=None):
    order = "<" if machine == 6 else ">"
    table = np.asarray(table, np.float64).reshape(-1, 20)
    shape = (20, len(table), 1) if shape is None else shape
    header = struct.pack(f"{order}4B3i", machine, 0, 0, kind, *shape)
    return header.ljust(512, b"\0") + table.astype(order + {5: "f4", 9: "f8"}.get(kind, "f4")).tobytes()


def particle(position=(0, 0, 0), shift=(0, 0, 0), phi=0, psi=0, theta=0, tomogram=1):
    values = np.zeros(20)
    values[4], values[7:10], values[10:13], values[16:19] = tomogram, position, shift, (phi, psi, theta)
    return values


@pytest.mark.parametrize("machine", [0, 3, 5, 6])
@pytest.mark.parametrize("kind", [5, 9])
def test_byte_orders_and_types(machine, kind):
    data = em([particle((10, 20, 30), (0.5, -1, 2))], machine=machine, kind=kind)
    assert motivelist_points(data, "m.em", shape="Point").locations.tolist() == [[9.5, 18, 31]]


def test_orientation_takes_phi_psi_theta_from_rows_17_to_19():
    found = motivelist_points(em([particle(phi=10, psi=20, theta=30)]), "m.em", shape="OrientedPoint").rotations[0]
    expected = about_z([20])[0] @ about_x([30])[0] @ about_z([10])[0]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_one_tomogram():
    data = em([particle(tomogram=1), particle((5, 5, 5), tomogram=2)])
    assert motivelist_points(data, "m.em", shape="Point", filter_value="2").locations.tolist() == [[4, 4, 4]]
    assert len(motivelist_points(data, "m.em", shape="Point")) == 2
    assert len(motivelist_points(em([]), "m.em", shape="Point")) == 0


def test_lists_with_a_row_per_particle():
    table = np.array([particle((5, 6, number), tomogram=2) for number in range(3)])
    turned = em(table.T, shape=(3, 20, 1))
    assert motivelist_points(turned, "m.em", shape="Point", filter_value="2").locations[:, 2].tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        em([particle()])[:511],
        em([particle()])[:-1],
        em([particle()]) + b"\0",
        em([particle()], machine=7),
        em([particle()], kind=2),
        em([particle()], shape=(20, 2**31 - 1, 1)),  # promises 160 GB
        em([particle()], shape=(2**31 - 1, 2**31 - 1, 2**31 - 1)),
        em([particle()], shape=(20, -1, 1)),
        em([particle((np.nan, 0, 0))]),
    ],
)
def test_what_is_refused(data):
    with pytest.raises(FormatError):
        motivelist_points(data, "m.em", shape="Point")


@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4, width=32)] * 3), max_size=20))
def test_positions_survive(positions):
    found = motivelist_points(em([particle(position) for position in positions]), "m.em", shape="Point")
    np.testing.assert_array_equal(found.locations, np.array(positions, np.float64).reshape(-1, 3) - 1)


@pytest.mark.real_data
def test_real_files(real_data):
    folder = real_data / "annotations/em"
    found = motivelist_points((folder / "motl_ribosome.em").read_bytes(), "motl", shape="OrientedPoint")
    assert len(found) == 1023
    np.testing.assert_allclose(found.locations[0], [735.89586687, 737.89386672, 527.43536630], atol=1e-6)
    expected = about_z([162.52817])[0] @ about_x([134.87393])[0] @ about_z([-86.204811])[0]
    np.testing.assert_allclose(found.rotations[0], expected, atol=1e-6)
    for name in ("int2.em", "ribosome_bin4_48cube.em"):
        with pytest.raises(FormatError, match="no motivelist"):
            motivelist_points((folder / name).read_bytes(), name, shape="Point")
