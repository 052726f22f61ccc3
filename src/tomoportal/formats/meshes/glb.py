"""glTF 2.0 in one binary file (GLB): triangles of all meshes in the scene, and the writer for the archive.

Format: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.meshes.mesh import Mesh, joined

__all__ = ["glb_mesh", "write_glb"]

_JSON, _BIN = 0x4E4F534A, 0x004E4942
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_POINTS_AND_LINES = range(4)
_TRIANGLES = 4
_MOST_NODES = 100_000
_MOST_VERTICES = 2**26
_DEEPEST = 64
_UNSIGNED_INT, _FLOAT = 5125, 5126
_ELEMENT_ARRAY, _ARRAY = 34963, 34962


def glb_mesh(data: bytes, name: str) -> Mesh:
    """Read a GLB file: all triangles of its scene, moved by their nodes, as one mesh. Raises :class:`FormatError`."""
    return _Reader(data, name).mesh()


def is_empty_glb(data: bytes, name: str) -> bool:
    """Whether the file describes no mesh at all, as that of an empty scene. Raises :class:`FormatError`."""
    return not _Reader(data, name).has_meshes


def write_glb(mesh: Mesh, *, unit: str = "voxel") -> bytes:
    """A GLB file of one mesh, the same bytes every time. ``unit`` of the vertices goes into the mesh's extras."""
    vertices = mesh.vertices.astype("<f4")
    faces = mesh.faces.astype("<u4")
    positions, indexes = vertices.tobytes(), faces.tobytes()
    document = {
        "accessors": [
            {
                "bufferView": 0,
                "componentType": _FLOAT,
                "count": len(vertices),
                "max": [float(value) for value in vertices.max(axis=0)],
                "min": [float(value) for value in vertices.min(axis=0)],
                "type": "VEC3",
            },
            {"bufferView": 1, "componentType": _UNSIGNED_INT, "count": faces.size, "type": "SCALAR"},
        ],
        "asset": {"generator": "tomoportal", "version": "2.0"},
        "bufferViews": [
            {"buffer": 0, "byteLength": len(positions), "byteOffset": 0, "target": _ARRAY},
            {"buffer": 0, "byteLength": len(indexes), "byteOffset": len(positions), "target": _ELEMENT_ARRAY},
        ],
        "buffers": [{"byteLength": len(positions) + len(indexes)}],
        "meshes": [
            {
                "extras": {"unit": unit},
                "primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": _TRIANGLES}],
            }
        ],
        "nodes": [{"mesh": 0}],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), _JSON) + text
    body += struct.pack("<II", len(positions) + len(indexes), _BIN) + positions + indexes
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


