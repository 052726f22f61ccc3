"""``/viewer/meshes/{file}/…``: surfaces in the form that Neuroglancer reads, made when they are asked for.

``{file}`` is the catalog id of an annotation file: a GLB is segment 1, a label volume (OME-Zarr) has the surface of
each of its labels. Below it lie ``info``, ``{segment}:0``, the fragment ``{segment}`` and the names of the segments in
``segment_properties/info`` (reference ``viewer.md`` section 7); recent fragments are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from tomoportal.catalog import Viewer
from tomoportal.errors import NotFoundError
from tomoportal.formats.meshes import Mesh, glb_mesh, label_surface, simplified
from tomoportal.formats.neuroglancer import MESH_INFO, mesh_fragment, mesh_manifest, segment_properties
from tomoportal.formats.omezarr import open_omezarr
from tomoportal.server.byte_cache import ByteCache
from tomoportal.server.context import KEYS, Context, id_of, key_of
from tomoportal.server.encoding import JSON
from tomoportal.server.files import preflight
from tomoportal.server.viewer.layer_replies import OCTETS, layer_reply

__all__ = ["MASK_SHAPES", "MeshLayers"]

MASK_SHAPES = ("SegmentationMask", "InstanceSegmentationMask")
"""Shapes (as the API names them) whose label volumes have surfaces."""

_FILE = """{ annotationFiles(where: {id: {_eq: %d}, format: {_in: ["glb", "zarr"]}}) {
  format s3Path annotationShape { shapeType annotation { objectName } }
} }"""
_MOST_TRIANGLES = 500_000
"""Of a segment, as it is sent."""
_MOST_NAMES = 20_000
_LONGEST_LABEL = 10


@dataclass(frozen=True, slots=True)
class _Surfaces:
    """What surfaces are made from, as the catalog has it."""

    key: str
    is_volume: bool
    has_labels: bool
    """Whether a volume holds labels, and not only 0 and 1."""
    object_name: str


class MeshLayers:
    """The routes of meshes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._bodies: ByteCache[bytes] = ByteCache(context.settings.cache_mb * 1_000_000, len)

    async def respond(self, request: Request) -> Response:
        """The answer to a request below ``/viewer/meshes/{file}/``."""
        if request.method == "OPTIONS":
            return preflight()
        return await self._context.run(self._answer, request)

    def _answer(self, request: Request) -> Response:
        name = request.path_params["name"]

        def find() -> tuple[object, Callable[[str], bytes]]:
            surfaces = self._described(id_of(request.path_params["file"]), self._context.viewer(request.scope))
            depends = (self._version(surfaces), surfaces, name)
            return depends, lambda digest: self._bodies.get(digest, lambda: self._part(surfaces, name))

        return layer_reply(request, find, OCTETS if name.isdecimal() else JSON)

    def _described(self, file: int, viewer: Viewer) -> _Surfaces:
        rows = self._context.ask(_FILE % file, viewer, KEYS)["annotationFiles"]
        shape = rows[0]["annotationShape"]["shapeType"] if rows else None
        key = key_of(rows[0]["s3Path"]) if rows else None
        is_volume = bool(rows) and rows[0]["format"] == "zarr"
        if key is None or shape not in (MASK_SHAPES if is_volume else ("Mesh",)):
            raise NotFoundError(f"There is no annotation file {file} with a surface in this portal.")
        has_labels = shape == "InstanceSegmentationMask"
        return _Surfaces(key, is_volume, has_labels, rows[0]["annotationShape"]["annotation"]["objectName"])

    def _version(self, surfaces: _Surfaces) -> str:
        """Changes with the file; a volume that is written again has other attributes or is another folder."""
        store = self._context.archive.store
        if not surfaces.is_volume:
            return store.stat(surfaces.key).etag
        for name in (".zattrs", "zarr.json"):
            try:
                return store.stat(f"{surfaces.key}/{name}").etag
            except NotFoundError:
                continue
        raise NotFoundError("The label volume has no OME-Zarr metadata.")

    def _part(self, surfaces: _Surfaces, name: str) -> bytes:
        if name == "info":
            return _dump(MESH_INFO)
        if name == "segment_properties/info":
            return _dump(segment_properties(self._names(surfaces)))
        segment, colon, level = name.partition(":")
        if not (segment.isascii() and segment.isdecimal() and len(segment) <= _LONGEST_LABEL and int(segment)):
            raise NotFoundError(f"A mesh has info, 1:0, 1 and segment_properties/info, but no {name[:60]}.")
        if not surfaces.has_labels and segment != "1":
            raise NotFoundError("There is only the segment 1.")
        if colon:
            if level != "0":
                raise NotFoundError("There is only the resolution 0.")
            return _dump(mesh_manifest(segment))
        return mesh_fragment(simplified(self._mesh(surfaces, int(segment)), _MOST_TRIANGLES))

    def _mesh(self, surfaces: _Surfaces, label: int) -> Mesh:
        store = self._context.archive.store
        if not surfaces.is_volume:
            return glb_mesh(store.get(surfaces.key), surfaces.key)
        mesh = label_surface(store, surfaces.key, label=label if surfaces.has_labels else None)
        if mesh is None:
            raise NotFoundError(f"No voxel of the label {label} is left at the level that is drawn.")
        return mesh

    def _names(self, surfaces: _Surfaces) -> dict[int, str]:
        if not surfaces.has_labels:
            return {1: surfaces.object_name}
        labels = open_omezarr(self._context.archive.store, surfaces.key).labels
        return {label: f"{surfaces.object_name} {label}" for label in labels[:_MOST_NAMES]}


def _dump(document: object) -> bytes:
    return json.dumps(document).encode("ascii")
