"""Particles of STOPGAP motivelists (``data_stopgap_motivelist`` in STAR syntax).

A position is ``orig + shift`` in voxels of the tomogram that was picked in, taken over unchanged as the public portal
does; angles follow R = Rz(psi)·Rx(the)·Rz(phi) (reference: transforms, sections 5 and 6).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.point_selection import Selectable, parse_conditions, selected
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.rotations import from_zxz_angles
from tomoportal.formats.star import StarFile

__all__ = ["stopgap_counts", "stopgap_points"]

_BLOCK = "stopgap_motivelist"
_ORIGIN = ("orig_x", "orig_y", "orig_z")
_SHIFT = ("x_shift", "y_shift", "z_shift")
_ANGLES = ("phi", "the", "psi")
_SELECTABLE = ("tomo_num", "object", "class", "score", "subtomo_num")


def stopgap_points(
    star: StarFile, *, shape: Literal["Point", "OrientedPoint"], filter_value: str | None = None
) -> VoxelPoints:
    """Particles whose tomo_num is ``filter_value`` (or by ``object``, ``class``, ``score``), in voxels.

    Without a filter there are no points: one list holds many tomograms. Raises ``FormatError`` for a file that is no
    motivelist, missing columns, and values that are no numbers.
    """
    table = star.table(_BLOCK)
    if table is None:
        blocks = ", ".join(f"data_{one.name}" for one in star.tables)
        raise FormatError(f"There is no data_{_BLOCK} in this file ({blocks}).", where=star.name)
    angles = _ANGLES if shape == "OrientedPoint" else ()
    missing = [column for column in (*_ORIGIN, *_SHIFT, *angles, "tomo_num") if column not in table]
    if missing:
        raise FormatError(f"The motivelist lacks {', '.join(missing)}.", where=f"{star.name}:{table.line}")
    if filter_value is None:
        return VoxelPoints.empty("orientedPoint" if angles else "point")
    table.load(*_ORIGIN, *_SHIFT, *angles, "tomo_num")
    conditions = parse_conditions(filter_value, default="tomo_num")
    named = {condition.column for condition in conditions}
    columns: dict[str, Selectable] = {
        column: table.numbers(column) if column in named else np.zeros(0) for column in _SELECTABLE if column in table
    }
    rows = selected(conditions, columns, len(table), star.name)
    locations = np.stack(
        [
            table.numbers(origin)[rows] + table.numbers(shift)[rows]
            for origin, shift in zip(_ORIGIN, _SHIFT, strict=True)
        ],
        axis=1,
    )
    rotations = from_zxz_angles(np.stack([table.numbers(angle)[rows] for angle in angles], axis=1)) if angles else None
    return VoxelPoints(locations, rotations)


def stopgap_counts(star: StarFile) -> dict[str, int]:
    """How many particles each tomo_num has: what a filter that matched nothing could have named."""
    table = star.table(_BLOCK)
    return table.counts("tomo_num") if table is not None and "tomo_num" in table else {}
