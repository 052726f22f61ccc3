"""The surface of a mask, as triangles.

Naive surface nets (Gibson 1998): every cell of eight neighbouring voxels that lie on both sides has one vertex, at the
mean of the middles of its edges that cross the surface; every crossing edge joins the four cells around it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tomoportal.formats.meshes.mesh import Mesh

__all__ = ["mask_surface", "surface_size"]

_CORNERS = np.array([[z, y, x] for z in (0, 1) for y in (0, 1) for x in (0, 1)])
_EDGES = np.array([(a, b) for a in range(8) for b in range(a + 1, 8) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1])
_MIDDLES = (_CORNERS[_EDGES[:, 0]] + _CORNERS[_EDGES[:, 1]]) / 2


def mask_surface(mask: NDArray[np.bool_]) -> Mesh | None:
    """The surface of the true voxels of ``mask`` (z, y, x), None if there are none.

    Vertices are in voxels, x, y, z, with integers at voxel centres: one voxel at index i is a surface around i, within
    half a voxel. Closed, also where the mask reaches the border; triangles turn counter-clockwise seen from outside.
    """
    box = _box(mask)
    if box is None:
        return None
    inside = np.pad(mask[box], 1)
    cells = np.flatnonzero(_is_crossed(inside))
    shape = tuple(size - 1 for size in inside.shape)
    position = np.stack(np.unravel_index(cells, shape), axis=1)
    strides = np.array([inside.shape[1] * inside.shape[2], inside.shape[2], 1])
    corners = inside.reshape(-1)[(position @ strides)[:, np.newaxis] + _CORNERS @ strides]
    crossing = corners[:, _EDGES[:, 0]] != corners[:, _EDGES[:, 1]]
    offset = crossing.astype(np.float32) @ _MIDDLES / crossing.sum(axis=1, keepdims=True)
    start = np.array([part.start for part in box]) - 1
    vertices = (position + offset + start)[:, ::-1]
    number = np.zeros(shape, np.int32)
    number.reshape(-1)[cells] = np.arange(len(cells), dtype=np.int32)
    faces = np.concatenate([_faces(inside, number, axis) for axis in range(3)])
    return Mesh(np.ascontiguousarray(vertices, np.float64), faces.astype(np.int64))


def surface_size(mask: NDArray[np.bool_]) -> int:
    """How many triangles the surface of a mask has: little work, and no memory to speak of."""
    inside = np.pad(mask, 1)
    return 2 * sum(int(np.count_nonzero(inside[low] != inside[high])) for low, high in map(_ends, range(3)))


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """The smallest box around what is true."""
    bounds = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(mask.any(axis=others))
        if not len(found):
            return None
        bounds.append(slice(int(found[0]), int(found[-1]) + 1))
    return bounds[0], bounds[1], bounds[2]


def _is_crossed(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which cells (one less than voxels along each axis) have corners on both sides."""
    some, every = inside, inside
    for axis in range(3):
        low, high = _ends(axis)
        some, every = some[low] | some[high], every[low] & every[high]
    crossed: NDArray[np.bool_] = some & ~every
    return crossed


def _faces(inside: NDArray[np.bool_], number: NDArray[np.int32], axis: int) -> NDArray[np.int32]:
    """Two triangles for each edge along an axis whose ends lie on different sides."""
    low, high = _ends(axis)
    # The outermost layer of voxels is false, so that an edge in it crosses nothing and the four cells always exist.
    first, second = (other for other in range(3) if other != axis)
    edges = np.stack(np.nonzero(inside[low] != inside[high]), axis=1)
    leaves = inside[tuple(edges.T)]  # the surface faces along the axis
    back = np.eye(3, dtype=edges.dtype)
    around = (edges - back[first] - back[second], edges - back[second], edges, edges - back[first])
    a, b, c, d = (number[tuple(cell.T)] for cell in around)
    # From the first to the second of the other axes (of z, y, x) it goes clockwise about x and z, but not about y.
    turned = leaves != (axis == 1)
    b, d = np.where(turned, d, b), np.where(turned, b, d)
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _ends(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    whole = (slice(None),) * 3
    low = (*whole[:axis], slice(None, -1), *whole[axis + 1 :])
    high = (*whole[:axis], slice(1, None), *whole[axis + 1 :])
    return low, high
