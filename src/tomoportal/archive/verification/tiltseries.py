"""Tilt series: document, raw tilt angles, mdoc, doses and CTF estimates against each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.archive.findings import Finding, finding, several
from tomoportal.archive.verification.acquisition import angle_findings, mdoc_angles, parse_angles
from tomoportal.archive.verification.frames import mdoc_of
from tomoportal.archive.verification.view import Entity, View, angles_apart, number, rows, size_of
from tomoportal.errors import FormatError
from tomoportal.formats.acquisition import ANGLE_TOLERANCE
from tomoportal.formats.ctf import CTF_FORMATS, CtfTable, read_ctf
from tomoportal.formats.mdoc import Mdoc

__all__ = [
    "axis_findings",
    "check",
    "pixel_findings",
    "range_findings",
    "raw_angles",
    "section_findings",
    "value_findings",
]

_RANGE = 0.1  # °; tilt_range is written with one decimal
_WIDER = 1.0  # °
_AXIS = 10.0  # °
_FLUX = 1.0  # e⁻/Å²
_PIXEL = 0.05  # nominal and calibrated pixel sizes differ by a few per cent
_STEPS = 4
_DEFOCUS = (1e3, 2e5)  # Å
_ABOVE_ZERO = ("acceleration_voltage", "spherical_aberration_constant", "total_flux")
_PARAMETERS = (
    ("astigmatic_angle", -180.0, 180.0, "°"),
    ("phase_shift", 0.0, 2 * math.pi + 1e-3, "rad"),
    ("max_resolution", 0.0, math.inf, "Å"),
)


def check(view: View) -> list[Finding]:
    """Every tilt series of a run. The raw angles are remembered in the view."""
    found: list[Finding] = []
    known = mdoc_of(view)
    mdoc = known[1] if known else None
    for entity in view.of("tiltseries"):
        angles = _read_angles(view, entity, found)
        sections = (size_of(entity.content.get("size")) or (0, 0, 0))[0]
        if angles is not None:
            view.memory["angles", entity.key] = angles
            found += angle_findings(angles, str(view.file(entity.content.get("raw_tlt_path"))), mdoc)
            found += _counts(entity, len(angles), sections)
        if mdoc and sections > len(mdoc.exposures):
            text = f"{sections} sections, {len(mdoc.exposures)} in the mdoc"
            found.append(finding("V726", entity.key, text))
        found += value_findings(entity.content, entity.key)
        found += range_findings(entity.content, entity.key, angles, mdoc)
        if mdoc:
            found += axis_findings(entity.content, entity.key, mdoc)
            found += pixel_findings(entity.content, entity.key, mdoc, size_of(entity.content.get("size")))
        found += _flux(view, entity)
        found += _parameters(view, entity, angles, sections, mdoc)
        found += _ctf(view, entity, sections)
    return found


def raw_angles(view: View, entity: Entity) -> NDArray[np.float64] | None:
    """Raw tilt angles (sections,) in degrees, if they could be read."""
    known: NDArray[np.float64] | None = view.memory.get(("angles", entity.key))
    return known


def _read_angles(view: View, entity: Entity, found: list[Finding]) -> NDArray[np.float64] | None:
    key = view.file(entity.content.get("raw_tlt_path")) or next(
        (each for each in view.files(entity.folder) if each.endswith((".rawtlt", ".tlt"))), None
    )
    data = view.read(key) if key else None
    return None if key is None or data is None else parse_angles(data, key, found)


def _counts(entity: Entity, angles: int, sections: int) -> Iterator[Finding]:
    if sections and angles != sections:
        rule = "V723" if angles > sections else "V724"
        yield finding(rule, entity.key, f"{angles} raw tilt angles for {sections} sections")


def value_findings(content: Mapping[str, Any], key: str) -> Iterator[Finding]:
    """Numbers of a document or config that are above 0."""
    for field in _ABOVE_ZERO:
        value = number(content, field)
        if value is not None and value <= 0:
            yield finding("V731", key, f"{field} is {value:g}")


def range_findings(
    content: Mapping[str, Any], path: str, angles: NDArray[np.float64] | None, mdoc: Mdoc | None
) -> Iterator[Finding]:
    """tilt_range and tilt_step of a document or config against the raw angles and those of the mdoc, in degrees."""
    low, high = number(content, "tilt_range.min"), number(content, "tilt_range.max")
    taken = [angle for angle in mdoc_angles(mdoc) if angle is not None] if mdoc else []
    own = angles.tolist() if angles is not None else taken
    if low is None or high is None or not own:
        return
    if min(own) < low - _RANGE or max(own) > high + _RANGE:
        text = f"the angles reach from {min(own):g}° to {max(own):g}°, tilt_range from {low:g}° to {high:g}°"
        yield finding("V732", path, text)
    every = [*own, *taken]
    if low < min(every) - _WIDER or high > max(every) + _WIDER:
        text = f"tilt_range reaches from {low:g}° to {high:g}°, the angles only from {min(every):g}° to {max(every):g}°"
        yield finding("V733", path, text)
    step = number(content, "tilt_step")
    steps = np.diff(np.sort(np.asarray(taken or own)))
    steps = steps[steps > 0.1]  # an angle that was taken twice is no step
    if step and len(steps) > _STEPS:
        # Where tilts were left out, a step is a multiple.
        wrong = np.abs(steps - step * np.maximum(1, np.rint(steps / step))) > max(0.15 * step, 0.1)
        if int(wrong.sum()) > _STEPS:
            usual = float(np.median(steps))
            text = f"{int(wrong.sum())} of {len(steps)} steps are not {step:g}°; their median is {usual:.2f}°"
            yield finding("V734", path, text)


def axis_findings(content: Mapping[str, Any], path: str, mdoc: Mdoc) -> Iterator[Finding]:
    """Tilt axis of a document or config against that of the mdoc's title."""
    stated, axis = number(content, "tilt_axis"), mdoc.tilt_axis
    if stated is None or axis is None:
        return
    apart = angles_apart(stated, axis)
    if apart <= _AXIS:
        return
    text = f"tilt_axis is {stated:g}°, the mdoc says {axis:g}° ({apart:.1f}° apart)"
    if apart >= 180 - _AXIS:
        text += ": the axis points the other way, which turns over the sign of all tilt angles, and with it the hand"
    elif angles_apart(stated, -axis) <= _AXIS:
        text += ": the sign is turned over, as if the images were mirrored"
    elif min(angles_apart(stated, axis + 90), angles_apart(stated, axis - 90)) <= _AXIS:
        text += ": it is the direction across the axis"
    yield finding("V735", path, text)


