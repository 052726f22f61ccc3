"""Alignments of AreTomo 1 to 3 (``.aln``): header, global alignment per section, local (patch) alignment.

Rows are ``SEC ROT GMAG TX TY SMEAN SFIT SCALE BASE TILT``; ``# DarkFrame = index …`` names sections (from 0) that were
left out, and the rows are the other sections of the raw series in order. ROT is the in-plane angle in degrees, TX and
TY pixels of the tilt series. AlphaOffset is the tilt offset, BetaOffset the rotation of the volume about x (F23).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tomoportal.errors import FormatError
from tomoportal.formats.alignments import SectionAlignment
from tomoportal.formats.rows import finite, whole

__all__ = ["AretomoAlignment", "AretomoRow", "LocalShift", "read_aretomo"]

_ROW = 10
_LOCAL = 7
_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class AretomoRow:
    """Global alignment of one section; angles in degrees, shifts in pixels. ``label`` is the file's SEC."""

    label: int
    rotation: float
    magnification: float
    shift: tuple[float, float]
    tilt_angle: float


@dataclass(frozen=True, slots=True)
class LocalShift:
    """Shift of one patch in one section, in pixels from the image's centre; ``row`` counts the rows from 0."""

    row: int
    patch: int
    centre: tuple[float, float]
    shift: tuple[float, float]
    good: bool


@dataclass(frozen=True, slots=True)
class AretomoAlignment:
    """A parsed ``.aln``; sizes in pixels, angles in degrees."""

    name: str
    raw_size: tuple[int, int, int]
    """Size of the raw series (x, y, sections)."""
    patch_count: int
    """Patches per section; 0 for a global alignment only."""
    dark_sections: tuple[int, ...]
    """Sections of the raw series, from 0, that were left out."""
    tilt_offset: float
    """AlphaOffset."""
    x_rotation_offset: float
    """BetaOffset."""
    thickness: float | None
    """Thickness in pixels, where the file has it."""
    rows: tuple[AretomoRow, ...]
    local_shifts: tuple[LocalShift, ...]

    @property
    def alignment_type(self) -> str:
        """LOCAL if patches were aligned, else GLOBAL (F24)."""
        return "LOCAL" if self.local_shifts else "GLOBAL"

    def original_sections(self) -> tuple[int, ...]:
        """Section of the raw series, from 0, of every row.

        Raises ``FormatError`` unless the rows and the dark sections are together as many as the raw series has.
        """
        dark = set(self.dark_sections)
        kept = tuple(index for index in range(self.raw_size[2]) if index not in dark)
        if len(kept) != len(self.rows):
            raise FormatError(
                f"{len(self.rows)} rows and {len(dark)} dark frames are not the {self.raw_size[2]} sections of"
                " RawSize.",
                where=self.name,
                fix="The file is cut, or belongs to another series.",
            )
        return kept

    def sections(self, pixel_spacing: float) -> list[SectionAlignment]:
        """Per-section parameters with offsets in Å (F22); ``pixel_spacing`` of the tilt series in Å.

        In-plane rotation [[cos, −sin], [sin, cos]] of ROT; raises ``FormatError`` as ``original_sections``.
        """
        if not (math.isfinite(pixel_spacing) and pixel_spacing > 0):
            raise FormatError(f"A pixel spacing of {pixel_spacing} Å is not possible.", where=self.name)
        return [
            SectionAlignment(
                z_index=index,
                tilt_angle=row.tilt_angle,
                volume_x_rotation=0.0,
                in_plane_rotation=_rotation(row.rotation),
                x_offset=row.shift[0] * pixel_spacing,
                y_offset=row.shift[1] * pixel_spacing,
            )
            for index, row in zip(self.original_sections(), self.rows, strict=True)
        ]


