import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.relion_particles import tomograms_of
from tomoportal.formats.relion_star import filter_counts, relion5_points, relion_points
from tomoportal.formats.star import read_star


def star(table, optics=None, name="particles.star"):
    """A STAR file of a table given as {column: values}."""

    def block(title, columns):
        rows = zip(*columns.values(), strict=True)
        labels = "".join(f"_{column} #{number}\n" for number, column in enumerate(columns, start=1))
        return f"\ndata_{title}\n\nloop_\n{labels}" + "".join(" ".join(map(str, row)) + "\n" for row in rows)

    text = block("particles", table) if optics is None else block("optics", optics) + block("particles", table)
    return read_star(text.encode(), name)


COORDINATES = {"rlnCoordinateX": [10, 20, 30], "rlnCoordinateY": [40, 50, 60], "rlnCoordinateZ": [70, 80, 90]}
ANGLES = {"rlnAngleRot": [90, 0, 0], "rlnAngleTilt": [0, 90, 0], "rlnAnglePsi": [0, 0, 0]}
XYZ = [[10, 40, 70], [20, 50, 80], [30, 60, 90]]


def test_relion3_subtracts_origins_in_pixels():
    table = star({**COORDINATES, "rlnOriginX": [1, 0, 0], "rlnOriginY": [0, -2, 0], "rlnOriginZ": [0, 0, 0.5]})
    points = relion_points(table, format="relion3_star", shape="Point")
    assert points.locations.tolist() == [[9, 40, 70], [20, 52, 80], [30, 60, 89.5]]
    assert points.kind == "point"


def test_relion4_divides_origins_by_the_pixel_size_of_each_optics_group():
    """F33: not by that of the first group."""
    table = star(
        {
            **COORDINATES,
            "rlnOriginXAngst": [8, 8, 8],
            "rlnOriginYAngst": [0, 0, 0],
            "rlnOriginZAngst": [-4, -4, -4],
            "rlnOpticsGroup": [2, 1, 2],
        },
        optics={"rlnOpticsGroup": [1, 2], "rlnImagePixelSize": [2.0, 4.0]},
    )
    points = relion_points(table, format="relion4_star", shape="Point")
    assert points.locations.tolist() == [[8, 40, 71], [16, 50, 82], [28, 60, 91]]


def test_relion4_counts_in_pixels_of_the_tilt_series_whatever_the_binning_of_the_subtomograms():
    """F33 and RELION's own ``ParticleSet::getPosition``: rlnImagePixelSize is that of the binned subtomograms."""
    particles = {**COORDINATES, **ORIGINS, "rlnOpticsGroup": [1, 2, 2]}
    unbinned = {"rlnOpticsGroup": [1, 2], "rlnTomoTiltSeriesPixelSize": [0.5, 0.25]}
    expected = None
    for binning in (1, 2, 4):
        sizes = [binning * size for size in unbinned["rlnTomoTiltSeriesPixelSize"]]
        points = relion_points(
            star(particles, optics={**unbinned, "rlnImagePixelSize": sizes}), format="relion4_star", shape="Point"
        )
        if expected is None:
            expected = points.locations
            plain = relion_points(star(COORDINATES), format="relion4_star", shape="Point").locations
            np.testing.assert_allclose(plain - expected, np.repeat([[2.0], [4.0], [4.0]], 3, axis=1))
        np.testing.assert_allclose(points.locations, expected)
    # The other formats know nothing of it.
    older = relion_points(
        star(particles, optics={**unbinned, "rlnImagePixelSize": [2.0, 2.0]}), format="relion3_star", shape="Point"
    )
    np.testing.assert_allclose(plain - older.locations, 0.5)


_S = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")
_P = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")


def _zyz(rot, tilt, psi):
    """The intrinsic rotation about z, the new y, the new z (degrees)."""

    def turn(degrees, first, second):
        matrix, angle = np.eye(3), math.radians(degrees)
        matrix[first, first] = matrix[second, second] = math.cos(angle)
        matrix[first, second], matrix[second, first] = -math.sin(angle), math.sin(angle)
        return matrix

    return turn(rot, 0, 1) @ turn(tilt, 2, 0) @ turn(psi, 0, 1)


