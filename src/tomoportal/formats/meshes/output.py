"""Meshes in the formats of other programs: OBJ, STL (binary), PLY (binary). GLB: :mod:`.glb`."""

from __future__ import annotations

import struct

import numpy as np

from tomoportal.formats.meshes.mesh import Mesh

__all__ = ["MESH_WRITERS", "write_obj", "write_ply", "write_stl"]


def write_obj(mesh: Mesh) -> bytes:
    """Text; vertices read back the same."""
    lines = ["# Written by tomoportal"]
    lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in mesh.vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (mesh.faces + 1).tolist()]
    return ("\n".join(lines) + "\n").encode()


def write_stl(mesh: Mesh) -> bytes:
    """Binary: float32 corners and the normal of each triangle."""
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    table = np.zeros(len(mesh.faces), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    table["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    table["corners"] = corners
    return b"Written by tomoportal".ljust(80) + struct.pack("<I", len(table)) + table.tobytes()


def write_ply(mesh: Mesh) -> bytes:
    """Binary, little-endian: float64 vertices."""
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment Written by tomoportal",
        f"element vertex {len(mesh.vertices)}",
        *(f"property double {axis}" for axis in "xyz"),
        f"element face {len(mesh.faces)}",
        "property list uchar int vertex_indices",
        "end_header",
    ]
    faces = np.zeros(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    return ("\n".join(header) + "\n").encode() + mesh.vertices.astype("<f8").tobytes() + faces.tobytes()


MESH_WRITERS = {"obj": write_obj, "stl": write_stl, "ply": write_ply}