def read_aretomo(data: bytes, name: str) -> AretomoAlignment:
    """Parse an ``.aln`` file; raises ``FormatError`` with the line of what is not AreTomo's."""
    header: dict[str, tuple[list[float], str]] = {}
    dark: list[int] = []
    rows: list[AretomoRow] = []
    shifts: list[LocalShift] = []
    local = False
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    if not lines or not lines[0].lstrip().startswith("#") or "AreTomo" not in lines[0]:
        raise FormatError("The first line does not say AreTomo Alignment.", where=name)
    for number, line in enumerate(lines, start=1):
        where = f"{name}:{number}"
        text = line.strip()
        if text.startswith("#"):
            keyword, equals, value = text[1:].partition("=")
            keyword = keyword.strip()
            local = local or keyword.startswith("Local Alignment")
            if equals and keyword in ("RawSize", "NumPatches", "DarkFrame", "AlphaOffset", "BetaOffset", "Thickness"):
                values = _numbers(value.split(), where)
                if keyword == "DarkFrame":
                    dark.append(_index(values, where))
                else:
                    header[keyword] = (values, where)
        elif text:
            words = _numbers(text.split(), where)
            if local:
                shifts.append(_local_shift(words, where))
            else:
                rows.append(_row(words, where))
    if not rows:
        raise FormatError("The file holds no section.", where=name)
    raw_size = _raw_size(header, name)
    if len(set(dark)) < len(dark) or any(index >= raw_size[2] for index in dark):
        raise FormatError(f"The dark frames {dark[:10]} are not distinct sections of {raw_size[2]}.", where=name)
    patches = whole(_value(header, "NumPatches", 0.0))
    if patches is None or patches < 0:
        raise FormatError("NumPatches is not a whole number.", where=header["NumPatches"][1])
    return AretomoAlignment(
        name=name,
        raw_size=raw_size,
        patch_count=patches,
        dark_sections=tuple(sorted(dark)),
        tilt_offset=_value(header, "AlphaOffset", 0.0),
        x_rotation_offset=_value(header, "BetaOffset", 0.0),
        thickness=_value(header, "Thickness", 0.0) if "Thickness" in header else None,
        rows=tuple(rows),
        local_shifts=tuple(shifts),
    )


def _row(values: list[float], where: str) -> AretomoRow:
    label = whole(values[0])
    if len(values) != _ROW or label is None:
        raise FormatError(f"The row has {len(values)} columns, a section of AreTomo {_ROW}.", where=where)
    return AretomoRow(label, values[1], values[2], (values[3], values[4]), values[9])


def _local_shift(values: list[float], where: str) -> LocalShift:
    row = whole(values[0])
    patch = whole(values[1]) if len(values) == _LOCAL else None
    if row is None or patch is None:
        raise FormatError(f"The row has {len(values)} columns, a patch of AreTomo {_LOCAL}.", where=where)
    return LocalShift(row, patch, (values[2], values[3]), (values[4], values[5]), values[6] != 0)


def _raw_size(header: dict[str, tuple[list[float], str]], name: str) -> tuple[int, int, int]:
    values, where = header.get("RawSize", ([], name))
    sizes = [whole(value) for value in values]
    found = [size for size in sizes if size is not None and 0 < size <= _LARGEST]
    if len(sizes) != 3 or len(found) != 3:
        raise FormatError("There is no RawSize = x y z in the header.", where=where)
    return found[0], found[1], found[2]


def _index(values: list[float], where: str) -> int:
    index = whole(values[0]) if values else None
    if index is None or index < 0:
        raise FormatError("DarkFrame does not begin with a section number.", where=where)
    return index


def _value(header: dict[str, tuple[list[float], str]], keyword: str, default: float) -> float:
    values, where = header.get(keyword, ([default], ""))
    if not values:
        raise FormatError(f"{keyword} has no value.", where=where)
    return values[0]


def _numbers(words: list[str], where: str) -> list[float]:
    values = [finite(word) for word in words]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        raise FormatError(f"The line holds something else than numbers: {' '.join(words)[:60]!r}.", where=where)
    return numbers


def _rotation(degrees: float) -> tuple[tuple[float, float], tuple[float, float]]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (cosine, -sine), (sine, cosine)