def test_relion4_turns_particles_and_their_origins_with_the_subtomogram():
    """R = S·P, position = coordinate − S·origin / pixel size, row by row."""
    rng = np.random.default_rng(3)
    angles = {name: rng.uniform(-180, 180, 3).tolist() for name in (*_S, *_P)}
    origins = {f"rlnOrigin{axis}Angst": rng.uniform(-9, 9, 3).tolist() for axis in "XYZ"}
    table = star(
        {**COORDINATES, **angles, **origins, "rlnOpticsGroup": [1, 1, 1]},
        optics={"rlnOpticsGroup": [1], "rlnTomoTiltSeriesPixelSize": [1.5], "rlnImagePixelSize": [6.0]},
    )
    points = relion_points(table, format="relion4_star", shape="OrientedPoint")
    for row in range(3):
        turn, own = (_zyz(*(angles[name][row] for name in names)).T for names in (_S, _P))
        origin = [origins[f"rlnOrigin{axis}Angst"][row] for axis in "XYZ"]
        coordinate = [COORDINATES[f"rlnCoordinate{axis}"][row] for axis in "XYZ"]
        np.testing.assert_allclose(points.locations[row], coordinate - turn @ origin / 1.5)
        np.testing.assert_allclose(points.rotations[row], turn @ own, atol=1e-12)
    with pytest.raises(FormatError, match="rlnTomoSubtomogramPsi"):
        relion_points(star({**COORDINATES, "rlnTomoSubtomogramRot": [0, 0, 0]}), format="relion4_star", shape="Point")


@pytest.mark.parametrize("format", ["relion3_star", "tomoman_relion_star", "relion4_star"])
def test_missing_origins_are_zero_and_points_need_no_angles(format):
    points = relion_points(star(COORDINATES), format=format, shape="Point")
    assert points.locations.tolist() == XYZ


def test_relion31_files_have_origins_in_angstrom_under_the_old_format_name():
    table = star(
        {**COORDINATES, **{f"rlnOrigin{axis}Angst": [2, 2, 2] for axis in "XYZ"}, "rlnOpticsGroup": [1, 1, 1]},
        optics={"rlnOpticsGroup": [1], "rlnImagePixelSize": [2.0]},
    )
    points = relion_points(table, format="relion3_star", shape="Point")
    np.testing.assert_array_equal(points.locations, np.array(XYZ) - 1)


