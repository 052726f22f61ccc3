"""What the microscope wrote: mdoc, raw tilt angles, doses. Pure functions, used on sources and on archives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tomoportal.archive.findings import Finding, finding, several
from tomoportal.errors import FormatError
from tomoportal.formats.acquisition import ANGLE_TOLERANCE, match_sections
from tomoportal.formats.mdoc import Mdoc, MdocSection, read_mdoc
from tomoportal.formats.tilt_angles import read_tilt_angles

__all__ = ["angle_findings", "mdoc_angles", "mdoc_findings", "parse_angles", "parse_mdoc", "time_order"]

_DOSE_TOLERANCE = 0.05  # e⁻/Å²; PriorRecordDose is written with few decimals


def parse_mdoc(data: bytes, path: str, found: list[Finding]) -> Mdoc | None:
    """The mdoc, or None and a finding."""
    try:
        return read_mdoc(data, path)
    except FormatError as error:
        found.append(finding("V701", path, f"{error.where}: {error.what}"))
        return None


def parse_angles(data: bytes, path: str, found: list[Finding], rule: str = "V721") -> NDArray[np.float64] | None:
    """Tilt angles (n,) in degrees, or None and a finding."""
    try:
        return read_tilt_angles(data, path)
    except FormatError as error:
        found.append(finding(rule, path, f"{error.where}: {error.what}"))
        return None


def mdoc_findings(mdoc: Mdoc, path: str) -> Iterator[Finding]:
    """An mdoc by itself: angles, section numbers, doses over time."""
    sections = mdoc.exposures
    if not sections:
        yield finding("V702", path, "there is no section of an image ([ZValue = 0] …)")
        return
    angles = mdoc_angles(mdoc)
    missing = [section.index for section, angle in zip(sections, angles, strict=True) if angle is None]
    if missing:
        yield finding("V702", path, f"the sections {several(missing)} have no readable TiltAngle")
    beyond = [angle for angle in angles if angle is not None and abs(angle) > 90]
    if beyond:
        yield finding("V702", path, f"the tilt angles {several(beyond)}° are outside −90° to 90°")
    numbers = [section.index for section in sections]
    repeated = sorted(number for number, times in Counter(numbers).items() if times > 1)
    if repeated:
        yield finding("V707", path, f"the section numbers {several(repeated)} occur more than once")
    elif max(numbers) - min(numbers) + 1 > len(numbers):
        text = f"{len(numbers)} sections are numbered from {min(numbers)} to {max(numbers)}: some were removed"
        yield finding("V707", path, text)
    order = time_order(sections)
    if order is None:
        return
    by_time = [sections[position] for position in order]
    if [section.index for section in by_time] != sorted(numbers):
        yield finding("V707", path, "the section numbers do not follow DateTime; doses are added up by time")
    doses = [_number(section, "PriorRecordDose") for section in by_time]
    known = [dose for dose in doses if dose is not None]
    if len(known) == len(doses):
        falls = [(one, two) for one, two in pairwise(known) if two < one - _DOSE_TOLERANCE]
        if falls:
            one, two = falls[0]
            yield finding("V710", path, f"PriorRecordDose falls from {one:g} to {two:g} e⁻/Å² while time goes on")


def mdoc_angles(mdoc: Mdoc) -> list[float | None]:
    """TiltAngle of every exposure in degrees, in file order; None where there is none or no number."""
    return [_number(section, "TiltAngle") for section in mdoc.exposures]


def time_order(sections: Sequence[MdocSection]) -> list[int] | None:
    """Positions of the sections in the order in which they were taken; None if not every one has another time."""
    times = [section.acquired_at for section in sections]
    known = [time for time in times if time is not None]
    if len(known) < len(times) or len(set(known)) < len(known):
        return None
    return sorted(range(len(known)), key=known.__getitem__)


def angle_findings(angles: NDArray[np.float64], path: str, mdoc: Mdoc | None) -> Iterator[Finding]:
    """Raw tilt angles by themselves and against the exposures of the mdoc, one to one."""
    beyond = angles[np.abs(angles) > 90]
    if len(beyond):
        yield finding("V722", path, f"the angles {several(beyond.tolist())}° are outside −90° to 90°")
    if mdoc is None or any(angle is None for angle in mdoc_angles(mdoc)):
        return
    try:
        match_sections(angles, mdoc, name=path, tolerance=ANGLE_TOLERANCE)
    except FormatError as error:
        yield finding("V725", path, error.what)


def _number(section: MdocSection, key: str) -> float | None:
    try:
        return section.number(key)
    except FormatError:
        return None
