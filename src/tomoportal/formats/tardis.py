"""Filaments and membranes of TARDIS: a table ``IDs, X, Y, Z`` in which rows with one id are one instance.

The header names the unit: ``[A]`` is Å, anything else (``[px]``, ``[pix]``, no header) voxels.
"""

from __future__ import annotations

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.points import AngstromPoints, VoxelPoints
from tomoportal.formats.rows import finite, number_table, text_rows, whole

__all__ = ["tardis_points"]


def tardis_points(data: bytes, name: str) -> AngstromPoints | VoxelPoints:
    """Points with their instance ids; ids written as ``0.0`` are accepted.

    Raises ``FormatError`` with the line of a row that is not an id and three coordinates, also for the two coordinates
    of filaments in a micrograph.
    """
    rows = list(text_rows(data, name, separator=","))
    header = rows.pop(0).words if rows and finite(rows[0].words[0]) is None else []
    for row in rows:
        if len(row.words) == 3:
            raise FormatError(
                "The row has an id and two coordinates: these instances have no z.",
                where=row.where,
                fix="Give the table of a tomogram (IDs, X, Y, Z).",
            )
    table = number_table(rows, 4, what="an id and three coordinates")
    ids = [whole(float(value)) for value in table[:, 0]]
    if None in ids:
        raise FormatError("The id is not a whole number.", where=rows[ids.index(None)].where)
    kind = AngstromPoints if "[a]" in ",".join(header).lower() or "[å]" in ",".join(header).lower() else VoxelPoints
    return kind(table[:, 1:4], None, np.array(ids, np.int64))
