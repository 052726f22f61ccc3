import contextlib
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.alignments import SectionAlignment, identity_affine
from tomoportal.formats.imod import export_imod, imod_sections, read_tilt_com, read_xf, write_xf
from tomoportal.formats.tilt_angles import read_tilt_angles

IDENTITY = [1.0, 0, 0, 1, 0, 0]


def rotated(degrees, dx, dy):
    """A row of an .xf file as IMOD writes it."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [cosine, -sine, sine, cosine, dx, dy]


def test_the_example_of_the_archive_layout():
    """A = [[c, s], [-s, c]] is stored transposed; offsets are Aᵀ·(−d), in Å (F22)."""
    xf = read_xf(b"  0.0923706 0.9957247 -0.9957247 0.0923706 -2.0 2.5\n", "TS_run1.xf")
    (section,) = imod_sections(xf, [-4.4], [0.1], pixel_spacing=3.3702, name="TS_run1")
    assert section.in_plane_rotation == ((0.0923706, -0.9957247), (0.9957247, 0.0923706))
    assert (section.z_index, section.tilt_angle, section.volume_x_rotation) == (0, -4.4, 0.1)
    assert section.x_offset == pytest.approx(3.3702 * (0.0923706 * 2.0 - 0.9957247 * -2.5))
    assert section.y_offset == pytest.approx(3.3702 * (0.9957247 * 2.0 + 0.0923706 * -2.5))


@given(st.floats(-180, 180), st.floats(-500, 500), st.floats(-500, 500), st.floats(-200, 200), st.floats(-200, 200))
def test_stored_parameters_undo_the_transform(angle, dx, dy, x, y):
    """IMOD moves a point p of the raw image to A·p + d; the stored ones move it back: R·p' + t = p."""
    row = rotated(angle, dx, dy)
    aligned = np.array([row[0] * x + row[1] * y + dx, row[2] * x + row[3] * y + dy])
    (section,) = imod_sections(np.array([row]), [0.0], pixel_spacing=1.0, name="a")
    back = np.array(section.in_plane_rotation) @ aligned + [section.x_offset, section.y_offset]
    np.testing.assert_allclose(back, [x, y], atol=1e-9)


decimal = st.integers(-999_999, 999_999).map(lambda value: value / 1000)
hundredth = st.integers(-9000, 9000).map(lambda value: value / 100)


@given(
    st.lists(st.tuples(st.integers(-180, 180), decimal, decimal, hundredth, hundredth), min_size=1, max_size=8),
    st.floats(0.5, 20),
    st.data(),
)
def test_export_gives_the_files_back(rows, spacing, data):
    xf = write_xf([rotated(angle, dx, dy) for angle, dx, dy, _, _ in rows])
    tilts, x_tilts = [row[3] for row in rows], [row[4] for row in rows]
    excluded = data.draw(st.sets(st.integers(1, len(rows))))
    assume(len(excluded) < len(rows))
    sections = imod_sections(
        read_xf(xf, "a.xf"), tilts, x_tilts, pixel_spacing=spacing, name="a", excluded_views=excluded
    )
    files = export_imod(sections, pixel_spacing=spacing, section_count=len(rows))
    assert files.excluded_views == tuple(sorted(excluded))
    kept = [index for index in range(len(rows)) if index + 1 not in excluded]
    np.testing.assert_array_equal(read_xf(files.xf, "b.xf")[kept], read_xf(xf, "a.xf")[kept])
    np.testing.assert_array_equal(read_tilt_angles(files.tlt, "b")[kept], np.array(tilts)[kept])
    np.testing.assert_array_equal(read_tilt_angles(files.xtilt, "b")[kept], np.array(x_tilts)[kept])


def test_a_magnification_survives_too():
    xf = np.array([[1.01, -0.2, 0.21, 0.99, 5.0, -7.0]])
    sections = imod_sections(xf, [1.0], pixel_spacing=2.0, name="a")
    np.testing.assert_array_equal(read_xf(export_imod(sections, pixel_spacing=2.0).xf, "b"), xf)


def test_missing_sections_are_excluded_with_an_angle_in_between():
    sections = imod_sections(
        np.array([IDENTITY] * 4), [-10.0, 0.0, 10.0, 20.0], pixel_spacing=1, name="a", excluded_views=[2, 4]
    )
    assert [section.z_index for section in sections] == [0, 2]
    files = export_imod(sections, pixel_spacing=1, section_count=4)
    assert files.excluded_views == (2, 4)
    assert files.tlt == b" -10.00\n   0.00\n  10.00\n  10.00\n"
    assert files.xtilt == b"   0.00\n" * 4


