"""Alignments: sections, angles and matrices of the document against its files, the raw angles and the tilt axis.

What can be told of the handedness is told here: matrices that mirror, a tilt axis that points the other way, angles
that run against the raw ones. Whether the microscope itself mirrors the specimen no file says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.archive.findings import Finding, finding, several
from tomoportal.archive.verification.acquisition import parse_angles
from tomoportal.archive.verification.frames import mdoc_of
from tomoportal.archive.verification.tiltseries import raw_angles, section_findings
from tomoportal.archive.verification.view import Entity, View, angles_apart, number, rows, size_of
from tomoportal.errors import FormatError
from tomoportal.formats.alignments import SectionAlignment
from tomoportal.formats.aretomo import read_aretomo
from tomoportal.formats.imod import imod_sections, read_xf

__all__ = ["affine_findings", "aligned_angle_findings", "check", "matrix_findings", "parse_alignment_file"]

_DEVIATION = (0.001, 0.05)
_DRIFT = 5.0  # °
_AXIS = 10.0  # °
_SAME = 1e-3
_SAME_SHIFT = 0.02  # Å


def check(view: View) -> list[Finding]:
    """Every alignment of a run."""
    found: list[Finding] = []
    for entity in view.of("alignment"):
        content = entity.content
        found += affine_findings(content.get("affine_transformation_matrix"), entity.key)
        parameters = rows(content, "per_section_alignment_parameters")
        series = view.entity("tiltseries", content.get("tiltseries_path"))
        series = series or (view.of("tiltseries")[0] if len(view.of("tiltseries")) == 1 else None)
        sections = (size_of(series.content.get("size")) or (0, 0, 0))[0] if series else 0
        raw = raw_angles(view, series) if series else None
        if parameters:
            indices = [number(row, "z_index") for row in parameters]
            found += section_findings("V753", entity.key, indices, sections)
            found += _angles(entity, parameters, raw)
            found += _matrices(view, entity, parameters, series)
            found += _shifts(entity, parameters, series)
        found += _files(view, entity, series, sections)
    return found


# --- angles


def _angles(entity: Entity, parameters: list[Mapping[str, Any]], raw: NDArray[np.float64] | None) -> Iterator[Finding]:
    angles = [(number(row, "z_index"), number(row, "tilt_angle")) for row in parameters]
    missing = [z for z, angle in angles if angle is None]
    if missing:
        yield finding("V754", entity.key, f"the sections {several(missing)} have no tilt_angle")
    beyond = [angle for _, angle in angles if angle is not None and abs(angle) > 90]
    if beyond:
        yield finding("V754", entity.key, f"the tilt angles {several(beyond)}° are outside −90° to 90°")
    if raw is not None:
        known = {int(z): angle for z, angle in angles if z is not None and angle is not None and 0 <= z < len(raw)}
        yield from aligned_angle_findings(list(known.values()), raw[list(known)].tolist(), entity.key)


def aligned_angle_findings(aligned: Sequence[float], raw: Sequence[float], path: str) -> Iterator[Finding]:
    """Aligned against raw tilt angles in degrees, section by section; a constant offset (pre-tilt) is right."""
    if len(aligned) < 3 or len(aligned) != len(raw):
        return
    one, other = np.asarray(aligned), np.asarray(raw)
    drift = np.abs((one - other) - np.median(one - other))
    if drift.max() <= _DRIFT:
        return
    flipped = {
        "the sign is turned over": -other,
        "the order of the sections is reversed": other[::-1],
        "both order and sign are turned over": -other[::-1],
    }
    for text, candidate in flipped.items():
        if np.abs((one - candidate) - np.median(one - candidate)).max() <= _DRIFT:
            yield finding("V755", path, f"aligned angles are not the raw ones: {text}, which turns over the hand")
            return
    worst = int(np.argmax(drift))
    yield finding(
        "V756", path, f"they drift apart by up to {drift[worst]:.1f}° ({one[worst]:g}° for {other[worst]:g}°)"
    )


# --- matrices


def _matrices(
    view: View, entity: Entity, parameters: list[Mapping[str, Any]], series: Entity | None
) -> Iterator[Finding]:
    indices, matrices = [], []
    for row in parameters:
        matrix = _matrix(row.get("in_plane_rotation"), 2)
        if matrix is not None:
            indices.append(number(row, "z_index"))
            matrices.append(matrix)
    if not matrices:
        return
    stack = np.array(matrices)
    yield from matrix_findings(stack, indices, entity.key)
    right = np.linalg.det(stack) > 0
    if not right.any():
        return
    rotations = np.degrees(np.arctan2(stack[right, 1, 0], stack[right, 0, 0]))
    mean = math.degrees(math.atan2(np.sin(np.radians(rotations)).sum(), np.cos(np.radians(rotations)).sum()))
    known = mdoc_of(view)
    axes = {"tilt_axis of the tilt series": number(series.content, "tilt_axis") if series else None}
    axes["the tilt axis of the mdoc"] = known[1].tilt_axis if known else None
    wrong = {name: axis for name, axis in axes.items() if axis is not None and angles_apart(mean, axis) > _AXIS}
    # Sections that were aligned before they were stored need no rotation any more.
    is_aligned = series is not None and series.content.get("is_aligned") is True and angles_apart(mean, 0) <= _AXIS
    for name, axis in wrong.items():
        if is_aligned:
            break
        apart = angles_apart(mean, axis)
        text = f"the sections are rotated by {mean:.1f}° in the mean, {name} is {axis:g}° ({apart:.1f}° apart)"
        if apart >= 180 - _AXIS:
            text += ": the other way round, which turns over the sign of the tilt angles, and with it the hand"
        elif angles_apart(mean, -axis) <= _AXIS:
            text += ": the sign is turned over"
        yield finding("V759", entity.key, text)


def matrix_findings(matrices: NDArray[np.float64], indices: Sequence[float | None], path: str) -> Iterator[Finding]:
    """In-plane matrices (n, 2, 2): rotations, apart from a small magnification or shear."""
    mirrored = np.linalg.det(matrices) < 0
    if mirrored.any():
        which = several(indices[int(at)] for at in np.flatnonzero(mirrored))
        yield finding("V757", path, f"the matrices of the sections {which} have a determinant below 0: they mirror")
    gram = np.einsum("nji,njk->nik", matrices, matrices)
    deviation = np.abs(gram - np.eye(2)).max(axis=(1, 2)) / 2  # of lengths, not of their squares
    distorted = (deviation > _DEVIATION[1]) & ~mirrored
    if distorted.any():
        which = several(indices[int(at)] for at in np.flatnonzero(distorted))
        text = f"the matrices of the sections {which} deviate from a rotation by up to {deviation[distorted].max():.3f}"
        yield finding("V757", path, text)
    slightly = (deviation > _DEVIATION[0]) & ~distorted & ~mirrored
    if slightly.any():
        text = (
            f"{int(slightly.sum())} of {len(matrices)} deviate from a rotation by up to {deviation[slightly].max():.4f}"
        )
        yield finding("V758", path, text)


def affine_findings(value: object, path: str) -> Iterator[Finding]:
    """A 4×4 matrix between frames: no mirror, no shear. The schema says when it cannot be inverted."""
    matrix = _matrix(value, 4)
    if matrix is None:
        return
    linear = np.array(matrix)[:3, :3]
    determinant = float(np.linalg.det(linear))
    if determinant < 0:
        text = f"the determinant of affine_transformation_matrix is {determinant:g}: the hand is turned over"
        yield finding("V763", path, text)
    elif determinant > 0:
        scaled = linear / determinant ** (1 / 3)
        deviation = float(np.abs(scaled.T @ scaled - np.eye(3)).max())
        if deviation > 2 * _DEVIATION[0]:
            yield finding("V764", path, f"affine_transformation_matrix deviates from a rotation by {deviation:.3f}")


def _matrix(value: object, size: int) -> list[list[float]] | None:
    if not isinstance(value, list) or len(value) != size:
        return None
    for row in value:
        if not isinstance(row, list) or len(row) != size:
            return None
        if any(isinstance(x, bool) or not isinstance(x, (int, float)) or not math.isfinite(x) for x in row):
            return None
    return value


# --- shifts and files


def _factor(entity: Entity, series: Entity | None) -> float | None:
    """What turns the shifts of a document into Å (F22); None where it cannot be known."""
    if entity.content.get("offset_unit") == "angstrom":
        return 1.0
    return number(series.content, "pixel_spacing") if series else None


def _shifts(entity: Entity, parameters: list[Mapping[str, Any]], series: Entity | None) -> Iterator[Finding]:
    factor = _factor(entity, series)
    size = size_of(series.content.get("size")) if series else None
    pixel = number(series.content, "pixel_spacing") if series else None
    if factor is None or size is None or not pixel:
        return
    half = max(size[1:]) * pixel / 2
    shifts = [
        (number(row, "z_index"), factor * math.hypot(number(row, "x_offset") or 0.0, number(row, "y_offset") or 0.0))
        for row in parameters
    ]
    large = [z for z, shift in shifts if shift > half]
    if large:
        worst = max(shift for _, shift in shifts)
        text = f"the sections {several(large)} are shifted by up to {worst:.0f} Å; half of the image is {half:.0f} Å"
        yield finding("V761", entity.key, text)


def _files(view: View, entity: Entity, series: Entity | None, sections: int) -> list[Finding]:
    found: list[Finding] = []
    content = entity.content
    listed = [view.file(path) for path in content.get("files") or () if isinstance(path, str)]
    named = [view.file(content.get(field)) for field in ("alignment_path", "tilt_path", "tiltx_path")]
    keys = sorted({key for key in (*listed, *named) if key in view.sizes and key})
    by_ending: dict[str, tuple[str, Any]] = {}
    for key in keys:
        ending = key[key.rfind(".") :].lower()
        data = view.read(key)
        parsed = None if data is None else parse_alignment_file(data, key, found)
        if parsed is not None:
            by_ending[ending] = (key, parsed)
    counts = {ending: len(by_ending[ending][1]) for ending in (".xf", ".tlt", ".xtilt", ".tltx") if ending in by_ending}
    if len(set(counts.values())) > 1:
        text = ", ".join(f"{ending} {rows_} rows" for ending, rows_ in counts.items())
        found.append(finding("V752", entity.key, text))
    elif counts and sections and next(iter(counts.values())) != sections:
        text = f"{several(counts)}: {next(iter(counts.values()))} rows; the tilt series has {sections} sections"
        found.append(finding("V752", entity.key, text))
    if ".aln" in by_ending and sections and by_ending[".aln"][1].raw_size[2] != sections:
        raw = by_ending[".aln"][1].raw_size[2]
        found.append(finding("V752", entity.key, f"RawSize has {raw} sections, the tilt series {sections}"))
    pixel = number(series.content, "pixel_spacing") if series else None
    parameters = rows(content, "per_section_alignment_parameters")
    made = _sections(by_ending, pixel, entity.key, found) if parameters else None
    if made is not None:
        found += _as_filed(entity, parameters, made, _factor(entity, series))
    return found


def parse_alignment_file(data: bytes, key: str, found: list[Finding]) -> Any:
    """The rows of an ``.xf``, the angles of a ``.tlt``, the content of an ``.aln``; None for any other or bad file."""
    ending = key[key.rfind(".") :].lower()
    try:
        if ending == ".xf":
            return read_xf(data, key)
        if ending == ".aln":
            return read_aretomo(data, key)
    except FormatError as error:
        found.append(finding("V751", key, f"{error.where or key}: {error.what}"))
        return None
    return parse_angles(data, key, found, "V751") if ending in (".tlt", ".xtilt", ".tltx") else None


def _sections(
    files: Mapping[str, tuple[str, Any]], pixel: float | None, path: str, found: list[Finding]
) -> dict[int, SectionAlignment] | None:
    """What the files say about every section, shifts in Å (without a pixel spacing in pixels)."""
    tilts, x_tilts = files.get(".tlt"), files.get(".xtilt") or files.get(".tltx")
    try:
        if ".aln" in files:
            sections = files[".aln"][1].sections(pixel or 1.0)
        elif ".xf" in files and tilts is not None and len(files[".xf"][1]) == len(tilts[1]):
            x_rotations = x_tilts[1] if x_tilts is not None and len(x_tilts[1]) == len(tilts[1]) else None
            sections = imod_sections(files[".xf"][1], tilts[1], x_rotations, pixel_spacing=pixel or 1.0, name=path)
        else:
            return None
    except FormatError as error:
        found.append(finding("V751", path, f"{error.where or path}: {error.what}"))
        return None
    return {section.z_index: section for section in sections}


def _as_filed(
    entity: Entity, parameters: list[Mapping[str, Any]], made: Mapping[int, SectionAlignment], factor: float | None
) -> Iterator[Finding]:
    wrong: dict[str, list[float | None]] = {}
    for row in parameters:
        z = number(row, "z_index")
        section = made.get(int(z)) if z is not None else None
        if section is None:
            wrong.setdefault("section", []).append(z)
            continue
        angle, matrix = number(row, "tilt_angle"), _matrix(row.get("in_plane_rotation"), 2)
        if angle is not None and abs(angle - section.tilt_angle) > 0.01:
            wrong.setdefault("tilt_angle", []).append(z)
        if matrix is not None and np.abs(np.array(matrix) - np.array(section.in_plane_rotation)).max() > _SAME:
            wrong.setdefault("in_plane_rotation", []).append(z)
        if factor is None:
            continue
        for field, value in (("x_offset", section.x_offset), ("y_offset", section.y_offset)):
            stated = number(row, field)
            if stated is not None and abs(stated * factor - value) > _SAME_SHIFT + 1e-3 * abs(value):
                wrong.setdefault(field, []).append(z)
    for field, sections in wrong.items():
        unit = " (Å)" if field.endswith("offset") else ""
        yield finding(
            "V760", entity.key, f"{field}{unit} of the sections {several(sections)} is not what the files say"
        )
