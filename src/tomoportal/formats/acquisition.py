"""What a tilt series' ``.mdoc`` says about its exposures: dose per frame stack, and which section is which angle."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.mdoc import Mdoc, MdocSection

__all__ = ["ANGLE_TOLERANCE", "FrameDose", "FrameDoses", "SectionMatch", "frame_doses", "match_sections"]

ANGLE_TOLERANCE = 0.05
"""Largest difference in degrees between a raw tilt angle and the stage angle of its exposure."""


@dataclass(frozen=True, slots=True)
class FrameDose:
    """One exposure; doses in e⁻/Å². ``frame_name`` is the base name of its frame file, if the mdoc names one."""

    acquisition_order: int
    exposure_dose: float
    accumulated_dose: float
    frame_name: str | None


@dataclass(frozen=True, slots=True)
class FrameDoses:
    """Doses in the order of the file, and what the reader should be told."""

    frames: tuple[FrameDose, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SectionMatch:
    """Section ``z_index`` of the stack is this exposure; ``raw_angle`` is the mdoc's, in degrees."""

    z_index: int
    raw_angle: float
    frame_acquisition_order: int


def frame_doses(mdoc: Mdoc, dose_rate: float) -> FrameDoses:
    """Dose of every exposure: exposure = ExposureTime × ``dose_rate``, accumulated = sum of those taken before it.

    ``dose_rate`` in e⁻/Å²/s. "Before" follows DateTime where every section has one, else PriorRecordDose, else
    ZValue; ``acquisition_order`` is ZValue all the same, and a warning says where the two differ. Raises
    ``FormatError`` for a dose rate that is not positive and for a section without ExposureTime.
    """
    if not (math.isfinite(dose_rate) and dose_rate > 0):
        raise FormatError(
            f"A dose rate of {dose_rate} e⁻/Å²/s gives no dose.", where=mdoc.name, fix="Give a number above 0."
        )
    sections = mdoc.exposures
    exposures = []
    for section in sections:
        time = section.exposure_time
        if time is None or time < 0:
            raise FormatError(
                f"Section {section.index} has no usable ExposureTime.", where=f"{mdoc.name}:{section.line}"
            )
        exposures.append(time * dose_rate)
    order, warnings = _time_order(mdoc, sections)
    before = [0.0] * len(sections)
    total = 0.0
    for position in order:
        before[position] = total
        total += exposures[position]
    frames = tuple(
        FrameDose(section.index, exposure, accumulated, section.frame_name)
        for section, exposure, accumulated in zip(sections, exposures, before, strict=True)
    )
    return FrameDoses(frames, tuple(warnings))


def match_sections(
    tilt_angles: Sequence[float] | NDArray[np.float64], mdoc: Mdoc, *, name: str, tolerance: float = ANGLE_TOLERANCE
) -> list[SectionMatch]:
    """The exposure of every section of a stack, by its raw tilt angle (degrees, in stack order).

    Each exposure is used at most once; among all such assignments the one with the smallest sum of differences is
    taken, the earlier exposure where several fit equally. Raises ``FormatError`` naming ``name`` and the angles that
    no exposure within ``tolerance`` is left for.
    """
    exposures = [(_angle(section, mdoc), position) for position, section in enumerate(mdoc.exposures)]
    exposures.sort()
    wanted = sorted((float(angle), position) for position, angle in enumerate(tilt_angles))
    chosen = _assign([angle for angle, _ in wanted], [angle for angle, _ in exposures], tolerance)
    if chosen is None:
        raise FormatError(
            f"{_unmatched(wanted, exposures, tolerance)} ({len(wanted)} raw angles, {len(exposures)} exposures in"
            f" {mdoc.name}, tolerance {tolerance}°).",
            where=name,
            fix="Check that both files belong to this tilt series.",
        )
    matches = []
    for (_, z_index), column in zip(wanted, chosen, strict=True):
        angle, position = exposures[column]
        matches.append(SectionMatch(z_index, angle, mdoc.exposures[position].index))
    return sorted(matches, key=lambda match: match.z_index)


def _time_order(mdoc: Mdoc, sections: Sequence[MdocSection]) -> tuple[list[int], list[str]]:
    """Positions in the order of acquisition, and warnings."""
    warnings = []
    repeated = sorted(index for index, count in Counter(section.index for section in sections).items() if count > 1)
    if repeated:
        warnings.append(f"{mdoc.name}: the section numbers {repeated} occur more than once")
    by_number = sorted(range(len(sections)), key=lambda position: sections[position].index)
    times = [section.acquired_at for section in sections]
    doses = [section.prior_record_dose for section in sections]
    known_times = [time for time in times if time is not None]
    known_doses = [dose for dose in doses if dose is not None]
    unread = sum(time is None and bool(s.get("DateTime")) for time, s in zip(times, sections, strict=True))
    if unread:
        warnings.append(f"{mdoc.name}: DateTime of {unread} sections is in no known notation")
    if len(known_times) == len(sections) and len(set(known_times)) > 1:
        source = "DateTime"
        order = sorted(by_number, key=known_times.__getitem__)
    elif len(known_doses) == len(sections) and len(set(known_doses)) > 1:
        source = "PriorRecordDose"
        order = sorted(by_number, key=known_doses.__getitem__)
    else:
        return by_number, warnings
    if order != by_number:
        warnings.append(
            f"{mdoc.name}: sections were not acquired in the order of their numbers; accumulated doses follow {source}"
        )
    return order, warnings


def _angle(section: MdocSection, mdoc: Mdoc) -> float:
    angle = section.tilt_angle
    if angle is None:
        raise FormatError(f"Section {section.index} has no TiltAngle.", where=f"{mdoc.name}:{section.line}")
    return angle


def _assign(wanted: list[float], offered: list[float], tolerance: float) -> list[int] | None:
    """For sorted lists: the position in ``offered`` for each of ``wanted``, or ``None`` if not all can be served.

    On a line an assignment of smallest total distance never crosses, so a table over prefixes finds it. Distances
    are counted in 10⁻⁶ degrees: with floats, sums in different orders would compare unequal.
    """
    unreachable = 2**60
    limit = round(tolerance * 1e6)
    rows = [[0] * (len(offered) + 1)]
    for angle in wanted:
        above, row = rows[-1], [unreachable]
        for column, candidate in enumerate(offered):
            distance = round(abs(angle - candidate) * 1e6)
            taken = above[column] + distance if distance <= limit else unreachable
            row.append(min(row[column], taken))
        rows.append(row)
    if rows[-1][-1] >= unreachable:
        return None
    chosen = []
    column = len(offered)
    for row in reversed(rows[1:]):
        while row[column] == row[column - 1]:
            column -= 1
        column -= 1
        chosen.append(column)
    return chosen[::-1]


def _unmatched(wanted: list[tuple[float, int]], exposures: list[tuple[float, int]], tolerance: float) -> str:
    alone = [angle for angle, _ in wanted if not any(abs(angle - other) <= tolerance + 1e-6 for other, _ in exposures)]
    if alone:
        listed = ", ".join(f"{angle:g}" for angle in alone[:5]) + (", …" if len(alone) > 5 else "")
        return f"No exposure was taken at {listed}"
    return "Several raw angles compete for the same exposure"
