"""CTF estimates of a tilt series, one row per section, whatever program made them.

Units are the archive's: defocus in Å (underfocus positive), the angle of astigmatism in degrees, phase shift in
radians, resolution in Å; ``None`` is "not measured" (F28), never 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from tomoportal.errors import FormatError

__all__ = [
    "CTF_FIELDS",
    "CTF_FORMATS",
    "CtfSection",
    "CtfTable",
    "PhaseUnit",
    "ctf_table",
    "measured",
    "read_ctf",
]

PhaseUnit: TypeAlias = Literal["radian", "degree"]

CTF_FORMATS: tuple[str, ...] = ("CTFFIND", "Gctf", "IMOD")
"""The formats that a config's ``ctfs`` may name; AreTomo3's ``_CTF.txt`` is CTFFIND's."""


@dataclass(frozen=True, slots=True)
class CtfSection:
    """The estimate for one section; ``section`` counts from 1, ``z_index`` from 0."""

    section: int
    major_defocus: float | None
    minor_defocus: float | None
    astigmatic_angle: float | None
    phase_shift: float | None
    cross_correlation: float | None
    max_resolution: float | None

    @property
    def z_index(self) -> int:
        """Position of the section in the stack, from 0."""
        return self.section - 1


CTF_FIELDS = tuple(sorted(each.name for each in fields(CtfSection) if each.name != "section"))
"""What is estimated, in the order in which documents have it."""


@dataclass(frozen=True, slots=True)
class CtfTable:
    """Estimates in order of their sections, each section at most once, and what a reader should be told."""

    sections: tuple[CtfSection, ...]
    warnings: tuple[str, ...] = ()

    def by_z_index(self) -> dict[int, CtfSection]:
        """The estimates by position in the stack, from 0."""
        return {section.z_index: section for section in self.sections}


def read_ctf(data: bytes, name: str, *, format: str, phase_unit: PhaseUnit = "radian") -> CtfTable:
    """Estimates from a file of one of ``CTF_FORMATS``.

    ``phase_unit`` is that of Gctf's phase shift column; the other formats say theirs. Raises ``FormatError`` for an
    unknown format and for a file that is not of this one.
    """
    from tomoportal.formats.ctffind import read_ctffind
    from tomoportal.formats.gctf import read_gctf
    from tomoportal.formats.imod_defocus import read_imod_defocus

    if format == "CTFFIND":
        return read_ctffind(data, name)
    if format == "Gctf":
        return read_gctf(data, name, phase_unit=phase_unit)
    if format == "IMOD":
        return read_imod_defocus(data, name)
    raise FormatError(f"The CTF format {format!r} is unknown.", where=name, fix=f"Use {', '.join(CTF_FORMATS)}.")


def ctf_table(sections: Iterable[tuple[CtfSection, str]], name: str, warnings: Iterable[str] = ()) -> CtfTable:
    """A table of rows and their places; raises ``FormatError`` for a section below 1 or twice, and for no rows."""
    rows: dict[int, CtfSection] = {}
    for section, where in sections:
        if section.section < 1:
            raise FormatError(f"The section {section.section} does not exist: sections count from 1.", where=where)
        if section.section in rows:
            raise FormatError(f"The section {section.section} occurs twice.", where=where)
        rows[section.section] = section
    if not rows:
        raise FormatError("The file holds no CTF estimate.", where=name)
    return CtfTable(tuple(rows[section] for section in sorted(rows)), tuple(warnings))


def measured(word: str) -> float | None:
    """The number that a word is; ``None`` for ``inf`` and ``nan``, which programs write for fits that failed.

    Raises ``ValueError`` for a word that is no number.
    """
    if "_" in word:
        raise ValueError(word)
    value = float(word)
    return value if math.isfinite(value) else None
