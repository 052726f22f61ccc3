"""STAR files: data blocks with ``_name value`` pairs or ``loop_`` tables, one row of a table per line.

A file is parsed once; columns are converted when they are first asked for and kept, so that slicing one file for many
runs costs one pass. Understood: comments, quoted values, several blocks, empty tables, labels with or without ``#n``.
Refused: ``;`` text over several lines, which no program of the field writes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError

__all__ = ["StarFile", "StarTable", "read_star"]

_Splitter = Callable[[str], list[str]]

# A quote ends only before white space or the end of the line (STAR's rule), so that 'don't' is one value.
_VALUE = re.compile(r"""\s*(?:(#.*)|"((?:[^"]|"(?=\S))*)"(?=\s|$)|'((?:[^']|'(?=\S))*)'(?=\s|$)|([^\s"'#]\S*))""")


class StarTable:
    """One table (or one block of pairs, which is a table of one row); column names are without the underscore."""

    def __init__(
        self,
        name: str,
        columns: Sequence[str],
        rows: Sequence[tuple[int, str]],
        split: _Splitter,
        *,
        source: str,
        line: int,
    ) -> None:
        self.name = name
        self.columns = tuple(columns)
        self.source = source
        self.line = line
        self._rows = rows
        self._split = split
        self._texts: dict[str, tuple[str, ...]] = {}
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._positions: dict[str, dict[str, NDArray[np.intp]]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, column: object) -> bool:
        return column in self.columns

    def text(self, column: str) -> tuple[str, ...]:
        """Values of a column as text, one per row."""
        if column not in self._texts:
            self._take([column])
        return self._texts[column]

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Values of a column (n,) float64; raises ``FormatError`` with the line of one that is no finite number."""
        if column not in self._numbers:
            self.load(column)
            self._numbers[column] = self._converted(column, self._texts.pop(column))
        return self._numbers[column]

    def load(self, *columns: str) -> None:
        """Take several columns out of the rows in one pass; what ``text`` and ``numbers`` return is then at hand."""
        self._take([name for name in dict.fromkeys(columns) if name not in self._texts and name not in self._numbers])

    def rows_with(self, column: str, value: str) -> NDArray[np.intp]:
        """Positions of the rows whose column has exactly this text, ascending."""
        return self._grouped(column).get(value, np.zeros(0, np.intp))

    def counts(self, column: str) -> dict[str, int]:
        """How many rows have each text of a column, in order of first appearance."""
        return {value: len(rows) for value, rows in self._grouped(column).items()}

    def where(self, row: int) -> str:
        """``file:line`` of a row."""
        return f"{self.source}:{self._rows[row][0]}"

    def _take(self, names: list[str]) -> None:
        for name in names:
            if name not in self.columns:
                raise FormatError(
                    f"The table {self.name or '(unnamed)'} has no column {name}; it has {', '.join(self.columns)}.",
                    where=f"{self.source}:{self.line}",
                )
        if not names:
            return
        split = self._split
        get = itemgetter(*(self.columns.index(name) for name in names))
        values = [get(split(line)) for _, line in self._rows]
        if len(names) == 1:
            self._texts[names[0]] = tuple(values)
        else:
            found = list(zip(*values, strict=True)) if values else [()] * len(names)
            self._texts.update(zip(names, found, strict=True))

    def _grouped(self, column: str) -> dict[str, NDArray[np.intp]]:
        if column not in self._positions:
            groups: dict[str, list[int]] = {}
            for position, value in enumerate(self.text(column)):
                groups.setdefault(value, []).append(position)
            self._positions[column] = {value: np.array(rows, np.intp) for value, rows in groups.items()}
        return self._positions[column]

    def _converted(self, column: str, texts: Sequence[str]) -> NDArray[np.float64]:
        try:
            values = np.array(list(map(float, texts)), np.float64)
            if np.isfinite(values).all() and "_" not in "".join(texts):  # float() takes 1_000 for 1000
                return values
        except ValueError:
            pass
        row = next(row for row, text in enumerate(texts) if not _is_number(text))
        raise FormatError(f"{column} is not a number: {texts[row]!r}.", where=self.where(row))


class StarFile:
    """All tables of a file in order."""

    def __init__(self, name: str, tables: Sequence[StarTable]) -> None:
        self.name = name
        self.tables = tuple(tables)

    def table(self, name: str) -> StarTable | None:
        """The first table of the block ``data_<name>``, or ``None``."""
        return next((table for table in self.tables if table.name == name), None)

    def table_with(self, *columns: str) -> StarTable:
        """The only table that has all these columns; raises ``FormatError`` if none or several have them."""
        found = [table for table in self.tables if all(column in table for column in columns)]
        if len(found) != 1:
            blocks = ", ".join(f"data_{table.name}" for table in found or self.tables)
            number = "No table has" if not found else f"{len(found)} tables have"
            raise FormatError(f"{number} the columns {', '.join(columns)} ({blocks}).", where=self.name)
        return found[0]


def read_star(data: bytes, name: str) -> StarFile:
    """Parse a file; raises ``FormatError`` with the line number of what breaks the syntax."""
    lines = _text(data).splitlines()
    tables: list[StarTable] = []
    block: str | None = None
    number = 0
    while number < len(lines):
        text = lines[number].strip()
        if not text or text.startswith("#"):
            number += 1
        elif text.lower().startswith("data_"):
            block = _data_name(text, f"{name}:{number + 1}")
            number += 1
        elif block is None:
            raise FormatError(f"Text before the first data_ block: {text[:60]!r}.", where=f"{name}:{number + 1}")
        elif text.lower().split()[0] == "loop_":
            if text.lower() != "loop_" and not text[5:].lstrip().startswith("#"):
                raise FormatError("The line of loop_ holds more than that.", where=f"{name}:{number + 1}")
            table, number = _loop(lines, number + 1, block, name)
            tables.append(table)
        elif text.startswith("_"):
            table, number = _pairs(lines, number, block, name)
            tables.append(table)
        else:
            raise FormatError(f"Neither label nor loop_: {text[:60]!r}.", where=f"{name}:{number + 1}")
    if block is None:
        raise FormatError("There is no data_ block in this file.", where=name)
    return StarFile(name, tables)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:  # names of old files; replaced characters would never equal a filter's
        return data.decode("latin-1")


def _loop(lines: list[str], number: int, block: str, name: str) -> tuple[StarTable, int]:
    begin = number
    labels: list[str] = []
    while number < len(lines):
        text = lines[number].strip()
        if text.startswith("_"):
            label, *rest = text.split()
            if rest and not rest[0].startswith("#"):
                raise FormatError(
                    f"The label line holds more than a label: {text[:60]!r}.", where=f"{name}:{number + 1}"
                )
            labels.append(label[1:])
        elif text and not text.startswith("#"):
            break
        number += 1
    rows: list[tuple[int, str]] = []
    plain = True
    while number < len(lines):
        line = lines[number]
        text = line.strip()
        number += 1
        if not text or text[0] == "#":
            continue
        if text[0] == "_" or text[:5].lower() in ("data_", "loop_"):
            number -= 1
            break
        if line[0] == ";":
            raise FormatError("Text over several lines (;) is not supported.", where=f"{name}:{number}")
        plain = plain and not ('"' in text or "'" in text or "#" in text)
        rows.append((number, text))
    _check_labels(labels, f"{name}:{begin}")
    split: _Splitter = str.split if plain else _split_quoted
    width = len(labels)
    for line_number, text in rows:
        if len(split(text)) != width:
            _check_quotes(text, f"{name}:{line_number}")
            raise FormatError(
                f"The row has {len(split(text))} values, the table {width} columns.", where=f"{name}:{line_number}"
            )
    return StarTable(block, labels, rows, split, source=name, line=begin), number


def _pairs(lines: list[str], number: int, block: str, name: str) -> tuple[StarTable, int]:
    begin = number + 1
    pairs: dict[str, str] = {}
    while number < len(lines):
        text = lines[number].strip()
        if text and not text.startswith("#"):
            if not text.startswith("_"):
                break
            where = f"{name}:{number + 1}"
            values = _split_quoted(text)
            if len(values) != 2:
                _check_quotes(text, where)
                raise FormatError(f"The line is not one label and one value: {text[:60]!r}.", where=where)
            label = values[0][1:]
            if label in pairs:
                raise FormatError(f"The label _{label} occurs twice.", where=where)
            _check_labels([label], where)
            pairs[label] = values[1]
        number += 1
    split = partial(_given, list(pairs.values()))
    return StarTable(block, list(pairs), [(begin, "")], split, source=name, line=begin), number


def _given(values: list[str], _row: str) -> list[str]:
    return values


def _data_name(text: str, where: str) -> str:
    name, *rest = text.split()
    if rest and not rest[0].startswith("#"):
        raise FormatError(f"The line of a data_ block holds more than its name: {text[:60]!r}.", where=where)
    return name[5:]


def _check_labels(labels: Sequence[str], where: str) -> None:
    if not labels:
        raise FormatError("A loop_ without labels.", where=where)
    if "" in labels:
        raise FormatError("A label without a name.", where=where)
    if len(set(labels)) < len(labels):
        repeated = Counter(labels).most_common(1)[0][0]
        raise FormatError(f"The label _{repeated} occurs twice.", where=where)


def _split_quoted(text: str) -> list[str]:
    values: list[str] = []
    position = 0
    while position < len(text):
        match = _VALUE.match(text, position)
        if match is None:
            return [] if text[position:].strip() else values  # an open quote: no table has rows without values
        if match[1] is not None:
            break
        values.append(next(group for group in match.groups()[1:] if group is not None))
        position = match.end()
    return values


def _check_quotes(text: str, where: str) -> None:
    if text and not _split_quoted(text):
        raise FormatError(f"A quote is not closed: {text[:60]!r}.", where=where)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
