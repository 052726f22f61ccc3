"""``/viewer/annotations/{file}/…``: point annotations in the form that Neuroglancer reads, made from their ndjson.

``{file}`` is the catalog id of the annotation file. The three routes of a layer are ``info``, ``spatial{level}/x_y_z``
and ``by_id/{n}`` (reference ``viewer.md`` section 6); arrays of recent layers are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tomoportal.catalog import Viewer
from tomoportal.errors import NotFoundError
from tomoportal.formats.ndjson import read_points
from tomoportal.formats.neuroglancer import AnnotationLayer, annotation_layer, color_of
from tomoportal.formats.points import KINDS, PointKind
from tomoportal.server.byte_cache import ByteCache
from tomoportal.server.context import KEYS, Context, id_of, key_of
from tomoportal.server.encoding import JSON
from tomoportal.server.files import preflight
from tomoportal.server.viewer.layer_replies import OCTETS, layer_reply

__all__ = ["AnnotationLayers"]

_FILE = """{ annotationFiles(where: {id: {_eq: %d}, format: {_eq: "ndjson"}}) {
  s3Path
  tomogramVoxelSpacing { voxelSpacing tomograms(first: 1) { edges { node { sizeX sizeY sizeZ } } } }
  annotationShape { shapeType annotation { objectId objectName } }
} }"""


@dataclass(frozen=True, slots=True)
class _Description:
    """What a layer is made from, as the catalog has it."""

    key: str
    kind: PointKind
    voxel_spacing: float
    shape: tuple[int, int, int] | None
    object_id: str
    object_name: str


class AnnotationLayers:
    """The routes of annotation layers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._layers: ByteCache[AnnotationLayer] = ByteCache(context.settings.cache_mb * 1_000_000, _size)

    async def respond(self, request: Request) -> Response:
        """The answer to a request below ``/viewer/annotations/{file}/``."""
        if request.method == "OPTIONS":
            return preflight()
        return await self._context.run(self._answer, request)

    def _answer(self, request: Request) -> Response:
        name = request.path_params["name"]

        def find() -> tuple[object, Callable[[str], bytes]]:
            described = self._described(id_of(request.path_params["file"]), self._context.viewer(request.scope))
            version = self._context.archive.store.stat(described.key).etag
            # All parts of a layer are cut from one array.
            return (version, described), lambda digest: _part(
                self._layers.get(digest, lambda: self._made(described)), name
            )

        return layer_reply(request, find, JSON if name == "info" else OCTETS)

    def _described(self, file: int, viewer: Viewer) -> _Description:
        rows = self._context.ask(_FILE % file, viewer, KEYS)["annotationFiles"]
        shape_type = rows[0]["annotationShape"]["shapeType"] if rows else None
        key = key_of(rows[0]["s3Path"]) if rows else None
        if key is None or shape_type not in KINDS:
            raise NotFoundError(f"There is no annotation file {file} with points in this portal.")
        spacing, annotation = rows[0]["tomogramVoxelSpacing"], rows[0]["annotationShape"]["annotation"]
        sizes = [edge["node"] for edge in spacing["tomograms"]["edges"]]
        return _Description(
            key=key,
            kind=KINDS[shape_type],
            voxel_spacing=spacing["voxelSpacing"],
            shape=_shape(sizes[0]) if sizes else None,
            object_id=annotation["objectId"],
            object_name=annotation["objectName"],
        )

    def _made(self, described: _Description) -> AnnotationLayer:
        data = self._context.archive.store.get(described.key)
        return annotation_layer(
            # The viewer's shader was chosen by the catalog's shape, so the rows have to be of that kind.
            read_points(data, described.key, kind=described.kind),
            voxel_spacing=described.voxel_spacing,
            object_name=described.object_name,
            color=color_of(described.object_id),
            shape=described.shape,
        )


def _part(layer: AnnotationLayer, name: str) -> bytes:
    if name == "info":
        return json.dumps(layer.info()).encode("ascii")
    folder, _, rest = name.partition("/")
    if folder == "by_id" and rest.isascii() and rest.isdecimal():
        return layer.record(int(rest))
    level = folder.removeprefix("spatial")
    if level != folder and level.isascii() and level.isdecimal():
        return layer.cell(int(level), rest)
    raise NotFoundError(f"A layer has info, spatial0/0_0_0 and by_id/0, but no {name}.")


def _shape(row: dict[str, Any]) -> tuple[int, int, int]:
    return row["sizeZ"], row["sizeY"], row["sizeX"]


def _size(layer: AnnotationLayer) -> int:
    # Twice: the spatial index of a layer weighs about as much as its records.
    return 2 * (layer.records.nbytes + layer.ends.nbytes)
