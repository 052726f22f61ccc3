"""CTF estimates of IMOD (``.defocus`` of Ctfplotter), versions 1 to 3.

A row is first view, last view, first and last tilt angle, then what the flags of the version-3 header promise: one
defocus in nm, or two and an azimuth (1); a phase shift (4); a cut-on frequency (32), not used. Azimuth and phase are
in degrees unless flags 2 and 8 make them radians; 16 says that tilt angles are inverted, which changes nothing here.
Views count from 1; the first row of a file without header may end in its version number (Ctfplotter manual).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tomoportal.errors import FormatError
from tomoportal.formats.ctf import CtfSection, CtfTable, ctf_table
from tomoportal.formats.rows import Row, finite, text_rows, whole

__all__ = ["read_imod_defocus"]

_ASTIGMATISM, _AZIMUTH_RADIANS, _PHASE, _PHASE_RADIANS, _CUT_ON = 1, 2, 4, 8, 32
_KNOWN = 63
_NM = 10.0
_MOST_VIEWS = 10_000


@dataclass(frozen=True, slots=True)
class _Range:
    first: int
    last: int
    values: Sequence[float]
    where: str


def read_imod_defocus(data: bytes, name: str) -> CtfTable:
    """One estimate for every view that a row covers; where ranges overlap, that of the range centred nearest.

    Columns that the file does not have are ``None`` (F28). Raises ``FormatError`` with the line of a row whose columns
    are not those that the flags promise, and for views that count from 0 as before IMOD 4.1.
    """
    rows = list(text_rows(data, name))
    flags = _flags(rows[0]) if rows else None
    ranges = [
        _range(row, flags or 0, first=number == 0) for number, row in enumerate(rows[1:] if flags is not None else rows)
    ]
    return ctf_table(_sections(ranges, flags or 0), name)


def _flags(row: Row) -> int | None:
    """The flags of a version-3 header line ``flags 0 0. 0. 0. version``, ``None`` if the row is data."""
    values = [finite(word) for word in row.words]
    if len(values) != 6 or any(value != 0 for value in values[1:5]) or (values[5] or 0) < 3:
        return None
    flags = whole(values[0])
    if flags is None or not 0 <= flags <= _KNOWN:
        raise FormatError(f"The flags {row.words[0][:40]!r} of the header are unknown.", where=row.where)
    return flags


def _range(row: Row, flags: int, *, first: bool) -> _Range:
    columns = 4 + (3 if flags & _ASTIGMATISM else 1) + bool(flags & _PHASE) + bool(flags & _CUT_ON)
    values = [finite(word) for word in row.words]
    if len(values) not in ((columns, columns + 1) if first else (columns,)):
        raise FormatError(f"The row has {len(values)} columns, its flags promise {columns}.", where=row.where)
    numbers = [value for value in values if value is not None]
    start, end = whole(values[0]), whole(values[1])
    if len(numbers) < len(values) or start is None or end is None:
        raise FormatError(f"The row is not two views and numbers: {' '.join(row.words)[:60]!r}.", where=row.where)
    if start < 1:
        raise FormatError(
            "Views count from 0, as in files from before IMOD 4.1.",
            where=row.where,
            fix="Open and save the file with a newer Ctfplotter.",
        )
    if not start <= end < start + _MOST_VIEWS:
        raise FormatError(f"The row covers the views {start} to {end}.", where=row.where)
    return _Range(start, end, numbers[4:columns], row.where)


def _sections(ranges: Sequence[_Range], flags: int) -> Iterator[tuple[CtfSection, str]]:
    nearest: dict[int, _Range] = {}
    covered = 0
    for one in ranges:
        covered += one.last - one.first + 1
        if covered > _MOST_VIEWS * 10:
            raise FormatError("The rows cover more views than any tilt series has.", where=one.where)
        for view in range(one.first, one.last + 1):
            other = nearest.get(view)
            if other is None or abs(one.first + one.last - 2 * view) < abs(other.first + other.last - 2 * view):
                nearest[view] = one
    for view, one in nearest.items():
        yield _section(view, one.values, flags), one.where


def _section(view: int, values: Sequence[float], flags: int) -> CtfSection:
    rest = list(values)
    major = minor = rest.pop(0) * _NM
    azimuth = phase = None
    if flags & _ASTIGMATISM:
        minor = rest.pop(0) * _NM
        azimuth = rest.pop(0)
        azimuth = math.degrees(azimuth) if flags & _AZIMUTH_RADIANS else azimuth
    if flags & _PHASE:
        phase = rest.pop(0)
        phase = phase if flags & _PHASE_RADIANS else math.radians(phase)
    return CtfSection(view, major, minor, azimuth, phase, None, None)
