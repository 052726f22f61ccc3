"""Particles of Dynamo tables (``.tbl``): one row of at least 26 numbers per particle, separated by blanks.

Columns used, counted from 1: 4–6 shifts dx dy dz, 7–9 tdrot tilt narot in degrees, 10 cross-correlation, 20 tomogram,
21 region, 22 class, 24–26 position x y z (Dynamo's description of the table). The position is x + dx in voxels of the
tomogram. Dynamo numbers voxels from 1, as all of MATLAB does: 1 is subtracted here, once. Complex numbers, which
Dynamo leaves behind after some alignments (``0+1.2e-06i``), count with their real part as long as the imaginary part
is rounding error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.point_selection import parse_conditions, selected
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.poses import Poses
from tomoportal.formats.rotations import from_dynamo_angles, to_dynamo_angles
from tomoportal.formats.rows import finite, text_rows

__all__ = ["dynamo_points", "dynamo_poses", "dynamo_tomograms", "write_dynamo"]

_COLUMNS = 26
_ALL_COLUMNS = 42
_TOMOGRAM, _SCORE = 19, 9
_SHIFT, _ANGLES, _POSITION = slice(3, 6), slice(6, 9), slice(23, 26)
_SELECTABLE = {"tomo": 19, "tag": 0, "cc": 9, "reg": 20, "class": 21}
_USED = (0, *range(3, 10), 19, 20, 21, 23, 24, 25)
_COMPLEX = re.compile(r"([+-]?[^\s+-]+(?:[eE][+-]?[0-9]+)?)([+-][^\s+-]+(?:[eE][+-]?[0-9]+)?)[ij]")
_IMAGINARY = 1e-3


def dynamo_points(
    data: bytes,
    name: str,
    *,
    shape: Literal["Point", "OrientedPoint"],
    filter_value: str | None = None,
    first_voxel: float = 1.0,
) -> VoxelPoints:
    """Particles of one tomogram (``filter_value`` is its number in column 20; all without one), in voxels.

    ``first_voxel`` is the coordinate that the table gives to the centre of the first voxel. Raises ``FormatError``
    with the line of a row that is too short or holds anything but numbers.
    """
    table = _table(data, name)
    conditions = parse_conditions(filter_value, default="tomo")
    columns = {column: table[:, index] for column, index in _SELECTABLE.items()}
    table = table[selected(conditions, columns, len(table), name)]
    rotations = from_dynamo_angles(table[:, _ANGLES]) if shape == "OrientedPoint" else None
    return VoxelPoints(table[:, _POSITION] + table[:, _SHIFT] - first_voxel, rotations)


def dynamo_poses(data: bytes, name: str, *, voxel_spacing: float, first_voxel: float = 0.0) -> dict[int, Poses]:
    """Particles by tomogram number, with their shifts and scores; ``voxel_spacing`` in Å of the table's voxels.

    ``first_voxel`` is 0 here: copick's programs write and read these tables so (reference copick-model, 20).
    """
    table = _table(data, name)
    return Poses.of(
        (table[:, _POSITION] - first_voxel) * voxel_spacing,
        from_dynamo_angles(table[:, _ANGLES]),
        table[:, _SHIFT] * voxel_spacing,
        table[:, _SCORE],
    ).by_number(table[:, _TOMOGRAM])


def write_dynamo(tomograms: Mapping[int, Poses], *, voxel_spacing: float, first_voxel: float = 0.0) -> bytes:
    """A table of 42 columns with the particles of each tomogram number, in voxels of ``voxel_spacing`` Å.

    Numbers read back the same. A table has no column for instance ids.
    """
    lines: list[str] = []
    for number, poses in tomograms.items():
        placed = poses.in_voxels(voxel_spacing)
        table = np.zeros((len(poses), _ALL_COLUMNS))
        table[:, 0] = np.arange(len(lines) + 1, len(lines) + len(poses) + 1)
        table[:, 1] = 1  # to be aligned
        table[:, _SHIFT] = placed.shifts
        table[:, _ANGLES] = to_dynamo_angles(poses.rotations)
        table[:, _SCORE], table[:, _TOMOGRAM] = poses.scores, number
        table[:, _POSITION] = placed.positions + first_voxel
        lines += [" ".join(map(_shortest, row)) for row in table.tolist()]
    return "".join(f"{line}\n" for line in lines).encode()


def _shortest(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def dynamo_tomograms(data: bytes, name: str) -> dict[int, str]:
    """The tomogram file of each number in column 20, from the index (``.doc``) that lies beside a table."""
    tomograms: dict[int, str] = {}
    for row in text_rows(data, name):
        if len(row.words) < 2 or not re.fullmatch(r"[0-9]{1,9}", row.words[0]):
            raise FormatError("The row is not a number and a file name.", where=row.where)
        number = int(row.words[0])
        if number in tomograms:
            raise FormatError(f"The tomogram {number} occurs twice.", where=row.where)
        tomograms[number] = " ".join(row.words[1:])
    return tomograms


def _table(data: bytes, name: str) -> NDArray[np.float64]:
    rows: list[list[float]] = []
    for row in text_rows(data, name, comments="#%"):
        if len(row.words) < _COLUMNS:
            raise FormatError(
                f"The row has {len(row.words)} columns, a Dynamo table at least {_COLUMNS}.", where=row.where
            )
        values = [0.0] * _COLUMNS  # columns that are not used may hold anything
        for column in _USED:
            word = row.words[column]
            value = finite(word)
            value = _real_part(word) if value is None else value
            if value is None:
                raise FormatError(f"Column {column + 1} is not a number: {word[:40]!r}.", where=row.where)
            values[column] = value
        rows.append(values)
    return np.array(rows, np.float64).reshape(-1, _COLUMNS)


def _real_part(word: str) -> float | None:
    match = _COMPLEX.fullmatch(word) if len(word) < 100 else None
    if match is None:
        return None
    real, imaginary = finite(match[1]), finite(match[2])
    if real is None or imaginary is None or abs(imaginary) > _IMAGINARY * max(1.0, abs(real)):
        return None
    return real
