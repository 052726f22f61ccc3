"""``/viewer/runs/{run}/state.json?tomogram={id}``: what the viewer shows of a run, made when it is asked for.

Rows of the catalog and the request's own address go in, nothing absolute is stored (F89, F164). All annotations with
the tomogram's alignment become layers, whatever their spacing; point layers come from ``annotations.py``, masks from
their OME-Zarr directly, surfaces from ``meshes.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from tomoportal.archive import layout
from tomoportal.catalog import Viewer
from tomoportal.errors import FormatError, NotFoundError
from tomoportal.formats.neuroglancer import (
    Layer,
    MaskLayer,
    MeshLayer,
    PointLayer,
    Tomogram,
    build_state,
    colors_of,
    layer_name,
    voxel_range,
    with_base,
)
from tomoportal.formats.omezarr.reader import open_omezarr
from tomoportal.formats.points import KINDS
from tomoportal.server.byte_cache import ByteCache
from tomoportal.server.conditional import is_unchanged
from tomoportal.server.context import KEYS, Context, id_of, key_of
from tomoportal.server.encoding import JSON, compress
from tomoportal.server.files import DATA_CORS, preflight
from tomoportal.server.viewer.contrast import Contrast, estimated_contrast, stored_contrast
from tomoportal.server.viewer.meshes import MASK_SHAPES

__all__ = ["ViewerStates"]

_TOMOGRAMS = """{ tomograms(where: {runId: {_eq: %d}}) {
  id voxelSpacing sizeX sizeY sizeZ s3OmezarrDir httpsOmezarrDir s3MrcFile alignmentId isVisualizationDefault
  run { name }
} }"""
_CONFIG = "{ tomograms(where: {id: {_eq: %d}}) { neuroglancerConfig } }"
_FILES = """{ annotationFiles(where: {
    annotationShape: {annotation: {runId: {_eq: %d}}}, alignmentId: {%s}, format: {_in: ["ndjson", "zarr", "glb"]}
}) {
  id format s3Path httpsPath isVisualizationDefault tomogramVoxelSpacing { voxelSpacing }
  annotationShape { shapeType annotation { id objectId objectName } }
} }"""
_OBJECTS = "{ annotations(where: {runId: {_eq: %d}}) { objectId s3MetadataPath } }"
_REMEMBERED_CONTRASTS = 10_000


class ViewerStates:
    """The route of viewer states."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._contrasts: ByteCache[Contrast] = ByteCache(_REMEMBERED_CONTRASTS, lambda contrast: 1)

    async def respond(self, request: Request) -> Response:
        """The answer to a request for a state."""
        if request.method == "OPTIONS":
            return preflight()
        return await self._context.run(self._answer, request)

    def _answer(self, request: Request) -> Response:
        wanted = request.query_params.get("tomogram")
        if wanted is not None and not (wanted.isascii() and wanted.isdecimal()):
            return PlainTextResponse(f"{wanted!r} is not the number of a tomogram.\n", 400, DATA_CORS)
        try:
            state = self._state(request.scope, id_of(request.path_params["run"]), id_of(wanted) if wanted else None)
        except NotFoundError as error:
            return PlainTextResponse(f"{error.what}\n", 404, DATA_CORS)
        body = json.dumps(state).encode("ascii")
        etag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {**DATA_CORS, "ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if is_unchanged(request.headers, etag):
            return Response(status_code=304, headers=headers)
        body, compressed = compress(body, request.headers.get("accept-encoding"))
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return Response(body, 200, headers, JSON)

    def _state(self, scope: Scope, run: int, wanted: int | None) -> dict[str, Any]:
        addresses, viewer = self._context.addresses(scope), self._context.viewer(scope)
        rows = self._context.ask(_TOMOGRAMS % run, viewer, KEYS)["tomograms"]
        row = _chosen(rows, run, wanted)
        source = key_of(row["s3OmezarrDir"]) or row["httpsOmezarrDir"]
        contrast = self._contrast(row, viewer)
        tomogram = Tomogram(
            name=row["run"]["name"],
            source=source,
            shape=(row["sizeZ"], row["sizeY"], row["sizeX"]),
            voxel_spacing=row["voxelSpacing"],
            contrast=contrast and contrast[0],
            contrast_3d=contrast and contrast[1],
            voxel_range=self._voxel_range(key_of(row["s3OmezarrDir"])),
        )
        alignment = "_is_null: true" if row["alignmentId"] is None else f"_eq: {row['alignmentId']}"
        files = self._context.ask(_FILES % (run, alignment), viewer, KEYS)["annotationFiles"]
        files.sort(key=lambda file: (file["annotationShape"]["annotation"]["id"], file["id"]))
        colors = self._colors(run, viewer)
        layers = [layer for file in files for layer in self._layers(file, addresses.portal, colors)]
        state: dict[str, Any] = with_base(build_state(tomogram, layers), addresses.files)
        return state

    def _contrast(self, row: dict[str, Any], viewer: Viewer) -> Contrast | None:
        """Stored limits, else estimated ones, kept per version of the volume; ``None`` if there is nothing to read."""
        configs = self._context.ask(_CONFIG % row["id"], viewer, KEYS)["tomograms"]
        stored = stored_contrast(configs[0]["neuroglancerConfig"]) if configs else None
        key = key_of(row["s3MrcFile"])
        if stored is not None or key is None:
            return stored
        store = self._context.archive.store
        try:
            return self._contrasts.get((key, store.stat(key).etag), lambda: estimated_contrast(store, key))
        except (NotFoundError, FormatError):
            return None  # the viewer's own contrast buttons work without a start value

    def _voxel_range(self, zarr_key: str | None) -> tuple[int, int] | None:
        """What the voxels of an OME-Zarr can be; limits beyond that would be refused by the viewer."""
        if zarr_key is None:
            return None
        try:
            voxels = open_omezarr(self._context.archive.store, zarr_key).dtype
        except (NotFoundError, FormatError):
            return None  # the viewer will say what is wrong with the volume
        return voxel_range(voxels.kind, voxels.itemsize)

    def _colors(self, run: int, viewer: Viewer) -> dict[str, str]:
        """Colours of all objects of a run, in the order of the archive's ids: those of the stored configurations."""

        def rank(row: dict[str, Any]) -> tuple[int, float, str]:
            key = key_of(row["s3MetadataPath"]) or ""
            place = layout.parse(key)
            return (place and place.archive_id) or 0, (place and place.spacing) or 0.0, key

        rows = self._context.ask(_OBJECTS % run, viewer, KEYS)["annotations"]
        return colors_of(row["objectId"] for row in sorted(rows, key=rank))

    def _layers(self, file: dict[str, Any], portal: str, colors: dict[str, str]) -> Iterator[Layer]:
        shape, annotation = file["annotationShape"], file["annotationShape"]["annotation"]
        kind, key = shape["shapeType"], key_of(file["s3Path"])
        folder = (key or "").rpartition("/")[0].rpartition("/")[2]
        number = int(folder) if folder.isascii() and folder.isdecimal() else annotation["id"]
        name = layer_name(number, annotation["objectName"], kind)
        spacing, visible = file["tomogramVoxelSpacing"]["voxelSpacing"], bool(file["isVisualizationDefault"])
        color, meshes = colors[annotation["objectId"]], f"{portal}/viewer/meshes/{file['id']}"
        if file["format"] == "ndjson" and kind in KINDS:
            mesh = self._oriented_mesh(key) if kind == "OrientedPoint" else None
            source = f"{portal}/viewer/annotations/{file['id']}"
            # The mesh takes the place of the axes of its particles.
            yield PointLayer(name, source, spacing, color, KINDS[kind], visible and mesh is None)
            if mesh is not None:
                name = layer_name(number, annotation["objectName"], "OrientedMesh")
                yield MeshLayer(name, mesh, spacing, color, render_scale=4.0, visible=visible)
        elif file["format"] == "zarr" and kind in MASK_SHAPES:
            own_color = color if kind == "SegmentationMask" else None
            source = key or file["httpsPath"]
            yield MaskLayer(name, source, spacing, own_color, meshes if key else None, visible=visible)
        elif file["format"] == "glb" and kind == "Mesh" and key is not None:
            yield MeshLayer(name, meshes, spacing, color, visible=visible)

    def _oriented_mesh(self, points: str | None) -> str | None:
        """The archive's folder with a mesh at every oriented point, if it has one (ingestion or the public portal)."""
        folder = layout.oriented_mesh_of(points) if points is not None else None
        return folder if folder is not None and self._context.archive.store.exists(f"{folder}/info") else None


def _chosen(rows: list[dict[str, Any]], run: int, wanted: int | None) -> dict[str, Any]:
    """The tomogram that was asked for, else the one that its depositor wants to be seen first."""
    shown = sorted((row for row in rows if row["s3OmezarrDir"]), key=lambda row: row["id"])
    if wanted is not None:
        for row in shown:
            if row["id"] == wanted:
                return row
        raise NotFoundError(f"Run {run} has no tomogram {wanted} with an OME-Zarr volume.")
    if not shown:
        raise NotFoundError(f"There is no run {run} with a tomogram that can be viewed.")
    return next((row for row in shown if row["isVisualizationDefault"]), shown[0])
