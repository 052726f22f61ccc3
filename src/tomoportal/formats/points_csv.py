"""Points in delimited text: the source formats ``csv``, ``csv_with_header`` and ``tsv``.

The first three columns are the coordinates; further columns are not used. A point list comes in any unit: ``binning``
is that unit per voxel of the annotation.
"""

from __future__ import annotations

import math
import re
from typing import Literal, TypeAlias

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.points import AxisOrder, VoxelPoints, axis_order, divided

__all__ = ["CsvFormat", "csv_points"]

CsvFormat: TypeAlias = Literal["csv", "csv_with_header", "tsv"]

_AXIS_LABEL = re.compile(r"([xyz])\s*(?:[\[(].*)?")


def csv_points(
    data: bytes,
    name: str,
    *,
    format: CsvFormat = "csv",
    columns: str = "xyz",
    delimiter: str | None = None,
    binning: float = 1.0,
) -> VoxelPoints:
    """Points of a table, coordinates divided by ``binning``.

    ``columns`` is the order of the three coordinates, ``delimiter`` defaults to a comma (``tsv``: tab); a blank stands
    for any run of white space. Blank lines and lines that begin with ``#`` are skipped. ``csv_with_header`` skips the
    first line, ``tsv`` does if it is no row of numbers. Raises ``FormatError`` with the number of a bad line, and when
    a header names the axes in another order than ``columns``.
    """
    order = axis_order(columns)
    separator = ("\t" if format == "tsv" else ",") if delimiter is None else delimiter
    rows: list[tuple[float, float, float]] = []
    first = True
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        cells = text.split() if separator.isspace() and separator != "\t" else line.split(separator)
        row = _coordinates(cells)
        if first and (format == "csv_with_header" or (format == "tsv" and row is None)):
            _check_header(cells, order, f"{name}:{number}")
        elif row is None:
            raise FormatError(
                f"The row has no three coordinates at its beginning: {text[:60]!r}.",
                where=f"{name}:{number}",
                fix=_advice(first, format, separator),
            )
        else:
            rows.append(row)
        first = False
    locations = np.array(rows, np.float64).reshape(-1, 3)
    return VoxelPoints(divided(locations[:, ::-1] if order == "zyx" else locations, binning))


def _coordinates(cells: list[str]) -> tuple[float, float, float] | None:
    try:
        x, y, z = (float(cell.strip().strip('"')) for cell in cells[:3])
    except ValueError:
        return None
    if not math.isfinite(x + y + z) or any("_" in cell for cell in cells[:3]):  # float() takes 1_000 for 1000
        return None
    return x, y, z


def _check_header(cells: list[str], order: AxisOrder, where: str) -> None:
    """Refuse a header that names x, y and z, but not where ``order`` says that they are."""
    labels = [_AXIS_LABEL.fullmatch(cell.strip().strip('"').lower()) for cell in cells]
    named = "".join(match[1] for match in labels if match)
    if sorted(named) == ["x", "y", "z"] and (named != order or None in labels[:3]):
        raise FormatError(
            f"The header ({', '.join(cell.strip() for cell in cells[:6])}) does not name {', '.join(order)} first.",
            where=where,
            fix="Set columns to the order of the file, and put the coordinates into the first three columns.",
        )


def _advice(first: bool, format: CsvFormat, separator: str) -> str:
    if first and format == "csv":
        return f"If this is a header, use csv_with_header; if {separator!r} is not the delimiter, set it."
    return f"Give three numbers separated by {separator!r}, or set the delimiter."