def test_orientations():
    points = relion_points(star({**COORDINATES, **ANGLES}), format="relion3_star", shape="OrientedPoint")
    np.testing.assert_allclose(
        points.rotations,
        [
            [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
            [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
            [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        ],
        atol=1e-12,
    )


def test_binning_and_reversed_order():
    points = relion_points(
        star({**COORDINATES, **ANGLES}), format="relion3_star", shape="OrientedPoint", binning=10, order="zyx"
    )
    assert points.locations.tolist() == [[7, 4, 1], [8, 5, 2], [9, 6, 3]]
    # P·R·P of −90° about z
    np.testing.assert_allclose(points.rotations[0], [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("format", "column"),
    [("relion3_star", "rlnMicrographName"), ("tomoman_relion_star", "rlnTomoName"), ("relion4_star", "rlnTomoName")],
)
def test_the_filter_takes_the_rows_of_one_tomogram(format, column):
    table = star({**COORDINATES, column: ["TS_1", "TS_10", "TS_1"]})
    assert relion_points(table, format=format, shape="Point", filter_value="TS_1").locations.tolist() == [
        XYZ[0],
        XYZ[2],
    ]
    assert len(relion_points(table, format=format, shape="Point")) == 3
    assert len(relion_points(table, format=format, shape="Point", filter_value="TS_2")) == 0
    assert filter_counts(table, format) == {"TS_1": 2, "TS_10": 1}


def test_a_table_without_the_filter_column():
    with pytest.raises(FormatError, match="rlnTomoName"):
        relion_points(star(COORDINATES), format="relion4_star", shape="Point", filter_value="TS_1")
    assert filter_counts(star(COORDINATES), "relion4_star") == {}


@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 6, st.sampled_from("ABC")), max_size=20), st.floats(0.1, 10))
def test_slices_of_one_parsed_file_are_the_whole(rows, binning):
    names = [*COORDINATES, "rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnTomoName"]
    columns = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    table = star(columns)
    whole = relion_points(table, format="relion4_star", shape="OrientedPoint", binning=binning)
    assert len(whole) == len(rows)
    for tomogram in "ABC":
        part = relion_points(
            table, format="relion4_star", shape="OrientedPoint", binning=binning, filter_value=tomogram
        )
        mask = np.array([row[6] == tomogram for row in rows], bool)
        np.testing.assert_array_equal(part.locations, whole.locations[mask])
        np.testing.assert_array_equal(part.rotations, whole.rotations[mask])


ORIGINS = {f"rlnOrigin{axis}Angst": [1, 1, 1] for axis in "XYZ"}


@pytest.mark.parametrize(
    ("table", "optics", "shape", "message"),
    [
        ({"rlnX": [1]}, None, "Point", "No table has"),
        (COORDINATES, None, "OrientedPoint", "rlnAngleRot, rlnAngleTilt, rlnAnglePsi"),
        ({**COORDINATES, "rlnOriginX": [1, 1, 1]}, None, "Point", "rlnOriginY, rlnOriginZ"),
        ({**COORDINATES, **ORIGINS}, None, "Point", "rlnImagePixelSize"),
        (
            {**COORDINATES, **ORIGINS, "rlnOpticsGroup": [1, 3, 1]},
            {"rlnOpticsGroup": [1, 2], "rlnImagePixelSize": [1, 1]},
            "Point",
            "group 3",
        ),
        (
            {**COORDINATES, **ORIGINS},
            {"rlnOpticsGroup": [1, 2], "rlnImagePixelSize": [1, 2]},
            "Point",
            "no rlnOpticsGroup",
        ),
        (
            {**COORDINATES, **ORIGINS, "rlnOpticsGroup": [1, 1, 1]},
            {"rlnOpticsGroup": [1, 1], "rlnImagePixelSize": [1, 2]},
            "Point",
            "twice",
        ),
        (
            {**COORDINATES, **ORIGINS, "rlnOpticsGroup": [1, 1, 1]},
            {"rlnOpticsGroup": [1], "rlnImagePixelSize": [0]},
            "Point",
            "not above 0",
        ),
        ({**COORDINATES, "rlnCoordinateX": [1, "x", 3]}, None, "Point", "rlnCoordinateX is not a number"),
    ],
)
def test_what_is_missing_is_named(table, optics, shape, message):
    with pytest.raises(FormatError, match=message):
        relion_points(star(table, optics), format="relion4_star", shape=shape)


def test_one_optics_group_needs_no_column():
    table = star({**COORDINATES, **ORIGINS}, optics={"rlnOpticsGroup": [1], "rlnImagePixelSize": [0.5]})
    points = relion_points(table, format="relion4_star", shape="Point")
    np.testing.assert_array_equal(points.locations, np.array(XYZ) - 2)


def test_a_hundred_thousand_particles_in_a_hundred_runs():
    count = 100_000
    values = np.random.default_rng(2).uniform(0, 180, (count, 6)).round(6).tolist()
    names = [*COORDINATES, "rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
    labels = "".join(f"_{name}\n" for name in [*names, "rlnTomoName"])
    data = f"data_particles\nloop_\n{labels}" + "".join(
        f"{a} {b} {c} {d} {e} {f} TS_{row % 100}\n" for row, (a, b, c, d, e, f) in enumerate(values)
    )
    begin = time.process_time()
    table = read_star(data.encode(), "many.star")
    parts = [
        relion_points(table, format="relion4_star", shape="OrientedPoint", filter_value=f"TS_{run}")
        for run in range(100)
    ]
    assert time.process_time() - begin < 3  # 0.5 s measured; once per run it would be 40
    assert sum(len(part) for part in parts) == count


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "format", "runs"),
    [
        ("cz_relion_3_star.star", "relion3_star", ["tomo_1.tomostar", "tomo_2.tomostar", "tomo_3.tomostar"]),
        ("cz_relion_4_star.star", "relion4_star", ["TS_001", "TS_002", "TS_003"]),
    ],
)
def test_files_of_the_public_portals_tests(real_data, file, format, runs):
    table = read_star((real_data / "annotations/star" / file).read_bytes(), file)
    assert filter_counts(table, format) == dict(zip(runs, [2, 3, 1], strict=True))
    points = relion_points(table, format=format, shape="OrientedPoint", filter_value=runs[0])
    # 4 + 1.2, 8 + 2.4, 12 + 3.2 and 4 − 3.2, 4 − 2.4, 4 − 1.2; angles (90, 45, 180) and (−45, 90, 120)
    np.testing.assert_allclose(points.locations, [[5.2, 10.4, 15.2], [0.8, 1.6, 2.8]])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(points.rotations[0], [[0, -half, half], [1, 0, 0], [0, half, half]], atol=1e-12)
    np.testing.assert_allclose(points.rotations[1][:, 2], [0.5, np.sin(np.radians(120)), 0], atol=1e-12)


