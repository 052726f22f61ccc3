"""Particles of STOPGAP motivelists (``data_stopgap_motivelist`` in STAR syntax).

A position is ``orig + shift`` in voxels of the tomogram that was picked in, taken over unchanged as the public portal
does; angles follow R = Rz(psi)·Rx(the)·Rz(phi) (reference: transforms, sections 5 and 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.point_selection import Selectable, parse_conditions, selected
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.poses import Poses
from tomoportal.formats.rotations import from_zxz_angles, to_zxz_angles
from tomoportal.formats.star import StarFile, StarTable
from tomoportal.formats.star_output import write_star

__all__ = ["stopgap_counts", "stopgap_points", "stopgap_poses", "write_stopgap"]

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
    table = _motivelist(star)
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


def stopgap_poses(star: StarFile, *, voxel_spacing: float) -> dict[int, Poses]:
    """Particles by tomo_num, with their shifts and scores; ``voxel_spacing`` in Å of the list's voxels."""
    table = _motivelist(star)
    missing = [column for column in (*_ORIGIN, *_SHIFT, *_ANGLES, "tomo_num") if column not in table]
    if missing:
        raise FormatError(f"The motivelist lacks {', '.join(missing)}.", where=f"{star.name}:{table.line}")
    positions, shifts, angles = (
        np.stack([table.numbers(column) for column in columns], axis=1).reshape(-1, 3)
        for columns in (_ORIGIN, _SHIFT, _ANGLES)
    )
    scores = table.numbers("score") if "score" in table else None
    ids = table.numbers("object") if "object" in table else None
    poses = Poses.of(positions * voxel_spacing, from_zxz_angles(angles), shifts * voxel_spacing, scores, ids)
    return poses.by_number(table.numbers("tomo_num"))


def write_stopgap(tomograms: Mapping[int, Poses], *, voxel_spacing: float) -> bytes:
    """A motivelist with the particles of each tomo_num, in voxels of ``voxel_spacing`` Å; ``object`` is the instance.

    Positions are what ``orig`` and ``shift`` add up to; half sets alternate between A and B.
    """
    placed = {number: poses.in_voxels(voxel_spacing) for number, poses in tomograms.items()}
    parts = [
        (number, poses, poses.positions, poses.shifts, to_zxz_angles(poses.rotations))
        for number, poses in placed.items()
    ]
    count = sum(len(poses) for _, poses, *_ in parts)
    numbers = np.arange(1, count + 1)
    columns: dict[str, Sequence[str] | NDArray[Any]] = {
        "motl_idx": numbers,
        "tomo_num": np.concatenate([np.full(len(poses), number) for number, poses, *_ in parts] or [numbers]),
        "object": np.concatenate([poses.instance_ids for _, poses, *_ in parts] or [numbers]),
        "subtomo_num": numbers,
        "halfset": ["AB"[number % 2] for number in range(count)],
    }
    for names, place in ((_ORIGIN, 2), (_SHIFT, 3)):
        table = np.concatenate([np.zeros((0, 3)), *(part[place] for part in parts)])
        columns |= {name: table[:, axis] for axis, name in enumerate(names)}
        if place == 2:
            columns["score"] = np.concatenate([np.zeros(0), *(poses.scores for _, poses, *_ in parts)])
    angles = np.concatenate([np.zeros((0, 3)), *(part[4] for part in parts)])
    columns |= {"phi": angles[:, 0], "psi": angles[:, 2], "the": angles[:, 1], "class": np.ones(count, np.int64)}
    return write_star({_BLOCK: columns})


def _motivelist(star: StarFile) -> StarTable:
    table = star.table(_BLOCK)
    if table is None:
        blocks = ", ".join(f"data_{one.name}" for one in star.tables)
        raise FormatError(f"There is no data_{_BLOCK} in this file ({blocks}).", where=star.name)
    return table


def stopgap_counts(star: StarFile) -> dict[str, int]:
    """How many particles each tomo_num has: what a filter that matched nothing could have named."""
    table = star.table(_BLOCK)
    return table.counts("tomo_num") if table is not None and "tomo_num" in table else {}