def pixel_findings(
    content: Mapping[str, Any], path: str, mdoc: Mdoc, size: tuple[int, int, int] | None
) -> Iterator[Finding]:
    """Pixel spacing (Å) and binning of a tilt series against those of the mdoc; ``size`` is (z, y, x)."""
    spacing = number(content, "pixel_spacing")
    taken = _mdoc_pixel(mdoc)
    if not spacing or not taken:
        return
    ratio = spacing / taken
    whole = max(1, round(ratio))
    text = f"pixel_spacing is {spacing:g} Å, {ratio:.3f} × the {taken:g} Å of the mdoc"
    is_half = abs(ratio - 0.5) <= _PIXEL / 2  # the mdoc of a super-resolution movie may speak of physical pixels
    if abs(ratio - whole) > _PIXEL * whole and not is_half:
        yield finding("V740", path, text)
    binning = number(content, "binning_from_frames")
    if binning and not any(abs(binning / (ratio * f) - 1) <= _PIXEL for f in (0.5, 1, 2)):
        yield finding("V741", path, f"binning_from_frames is {binning:g}; {text}")
    image = image_size(mdoc)
    if size is None or image is None:
        return
    shrunk = [max(image) / max(size[1:]), min(image) / min(size[1:])]
    # A cropped image has fewer pixels, never more: the ratio of sizes cannot be below that of the spacings.
    if max(shrunk) < ratio * (1 - 2 * _PIXEL):
        text = f"the mdoc's images have {image[0]} × {image[1]} pixels, the sections {size[2]} × {size[1]} (x × y)"
        yield finding("V742", path, f"{text}: a binning of {max(shrunk):.2f}; the pixel spacings say {ratio:.2f}")


def image_size(mdoc: Mdoc) -> tuple[int, int] | None:
    """ImageSize of the mdoc in pixels (x, y)."""
    words = (mdoc.get("ImageSize") or "").split()
    if len(words) != 2 or not all(word.isdigit() and int(word) > 0 for word in words):
        return None
    return int(words[0]), int(words[1])


def _mdoc_pixel(mdoc: Mdoc) -> float | None:
    for part in (mdoc, *mdoc.exposures[:1]):
        try:
            if part.pixel_spacing:
                return part.pixel_spacing
        except FormatError:
            continue
    return None


def _flux(view: View, entity: Entity) -> Iterator[Finding]:
    flux = number(entity.content, "total_flux")
    orders = {number(row, "frame_acquisition_order") for row in rows(entity.content, "per_section_parameter")}
    for frames in view.of("frames"):
        doses = {
            number(row, "acquisition_order"): number(row, "exposure_dose") for row in rows(frames.content, "frames")
        }
        known = {order: dose for order, dose in doses.items() if dose is not None}
        if flux is None or not known:
            continue
        every, used = sum(known.values()), sum(dose for order, dose in known.items() if order in orders)
        if min(abs(flux - every), abs(flux - used) if orders else math.inf) > max(_FLUX, 0.01 * flux):
            text = f"total_flux is {flux:g} e⁻/Å², the {len(known)} exposures add up to {every:.2f}"
            yield finding("V736", entity.key, text)


