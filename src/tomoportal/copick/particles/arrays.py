"""Particle lists and volumes of other programs, one function per kind of file (``copick.util.formats``).

Positions are in voxels counted from 0, angles in degrees as each program has them, shifts in voxels; grouped data are
run → (positions in Å, transformations, scores).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.particles import index_maps
from tomoportal.copick.particles.conversions import dynamo_to_copick_transform, em_to_copick_transform
from tomoportal.copick.particles.handlers import (
    csv_handler,
    dynamo_handler,
    em_handler,
    em_picks_handler,
    tiff_handler,
)
from tomoportal.formats.dynamo import dynamo_poses
from tomoportal.formats.motivelist import motivelist_poses
from tomoportal.formats.poses import Poses
from tomoportal.formats.rotations import to_dynamo_angles, to_zxz_angles

__all__ = [
    "read_dynamo_table",
    "read_dynamo_table_grouped",
    "read_dynamo_tomolist",
    "read_em_motivelist",
    "read_em_motivelist_grouped",
    "read_em_volume",
    "read_index_map",
    "read_index_map_inverse",
    "read_tiff_volume",
    "write_copick_csv",
    "write_dynamo_table",
    "write_dynamo_table_grouped",
    "write_em_motivelist",
    "write_em_motivelist_grouped",
    "write_em_volume",
    "write_picks_csv",
    "write_picks_csv_grouped",
    "write_tiff_volume",
]

Array = NDArray[Any]
Grouped = dict[str, tuple[Any, ...]]


def _rows(tomograms: Mapping[int, Poses]) -> tuple[Poses, Array]:
    numbers = [np.full(len(poses), number) for number, poses in tomograms.items()]
    return Poses.joined(list(tomograms.values())), np.concatenate(numbers) if numbers else np.zeros(0, int)


def read_em_motivelist(
    path: str, include_tomo_index: bool = False, tomo_index_row: int = 4, include_shifts: bool = False
) -> tuple[Array, ...]:
    """Positions, (phi, theta, psi), scores; then the tomograms' numbers and the shifts if asked for."""
    data = index_maps.read_bytes(Path(path))
    poses, numbers = _rows(motivelist_poses(data, path, voxel_spacing=1.0, tomogram_row=tomo_index_row))
    found = (poses.positions, to_zxz_angles(poses.rotations), poses.scores)
    return (*found, *((numbers,) if include_tomo_index else ()), *((poses.shifts,) if include_shifts else ()))


def read_em_motivelist_grouped(
    path: str, voxel_spacing: float, index_to_run: Mapping[int, str], tomo_index_row: int = 4
) -> Grouped:
    """Run → picks; numbers that stand for no run are left out."""
    return em_picks_handler.read_grouped(path, voxel_spacing, index_to_run, tomo_index_row=tomo_index_row)


def write_em_motivelist(
    path: str,
    positions: Array,
    eulers: Array,
    scores: Array | None = None,
    tomogram_index: int = 1,
    shifts: Array | None = None,
) -> None:
    """A motivelist of one tomogram."""
    places, transforms = em_to_copick_transform(positions, eulers, 1.0, shifts)
    em_picks_handler.write(path, places, transforms, 1.0, scores=scores, tomogram_index=tomogram_index)


def write_em_motivelist_grouped(
    path: str, grouped_data: Mapping[str, Any], voxel_spacing: float, run_to_index: Mapping[str, int]
) -> None:
    """A motivelist of several runs."""
    em_picks_handler.write_grouped(path, grouped_data, voxel_spacing, run_to_index)


def read_dynamo_table(path: str, include_tomo_index: bool = False) -> tuple[Array, ...]:
    """Positions, (tdrot, tilt, narot), shifts, scores; then the tomograms' numbers if asked for."""
    poses, numbers = _rows(dynamo_poses(index_maps.read_bytes(Path(path)), path, voxel_spacing=1.0))
    found = (poses.positions, to_dynamo_angles(poses.rotations), poses.shifts, poses.scores)
    return (*found, numbers) if include_tomo_index else found


def read_dynamo_table_grouped(path: str, voxel_spacing: float, index_to_run: Mapping[int, str]) -> Grouped:
    """Run → picks; numbers that stand for no run are left out."""
    return dynamo_handler.read_grouped(path, voxel_spacing, index_to_run)


def write_dynamo_table(
    path: str,
    positions: Array,
    eulers: Array,
    shifts: Array | None = None,
    scores: Array | None = None,
    tomogram_index: int = 1,
) -> None:
    """A table of one tomogram."""
    moved = np.zeros_like(np.asarray(positions, dtype=float)) if shifts is None else shifts
    places, transforms = dynamo_to_copick_transform(positions, eulers, moved, 1.0)
    dynamo_handler.write(path, places, transforms, 1.0, scores=scores, tomogram_index=tomogram_index)


def write_dynamo_table_grouped(
    path: str, grouped_data: Mapping[str, Any], voxel_spacing: float, run_to_index: Mapping[str, int]
) -> None:
    """A table of several runs."""
    dynamo_handler.write_grouped(path, grouped_data, voxel_spacing, run_to_index)


def read_dynamo_tomolist(path: str) -> dict[int, str]:
    """Number → run, which is the name of the tomogram's file."""
    return index_maps.tomolist_runs(index_maps.read_tomolist(path))


def read_index_map(path: str) -> dict[int, str]:
    """Number → run."""
    return index_maps.read_index_map(path)


def read_index_map_inverse(path: str) -> dict[str, int]:
    """Run → number. Raises :class:`FormatError` for a run with two numbers."""
    return index_maps.inverse(index_maps.read_index_map(path))


def write_picks_csv(
    path: str,
    run_name: str,
    positions: Array,
    transforms: Array,
    scores: Array | None = None,
    instance_ids: Array | None = None,
) -> None:
    """copick's table of the picks of one run, in Å."""
    csv_handler.write(path, positions, transforms, 1.0, run_name=run_name, scores=scores, instance_ids=instance_ids)


def write_copick_csv(
    path: str,
    positions: Array,
    transforms: Array,
    run_name: str = "",
    scores: Array | None = None,
    instance_ids: Array | None = None,
) -> None:
    """The same, with the arguments in another order."""
    write_picks_csv(path, run_name, positions, transforms, scores, instance_ids)


def write_picks_csv_grouped(
    path: str, grouped_data: Mapping[str, Any], instance_ids: Mapping[str, Array] | None = None
) -> None:
    """copick's table of the picks of several runs, in Å."""
    known = instance_ids or {}
    whole = {run: (*data[:3], known[run]) if run in known else data for run, data in grouped_data.items()}
    csv_handler.write_grouped(path, whole, 1.0)


def read_em_volume(path: str) -> Array:
    """The voxels ``(z, y, x)`` of an EM file."""
    return em_handler.read(path)[0]


def read_tiff_volume(path: str) -> Array:
    """The voxels ``(z, y, x)`` of a stack of TIFF pages."""
    return tiff_handler.read(path)[0]


def write_em_volume(path: str, volume: Array, dtype: Any = np.float32) -> None:
    """An EM file of voxels ``(z, y, x)``; it states no voxel size."""
    em_handler.write(path, np.asarray(volume).astype(dtype, copy=False), 1.0)


def write_tiff_volume(path: str, volume: Array, compression: str | None = None) -> None:
    """A stack of TIFF pages of voxels ``(z, y, x)``; it states no voxel size."""
    tiff_handler.write(path, volume, 1.0, compression=compression)
