"""Boxes of crYOLO: ``.cbox`` (STAR syntax), ``.coords`` and ``.box``, in voxels of the tomogram that was picked in.

In a ``.cbox`` file CoordinateX and CoordinateY are the lower corner of a box, its centre is + Width/2 and + Height/2;
CoordinateZ is the centre already, for boxes are found slice by slice and traced (crYOLO's own writer says so, and in
real files the smallest z is half a box). ``cryolo_include`` lists the slices that belong to the picking; boxes on
other slices are left out. ``.coords`` and three-dimensional ``.box`` files hold the centres.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.point_selection import Selectable, parse_conditions, selected
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.rows import finite, number_table, text_rows, whole
from tomoportal.formats.star import StarFile, StarTable

__all__ = ["box_points", "cbox_points"]

_MISSING = ("<NA>", "NA", "nan", "NaN", "None")
_SLICE_TOLERANCE = 1e-3


def cbox_points(
    star: StarFile,
    *,
    shape: Literal["Point", "InstanceSegmentation"] = "Point",
    min_confidence: float | None = None,
    filter_value: str | None = None,
) -> VoxelPoints:
    """Centres of the boxes, with the filament numbers as instance ids for ``InstanceSegmentation``.

    ``min_confidence`` (or the filter ``confidence>=0.3``) keeps boxes that are at least as certain. Raises
    ``FormatError`` for boxes of a two-dimensional micrograph, and when confidence or filaments are asked for and the
    file does not have them.
    """
    table = star.table("cryolo")
    if table is None:
        raise FormatError("There is no data_cryolo in this file.", where=star.name)
    x, y, z = (_column(table, f"Coordinate{axis}") for axis in "XYZ")
    if np.isnan(z).any():
        raise FormatError(
            "The boxes have no z: they were picked in a micrograph, not in a tomogram.",
            where=table.where(int(np.argmax(np.isnan(z)))),
        )
    width, height = _column(table, "Width"), _column(table, "Height")
    columns: dict[str, Selectable] = {}
    conditions = parse_conditions(filter_value, default="filament")
    if min_confidence is not None or any(condition.column == "confidence" for condition in conditions):
        columns["confidence"] = _known(table, "Confidence")
    if shape == "InstanceSegmentation" or any(condition.column == "filament" for condition in conditions):
        columns["filament"] = _known(table, "filamentid")
    kept = selected(conditions, columns, len(table), star.name) & _on_included_slices(star, z)
    if min_confidence is not None:
        kept &= np.asarray(columns["confidence"]) >= min_confidence
    centres = np.stack([x + width / 2, y + height / 2, z], axis=1)[kept]
    if not np.isfinite(centres).all():
        raise FormatError("A box has no position or no size.", where=f"{star.name}:{table.line}")
    if shape != "InstanceSegmentation":
        return VoxelPoints(centres)
    filaments = np.asarray(columns["filament"])[kept]
    ids = [whole(float(value)) for value in filaments]
    if None in ids:
        raise FormatError("filamentid holds a number that is not whole.", where=f"{star.name}:{table.line}")
    return VoxelPoints(centres, None, np.array(ids, np.int64))


def box_points(data: bytes, name: str) -> VoxelPoints:
    """Centres from ``.coords`` (x y z) or a three-dimensional ``.box`` file (x y z, or x y z width height).

    Raises ``FormatError`` for the four columns of a two-dimensional ``.box`` file and for rows that are no numbers.
    """
    rows = list(text_rows(data, name))
    for row in rows:
        if len(row.words) not in (3, 5, 6):
            raise FormatError(
                f"The row has {len(row.words)} columns; three-dimensional boxes have x y z, then perhaps sizes.",
                where=row.where,
                fix="Boxes with four columns are those of a micrograph, without z." if len(row.words) == 4 else None,
            )
    return VoxelPoints(number_table(rows, 3, what="three coordinates"))


def _column(table: StarTable, name: str) -> NDArray[np.float64]:
    """Values (n,) of a column, nan where the file says that there is none."""
    values = np.empty(len(table))
    for row, word in enumerate(table.text(name)):
        number = finite(word)
        if number is None and word not in _MISSING:
            raise FormatError(f"{name} is not a number: {word[:40]!r}.", where=table.where(row))
        values[row] = np.nan if number is None else number
    return values


def _known(table: StarTable, name: str) -> NDArray[np.float64]:
    if name in table:
        values = _column(table, name)
        if not np.isnan(values).any():
            return values
    raise FormatError(f"The boxes have no {name}.", where=f"{table.source}:{table.line}")


def _on_included_slices(star: StarFile, z: NDArray[np.float64]) -> NDArray[np.bool_]:
    table = star.table("cryolo_include")
    if table is None or not len(table):
        return np.ones(len(z), np.bool_)
    included = np.sort(table.numbers("slice_index"))
    after = np.clip(np.searchsorted(included, z), 1, len(included)) - 1
    nearest = np.minimum(np.abs(included[after] - z), np.abs(included[np.minimum(after + 1, len(included) - 1)] - z))
    on_slice: NDArray[np.bool_] = nearest <= _SLICE_TOLERANCE
    return on_slice
