"""The annotations of a run that belong to a tomogram, as layers of the viewer and as overlays of the previews."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tomoportal.archive import ItemRecord, layout
from tomoportal.archive.layout import Place, layer_of, oriented_mesh_of
from tomoportal.formats.keyphotos import MaskOverlay, Overlay, PointOverlay
from tomoportal.formats.mrc import MrcVolume, open_mrc
from tomoportal.formats.ndjson import read_points
from tomoportal.formats.neuroglancer.palette import colors_of, rgb
from tomoportal.formats.neuroglancer.state import Layer, MaskLayer, MeshLayer, PointLayer, layer_name
from tomoportal.formats.points import PointKind
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.plan import Item

__all__ = ["Annotation", "AnnotationFile", "annotations_on_record", "is_drawn", "overlays", "viewer_layers"]

_POINT_KINDS: dict[str, PointKind] = {
    "Point": "point",
    "OrientedPoint": "orientedPoint",
    "InstanceSegmentation": "instancePoint",
}
_DRAWN = ("zarr", "ndjson", "mrc", "glb")
_MEMORY = "annotations"


@dataclass(frozen=True)
class AnnotationFile:
    """One file of an annotation on record: its entry in the document, and how it is drawn."""

    entry: Mapping[str, Any]
    archive_id: int
    spacing: float
    object_name: str
    color: str
    mesh: str | None
    """Folder of the mesh at its oriented points, or of the surface of its mask, if the archive has it."""

    @property
    def key(self) -> str:
        """Its place in the archive."""
        return str(self.entry["path"])

    @property
    def shape(self) -> str:
        """Shape as stored in the document."""
        return str(self.entry["shape"])

    @property
    def visible(self) -> bool:
        """Whether it is shown by default."""
        return bool(self.entry.get("is_visualization_default"))


@dataclass(frozen=True)
class Annotation:
    """An annotation on record that belongs to the tomogram: what it was made from, and its files."""

    input_digest: str
    color: str
    files: tuple[AnnotationFile, ...]

    @property
    def looks(self) -> str:
        """Everything that a picture of it depends on, for the input digest of that picture."""
        return f"{self.input_digest} {self.color}"


def annotations_on_record(item: Item, bench: Bench) -> list[Annotation]:
    """Annotations on record with the tomogram's alignment, of any spacing, in the order of their keys.

    Objects have distinct colours in the whole run, whatever their alignment: the ids of the archive say who comes
    first, so that a new annotation changes no colour.
    """
    records = [record for record in bench.manifest.items.values() if record.kind == "annotation" and record.document]
    records.sort(key=lambda record: record.document or "")
    state = (item.settings["alignment"], [(record.document, record.input_digest) for record in records])
    if bench.memory.get(_MEMORY, (None, None))[0] != state:  # asked several times for each tomogram of a run
        bench.memory[_MEMORY] = (state, _annotations(item, bench, records))
    known: list[Annotation] = bench.memory[_MEMORY][1]
    return known


def _annotations(item: Item, bench: Bench, records: list[ItemRecord]) -> list[Annotation]:
    found: list[tuple[ItemRecord, Place, dict[str, Any]]] = []
    for record in records:
        place = layout.parse(record.document or "")
        document = bench.document(record.document or "")
        if document is not None and place is not None and place.spacing is not None:
            found.append((record, place, document))
    in_order = sorted(found, key=lambda one: (one[1].archive_id or 0, one[1].spacing or 0, one[0].document or ""))
    colors = colors_of(str(document["annotation_object"]["id"]) for _, _, document in in_order)
    result = []
    for record, place, document in found:
        if document.get("alignment_metadata_path") != item.settings["alignment"]:
            continue
        target = document["annotation_object"]
        color = colors[str(target["id"])]
        held = {file.key for file in record.files}
        files = tuple(
            AnnotationFile(
                entry,
                place.archive_id or 0,
                place.spacing or 0.0,
                str(target["name"]),
                color,
                folder if folder is not None and f"{folder}/info" in held else None,
            )
            for entry in document.get("files") or ()
            if entry.get("format") in _DRAWN
            for folder in [_mesh_folder(entry)]
        )
        result.append(Annotation(record.input_digest, color, files))
    return result


def viewer_layers(item: Item, bench: Bench) -> list[Layer]:
    """The layers of every annotation file that the viewer can read."""
    return [
        layer
        for annotation in annotations_on_record(item, bench)
        for file in annotation.files
        for layer in _layers(file)
    ]


def _layers(file: AnnotationFile) -> Iterator[Layer]:
    name = layer_name(file.archive_id, file.object_name, file.shape)
    kind = _POINT_KINDS.get(file.shape)
    if kind is not None:
        shown = file.visible and file.mesh is None  # the mesh takes the place of the axes of its particles
        yield PointLayer(name, layer_of(file.key), file.spacing, file.color, kind=kind, visible=shown)
        if file.mesh is not None:
            name = layer_name(file.archive_id, file.object_name, "OrientedMesh")
            yield MeshLayer(name, file.mesh, file.spacing, file.color, render_scale=4.0, visible=file.visible)
    elif file.shape == "TriangularMesh":
        yield MeshLayer(name, layer_of(file.key), file.spacing, file.color, visible=file.visible)
    elif file.entry["format"] == "zarr":
        color = file.color if file.shape == "SegmentationMask" else None  # instances: a colour per label
        yield MaskLayer(name, file.key, file.spacing, color, file.mesh, visible=file.visible)


def _mesh_folder(entry: Mapping[str, Any]) -> str | None:
    """Where the mesh of a file would be that is not a mesh itself."""
    if entry.get("shape") == "OrientedPoint":
        return oriented_mesh_of(str(entry["path"]))
    return layer_of(str(entry["path"])) if entry.get("format") == "zarr" else None


def is_drawn(file: AnnotationFile, item: Item) -> bool:
    """Whether a file is shown by default on the tomogram's own grid."""
    return file.visible and abs(file.spacing - item.settings["voxel_spacing"]) <= 0.0005


def overlays(item: Item, bench: Bench, shape: tuple[int, int, int]) -> tuple[list[Overlay], list[MrcVolume], list[str]]:
    """What is shown by default on the tomogram's own grid (z, y, x); also the volumes to close, and warnings."""
    drawn: list[Overlay] = []
    opened: list[MrcVolume] = []
    warnings: list[str] = []
    for annotation in annotations_on_record(item, bench):
        for file in annotation.files:
            if not is_drawn(file, item):
                continue
            if file.entry["format"] == "ndjson":
                drawn.append(PointOverlay(read_points(bench.archive.store.get(file.key), file.key), rgb(file.color)))
            elif file.entry["format"] == "mrc" and file.shape == "SegmentationMask":
                volume = open_mrc(bench.archive.store, file.key)
                opened.append(volume)
                if volume.shape == shape:
                    drawn.append(MaskOverlay(volume, rgb(file.color)))
                else:
                    warnings.append(f"{file.key} has another size than the tomogram and is not drawn over its preview")
    return drawn, opened, warnings
