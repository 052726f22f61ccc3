"""What a container holds, in numbers: the rows of the report."""

from __future__ import annotations

from dataclasses import dataclass

from tomoportal.archive.verification.acquisition import mdoc_angles
from tomoportal.archive.verification.frames import mdoc_of
from tomoportal.archive.verification.view import View, number, rows, size_of

__all__ = ["Summary", "summarize"]


@dataclass(frozen=True, slots=True)
class Summary:
    """One container. ``tilts`` and ``doses`` are (acquisition order, ° or e⁻/Å²) in the order of acquisition."""

    key: str
    is_run: bool
    files: int
    size: int
    """Bytes of all files."""
    exposures: int = 0
    tilt_series: tuple[str, ...] = ()
    alignments: int = 0
    tomograms: tuple[str, ...] = ()
    annotations: int = 0
    objects: int = 0
    tilts: tuple[tuple[float, float], ...] = ()
    doses: tuple[tuple[float, float], ...] = ()


def summarize(view: View) -> Summary:
    """The summary of what the checks have read."""
    is_run = view.container.run_name is not None
    files, size = len(view.sizes), sum(view.sizes.values())
    if not is_run:
        return Summary(view.container.key, False, files, size)
    known = mdoc_of(view)
    sections = known[1].exposures if known else ()
    angles = mdoc_angles(known[1]) if known else []
    tilts = [
        (float(section.index), angle) for section, angle in zip(sections, angles, strict=True) if angle is not None
    ]
    doses = [
        (order, dose)
        for frames in view.of("frames")
        for row in rows(frames.content, "frames")
        if (order := number(row, "acquisition_order")) is not None
        and (dose := number(row, "accumulated_dose")) is not None
    ]
    annotations = view.of("annotation")
    return Summary(
        view.container.key,
        True,
        files,
        size,
        len(sections) or len(doses),
        tuple(_volume(each.content, "pixel_spacing") for each in view.of("tiltseries")),
        len(view.of("alignment")),
        tuple(_volume(each.content, "voxel_spacing") for each in view.of("tomogram")),
        len(annotations),
        sum(int(number(each.content, "object_count") or 0) for each in annotations),
        tuple(sorted(tilts)),
        tuple(sorted(doses)),
    )


def _volume(content: dict[str, object], field: str) -> str:
    size, spacing = size_of(content.get("size")), number(content, field)
    shape = " × ".join(map(str, size[::-1])) if size else "size unknown"
    return f"{shape} at {spacing:g} Å" if spacing else shape
