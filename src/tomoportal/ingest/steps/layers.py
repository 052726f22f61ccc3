"""The annotations of a run that belong to a tomogram, as layers of the viewer and as overlays of the previews."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.archive import layout
from tomoportal.errors import DocumentError, NotFoundError
from tomoportal.formats.keyphotos import MaskOverlay, Overlay, PointOverlay
from tomoportal.formats.mrc import MrcVolume, open_mrc
from tomoportal.formats.ndjson import read_points
from tomoportal.formats.neuroglancer.palette import color_of, rgb
from tomoportal.formats.neuroglancer.state import Layer, MaskLayer, PointLayer, layer_name
from tomoportal.formats.points import PointKind
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.plan import Item

__all__ = ["AnnotationFile", "annotation_files", "is_drawn", "overlays", "viewer_layers"]

_POINT_KINDS: dict[str, PointKind] = {
    "Point": "point",
    "OrientedPoint": "orientedPoint",
    "InstanceSegmentation": "instancePoint",
}


class AnnotationFile:
    """One file of an annotation on record: its entry in the document, and what is drawn of it."""

    def __init__(
        self, document: Mapping[str, Any], entry: Mapping[str, Any], key: str, archive_id: int, spacing: float
    ) -> None:
        self.entry = entry
        self.key = key
        self.archive_id = archive_id
        self.spacing = spacing
        self.object_name = str(document["annotation_object"]["name"])
        self.color = color_of(str(document["annotation_object"]["id"]))

    @property
    def shape(self) -> str:
        """Shape as stored in the document."""
        return str(self.entry["shape"])

    @property
    def visible(self) -> bool:
        """Whether it is shown by default."""
        return bool(self.entry.get("is_visualization_default"))


def annotation_files(item: Item, bench: Bench) -> list[tuple[str, list[AnnotationFile]]]:
    """Annotations on record with the tomogram's alignment, of any spacing: input digest and files, in key order."""
    result = []
    records = [record for record in bench.manifest.items.values() if record.kind == "annotation" and record.document]
    for record in sorted(records, key=lambda record: record.document or ""):
        key = record.document or ""
        place = layout.parse(key)
        try:
            document = bench.archive.document(key)
        except (NotFoundError, DocumentError):
            continue
        if (
            document.get("alignment_metadata_path") != item.settings["alignment"]
            or place is None
            or place.spacing is None
        ):
            continue
        files = [
            AnnotationFile(document, entry, str(entry["path"]), place.archive_id or 0, place.spacing)
            for entry in document.get("files") or ()
            if entry.get("format") in ("zarr", "ndjson", "mrc")
        ]
        result.append((record.input_digest, files))
    return result


def viewer_layers(item: Item, bench: Bench) -> list[Layer]:
    """One layer per annotation file that the viewer can read."""
    layers: list[Layer] = []
    for _, files in annotation_files(item, bench):
        for file in files:
            name = layer_name(file.archive_id, file.object_name, file.shape)
            kind = _POINT_KINDS.get(file.shape)
            if kind is not None:
                layers.append(
                    PointLayer(name, precompute_of(file), file.spacing, file.color, kind=kind, visible=file.visible)
                )
            elif file.entry["format"] == "zarr":
                color = file.color if file.shape == "SegmentationMask" else None  # instances: a colour per label
                layers.append(MaskLayer(name, file.key, file.spacing, color=color, visible=file.visible))
    return layers


def precompute_of(file: AnnotationFile) -> str:
    """Folder of the point layer that belongs to an annotation file."""
    folder, _, name = file.key.rpartition("/")
    spacing_folder = folder.rpartition("/Annotations/")[0]
    return f"{spacing_folder}/NeuroglancerPrecompute/{file.archive_id}-{name.rpartition('.')[0]}"


def is_drawn(file: AnnotationFile, item: Item) -> bool:
    """Whether a file is shown by default on the tomogram's own grid."""
    return file.visible and abs(file.spacing - item.settings["voxel_spacing"]) <= 0.0005


def overlays(item: Item, bench: Bench, shape: tuple[int, int, int]) -> tuple[list[Overlay], list[MrcVolume], list[str]]:
    """What is shown by default on the tomogram's own grid (z, y, x); also the volumes to close, and warnings."""
    drawn: list[Overlay] = []
    opened: list[MrcVolume] = []
    warnings: list[str] = []
    for _, files in annotation_files(item, bench):
        for file in files:
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