class _Reader:
    def __init__(self, data: bytes, name: str) -> None:
        self._name = name
        self._visits = self._corners = 0
        self._document, self._binary = self._split(data)

    @property
    def has_meshes(self) -> bool:
        return bool(self._list("meshes"))

    def mesh(self) -> Mesh:
        try:
            scene = self._document.get("scene", 0)
            scenes = self._list("scenes")
            roots = scenes[scene]["nodes"] if scenes else range(len(self._list("nodes")))
            return joined([mesh for root in roots for mesh in self._node(root, np.eye(4), 0)], self._name)
        except FormatError:
            raise
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise self._wrong(f"its description contradicts itself ({type(error).__name__}: {error})") from error

    def _split(self, data: bytes) -> tuple[dict[str, Any], memoryview]:
        if len(data) < 20 or data[:4] != b"glTF" or int.from_bytes(data[4:8], "little") != 2:
            raise self._wrong("this is no binary glTF 2.0 file")
        if int.from_bytes(data[8:12], "little") > len(data):
            raise self._wrong(f"the file is cut off: it has {len(data)} bytes")
        size, kind = struct.unpack_from("<II", data, 12)
        if kind != _JSON or 20 + size > len(data):
            raise self._wrong("its first part is no description")
        try:
            document = json.loads(data[20 : 20 + size])
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"its description cannot be read: {error}") from error
        if not isinstance(document, dict):
            raise self._wrong("its description is no JSON object")
        rest = memoryview(data)[20 + size :]
        if len(rest) >= 8:
            length, kind = struct.unpack_from("<II", rest)
            if kind == _BIN and length <= len(rest) - 8:
                return document, rest[8 : 8 + length]
        return document, memoryview(b"")

    def _list(self, key: str) -> list[Any]:
        found = self._document.get(key, [])
        if not isinstance(found, list) or len(found) > _MOST_NODES:
            raise self._wrong(f"its {key} are no list, or too many")
        return found

    def _node(self, number: int, above: NDArray[np.float64], depth: int) -> Iterator[Mesh]:
        self._visits += 1
        if depth > _DEEPEST or self._visits > _MOST_NODES:
            raise self._wrong("its nodes are nested too deeply, in a loop, or too many")
        node = self._list("nodes")[_index(number)]
        matrix = above @ _matrix(node)
        if "mesh" in node:
            for primitive in self._list("meshes")[_index(node["mesh"])]["primitives"]:
                mesh = self._primitive(primitive, matrix)
                if mesh is not None:
                    yield mesh
        for child in node.get("children", []):
            yield from self._node(child, matrix, depth + 1)

    def _primitive(self, primitive: dict[str, Any], matrix: NDArray[np.float64]) -> Mesh | None:
        mode = primitive.get("mode", _TRIANGLES)
        if mode in _POINTS_AND_LINES:
            return None
        if mode != _TRIANGLES or "KHR_draco_mesh_compression" in primitive.get("extensions", {}):
            raise self._wrong("it holds strips, fans or compressed triangles", "export it as plain triangles")
        vertices = self._accessor(primitive["attributes"]["POSITION"], "VEC3").astype(np.float64)
        self._corners += len(vertices)
        if self._corners > _MOST_VERTICES:
            raise self._wrong(f"its scene has more than {_MOST_VERTICES} vertices")
        if "indices" in primitive:
            faces = self._accessor(primitive["indices"], "SCALAR").astype(np.int64)
        else:
            faces = np.arange(len(vertices))
        if len(faces) % 3:
            raise self._wrong(f"{len(faces)} corners make no triangles")
        found = Mesh.checked(vertices, faces, self._name)
        moved = found.vertices @ matrix[:3, :3].T + matrix[:3, 3]
        if np.linalg.det(matrix[:3, :3]) < 0:  # a mirror turns the triangles round
            return Mesh.checked(moved, found.faces[:, ::-1], self._name)
        return Mesh.checked(moved, found.faces, self._name)

    def _accessor(self, number: int, kind: str) -> NDArray[Any]:
        accessor = self._list("accessors")[_index(number)]
        if accessor["type"] != kind or "sparse" in accessor:
            raise self._wrong(f"an accessor is {accessor['type']}, not {kind}, or sparse")
        dtype = np.dtype(_COMPONENTS[accessor["componentType"]])
        view = self._list("bufferViews")[_index(accessor["bufferView"])]
        if view.get("buffer", 0) != 0 or "uri" in self._list("buffers")[0]:
            raise self._wrong("its data lie in another file", "export it as one binary file with everything in it")
        width = _WIDTHS[kind]
        start = _index(view.get("byteOffset", 0)) + _index(accessor.get("byteOffset", 0))
        stride = _index(view.get("byteStride", 0)) or dtype.itemsize * width
        count = _index(accessor["count"])
        end = start + (count - 1) * stride + dtype.itemsize * width if count else start
        if end > len(self._binary) or stride < dtype.itemsize:
            raise self._wrong("an accessor points beyond the data")
        found = np.ndarray((count, width), dtype, self._binary, start, (stride, dtype.itemsize))
        if accessor.get("normalized"):
            found = found / float(np.iinfo(dtype).max)
        return found if width > 1 else found[:, 0]

    def _wrong(self, what: str, fix: str = "copy the file again, or export the mesh again") -> FormatError:
        return FormatError(what, where=self._name, fix=fix)


def _index(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no index")
    return value


def _matrix(node: dict[str, Any]) -> NDArray[np.float64]:
    """Where a node puts what is in it: a matrix by columns, or translation, rotation (quaternion) and scale."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    found = np.eye(4)
    x, y, z, w = (float(value) for value in node.get("rotation", (0, 0, 0, 1)))
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not length:
        raise ValueError("a rotation is zero")
    x, y, z, w = x / length, y / length, z / length, w / length
    rotation = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    found[:3, :3] = np.array(rotation) * np.array(node.get("scale", (1, 1, 1)), np.float64).reshape(3)
    found[:3, 3] = np.array(node.get("translation", (0, 0, 0)), np.float64).reshape(3)
    return found