def _parameters(
    view: View, entity: Entity, angles: NDArray[np.float64] | None, sections: int, mdoc: Mdoc | None
) -> Iterator[Finding]:
    parameters = rows(entity.content, "per_section_parameter")
    exposures = [len(rows(frames.content, "frames")) for frames in view.of("frames")]
    if exposures and len(parameters) > max(exposures):
        yield finding("V737", entity.key, f"{len(parameters)} rows for {max(exposures)} exposures")
    indices = [number(row, "z_index") for row in parameters]
    yield from section_findings("V738", entity.key, indices, sections)
    for field, low, high, unit in _PARAMETERS:
        values = [value for row in parameters if (value := number(row, field)) is not None]
        wrong = [value for value in values if not low <= value <= high]
        if wrong:
            yield finding("V738", entity.key, f"{field} is {several(wrong)} {unit}, outside {low:g} to {high:g}")
    yield from _row_angles(entity, parameters, angles, mdoc)
    yield from _defocus(entity.key, parameters)


def section_findings(rule: str, path: str, indices: Sequence[float | None], sections: int) -> Iterator[Finding]:
    """Section numbers of rows: each exists, none occurs twice."""
    known = [index for index in indices if index is not None]
    beyond = [index for index in known if sections and not 0 <= index < sections]
    if beyond:
        yield finding(rule, path, f"z_index {several(beyond)} is outside 0 to {sections - 1}")
    twice = sorted(index for index, times in Counter(known).items() if times > 1)
    if twice:
        yield finding(rule, path, f"z_index {several(twice)} occurs more than once")


def _row_angles(
    entity: Entity, parameters: list[Mapping[str, Any]], angles: NDArray[np.float64] | None, mdoc: Mdoc | None
) -> Iterator[Finding]:
    taken = dict(zip((section.index for section in mdoc.exposures), mdoc_angles(mdoc), strict=True)) if mdoc else {}
    off_list, off_mdoc = [], []
    for row in parameters:
        z, raw, order = (number(row, field) for field in ("z_index", "raw_angle", "frame_acquisition_order"))
        if raw is None:
            continue
        if angles is not None and z is not None and 0 <= z < len(angles):
            off = abs(float(angles[int(z)]) - raw)
            off_list += [z] if off > ANGLE_TOLERANCE + 1e-6 else []
        exposure = taken.get(int(order)) if order is not None else None
        if mdoc and (exposure is None or abs(exposure - raw) > ANGLE_TOLERANCE + 1e-6):
            off_mdoc.append(z)
    if off_list:
        text = f"raw_angle of the sections {several(off_list)} is not that of the raw tilt list (± {ANGLE_TOLERANCE}°)"
        yield finding("V739", entity.key, text)
    if off_mdoc:
        text = f"raw_angle of the sections {several(off_mdoc)} is not that of their exposure in the mdoc"
        yield finding("V739", entity.key, text)


def _defocus(path: str, parameters: list[Mapping[str, Any]]) -> Iterator[Finding]:
    values = [
        value
        for row in parameters
        for field in ("major_defocus", "minor_defocus")
        if (value := number(row, field)) is not None
    ]
    odd = [value for value in values if not _DEFOCUS[0] <= value <= _DEFOCUS[1]]
    if odd:
        yield finding("V747", path, f"{len(odd)} of {len(values)} are not, such as {several(odd, 3)} Å")


def _ctf(view: View, entity: Entity, sections: int) -> list[Finding]:
    key = view.file(entity.content.get("ctf_path"))
    data = view.read(key) if key is not None and key in view.sizes else None
    if key is None or data is None:
        return []
    program = key.removesuffix("_ctf.txt").rpartition("_")[2]
    if program not in CTF_FORMATS:
        return []  # nothing says what it is
    try:
        table = read_ctf(data, key, format=program)
    except FormatError as error:
        return [finding("V745", key, f"{error.where or key}: {error.what}")]
    found = []
    beyond = [row.section for row in table.sections if sections and row.section > sections]
    if beyond:
        found.append(finding("V746", key, f"section {several(beyond)} does not exist; there are {sections}"))
    return [*found, *_same_ctf(entity, table)]


def _same_ctf(entity: Entity, table: CtfTable) -> Iterator[Finding]:
    known = table.by_z_index()
    differ = []
    for row in rows(entity.content, "per_section_parameter"):
        z, stated = number(row, "z_index"), number(row, "major_defocus")
        estimate = known.get(int(z)) if z is not None else None
        measured = estimate.major_defocus if estimate else None
        if (measured is None) != (stated is None) or (
            measured is not None and stated is not None and abs(measured - stated) > 0.01 + 1e-6 * abs(measured)
        ):
            differ.append(z)
    if differ and rows(entity.content, "per_section_parameter"):
        yield finding("V748", entity.key, f"major_defocus of the sections {several(differ)} is not that of the file")
