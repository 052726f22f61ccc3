"""The surface of a mask or of one label in an OME-Zarr, from the finest level that is not too much."""

from __future__ import annotations

import math

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.meshes.mesh import Mesh
from tomoportal.formats.meshes.surface import mask_surface, surface_size
from tomoportal.formats.omezarr import level_shapes, open_omezarr
from tomoportal.storage import Store

__all__ = ["label_surface"]

_MOST_VOXELS = 16_000_000
"""Of a level that is looked through: about 0.3 s."""
_ROUGHEST = 2_000_000
"""Triangles: about 200 MB while they are made. A mask that is noise has more."""


def label_surface(store: Store, key: str, *, label: int | None = None) -> Mesh | None:
    """The surface of a label, or of all voxels that are not 0, in voxels x, y, z of the finest level.

    None if no such voxel is left at the level that is looked through. Raises :class:`FormatError`, also if there is no
    level with a surface of a size that can be drawn.
    """
    for level, shape in enumerate(level_shapes(store, key)):
        if math.prod(shape) > _MOST_VOXELS:
            continue
        volume = open_omezarr(store, key, level=level)
        voxels = volume.read(0, volume.shape[0])
        mask = voxels != 0 if label is None else voxels == label
        if surface_size(mask) > _ROUGHEST:
            continue
        mesh = mask_surface(mask)
        if mesh is None or not level:
            return mesh
        # A voxel of a lower level is the box of those that it was made from; integers are centres at every level.
        factor = np.array(volume.voxel_size) / open_omezarr(store, key).voxel_size
        return Mesh((mesh.vertices + 0.5) * factor - 0.5, mesh.faces)
    raise FormatError(
        "no level has a surface that is small enough to be drawn",
        where=key,
        fix="write more levels; if the mask is noise, filter it first",
    )
