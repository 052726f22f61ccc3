"""Rows of words in plain text, with the place of each: what the small table formats of the field have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError

__all__ = ["Row", "finite", "number_table", "text_rows", "whole"]


@dataclass(frozen=True, slots=True)
class Row:
    """The words of one line and where it is (``file:line``)."""

    words: Sequence[str]
    where: str


def text_rows(data: bytes, name: str, *, comments: str = "#", separator: str | None = None) -> Iterator[Row]:
    """Lines that are neither blank nor begin with one of the characters ``comments``, split at ``separator``.

    Without ``separator`` words are separated by white space. Raises ``FormatError`` for binary data.
    """
    if b"\0" in data:
        raise FormatError("This is a binary file, not a table of text.", where=name)
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), start=1):
        text = line.strip()
        if text and text[0] not in comments:
            words = text.split() if separator is None else [word.strip() for word in line.split(separator)]
            yield Row(words, f"{name}:{number}")


def finite(word: str) -> float | None:
    """The finite number that a word is, else ``None``; ``1_000`` is no number although Python reads it as one."""
    try:
        value = float(word) if "_" not in word else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole(value: float | None) -> int | None:
    """A whole number that fits into 64 bits as ``int``, else ``None``; 7.0 is whole."""
    if value is None or not math.isfinite(value) or value != int(value) or not abs(value) < 2**63:
        return None
    return int(value)


def number_table(rows: Iterator[Row] | Sequence[Row], columns: int, *, what: str) -> NDArray[np.float64]:
    """The first ``columns`` words of every row as numbers (n, columns).

    Raises ``FormatError`` with the place of a row that has fewer or other words; ``what`` says what a row should be.
    """
    table: list[list[float]] = []
    for row in rows:
        values = [finite(word) for word in row.words[:columns]]
        numbers = [value for value in values if value is not None]
        if len(numbers) < columns:
            raise FormatError(f"The row is not {what}: {' '.join(row.words)[:60]!r}.", where=row.where)
        table.append(numbers)
    return np.array(table, np.float64).reshape(-1, columns)
