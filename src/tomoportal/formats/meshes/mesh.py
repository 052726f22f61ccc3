"""A triangle mesh, whatever file it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError

__all__ = ["Mesh", "fans", "joined", "outside_volume"]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles: ``vertices`` (n, 3) float64 in the order x, y, z; ``faces`` (m, 3) int64, indexes of vertices.

    The unit is that of the source until :meth:`scaled` brings it to voxels.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]

    @classmethod
    def checked(cls, vertices: Any, faces: Any, name: str) -> Mesh:
        """A mesh of arrays from a file. Raises :class:`FormatError` if they do not belong together."""
        with np.errstate(invalid="ignore"):  # a NaN is told below
            points = np.asarray(vertices, np.float64).reshape(-1, 3)
        triangles = np.asarray(faces, np.int64).reshape(-1, 3)
        if not len(points) or not len(triangles):
            raise FormatError(
                f"the mesh has {len(points)} vertices and {len(triangles)} triangles",
                where=name,
                fix="check that the file holds a surface and not only points or lines",
            )
        if not np.isfinite(points).all():
            raise FormatError("a vertex is NaN or infinite", where=name, fix="write the mesh again")
        if triangles.min() < 0 or triangles.max() >= len(points):
            raise FormatError(
                f"a triangle names vertex {triangles.max() if triangles.min() >= 0 else triangles.min()};"
                f" there are {len(points)}",
                where=name,
                fix="copy the file again; it is cut off or damaged",
            )
        return cls(points, triangles)

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The smallest and the largest x, y, z."""
        return self.vertices.min(axis=0), self.vertices.max(axis=0)

    def scaled(self, factor: float) -> Mesh:
        """The mesh with all coordinates multiplied by ``factor``."""
        return Mesh(self.vertices * factor, self.faces)


def joined(meshes: Sequence[Mesh], name: str) -> Mesh:
    """Several meshes as one. Raises :class:`FormatError` if there is none."""
    if not meshes:
        raise FormatError("the file holds no mesh of triangles", where=name, fix="check the file and the mesh's name")
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def outside_volume(mesh: Mesh, size: tuple[int, int, int], *, margin: float = 0.5) -> int:
    """How many vertices, in voxels, lie outside a volume of ``size`` voxels (x, y, z).

    Integer coordinates are voxel centres, so that the volume reaches from −0.5 to size − 0.5; ``margin`` is that half.
    """
    upper = np.asarray(size, np.float64) - 1 + margin
    inside = (mesh.vertices >= -margin) & (mesh.vertices <= upper)
    return int(np.count_nonzero(~inside.all(axis=1)))


def fans(corners: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles (m, 3) of convex polygons: polygon i has the vertices ``corners[starts[i]:starts[i + 1]]``."""
    counts = np.maximum(np.diff(starts) - 2, 0)
    polygon = np.repeat(np.arange(len(counts)), counts)
    first = starts[:-1][polygon]
    step = np.arange(len(polygon)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([corners[first], corners[first + step + 1], corners[first + step + 2]], axis=1)
