"""Angles, positions and shifts of other programs' particle lists as arrays (``copick.util.formats``).

Positions are ``(n, 3)``, x, y, z; transformations ``(n, 4, 4)`` with the shift as their translation; angles in degrees,
as :mod:`tomoportal.formats.rotations` describes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomoportal.errors import AnnotationError
from tomoportal.formats.rotations import (
    about_x,
    about_y,
    about_z,
    from_dynamo_angles,
    from_zxz_angles,
    to_dynamo_angles,
    to_relion_angles,
    to_zxz_angles,
)

__all__ = [
    "copick_to_dynamo_transform",
    "copick_to_em_transform",
    "dynamo_to_copick_transform",
    "em_to_copick_transform",
    "euler_to_matrix",
    "get_picks_format_from_extension",
    "get_volume_format_from_extension",
    "matrix_to_euler",
    "points_and_rotations_to_transforms",
    "transforms_to_points_and_rotations",
]

Floats = NDArray[np.float64]
_ABOUT: Final[dict[str, Callable[[ArrayLike], Floats]]] = {"x": about_x, "y": about_y, "z": about_z}
_PICKS: Final = {"em": "em", "star": "star", "tbl": "dynamo", "csv": "csv"}
_VOLUMES: Final = {"mrc": "mrc", "map": "mrc", "zarr": "zarr", "tif": "tiff", "tiff": "tiff", "em": "em"}


def get_picks_format_from_extension(path: str) -> str | None:
    """``em``, ``star``, ``dynamo`` or ``csv`` by the ending of a name, or None."""
    return _PICKS.get(path.rpartition(".")[2].lower())


def get_volume_format_from_extension(path: str) -> str | None:
    """``mrc``, ``zarr``, ``tiff`` or ``em`` by the ending of a name, or None."""
    return _VOLUMES.get(path.rpartition(".")[2].lower())


def euler_to_matrix(angles: ArrayLike, convention: str = "ZYZ", degrees: bool = True) -> Floats:
    """Matrices ``(n, 3, 3)`` of angles ``(n, 3)``: about fixed axes in small letters, moved ones in capitals."""
    given = np.asarray(angles, dtype=float).reshape(-1, 3)
    axes = convention.lower()
    if len(axes) != 3 or set(axes) - set("xyz") or convention not in (axes, axes.upper()):
        raise AnnotationError(f"{convention!r} is no order of axes.", fix="write ZYZ (moved axes) or zxz (fixed axes)")
    turns = [
        _ABOUT[axis](column if degrees else np.degrees(column)) for axis, column in zip(axes, given.T, strict=True)
    ]
    first, second, third = turns if convention.isupper() else turns[::-1]
    return np.asarray(first @ second @ third)


def matrix_to_euler(matrices: ArrayLike, convention: str = "ZYZ", degrees: bool = True) -> Floats:
    """Angles ``(n, 3)`` of ``(n, 3, 3)``: about moved axes z, y, z (``ZYZ``) or fixed axes z, x, z (``zxz``)."""
    given = np.asarray(matrices, dtype=float).reshape(-1, 3, 3)
    if convention == "ZYZ":
        found = to_relion_angles(np.swapaxes(given, 1, 2))
    elif convention == "zxz":
        found = to_zxz_angles(given)
    else:
        raise AnnotationError(f"Angles are not given in {convention!r}.", fix="ask for ZYZ or zxz")
    return found if degrees else np.radians(found)


def points_and_rotations_to_transforms(points: ArrayLike, rotations: ArrayLike) -> Floats:
    """Transformations of translations ``(n, 3)`` and rotations ``(n, 3, 3)``."""
    places = np.asarray(points, dtype=float).reshape(-1, 3)
    transforms = np.tile(np.eye(4), (len(places), 1, 1))
    transforms[:, :3, :3], transforms[:, :3, 3] = rotations, places
    return transforms


def transforms_to_points_and_rotations(transforms: ArrayLike, eps: float = 1e-8) -> tuple[Floats, Floats]:
    """Translations ``(n, 3)`` and rotations ``(n, 3, 3)``. Raises :class:`AnnotationError` for other shapes."""
    given = np.asarray(transforms, dtype=float)
    if given.ndim != 3 or given.shape[1:] != (4, 4):
        raise AnnotationError(f"Expected (N, 4, 4) array, not {given.shape}.")
    bad = np.flatnonzero(np.abs(given[:, 3, 3]) <= eps)
    if len(bad):
        raise AnnotationError(f"The transformations {bad.tolist()} are not affine.")
    given = given / given[:, 3, 3, None, None]
    return given[:, :3, 3], given[:, :3, :3]


def em_to_copick_transform(
    positions_px: ArrayLike, eulers_deg: ArrayLike, voxel_size: float, shifts_px: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Locations in Å and transformations from voxels, (phi, theta, psi) of TOM and shifts in voxels."""
    places = np.asarray(positions_px, dtype=float).reshape(-1, 3) * voxel_size
    shifts = np.zeros_like(places) if shifts_px is None else np.asarray(shifts_px, dtype=float) * voxel_size
    return places, points_and_rotations_to_transforms(shifts, from_zxz_angles(eulers_deg))


def copick_to_em_transform(
    points_angstrom: ArrayLike, transforms: ArrayLike, voxel_size: float, return_shifts: bool = False
) -> tuple[Floats, ...]:
    """Voxels and (phi, theta, psi) of TOM, with the shifts in voxels if asked for."""
    shifts, rotations = transforms_to_points_and_rotations(transforms)
    found = np.asarray(points_angstrom, dtype=float) / voxel_size, to_zxz_angles(rotations)
    return (*found, shifts / voxel_size) if return_shifts else found


def dynamo_to_copick_transform(
    positions_px: ArrayLike, eulers_deg: ArrayLike, shifts_px: ArrayLike, voxel_size: float
) -> tuple[Floats, Floats]:
    """Locations in Å and transformations from voxels, (tdrot, tilt, narot) of Dynamo and shifts in voxels."""
    places = np.asarray(positions_px, dtype=float).reshape(-1, 3) * voxel_size
    shifts = np.asarray(shifts_px, dtype=float) * voxel_size
    return places, points_and_rotations_to_transforms(shifts, from_dynamo_angles(eulers_deg))


def copick_to_dynamo_transform(
    points_angstrom: ArrayLike, transforms: ArrayLike, voxel_size: float
) -> tuple[Floats, Floats, Floats]:
    """Voxels, (tdrot, tilt, narot) of Dynamo, and shifts in voxels."""
    shifts, rotations = transforms_to_points_and_rotations(transforms)
    angles: Any = to_dynamo_angles(rotations)
    return np.asarray(points_angstrom, dtype=float) / voxel_size, angles, shifts / voxel_size
