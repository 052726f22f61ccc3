"""Particles of TOM/av3 motivelists: an EM file of 20 × n numbers, one column per particle.

Rows used, counted from 1: 1 score, 5 tomogram, 6 object, 8–10 position, 11–13 shift, 17 phi, 18 psi, 19 theta, 20
class (av3's description of the list). The position is position + shift in voxels, numbered from 1 as all of MATLAB
does: 1 is subtracted here, once. R = Rz(psi)·Rx(theta)·Rz(phi). The EM header is 512 bytes: machine, two bytes of no
use, data type, then three sizes as int32. Some programs write the list as n × 20, one row per particle.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.point_selection import parse_conditions, selected
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.poses import Poses
from tomoportal.formats.rotations import from_zxz_angles, to_zxz_angles

__all__ = ["motivelist_points", "motivelist_poses", "write_motivelist"]

_HEADER = 512
_ROWS = 20
_BYTE_ORDER = {0: ">", 3: ">", 5: ">", 6: "<"}  # OS-9, SGI/SUN, Macintosh, PC
_TYPES = {5: "f4", 9: "f8"}
_SELECTABLE = {"tomo": 4, "object": 5, "class": 19, "score": 0, "subtomo": 3}


def motivelist_points(
    data: bytes,
    name: str,
    *,
    shape: Literal["Point", "OrientedPoint"],
    filter_value: str | None = None,
    first_voxel: float = 1.0,
) -> VoxelPoints:
    """Particles of one tomogram (``filter_value`` is its number in row 5; all without one), in voxels.

    ``first_voxel`` is the coordinate that the list gives to the centre of the first voxel. Raises ``FormatError`` for
    anything but an EM file of 20 × n (or n × 20) floating-point numbers of exactly the size that its header says.
    """
    table = _table(data, name)
    conditions = parse_conditions(filter_value, default="tomo")
    columns = {column: table[:, index] for column, index in _SELECTABLE.items()}
    table = table[selected(conditions, columns, len(table), name)]
    rotations = from_zxz_angles(table[:, [16, 18, 17]]) if shape == "OrientedPoint" else None
    return VoxelPoints(table[:, 7:10] + table[:, 10:13] - first_voxel, rotations)


def motivelist_poses(
    data: bytes, name: str, *, voxel_spacing: float, tomogram_row: int = 4, first_voxel: float = 1.0
) -> dict[int, Poses]:
    """Particles by tomogram number (row ``tomogram_row``, counted from 0), with their shifts and scores.

    ``voxel_spacing`` is in Å of the list's voxels. Where row 1 holds no scores they are taken from row 4, in which
    copick's programs write them (reference copick-model, 20).
    """
    if not 0 <= tomogram_row < _ROWS:
        raise FormatError(f"A motivelist has the rows 0 to {_ROWS - 1}, not {tomogram_row}.", where=name)
    table = _table(data, name)
    return Poses.of(
        (table[:, 7:10] - first_voxel) * voxel_spacing,
        from_zxz_angles(table[:, [16, 18, 17]]),
        table[:, 10:13] * voxel_spacing,
        table[:, 0] if table[:, 0].any() else table[:, 3],
    ).by_number(table[:, tomogram_row])


def write_motivelist(tomograms: Mapping[int, Poses], *, voxel_spacing: float, first_voxel: float = 1.0) -> bytes:
    """A list of float32 numbers with the particles of each tomogram number, in voxels of ``voxel_spacing`` Å.

    Scores are in row 1, where av3 has them, and in row 4, where copick's programs look for them.
    """
    tables = []
    before = 0
    for number, poses in tomograms.items():
        placed = poses.in_voxels(voxel_spacing)
        table = np.zeros((len(poses), _ROWS))
        table[:, 0] = table[:, 3] = poses.scores
        table[:, 4], table[:, 5] = number, 1
        table[:, 6] = np.arange(before + 1, before + len(poses) + 1)
        table[:, 7:10] = placed.positions + first_voxel
        table[:, 10:13] = placed.shifts
        table[:, [16, 18, 17]] = to_zxz_angles(poses.rotations)
        tables.append(table)
        before += len(poses)
    header = struct.pack("<4B3i", 6, 0, 0, 5, _ROWS, before, 1).ljust(_HEADER, b"\0")
    return header + b"".join(table.astype("<f4").tobytes() for table in tables)


def _table(data: bytes, name: str) -> NDArray[np.float64]:
    if len(data) < _HEADER:
        raise FormatError(f"The file has {len(data)} bytes, the header of an EM file {_HEADER}.", where=name)
    order = _BYTE_ORDER.get(data[0])
    if order is None:
        raise FormatError(f"{data[0]} is no machine code of an EM file.", where=name)
    nx, ny, nz = (int(size) for size in np.frombuffer(data, f"{order}i4", 3, 4))
    is_turned = nx != _ROWS and ny == _ROWS
    count = nx if is_turned else ny
    if _ROWS not in (nx, ny) or count < 0 or nz != 1 or data[3] not in _TYPES:
        raise FormatError(
            f"An EM file of {nx} × {ny} × {nz} values of type {data[3]} is no motivelist ({_ROWS} × n × 1, type 5).",
            where=name,
        )
    dtype = np.dtype(order + _TYPES[data[3]])
    expected = _HEADER + _ROWS * count * dtype.itemsize
    if len(data) != expected:
        raise FormatError(f"The header promises {expected} bytes, the file has {len(data)}.", where=name)
    with np.errstate(invalid="ignore"):  # a signalling nan is refused below
        table = np.frombuffer(data, dtype, offset=_HEADER).reshape(ny, nx).astype(np.float64)
    table = table.T if is_turned else table
    used = table[:, [0, 3, 4, 5, *range(7, 13), 16, 17, 18, 19]]
    if not np.isfinite(used).all():
        row = int(np.argmax(~np.isfinite(used).all(axis=1)))
        raise FormatError(f"Particle {row + 1} holds a number that is not finite.", where=name)
    return table
