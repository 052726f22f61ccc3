"""Meshes as Neuroglancer reads them: the legacy format of one resolution, vertices in voxels (viewer facts, section 7).

A source has ``info``, for each segment a manifest ``{segment}:0`` that names fragments, and the fragments; names of its
segments come with it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tomoportal.formats.neuroglancer.annotations import segment_properties

if TYPE_CHECKING:
    from tomoportal.formats.meshes import Mesh
    from tomoportal.storage import FileRecord, Store

__all__ = ["MESH_INFO", "mesh_fragment", "mesh_manifest", "write_mesh_layer"]

MESH_INFO: dict[str, Any] = {"@type": "neuroglancer_legacy_mesh", "segment_properties": "segment_properties"}
"""The ``info`` of a mesh source with the names of its segments in a folder beside it."""


def mesh_manifest(*fragments: str) -> dict[str, Any]:
    """The document ``{segment}:0`` of a segment that consists of these fragments."""
    return {"fragments": list(fragments)}


def mesh_fragment(mesh: Mesh) -> bytes:
    """The bytes of a fragment: number of vertices (uint32), vertices x, y, z (float32), triangles (uint32)."""
    return b"".join(
        [
            struct.pack("<I", len(mesh.vertices)),
            mesh.vertices.astype("<f4").tobytes(),
            mesh.faces.astype("<u4").tobytes(),
        ]
    )


def write_mesh_layer(store: Store, prefix: str, mesh: Mesh, name: str) -> list[FileRecord]:
    """Write a source of one mesh, segment 1 with this name, below ``prefix`` of a store; ``info`` comes last."""
    from tomoportal.storage import FileRecord

    written = []
    for relative, data in _files(mesh, name):
        key = f"{prefix.rstrip('/')}/{relative}"
        store.put(key, data)
        written.append(FileRecord(key, len(data), hashlib.sha256(data).hexdigest()))
    return written


def _files(mesh: Mesh, name: str) -> Iterator[tuple[str, bytes]]:
    yield "1", mesh_fragment(mesh)
    yield "1:0", json.dumps(mesh_manifest("1")).encode("ascii")
    yield "segment_properties/info", json.dumps(segment_properties({1: name})).encode("ascii")
    yield "info", json.dumps(MESH_INFO).encode("ascii")
