"""CTF estimates of four programs in one form."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError
from tomoportal.formats.ctf import CtfSection, read_ctf

CTFFIND = b"# Output from CTFFind version 4.1.10\n# Input file: a.mrc\n# Pixel size: 1.35\n# Columns: #1 - n\n"


def ctffind(rows):
    return read_ctf(CTFFIND + rows, "c.txt", format="CTFFIND")


def imod(text, name="d.defocus"):
    return read_ctf(text.encode(), name, format="IMOD").sections


def gctf(text, **arguments):
    return read_ctf(text.encode(), "g.log", format="Gctf", **arguments)


def test_f29_every_comment_line_is_skipped():
    (section,) = ctffind(b"1.000000 25951.41 24469.37 88.08 0.5 -0.0105 24.6784\n").sections
    assert section == CtfSection(1, 25951.41, 24469.37, 88.08, 0.5, -0.0105, 24.6784)
    assert section.z_index == 0


def test_newer_ctffind_appends_columns_and_failed_fits_are_null():
    sections = ctffind(b"2 1 2 3 4 5 inf 0.1 0.2 0.3\n1 1 2 3 4 nan 6\n").sections
    assert [section.section for section in sections] == [1, 2]
    assert sections[0].cross_correlation is None
    assert sections[1].max_resolution is None


@pytest.mark.parametrize("rows", [b"", b"1 2 3 4 5 6\n", b"1 2 3 4 5 6 x\n", b"1.5 2 3 4 5 6 7\n", b"0 2 3 4 5 6 7\n"])
def test_bad_ctffind_rows(rows):
    with pytest.raises(FormatError):
        ctffind(rows)
    with pytest.raises(FormatError):
        ctffind(b"1 2 3 4 5 6 7\n" * 2)


def test_f28_gctf_without_a_phase_shift_is_null():
    table = gctf("# a\n; b\n% c\n1 100 90 45 0.1 5\n")
    assert table.sections == (CtfSection(1, 100, 90, 45, None, 0.1, 5),)
    assert table.warnings == ()


def test_gctf_phase_shifts_have_the_unit_that_is_given():
    text = "1 100 90 45 90 0.1 5\n"
    assert gctf(text, phase_unit="degree").sections[0].phase_shift == math.pi / 2
    table = gctf(text)
    assert table.sections[0].phase_shift == 90
    assert "degrees" in table.warnings[0]
    for bad in ("1 2 3 4 5\n", "1 2 3 4 5 6 7 8\n", "x 2 3 4 5 6\n"):
        with pytest.raises(FormatError):
            gctf(bad)


def test_gctf_star_files():
    labels = "".join(f"_{label}\n" for label in ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift"))
    first, second = gctf(f"data_\n\nloop_\n{labels}100 90 45 180\n200 190 5 0\n").sections
    assert first == CtfSection(1, 100, 90, 45, math.pi, None, None)
    assert second.section == 2


def test_imod_version_2_has_its_version_at_the_end_of_the_first_row():
    """F28: what the file has no column for is null."""
    first, second = imod("1 1 -60.0 -60.0 3083.5 2\n2 2 -58 -58 3000\n")
    assert first == CtfSection(1, 30835, 30835, None, None, None, None)
    assert second.major_defocus == 30000


@pytest.mark.parametrize(
    ("flags", "columns", "expected"),
    [
        (0, "300", (3000, 3000, None, None)),
        (1, "300 200 30", (3000, 2000, 30, None)),
        (3, "300 200 1.5707963267948966", (3000, 2000, 90, None)),
        (4, "300 90", (3000, 3000, None, math.pi / 2)),
        (5, "300 200 30 180", (3000, 2000, 30, math.pi)),
        (12, "300 0.5", (3000, 3000, None, 0.5)),
        (15, "300 200 0 0.5", (3000, 2000, 0, 0.5)),
        (16, "300", (3000, 3000, None, None)),
        (37, "300 200 30 180 0.01", (3000, 2000, 30, math.pi)),
    ],
)
def test_imod_flags(flags, columns, expected):
    (section,) = imod(f"{flags} 0 0. 0. 0. 3\n1 1 -60 -60 {columns}\n")
    found = (section.major_defocus, section.minor_defocus, section.astigmatic_angle, section.phase_shift)
    assert found == expected
    assert (section.cross_correlation, section.max_resolution) == (None, None)


def test_imod_rows_that_span_views_apply_to_all_of_them():
    assert [section.section for section in imod("1 3 -60 -56 300 2\n4 4 0 0 200\n")] == [1, 2, 3, 4]
    # ranges that overlap: each view belongs to the range whose centre is nearest
    overlapping = imod("1 5 -60 -52 100 2\n3 7 -56 -48 200\n")
    assert [section.major_defocus for section in overlapping] == [1000, 1000, 1000, 1000, 2000, 2000, 2000]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no CTF"),
        ("0 0 -60 -60 300 2\n", "before IMOD 4.1"),
        ("1 1 -60 -60 300 200 30 2\n", "promise 5"),
        ("1 1 -60 -60 300 2\n2 2 -58 -58 300 2\n", "promise 5"),
        ("64 0 0. 0. 0. 3\n1 1 0 0 300\n", "flags"),
        ("1 1152921504606846976 -60 -60 300 2\n", "covers the views"),
        ("3 2 -60 -60 300 2\n", "covers the views"),
        ("".join(f"{n} {n + 9_999} 0 0 300\n" for n in range(1, 30)), "more views"),
        ("1 x -60 -60 300\n", "two views"),
        ("1 1 -60 -60 nan\n", "two views"),
    ],
)
def test_imod_refusals(text, message):
    with pytest.raises(FormatError, match=message):
        imod(text)


def test_an_unknown_format_is_an_error():
    with pytest.raises(FormatError, match="unknown"):
        read_ctf(b"1 2 3 4 5 6 7\n", "c.txt", format="Bsoft")


number = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(*[number] * 6), min_size=1, max_size=20))
def test_ctffind_rows_survive(rows):
    text = "".join(f"{n} " + " ".join(map(repr, row)) + "\n" for n, row in enumerate(rows, 1))
    assert ctffind(text.encode()).sections == tuple(CtfSection(n, *row) for n, row in enumerate(rows, 1))


@pytest.mark.real_data
def test_real_files(real_data):
    table = read_ctf((real_data / "tilt/aretomo/test_CTF.txt").read_bytes(), "a", format="CTFFIND")
    assert table.sections[0] == CtfSection(1, 25951.41, 24469.37, 88.08, 0.0, -0.0105, 24.6784)
    assert len(table.sections) == 3
    table = read_ctf((real_data / "tilt/ctf/017_gctf.star").read_bytes(), "g", format="Gctf")
    assert table.sections[0] == CtfSection(1, 35268.359375, 35036.40625, 21.260185, None, 0.03858, 6.513837)
    assert sorted(table.by_z_index()) == list(range(60))
    table = read_ctf((real_data / "tilt/imod/gijs.defocus").read_bytes(), "i", format="IMOD")
    assert table.sections[0] == CtfSection(1, 30837.0, 28368.0, -15.33, None, None, None)
    assert len(table.sections) == 59
