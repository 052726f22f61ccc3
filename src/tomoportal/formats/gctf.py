"""CTF estimates of Gctf: its text tables, and the star files that it writes for stacks.

Text: index, defocus U and V in Å, angle in degrees, phase shift if there are seven columns, correlation, resolution;
lines that begin with ``#``, ``;`` or ``%`` are comments. Star: rlnDefocusU … one row per section, in order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from tomoportal.errors import FormatError
from tomoportal.formats.ctf import CtfSection, CtfTable, PhaseUnit, ctf_table, measured
from tomoportal.formats.rows import Row, finite, text_rows, whole
from tomoportal.formats.star import StarTable, read_star

__all__ = ["read_gctf"]

_STAR = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
_PHASE = "rlnPhaseShift"
_RESOLUTIONS = ("rlnCtfMaxResolution", "rlnFinalResolution")


def read_gctf(data: bytes, name: str, *, phase_unit: PhaseUnit = "radian") -> CtfTable:
    """One estimate per section; a file without phase shifts gives ``None`` (F28).

    ``phase_unit`` is that of the text table's column, which does not say; in star files it is degrees. A warning
    names values that no radians can be. Raises ``FormatError`` with the line of a bad row.
    """
    if any(line.strip().startswith(b"data_") for line in data.splitlines()[:50]):
        return ctf_table(_star_sections(read_star(data, name).table_with(*_STAR)), name)
    rows = [(_section(row, phase_unit), row.where) for row in text_rows(data, name, comments="#;%")]
    largest = max((abs(section.phase_shift or 0.0) for section, _ in rows), default=0.0)
    warnings = []
    if phase_unit == "radian" and largest > 2 * math.pi:
        warnings.append(f"{name}: phase shifts up to {largest:g} are no radians; Gctf usually writes degrees")
    return ctf_table(rows, name, warnings)


def _section(row: Row, phase_unit: PhaseUnit) -> CtfSection:
    number = whole(finite(row.words[0]))
    try:
        values = [measured(word) for word in row.words[1:]]
    except ValueError:
        values = []
    if number is None or len(values) not in (5, 6):
        raise FormatError(
            f"The row is not index, two defoci, angle, perhaps phase shift, correlation, resolution:"
            f" {' '.join(row.words)[:60]!r}.",
            where=row.where,
        )
    phase = values.pop(3) if len(values) == 6 else None
    if phase is not None and phase_unit == "degree":
        phase = math.radians(phase)
    major, minor, angle, correlation, resolution = values
    return CtfSection(number, major, minor, angle, phase, correlation, resolution)


def _star_sections(table: StarTable) -> Iterator[tuple[CtfSection, str]]:
    major, minor, angle = (table.numbers(column) for column in _STAR)
    phase = table.numbers(_PHASE) if _PHASE in table else None
    merit = table.numbers("rlnCtfFigureOfMerit") if "rlnCtfFigureOfMerit" in table else None
    resolution = next((table.numbers(column) for column in _RESOLUTIONS if column in table), None)
    for row in range(len(table)):
        section = CtfSection(
            section=row + 1,
            major_defocus=float(major[row]),
            minor_defocus=float(minor[row]),
            astigmatic_angle=float(angle[row]),
            phase_shift=None if phase is None else math.radians(float(phase[row])),
            cross_correlation=None if merit is None else float(merit[row]),
            max_resolution=None if resolution is None else float(resolution[row]),
        )
        yield section, table.where(row)
