"""IMOD alignments: ``.xf`` with ``.tlt`` and ``.xtilt`` → per-section parameters and back; ``tilt.com``.

A row ``A11 A12 A21 A22 DX DY`` of an ``.xf`` file maps a point of the raw image to the aligned one, both relative to
the image centres, ``x' = A·x + d`` (IMOD, newstack manual). Stored are its parts in the other direction:
``in_plane_rotation`` R = Aᵀ and the offset t = Aᵀ·(−d), t in pixels of the tilt series × its pixel spacing = Å.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.alignments import SectionAlignment
from tomoportal.formats.tilt_angles import write_tilt_angles

__all__ = ["ImodFiles", "TiltCom", "export_imod", "imod_sections", "read_tilt_com", "read_xf", "write_xf"]


@dataclass(frozen=True, slots=True)
class TiltCom:
    """What ``tilt.com`` says about a reconstruction; lengths in pixels of the unbinned series, angles in degrees."""

    tilt_offset: float
    """``OFFSET``: added to every tilt angle."""
    x_axis_tilt: float
    """``XAXISTILT``: rotation of the volume about x."""
    shift: tuple[float, float]
    """``SHIFT``: shift of the reconstructed slices in x and z."""
    thickness: float | None
    """``THICKNESS`` of the volume in z."""
    excluded_views: tuple[int, ...]
    """``EXCLUDELIST`` and ``EXCLUDELIST2``: views left out, numbered from 1."""
    image_binned: int
    """``IMAGEBINNED``: binning of the aligned stack."""
    full_image: tuple[int, int] | None
    """``FULLIMAGE``: size of the series in x and y."""
    entries: Mapping[str, str]
    """Every option as written, names in upper case."""


@dataclass(frozen=True, slots=True)
class ImodFiles:
    """The files of an exported alignment, and the views (from 1) that belong into ``EXCLUDELIST2``."""

    xf: bytes
    tlt: bytes
    xtilt: bytes
    excluded_views: tuple[int, ...]


def read_xf(data: bytes, name: str) -> NDArray[np.float64]:
    """Transforms (n, 6) A11 A12 A21 A22 DX DY, one row per section; raises ``FormatError`` with the line number."""
    rows = []
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        values = [_number(word) for word in words]
        if len(values) != 6 or any(value is None for value in values):
            raise FormatError(
                f"The row is not six numbers (A11 A12 A21 A22 DX DY): {line.strip()[:60]!r}.", where=f"{name}:{number}"
            )
        rows.append(values)
    if not rows:
        raise FormatError("The file holds no transform.", where=name)
    return np.array(rows, np.float64)


def write_xf(transforms: ArrayLike) -> bytes:
    """``.xf`` bytes of transforms (n, 6) in IMOD's layout: seven decimals for A, three for the shifts."""
    rows = np.asarray(transforms, np.float64).reshape(-1, 6) + 0.0
    return "".join(("%12.7f" * 4 + "%12.3f" * 2 + "\n") % tuple(row) for row in rows.tolist()).encode("ascii")


def imod_sections(
    transforms: NDArray[np.float64],
    tilt_angles: Sequence[float] | NDArray[np.float64],
    x_rotations: Sequence[float] | NDArray[np.float64] | None = None,
    *,
    pixel_spacing: float,
    name: str,
    excluded_views: Iterable[int] = (),
) -> list[SectionAlignment]:
    """Per-section parameters from the rows of ``.xf``, ``.tlt`` and ``.xtilt`` (without ``.xtilt``: 0).

    ``pixel_spacing`` is that of the tilt series in Å; ``excluded_views`` (numbered from 1) are left out, the z_index
    of the others stays the row number from 0. Raises ``FormatError`` when the lists differ in length, when a
    transform cannot be inverted, or an excluded view does not exist.
    """
    count = len(transforms)
    x_rotations = np.zeros(count) if x_rotations is None else x_rotations
    if not count == len(tilt_angles) == len(x_rotations):
        raise FormatError(
            f"The files of this alignment differ in length: .xf {count}, .tlt {len(tilt_angles)},"
            f" .xtilt {len(x_rotations)} rows.",
            where=name,
            fix="All of them need one row per section of the tilt series.",
        )
    excluded = set(excluded_views)
    if excluded - set(range(1, count + 1)):
        raise FormatError(
            f"Excluded views {sorted(excluded - set(range(1, count + 1)))} do not exist (1 … {count}).", where=name
        )
    rotations, offsets = _stored(transforms, name)
    offsets = offsets * _spacing(pixel_spacing, name)
    return [
        SectionAlignment(
            z_index=index,
            tilt_angle=float(tilt_angles[index]),
            volume_x_rotation=float(x_rotations[index]) + 0.0,
            in_plane_rotation=_matrix(rotations[index]),
            x_offset=float(offsets[index, 0]),
            y_offset=float(offsets[index, 1]),
        )
        for index in range(count)
        if index + 1 not in excluded
    ]


