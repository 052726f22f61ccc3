"""Tomograms against their alignment and against the field of view of their tilt series."""

from __future__ import annotations

from collections.abc import Iterator

from tomoportal.archive.findings import Finding, finding
from tomoportal.archive.verification.alignments import affine_findings
from tomoportal.archive.verification.view import Entity, View, number, size_of

__all__ = ["check", "field_findings"]

_WIDER = 1.05
_FINER = 0.95
_VOXELS = 2  # binning rounds sizes


def check(view: View) -> list[Finding]:
    """Every tomogram of a run."""
    found: list[Finding] = []
    dimensions: dict[str, list[list[Finding]]] = {}
    for entity in view.of("tomogram"):
        size, spacing = size_of(entity.content.get("size")), entity.place.spacing
        found += affine_findings(entity.content.get("affine_transformation_matrix"), entity.key)
        alignment = view.entity("alignment", entity.content.get("alignment_metadata_path"))
        if size is None or not spacing:
            continue
        if alignment:
            dimensions.setdefault(alignment.key, []).append(list(_dimension(entity, alignment, size, spacing)))
        series = view.entity("tiltseries", alignment.content.get("tiltseries_path")) if alignment else None
        series = series or (view.of("tiltseries")[0] if len(view.of("tiltseries")) == 1 else None)
        pixel = number(series.content, "pixel_spacing") if series else None
        stack = size_of(series.content.get("size")) if series else None
        if pixel and stack:
            found += field_findings(entity.key, size, spacing, stack, pixel)
    # An alignment may have tomograms of several sizes; its volume is that of one of them.
    return found + [each for findings in dimensions.values() if all(findings) for each in findings[0]]


def _dimension(entity: Entity, alignment: Entity, size: tuple[int, int, int], spacing: float) -> Iterator[Finding]:
    stated = [number(alignment.content, f"volume_dimension.{axis}") for axis in "xyz"]
    actual = [count * spacing for count in size[::-1]]
    known = [each for each in stated if each is not None]
    if len(known) < 3 or not any(known):
        return
    if any(abs(one - two) > max(_VOXELS * spacing, 0.02 * two) for one, two in zip(known, actual, strict=True)):
        text = " × ".join(f"{each:g}" for each in known)
        found = " × ".join(f"{each:g}" for each in actual)
        message = f"{text} Å (x × y × z); {entity.key} has {found} Å"
        if all(abs(one - count) <= _VOXELS for one, count in zip(known, size[::-1], strict=True)):
            message += ": the numbers are voxels, not Å"
        elif sorted(known) != known and sorted(map(round, known)) == sorted(map(round, actual)):
            message += ": the axes are in another order"
        yield finding("V762", alignment.key, message)


def field_findings(
    path: str, size: tuple[int, int, int], spacing: float, stack: tuple[int, int, int], pixel: float
) -> Iterator[Finding]:
    """A tomogram (z, y, x) of ``spacing`` Å against a tilt series (z, y, x) of ``pixel`` Å."""
    width, field = max(size[1:]) * spacing, max(stack[1:]) * pixel
    if width > field * _WIDER:
        text = f"its longer side is {width:.0f} Å ({max(size[1:])} × {spacing:g} Å), that of the images {field:.0f} Å"
        yield finding("V771", path, f"{text} ({max(stack[1:])} × {pixel:g} Å): {width / field:.3f} times as much")
    if spacing < pixel * _FINER:
        yield finding("V772", path, f"the voxel spacing is {spacing:g} Å, the pixel spacing {pixel:g} Å")
