"""A mesh at every oriented point, and meshes with fewer triangles."""

from __future__ import annotations

import numpy as np

from tomoportal.formats.meshes.mesh import Mesh
from tomoportal.formats.points import VoxelPoints

__all__ = ["placed", "simplified"]

_FINEST, _COARSEST = 1024, 2
_MOST_COUNTED = 2**21  # vertices of which three fit into a number of 63 bits
_CLOSED = 12
"""Triangles of a box per square of a grid's cells along an edge: what a closed surface has at least, about."""


def placed(template: Mesh, points: VoxelPoints) -> Mesh:
    """The template at every point: ``R·v + p`` for its vertices ``v``, in voxels, x, y, z; points in their order.

    The template's origin is the particle's position and its axes are those of the particle; ``R`` are the rotations
    of ``points``, which rotate particle to tomogram (reference: transforms 2). Without rotations nothing is turned.
    """
    count, size = len(points), len(template.vertices)
    rotations = points.rotations if points.rotations is not None else np.eye(3)[np.newaxis]
    vertices = template.vertices @ np.swapaxes(rotations, 1, 2) + points.locations[:, np.newaxis, :]
    faces = template.faces[np.newaxis] + size * np.arange(count)[:, np.newaxis, np.newaxis]
    return Mesh(np.ascontiguousarray(vertices).reshape(count * size, 3), faces.reshape(-1, 3))


def simplified(mesh: Mesh, most: int) -> Mesh:
    """A mesh of at most ``most`` triangles where that can be had: vertices in one cell of a grid become their mean.

    The mesh itself comes back if it is small enough; of the grids about the finest is taken that does. What remains
    under the coarsest grid may be more than ``most``.
    """
    if len(mesh.faces) <= most:
        return mesh
    cells = min(_FINEST, max(_COARSEST, round(3 * (most / _CLOSED) ** 0.5)))
    found = _clustered(mesh, cells)
    while len(found.faces) > most and cells > _COARSEST:
        # Triangles of a surface go with the square of the cells; a bit less makes up for what is no surface.
        cells = max(_COARSEST, int(cells * min(0.95 * (most / len(found.faces)) ** 0.5, 0.9)))
        found = _clustered(mesh, cells)
    return found if len(found.faces) else mesh


def _clustered(mesh: Mesh, cells: int) -> Mesh:
    low, high = mesh.bounds
    edge = float((high - low).max()) / cells or 1.0
    cell = np.minimum(((mesh.vertices - low) / edge).astype(np.int64), cells - 1)
    flat = (cell[:, 0] * cells + cell[:, 1]) * cells + cell[:, 2]
    _, group = np.unique(flat, return_inverse=True)
    sizes = np.bincount(group)
    vertices = np.stack([np.bincount(group, mesh.vertices[:, axis]) / sizes for axis in range(3)], axis=1)
    faces = group[mesh.faces]
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    if len(vertices) < _MOST_COUNTED:  # the same three corners twice: a fold that was pressed flat
        a, b, c = np.sort(faces, axis=1).T
        _, first = np.unique((a * len(vertices) + b) * len(vertices) + c, return_index=True)
        faces = faces[np.sort(first)]
    return Mesh(vertices, faces)
