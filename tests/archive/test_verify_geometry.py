"""Geometry that is silently wrong elsewhere: what is told, in which words, and what is right and stays quiet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.archive import Archive, Finding, verify
from tomoportal.archive.verification.acquisition import angle_findings, mdoc_findings, parse_angles
from tomoportal.archive.verification.alignments import aligned_angle_findings, matrix_findings, parse_alignment_file
from tomoportal.archive.verification.annotation_files import point_findings
from tomoportal.archive.verification.frames import read_stack
from tomoportal.archive.verification.tiltseries import axis_findings, pixel_findings, range_findings
from tomoportal.archive.verification.tomograms import field_findings
from tomoportal.archive.verification.volumes import spacing_findings
from tomoportal.formats.mdoc import Mdoc, read_mdoc
from tomoportal.formats.points import VoxelPoints
from tomoportal.storage import open_store


def rules(findings: Iterable[Finding]) -> list[str]:
    return [each.rule for each in findings]


def mdoc(header: str = "", sections: str = "[ZValue = 0]\nTiltAngle = 0\n") -> Mdoc:
    return read_mdoc(f"{header}\n{sections}".encode(), "x.mdoc")


@pytest.mark.parametrize(
    ("stated", "words"),
    [(-95.3, "turns over the sign of all tilt angles"), (-84.7, "mirrored"), (174.7, "across"), (60.0, "24.7°")],
)
def test_what_is_wrong_with_a_tilt_axis(stated: float, words: str) -> None:
    findings = list(axis_findings({"tilt_axis": stated}, "x", mdoc("[T = Tilt axis angle = 84.7, binning = 1]")))
    assert rules(findings) == ["V735"]
    assert words in findings[0].message


def test_a_tilt_axis_may_be_written_in_another_turn_or_be_refined() -> None:
    file = mdoc("[T = TiltAxisAngle = -171.35 Binning = 1 SpotSize = 5]")
    for stated in (188.65, -171.35, -165.0, -178.0):
        assert rules(axis_findings({"tilt_axis": stated}, "x", file)) == []


@pytest.mark.parametrize(
    ("aligned", "rule", "words"),
    [
        ([30.0, 10.0, -10.0, -50.0], "V755", "the sign is turned over"),
        ([50.0, 10.0, -10.0, -30.0], "V755", "the order of the sections is reversed"),
        ([-50.0, -10.0, 10.0, 30.0], "V755", "both"),
        ([-30.0, -10.0, 21.0, 50.0], "V756", "11.0°"),
        ([-20.0, 0.0, 20.0, 60.0], None, ""),  # a pre-tilt is no fault
        ([-30.5, -10.2, 10.4, 51.0], None, ""),
    ],
)
def test_aligned_against_raw_angles(aligned: list[float], rule: str | None, words: str) -> None:
    findings = list(aligned_angle_findings(aligned, [-30.0, -10.0, 10.0, 50.0], "x"))
    assert rules(findings) == ([rule] if rule else [])
    assert all(words in each.message for each in findings)


def test_steps_between_tilts() -> None:
    """One step is missing where a tilt was left out; that is no fault."""
    series = {"tilt_range": {"min": -60, "max": 60}, "tilt_step": 3.0}
    angles = np.delete(np.arange(-60, 61, 3.0), 7)
    assert rules(range_findings(series, "x", angles, None)) == []
    wrong = list(range_findings({**series, "tilt_step": 2.0}, "x", angles, None))
    assert rules(wrong) == ["V734"]
    assert "median is 3.00°" in wrong[0].message


@pytest.mark.parametrize(
    ("spacing", "binning", "expected"),
    [
        (2.7, 2, []),
        (2.66, 2, []),  # calibrated
        (1.35, 1, []),
        (0.675, 1, []),  # the mdoc speaks of physical pixels, the movie is in super-resolution
        (2.7, 4, []),  # … and is binned by 4 from there
        (3.2, 2, ["V740", "V741"]),
        (5.4, 1, ["V741"]),
    ],
)
def test_pixel_spacings(spacing: float, binning: float, expected: list[str]) -> None:
    series = {"pixel_spacing": spacing, "binning_from_frames": binning}
    assert rules(pixel_findings(series, "x", mdoc("PixelSpacing = 1.35"), None)) == expected


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (lambda xyz: xyz[:, ::-1], "z, y, x"),
        (lambda xyz: xyz * 2, "2 times smaller"),
        (lambda xyz: xyz * 13.48, "Å"),
        (lambda xyz: np.concatenate([xyz, [[200.0, 0, 0]]]), "1 of 51 points"),
    ],
)
def test_why_points_may_lie_outside(how: Callable[[Any], Any], words: str) -> None:
    inside = np.random.default_rng(2).uniform(0, 1, (50, 3)) * [95, 63, 15]
    inside[0] = [94, 60, 14]
    findings = list(point_findings(VoxelPoints(how(inside)), "x", (16, 64, 96), 13.48))
    assert rules(findings) == ["V803"]
    assert words in findings[0].message
    assert rules(point_findings(VoxelPoints(inside), "x", (16, 64, 96), 13.48)) == []


def test_the_field_of_view() -> None:
    """A voxel size of 7.84 Å instead of 7.28 Å, as one dataset of the public portal had it."""
    assert rules(field_findings("x", (300, 928, 960), 7.28, (41, 3712, 3838), 1.82)) == []
    wrong = list(field_findings("x", (300, 928, 960), 7.84, (41, 3712, 3838), 1.82))
    assert rules(wrong) == ["V771"]
    assert "1.077 times" in wrong[0].message


@pytest.mark.parametrize(("spacing", "rule"), [(0.5, "V406"), (30.0, "V406"), (10.0, "V407"), (13.48, None)])
def test_unusual_voxel_spacings(spacing: float, rule: str | None) -> None:
    assert rules(spacing_findings("x", spacing)) == ([rule] if rule else [])


def test_time_and_dose_of_an_mdoc() -> None:
    section = "[ZValue = {}]\nTiltAngle = 0\nDateTime = 06-Jun-23  12:{}:00\nPriorRecordDose = {}\n"
    turned_over = mdoc(sections=section.format(0, "09", 5) + section.format(1, "08", 2))
    assert rules(mdoc_findings(turned_over, "x")) == ["V707"]
    falling = mdoc(sections=section.format(0, "08", 5) + section.format(1, "09", 2))
    assert rules(mdoc_findings(falling, "x")) == ["V710"]


# --- real files


@pytest.mark.real_data
def test_real_acquisition_files_are_sound(real_data: Path) -> None:
    """What real files trip: SerialEM's mdoc sorted by angle, whose numbers do not follow the time."""
    expected = {"serialem4_TS_017.mdoc": ["V707"]}
    mdocs = {path.name: read_mdoc(path.read_bytes(), path.name) for path in (real_data / "tilt/mdoc").glob("*.mdoc")}
    for name, file in mdocs.items():
        assert rules(mdoc_findings(file, name)) == expected.get(name, [])
    problems: list[Finding] = []
    angles = parse_angles((real_data / "tilt/imod/TS_017.tlt").read_bytes(), "017.tlt", problems)
    assert angles is not None
    assert rules(angle_findings(angles, "017.tlt", mdocs["serialem4_TS_017.mdoc"])) == []
    for path in sorted((real_data / "tilt/imod").rglob("*.xf")):
        transforms = parse_alignment_file(path.read_bytes(), path.name, problems)
        assert rules(matrix_findings(transforms[:, :4].reshape(-1, 2, 2), range(len(transforms)), path.name)) == []
    folder = real_data / "tilt/imod/TS_001"
    aligned, raw = (parse_angles((folder / f"TS_001.{end}").read_bytes(), end, problems) for end in ("tlt", "rawtlt"))
    assert aligned is not None
    assert raw is not None
    assert rules(aligned_angle_findings(aligned.tolist(), raw.tolist(), "x")) == []
    assert problems == []


@pytest.mark.real_data
def test_real_movies(real_data: Path) -> None:
    store = open_store(real_data / "frames", read_only=True)
    images = {stat.key: stack.images for stat in store.list() if (stack := read_stack(store, stat.key))}
    assert images == {
        "constructed_512_8f.eer": 8,
        "derived_lzw_movie_6f_uint8.tif": 6,
        "lzw_stack_tf30_78p_uint8.tif": 78,
        "ot2rec_TS_01_0.0_float32.tif": 1,
    }


@pytest.mark.real_data
def test_real_documents_trip_only_what_is_wrong_with_them(real_data: Path) -> None:
    """The public portal's test tree names files that are not there, and holds invented numbers."""
    findings = verify(Archive.open(real_data / "cz_metadata", read_only=True), voxels=True)
    about_content = {each.rule for each in findings if each.rule[:2] not in ("V1", "V2", "V3")}
    assert about_content == {
        "V736",  # total_flux 122, three frames of 2 e⁻/Å²
        "V738",  # a phase shift of 2699 rad
        "V747",  # a defocus of 28 Å
        "V754",  # an alignment without angles
        "V762",  # a volume_dimension that is not that of the tomogram
    }
