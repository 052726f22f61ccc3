"""AreTomo's alignments: which section a row is, offsets in Å, what upstream dropped."""

import math

import numpy as np
import pytest

from tomoportal.errors import FormatError
from tomoportal.formats.aretomo import read_aretomo

HEAD = "# AreTomo Alignment / Priims bprmMn\n# RawSize = 100 200 4\n# NumPatches = 2\n# DarkFrame =   1  0  -66.00\n"
OFFSETS = "# AlphaOffset = 1.50\n# BetaOffset = -2.50\n# Thickness = 300\n"
LABELS = "# SEC     ROT         GMAG       TX          TY      SMEAN     SFIT    SCALE     BASE     TILT\n"
ROWS = "".join(f"  {n} 30.0 1.0 {n}.5 -2 1 1 1 0 {tilt}\n" for n, tilt in enumerate((-60, 0, 60)))
LOCAL = "# Local Alignment\n 0 0 -10.5 -20 1 2 1.0\n 0 1 10 20 3 4 0.0\n"
FULL = HEAD + OFFSETS + LABELS + ROWS + LOCAL


def aln(text=FULL):
    return read_aretomo(text.encode(), "t.aln")


def test_rows_are_the_sections_that_are_not_dark():
    alignment = aln()
    assert alignment.raw_size == (100, 200, 4)
    assert alignment.dark_sections == (1,)
    assert alignment.original_sections() == (0, 2, 3)
    assert [section.z_index for section in alignment.sections(2.0)] == [0, 2, 3]


def test_f22_offsets_are_angstrom_and_the_rotation_is_that_of_rot():
    section = aln().sections(2.0)[1]
    assert (section.x_offset, section.y_offset, section.tilt_angle, section.volume_x_rotation) == (3.0, -4.0, 0.0, 0.0)
    np.testing.assert_allclose(
        section.in_plane_rotation, [[math.sqrt(0.75), -0.5], [0.5, math.sqrt(0.75)]], rtol=0, atol=1e-15
    )


def test_f23_offsets_of_the_axes_are_kept():
    assert (aln().tilt_offset, aln().x_rotation_offset, aln().thickness) == (1.5, -2.5, 300)
    assert (aln(HEAD + LABELS + ROWS).tilt_offset, aln(HEAD + LABELS + ROWS).thickness) == (0, None)


def test_f24_local_alignment_is_kept():
    alignment = aln()
    assert (alignment.alignment_type, alignment.patch_count) == ("LOCAL", 2)
    assert alignment.local_shifts[0].centre == (-10.5, -20)
    assert [shift.good for shift in alignment.local_shifts] == [True, False]
    assert aln(HEAD + LABELS + ROWS).alignment_type == "GLOBAL"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line"),
        ("AreTomo\n", "first line"),
        (HEAD, "no section"),
        (HEAD.replace("RawSize", "Raw") + ROWS, "RawSize"),
        (HEAD.replace("100 200 4", "100 200"), "no section"),
        (HEAD.replace("100 200 4", "100 200 1152921504606846976") + ROWS, "RawSize"),
        (HEAD.replace("100 200 4", "100 200 1") + ROWS, "dark frames"),
        (HEAD + "# DarkFrame = 1 0 -66\n" + ROWS, "dark frames"),
        (HEAD + "# DarkFrame = -1 0 -66\n" + ROWS, "section number"),
        (HEAD + ROWS + "1 2 3\n", "3 columns"),
        (HEAD + ROWS + "1 x 3\n", "something else"),
        (HEAD + ROWS + "# Local Alignment\n0 0 1 2 3\n", "5 columns"),
        (FULL.replace("AlphaOffset = 1.50", "AlphaOffset ="), "no value"),
        (FULL.replace("NumPatches = 2", "NumPatches = 2.5"), "NumPatches"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(FormatError, match=message):
        aln(text)


def test_a_file_that_is_cut_is_not_mapped_to_sections():
    alignment = aln(HEAD + LABELS + ROWS[: ROWS.rindex("  2")])
    with pytest.raises(FormatError, match="2 rows and 1 dark frames"):
        alignment.sections(2.0)
    with pytest.raises(FormatError, match="not possible"):
        aln().sections(0)


@pytest.mark.real_data
def test_real_files(real_data):
    folder = real_data / "tilt/aretomo"
    alignment = read_aretomo((folder / "global_and_local.aln").read_bytes(), "g.aln")
    assert alignment.raw_size == (4096, 4096, 51)
    assert alignment.dark_sections == tuple(range(14))
    assert (alignment.tilt_offset, alignment.x_rotation_offset, alignment.thickness) == (12.3, 0, 1910)
    assert (alignment.alignment_type, alignment.patch_count, len(alignment.local_shifts)) == ("LOCAL", 16, 37 * 16)
    sections = alignment.sections(2.0)
    assert [section.z_index for section in sections] == list(range(14, 51))
    assert (sections[0].x_offset, sections[0].y_offset, sections[0].tilt_angle) == (26.764, 43.604, -27.71)
    cut = read_aretomo((folder / "test.aln").read_bytes(), "t.aln")
    assert (cut.raw_size, cut.dark_sections, len(cut.rows)) == ((2032, 2032, 90), (1, 2, 88, 89), 4)
    assert cut.rows[0].shift == (24.786, -2.677)
    with pytest.raises(FormatError, match="4 rows"):
        cut.original_sections()
