"""STOPGAP motivelists: orig + shift, angles, and the tomogram that a filter asks for."""

import numpy as np
import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.rotations import about_x, about_z
from tomoportal.formats.star import read_star
from tomoportal.formats.stopgap import stopgap_counts, stopgap_points

COLUMNS = ["tomo_num", "object", "orig_x", "orig_y", "orig_z", "score", "x_shift", "y_shift", "z_shift"]
COLUMNS += ["phi", "psi", "the", "class"]
ROWS = ["7 1 10 20 30 0.5 0.5 -1 2 10 20 30 1", "8 1 1 2 3 0.9 0 0 0 0 0 0 2", "7 2 4 5 6 0.1 0 0 0 0 90 0 1"]


def motivelist(columns=COLUMNS, rows=ROWS, block="stopgap_motivelist"):
    text = f"\ndata_{block}\n\nloop_\n" + "".join(f"_{column}\n" for column in columns) + "\n" + "\n".join(rows) + "\n"
    return read_star(text.encode(), "motl.star")


def test_positions_are_orig_plus_shift_and_the_matrix_is_not_inverted():
    points = stopgap_points(motivelist(), shape="OrientedPoint", filter_value="7")
    assert points.locations.tolist() == [[10.5, 19, 32], [4, 5, 6]]
    expected = about_z([20])[0] @ about_x([30])[0] @ about_z([10])[0]
    np.testing.assert_allclose(points.rotations[0], expected, atol=1e-12)
    # psi = 90° about z takes the particle's x axis to the tomogram's y axis
    np.testing.assert_allclose(points.rotations[1][:, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("filter_value", "x"),
    [
        ("7", [10.5, 4]),
        ("007", [10.5, 4]),
        (" 8.0", [1]),
        ("9", []),
        ("tomo_num=7,object=2", [4]),
        ("score>=0.5", [10.5, 1]),
        ("class=1", [10.5, 4]),
    ],
)
def test_filters(filter_value, x):
    assert stopgap_points(motivelist(), shape="Point", filter_value=filter_value).locations[:, 0].tolist() == x


def test_without_a_filter_there_are_no_rows_as_in_the_public_portal():
    assert len(stopgap_points(motivelist(), shape="Point")) == 0
    assert stopgap_points(motivelist(), shape="OrientedPoint").kind == "orientedPoint"
    assert stopgap_counts(motivelist()) == {"7": 2, "8": 1}


def test_what_is_refused():
    with pytest.raises(FormatError, match="data_stopgap_motivelist"):
        stopgap_points(motivelist(block="stopgap_wedgelist"), shape="Point", filter_value="7")
    columns = ["other" if column == "the" else column for column in COLUMNS]
    with pytest.raises(FormatError, match="lacks the"):
        stopgap_points(motivelist(columns), shape="OrientedPoint", filter_value="7")
    with pytest.raises(FormatError, match="no number"):
        stopgap_points(motivelist(), shape="Point", filter_value="TS_07")
    with pytest.raises(FormatError, match="column name"):
        stopgap_points(motivelist(), shape="Point", filter_value="name=TS_07")


@pytest.mark.real_data
def test_a_real_motivelist(real_data):
    path = real_data / "annotations/stopgap/class6_er_mr1_1_sg.star"
    star = read_star(path.read_bytes(), path.name)
    assert sum(stopgap_counts(star).values()) == 14561
    points = stopgap_points(star, shape="OrientedPoint", filter_value="24")
    assert len(points) == 443
    np.testing.assert_allclose(points.locations[0], [824.2121, 754.6012, 678.4676], atol=1e-9)
    expected = about_z([65.255699])[0] @ about_x([8.6516])[0] @ about_z([33.2584])[0]
    np.testing.assert_allclose(points.rotations[0], expected, atol=1e-12)
    wedges = real_data / "annotations/stopgap/wedge_list.star"
    with pytest.raises(FormatError, match="data_stopgap_wedgelist"):
        stopgap_points(read_star(wedges.read_bytes(), wedges.name), shape="Point", filter_value="17")
