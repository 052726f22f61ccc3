"""A mesh at every oriented point, and meshes with fewer triangles."""

from __future__ import annotations

import numpy as np

from tomoportal.formats.meshes.mesh import Mesh
from tomoportal.formats.points import VoxelPoints

__all__ = ["placed", "simplified"]

_FINEST, _COARSEST = 512, 2


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

    The grid is the finest that does; the mesh itself comes back if it is small enough. What remains of a closed surface
    under the coarsest grid may be more than ``most``.
    """
    if len(mesh.faces) <= most:
        return mesh
    found = mesh
    cells = float(_FINEST)
    while cells >= _COARSEST:
        coarser = _clustered(mesh, round(cells))
        if not len(coarser.faces):
            break
        found = coarser
        if len(found.faces) <= most:
            break
        cells /= 1.25
    return found


def _clustered(mesh: Mesh, cells: int) -> Mesh:
    low, high = mesh.bounds
    edge = float((high - low).max()) / cells or 1.0
    cell = np.floor((mesh.vertices - low) / edge).astype(np.int64)
    flat = (cell[:, 0] * (cells + 1) + cell[:, 1]) * (cells + 1) + cell[:, 2]
    _, group = np.unique(flat, return_inverse=True)
    sizes = np.bincount(group)
    vertices = np.stack([np.bincount(group, mesh.vertices[:, axis]) / sizes for axis in range(3)], axis=1)
    faces = group[mesh.faces]
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    # The same three corners twice: a fold that was pressed flat.
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return Mesh(vertices, faces[np.sort(first)])
