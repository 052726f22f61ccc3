"""STL, binary and ASCII. Corners that are equal to the last bit become one vertex."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.meshes.mesh import Mesh

__all__ = ["stl_mesh"]

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_HEADER = 84


def stl_mesh(data: bytes, name: str) -> Mesh:
    """Read an STL file. Which of the two kinds it is, its size says: headers of binary files may begin with "solid"."""
    count = int.from_bytes(data[80:84], "little") if len(data) >= _HEADER else -1
    if count >= 0 and len(data) == _HEADER + count * _RECORD.itemsize:
        return _merged(np.frombuffer(data, _RECORD, count, _HEADER)["corners"].reshape(-1, 3), name)
    if data.lstrip()[:5].lower() == b"solid":
        return _ascii(data, name)
    raise FormatError(
        f"the header promises {count} triangles, {_HEADER + count * _RECORD.itemsize} bytes in all, but the file has"
        f" {len(data)}"
        if count >= 0
        else f"the file ends after {len(data)} bytes",
        where=name,
        fix="copy the file again; it is cut off or no STL file",
    )


def _ascii(data: bytes, name: str) -> Mesh:
    corners = []
    for number, line in enumerate(data.decode("latin-1").splitlines(), 1):
        words = line.split()
        if words and words[0].lower() == "vertex":
            try:
                x, y, z = (float(word) for word in words[1:])
            except ValueError:
                raise FormatError(
                    f"this is no vertex: {line.strip()[:60]!r}", where=f"{name}:{number}", fix="write the mesh again"
                ) from None
            corners.append((x, y, z))
    if len(corners) % 3 or not re.search(rb"endsolid", data, re.IGNORECASE):
        raise FormatError("the last triangle is cut off", where=name, fix="copy the file again")
    return _merged(np.array(corners, np.float64).reshape(-1, 3), name)


def _merged(corners: NDArray[Any], name: str) -> Mesh:
    """The mesh of a list of corners, three to a triangle; vertices in the order in which they are first met."""
    if not len(corners):
        return Mesh.checked([], [], name)
    _, first, inverse = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Mesh.checked(corners[first[order]], rank[inverse.reshape(-1)].reshape(-1, 3), name)