@pytest.mark.parametrize(
    ("tilts", "x_tilts", "options", "message"),
    [
        ([0.0], None, {}, r"\.xf 2, \.tlt 1"),
        ([0.0, 1.0], [0.0], {}, r"\.xtilt 1"),
        ([0.0, 1.0], None, {"excluded_views": [3]}, r"\[3\] do not exist"),
        ([0.0, 1.0], None, {"pixel_spacing": 0}, "pixel spacing"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(tilts, x_tilts, options, message):
    with pytest.raises(FormatError, match=message):
        imod_sections(np.array([IDENTITY] * 2), tilts, x_tilts, **{"pixel_spacing": 1.0, "name": "TS", **options})


def test_a_singular_transform_is_refused():
    with pytest.raises(FormatError, match="row 2"):
        imod_sections(np.array([IDENTITY, [1, 1, 1, 1, 0, 0]]), [0.0, 1.0], pixel_spacing=1, name="a")


@pytest.mark.parametrize("indices", [[], [0, 0], [-1, 0], [0, 5]])
def test_export_refuses_impossible_sections(indices):
    sections = [SectionAlignment(index, 0.0, 0.0, ((1.0, 0.0), (0.0, 1.0)), 0.0, 0.0) for index in indices]
    with pytest.raises(FormatError):
        export_imod(sections, pixel_spacing=1, section_count=3)


@pytest.mark.parametrize("bad", ["1 2 3 4 5", "1 2 3 4 5 6 7", "1 2 3 4 5 x", "1 2 3 4 5 nan", "1 2 3 4 5 1_0"])
def test_the_line_of_a_bad_transform_is_named(bad):
    with pytest.raises(FormatError) as raised:
        read_xf(f"1 0 0 1 0 0\n\n{bad}\n".encode(), "a.xf")
    assert raised.value.where == "a.xf:3"


def test_the_default_is_the_identity():
    assert identity_affine() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


COM = b"""$setenv IMOD_OUTPUT_FORMAT MRC
$tilt -StandardInput
InputProjections\tTS_ali.mrc
#THICKNESS 1
THICKNESS 1200
XAXISTILT -1.5
offset 2.85
SHIFT 3 -12.5
IMAGEBINNED 4
FULLIMAGE 3708 3832
EXCLUDELIST2 1,4-6, 9
EXCLUDELIST 12
"""


def test_tilt_com():
    com = read_tilt_com(COM, "tilt.com")
    assert (com.tilt_offset, com.x_axis_tilt, com.shift, com.thickness) == (2.85, -1.5, (3.0, -12.5), 1200.0)
    assert com.excluded_views == (1, 4, 5, 6, 9, 12)
    assert (com.image_binned, com.full_image) == (4, (3708, 3832))
    assert com.entries["INPUTPROJECTIONS"] == "TS_ali.mrc"


def test_tilt_com_defaults():
    com = read_tilt_com(b"THICKNESS 10\n", "tilt.com")
    assert (com.tilt_offset, com.x_axis_tilt, com.shift, com.excluded_views) == (0, 0, (0, 0), ())
    assert (com.image_binned, com.full_image) == (1, None)


@pytest.mark.parametrize("bad", ["OFFSET", "OFFSET x", "SHIFT 1 y", "FULLIMAGE 1", "EXCLUDELIST2 1,a", "THICKNESS nan"])
def test_the_line_of_a_bad_option_is_named(bad):
    with pytest.raises(FormatError) as raised:
        read_tilt_com(f"TILTFILE a.tlt\n\n{bad}\n".encode(), "tilt.com")
    assert raised.value.where == "tilt.com:3"


def test_another_command_file_is_refused():
    with pytest.raises(FormatError, match=r"tilt\.com"):
        read_tilt_com(b"$newstack -StandardInput\nInputFile a.mrc\n", "newst.com")


lines = st.sampled_from(
    ["1 0 0 1 0 0", "OFFSET 1", "THICKNESS", "THICKNESS 1e999", "EXCLUDELIST 3-1", "$x", "#", "a b"]
)


@given(st.binary() | st.lists(lines).map(lambda rows: "\n".join(rows).encode()))
def test_any_bytes_are_understood_or_a_format_error(data):
    for read in (read_xf, read_tilt_com):
        with contextlib.suppress(FormatError):
            read(data, "fuzz")


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "count"), [("TS_001/TS_001", 40), ("imod_1/tilt_1", 59)])
def test_a_real_alignment_goes_there_and_back(real_data, name, count):
    folder = real_data / "tilt/imod"
    xf, tlt, xtilt = ((folder / f"{name}{ending}").read_bytes() for ending in (".xf", ".tlt", ".xtilt"))
    angles, x_angles = read_tilt_angles(tlt, "tlt"), read_tilt_angles(xtilt, "xtilt")
    sections = imod_sections(read_xf(xf, "xf"), angles, x_angles, pixel_spacing=1.35, name=name)
    assert len(sections) == count
    files = export_imod(sections, pixel_spacing=1.35)
    assert files.xf == xf
    np.testing.assert_array_equal(read_tilt_angles(files.tlt, "tlt"), angles)
    np.testing.assert_array_equal(read_tilt_angles(files.xtilt, "xtilt"), x_angles)
    assert files.excluded_views == ()


@pytest.mark.real_data
def test_first_section_of_ts_001(real_data):
    xf = read_xf((real_data / "tilt/imod/TS_001/TS_001.xf").read_bytes(), "TS_001.xf")
    section = imod_sections(xf, np.zeros(40), pixel_spacing=1.0, name="TS_001")[0]
    # 0.1020875 0.9947760 -0.9947760 0.1020875 2.395 -3.871
    assert section.in_plane_rotation == ((0.1020875, -0.994776), (0.994776, 0.1020875))
    assert section.x_offset == pytest.approx(-0.1020875 * 2.395 - 0.994776 * 3.871)
    assert section.y_offset == pytest.approx(-0.994776 * 2.395 + 0.1020875 * 3.871)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "thickness", "binned", "size"),
    [
        ("TS_017_tilt.com", 1500, 1, (4096, 4096)),
        ("imod_1/tilt.com", 2000, 4, (3708, 3832)),
        ("jensen_mba2012/tilt.com", 900, 2, (2032, 2032)),
    ],
)
def test_real_tilt_com(real_data, file, thickness, binned, size):
    com = read_tilt_com((real_data / "tilt/imod" / file).read_bytes(), file)
    assert (com.thickness, com.image_binned, com.full_image) == (thickness, binned, size)
    assert (com.tilt_offset, com.x_axis_tilt, com.shift, com.excluded_views) == (0, 0, (0, 0), ())
