"""Triangle meshes: one reader per file format, one writer (GLB, as the archive holds them), surfaces of masks.

Coordinates stay as the file has them; a scale factor leads to voxels (reference: transforms 7).
"""

from __future__ import annotations

from tomoportal.errors import FormatError
from tomoportal.formats.meshes.glb import glb_mesh, write_glb
from tomoportal.formats.meshes.hff import hff_mesh
from tomoportal.formats.meshes.labels import label_surface
from tomoportal.formats.meshes.mesh import Mesh, joined, outside_volume
from tomoportal.formats.meshes.obj import obj_mesh
from tomoportal.formats.meshes.placing import placed, simplified
from tomoportal.formats.meshes.ply import ply_mesh
from tomoportal.formats.meshes.stl import stl_mesh
from tomoportal.formats.meshes.surface import mask_surface, surface_size
from tomoportal.formats.meshes.vtk import vtk_mesh

__all__ = [
    "MESH_FORMATS",
    "Mesh",
    "glb_mesh",
    "hff_mesh",
    "joined",
    "label_surface",
    "mask_surface",
    "mesh_format",
    "obj_mesh",
    "outside_volume",
    "placed",
    "ply_mesh",
    "read_mesh",
    "simplified",
    "stl_mesh",
    "surface_size",
    "vtk_mesh",
    "write_glb",
]

_READERS = {"obj": obj_mesh, "stl": stl_mesh, "ply": ply_mesh, "vtk": vtk_mesh, "glb": glb_mesh}

MESH_FORMATS = (*_READERS, "hff")
"""The names of the formats as a config gives them."""

_MAGIC = (
    (b"glTF", "glb"),
    (b"\x89HDF\r\n\x1a\n", "hff"),
    (b"ply\n", "ply"),
    (b"ply\r", "ply"),
    (b"# vtk DataFile", "vtk"),
)


def mesh_format(data: bytes, name: str) -> str:
    """The format of a file: by what it begins with, else by the ending of its name. Raises :class:`FormatError`."""
    for magic, found in _MAGIC:
        if data.startswith(magic):
            return found
    ending = name.rpartition(".")[2].lower()
    if ending in ("obj", "stl"):  # these have nothing at their beginning that tells them
        return ending
    raise FormatError(
        "this is no mesh of a known format", where=name, fix=f"convert it to one of {', '.join(MESH_FORMATS)}"
    )


def read_mesh(data: bytes, name: str, *, file_format: str | None = None, segment: str | None = None) -> Mesh:
    """Read a mesh. ``file_format`` is one of :data:`MESH_FORMATS`, by default found out.

    ``segment`` is the name of the segment of an EMDB-SFF file (``name`` or ``mesh_name`` in a config); the other
    formats have no use for it.
    """
    found = file_format or mesh_format(data, name)
    if found == "hff":
        return hff_mesh(data, name, segment=segment)
    reader = _READERS.get(found)
    if reader is None:
        raise FormatError(
            f"{found!r} is no format of meshes", where=name, fix=f"choose one of {', '.join(MESH_FORMATS)}"
        )
    return reader(data, name)
