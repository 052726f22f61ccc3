"""Wavefront OBJ: the vertices and faces of all objects; materials, normals and textures are passed over."""

from __future__ import annotations

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.meshes.mesh import Mesh, fans

__all__ = ["obj_mesh"]


def obj_mesh(data: bytes, name: str) -> Mesh:
    """Read an OBJ file. Polygons become fans of triangles. Raises :class:`FormatError` with the line."""
    vertices: list[list[float]] = []
    corners: list[int] = []
    starts = [0]
    for number, line in enumerate(data.decode("latin-1").splitlines(), 1):
        key, *values = line.split() or [""]
        try:
            if key == "v":
                x, y, z = values[:3]
                vertices.append([float(x), float(y), float(z)])
            elif key == "f":
                for value in values:
                    index = int(value.partition("/")[0])
                    # Negative numbers count back from the latest vertex; 0 and what was not yet given is wrong.
                    corners.append(index - 1 if index > 0 else len(vertices) + index if index < 0 else -1)
                starts.append(len(corners))
        except ValueError:
            raise FormatError(
                f"this is no {'vertex' if key == 'v' else 'face'}: {line[:60]!r}",
                where=f"{name}:{number}",
                fix="write the mesh again; a vertex is 'v x y z', a face 'f 1 2 3'",
            ) from None
    try:
        found = np.array(corners, np.int64)
    except OverflowError:
        raise FormatError("a face names a vertex beyond all bounds", where=name, fix="write the mesh again") from None
    return Mesh.checked(vertices, fans(found, np.array(starts, np.int64)), name)
