"""CTF estimates of CTFFIND 4 and 5 (``diagnostic_output.txt``) and of AreTomo3 (``_CTF.txt``).

Seven columns: section, defocus 1 and 2 in Å, azimuth in degrees, phase shift in radians, cross-correlation, resolution
in Å; newer versions append more. Lines that begin with ``#`` are comments, however many there are (F29).
"""

from __future__ import annotations

from tomoportal.errors import FormatError
from tomoportal.formats.ctf import CtfSection, CtfTable, ctf_table, measured
from tomoportal.formats.rows import Row, finite, text_rows, whole

__all__ = ["read_ctffind"]

_COLUMNS = 7


def read_ctffind(data: bytes, name: str) -> CtfTable:
    """One estimate per row; raises ``FormatError`` with the line of a row that has too few columns or no numbers."""
    return ctf_table(((_section(row), row.where) for row in text_rows(data, name)), name)


def _section(row: Row) -> CtfSection:
    number = whole(finite(row.words[0]))
    try:
        values = [measured(word) for word in row.words[1:_COLUMNS]]
    except ValueError:
        values = []
    if number is None or len(values) < _COLUMNS - 1:
        raise FormatError(
            f"The row is not section, two defoci, azimuth, phase shift, correlation, resolution:"
            f" {' '.join(row.words)[:60]!r}.",
            where=row.where,
        )
    return CtfSection(number, *values)