def export_imod(
    sections: Sequence[SectionAlignment], *, pixel_spacing: float, section_count: int | None = None
) -> ImodFiles:
    """IMOD's files of an alignment: A = Rᵀ and d = −R⁻¹·t, which is −Rᵀ·t for rotations.

    ``section_count`` is the number of sections of the tilt series (default: the largest z_index + 1). Missing
    sections get the identity, an interpolated angle, and a place in ``excluded_views``. Raises ``FormatError`` when a
    z_index occurs twice or lies outside the series.
    """
    ordered = sorted(sections, key=lambda section: section.z_index)
    indices = [section.z_index for section in ordered]
    count = section_count if section_count is not None else (indices[-1] + 1 if indices else 0)
    if not indices or len(set(indices)) < len(indices) or indices[0] < 0 or indices[-1] >= count:
        raise FormatError(f"Section numbers {indices} are not distinct numbers from 0 to {count - 1}.")
    spacing = _spacing(pixel_spacing, "export")
    transforms = np.tile(np.array([1.0, 0, 0, 1, 0, 0]), (count, 1))
    for section in ordered:
        rotation = np.array(section.in_plane_rotation, np.float64)
        offset = np.array([section.x_offset, section.y_offset]) / spacing
        if not abs(np.linalg.det(rotation)) > 1e-6:
            raise FormatError(f"The in-plane rotation of section {section.z_index} cannot be inverted.")
        transforms[section.z_index] = [*rotation.T.ravel(), *-np.linalg.solve(rotation, offset)]
    every = np.arange(count)
    return ImodFiles(
        xf=write_xf(transforms),
        tlt=write_tilt_angles(np.interp(every, indices, [section.tilt_angle for section in ordered])),
        xtilt=write_tilt_angles(np.interp(every, indices, [section.volume_x_rotation for section in ordered])),
        excluded_views=tuple(int(index) + 1 for index in np.setdiff1d(every, indices)),
    )


def read_tilt_com(data: bytes, name: str) -> TiltCom:
    """The options of a ``tilt.com`` command file; raises ``FormatError`` with the line number of a bad value."""
    entries: dict[str, str] = {}
    lines: dict[str, int] = {}
    excluded: set[int] = set()
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith(("#", "$")):
            continue
        keyword, _, value = text.replace("\t", " ").partition(" ")
        keyword, value = keyword.upper(), value.strip()
        if keyword in ("EXCLUDELIST", "EXCLUDELIST2"):
            excluded.update(_views(value, f"{name}:{number}"))
        entries[keyword], lines[keyword] = value, number
    if not entries.keys() & {"TILTFILE", "THICKNESS", "INPUTPROJECTIONS", "OUTPUTFILE", "EXCLUDELIST", "EXCLUDELIST2"}:
        raise FormatError(
            "None of tilt's options (TILTFILE, THICKNESS, …) is in this file.", where=name, fix="Give IMOD's tilt.com."
        )

    def numbers(keyword: str, *, at_least: int, default: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if keyword not in entries:
            return default
        values = [_number(word) for word in re.split(r"[\s,]+", entries[keyword]) if word]
        found = tuple(value for value in values if value is not None)
        if len(found) < at_least or len(found) < len(values):
            raise FormatError(
                f"{keyword} needs {at_least} number(s), not {entries[keyword]!r}.", where=f"{name}:{lines[keyword]}"
            )
        return found

    offset = numbers("OFFSET", at_least=1, default=(0.0,)) or (0.0,)
    x_tilt = numbers("XAXISTILT", at_least=1, default=(0.0,)) or (0.0,)
    shift = numbers("SHIFT", at_least=1, default=(0.0, 0.0)) or (0.0, 0.0)
    thickness = numbers("THICKNESS", at_least=1, default=None)
    binned = numbers("IMAGEBINNED", at_least=1, default=(1.0,)) or (1.0,)
    full = numbers("FULLIMAGE", at_least=2, default=None)
    return TiltCom(
        tilt_offset=offset[0],
        x_axis_tilt=x_tilt[0],
        shift=(shift[0], shift[1] if len(shift) > 1 else 0.0),
        thickness=thickness[0] if thickness else None,
        excluded_views=tuple(sorted(excluded)),
        image_binned=int(binned[0]),
        full_image=(int(full[0]), int(full[1])) if full else None,
        entries=entries,
    )


def _stored(transforms: NDArray[np.float64], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """R = Aᵀ (n, 2, 2) and t = Aᵀ·(−d) (n, 2) in pixels."""
    matrices = transforms[:, :4].reshape(-1, 2, 2)
    singular = ~(np.abs(np.linalg.det(matrices)) > 1e-6)
    if singular.any():
        raise FormatError(f"The transform of row {int(np.argmax(singular)) + 1} cannot be inverted.", where=name)
    rotations = np.swapaxes(matrices, 1, 2) + 0.0
    return rotations, np.einsum("nij,nj->ni", rotations, -transforms[:, 4:]) + 0.0


def _matrix(rotation: NDArray[np.float64]) -> tuple[tuple[float, float], tuple[float, float]]:
    (a, b), (c, d) = rotation.tolist()
    return (a, b), (c, d)


def _spacing(pixel_spacing: float, name: str) -> float:
    if not (math.isfinite(pixel_spacing) and pixel_spacing > 0):
        raise FormatError(f"A pixel spacing of {pixel_spacing} Å is not possible.", where=name)
    return pixel_spacing


def _views(text: str, where: str) -> set[int]:
    views: set[int] = set()
    for part in re.split(r"[\s,]+", text):
        match = re.fullmatch(r"([0-9]{1,6})(?:-([0-9]{1,6}))?", part)
        if match:
            views.update(range(int(match[1]), int(match[2] or match[1]) + 1))
        elif part:
            raise FormatError(f"{part!r} is not a view number or a range such as 3-5.", where=where)
    return views


def _number(word: str) -> float | None:
    try:
        value = float(word) if "_" not in word else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