@pytest.mark.real_data
def test_real_particles_of_relion(real_data):
    folder = real_data / "annotations/star"
    table = read_star((folder / "relion_4.0.star").read_bytes(), "relion_4.0.star")
    counts = filter_counts(table, "relion4_star")
    assert sum(counts.values()) == 1746
    points = relion_points(table, format="relion4_star", shape="OrientedPoint", filter_value="TS_036", binning=2)
    assert len(points) == counts["TS_036"] == 1
    np.testing.assert_allclose(np.linalg.det(points.rotations), 1)
    # RELION 3.1 with two optics groups of 2.446 and 3.446 Å
    table = read_star((folder / "relion_3.1_optics2.star").read_bytes(), "relion_3.1_optics2.star")
    points = relion_points(table, format="relion3_star", shape="Point")
    particles, optics = table.table("particles"), table.table("optics")
    for row in range(3):
        group = particles.text("rlnOpticsGroup")[row]
        pixel = float(optics.text("rlnImagePixelSize")[optics.text("rlnOpticsGroup").index(group)])
        for axis, name in enumerate("XYZ"):
            coordinate = float(particles.text(f"rlnCoordinate{name}")[row])
            origin = float(particles.text(f"rlnOrigin{name}Angst")[row])
            assert points.locations[row, axis] == pytest.approx(coordinate - origin / pixel)
    picks = read_star((folder / "relion5_picks_TS_54_xyz_only.star").read_bytes(), "picks")
    assert len(relion_points(picks, format="relion4_star", shape="Point", filter_value="TS_54")) == 1418


CENTERED = {
    "rlnTomoName": ["TS_1", "TS_2"],
    "rlnCenteredCoordinateXAngst": [0, -100],
    "rlnCenteredCoordinateYAngst": [10, 0],
    "rlnCenteredCoordinateZAngst": [0, 20],
}
RELION5 = {"tomogram_size": (4000, 3000, 2001), "pixel_size": 2.0}
TOMOGRAM_CENTRE = np.array([4000, 3000, 2001])


def test_relion5_positions_count_from_the_centre_of_the_unbinned_tomogram():
    points = relion5_points(star(CENTERED), shape="Point", **RELION5)
    assert points.unit == "angstrom"
    np.testing.assert_array_equal(points.locations, np.add(TOMOGRAM_CENTRE, [[0, 10, 0], [-100, 0, 20]]))
    found = relion5_points(star(CENTERED), shape="Point", filter_value="TS_2", **RELION5)
    np.testing.assert_array_equal(found.locations, [np.add(TOMOGRAM_CENTRE, [-100, 0, 20])])


def test_relion5_turns_by_the_subtomogram_and_then_by_the_particle():
    """The subtomogram's turn is about z by −90°: it takes x to −y, also for the origin in Å."""
    columns = {
        **CENTERED,
        **{f"rlnOrigin{axis}Angst": [value, 0] for axis, value in zip("XYZ", (4, 0, 1), strict=True)},
        "rlnTomoSubtomogramRot": [90, 0],
        "rlnTomoSubtomogramTilt": [0, 0],
        "rlnTomoSubtomogramPsi": [0, 0],
        "rlnAngleRot": [0, 30],
        "rlnAngleTilt": [40, 40],
        "rlnAnglePsi": [0, 50],
    }
    points = relion5_points(star(columns), shape="OrientedPoint", **RELION5)
    np.testing.assert_allclose(points.locations[0], np.add(TOMOGRAM_CENTRE, [0, 10 + 4, -1]), atol=1e-9)
    quarter = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    tilt = math.radians(-40)
    about_y = np.array([[math.cos(tilt), 0, math.sin(tilt)], [0, 1, 0], [-math.sin(tilt), 0, math.cos(tilt)]])
    np.testing.assert_allclose(points.rotations[0], quarter @ about_y, atol=1e-12)


def test_relion5_refusals():
    with pytest.raises(FormatError, match="rlnCenteredCoordinateXAngst") as refused:
        relion5_points(star(COORDINATES), shape="Point", **RELION5)
    assert "relion4_star" in refused.value.fix
    with pytest.raises(FormatError, match="rlnTomoSubtomogramTilt"):
        relion5_points(star({**CENTERED, "rlnTomoSubtomogramRot": [0, 0]}), shape="Point", **RELION5)
    with pytest.raises(FormatError, match="not possible"):
        relion5_points(star(CENTERED), shape="Point", tomogram_size=(1, 1, 1), pixel_size=0)


@pytest.mark.real_data
def test_real_tomogram_lists(real_data):
    for name, tomogram, expected in (
        ("tutorial", "TS_01", ((4000, 4000, 2000), 1.35)),
        ("warp2", "TS_17.tomostar", ((4400, 6000, 1000), 0.7894)),
    ):
        data = (real_data / f"tilt/relion5/{name}/tomograms.star").read_bytes()
        tomograms = tomograms_of(read_star(data, name))
        assert len(tomograms) == 5
        found = tomograms[tomogram]
        assert found.pixel_size == expected[1]
        assert [2 * half / found.pixel_size for half in found.centre] == pytest.approx(expected[0])
