"""The sections of a config: what one item of each is, what it may be filtered by, what this version ingests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tomoportal.formats.point_formats import POINT_FORMATS

__all__ = [
    "CAPTION_SHAPES",
    "MASK_SHAPES",
    "MESH_SHAPES",
    "POINT_SHAPES",
    "SECTIONS",
    "SHAPES",
    "Section",
    "not_ingested",
    "shape_is_ingested",
]


@dataclass(frozen=True)
class Section:
    """One top-level section of a config."""

    name: str
    kind: str
    """Singular noun: the prefix of the section's variables, such as ``run`` in ``{run_name}``."""
    required: bool = False
    ingested: bool = True


SECTIONS = {
    section.name: section
    for section in (
        Section("depositions", "deposition", required=True),
        Section("deposition_keyphotos", "deposition_keyphoto"),
        Section("datasets", "dataset", required=True),
        Section("dataset_keyphotos", "dataset_keyphoto"),
        Section("runs", "run", required=True),
        Section("gains", "gain"),
        Section("collection_metadata", "collection_metadata"),
        Section("frames", "frame"),
        Section("tiltseries", "tiltseries"),
        Section("rawtilts", "rawtilt"),
        Section("ctfs", "ctf"),
        Section("alignments", "alignment"),
        Section("identified_objects", "identified_object"),
        Section("voxel_spacings", "voxel_spacing", required=True),
        Section("tomograms", "tomogram"),
        Section("annotations", "annotation"),
        Section("key_images", "key_image"),
    )
}
"""All sections in the order in which their items are made."""

SHAPES = {
    "Point": "Point",
    "OrientedPoint": "OrientedPoint",
    "InstanceSegmentation": "InstanceSegmentation",
    "SegmentationMask": "SegmentationMask",
    "SemanticSegmentationMask": "SegmentationMask",
    "InstanceSegmentationMask": "InstanceSegmentationMask",
    "TriangularMesh": "TriangularMesh",
    "TriangularMeshGroup": "TriangularMesh",
    "GlobalCaption": "GlobalCaption",
    "AnnotationCaption": "AnnotationCaption",
}
"""Shape key of an annotation source → shape stored in documents (F78)."""

POINT_SHAPES = ("Point", "OrientedPoint", "InstanceSegmentation")
"""Shapes that are stored as rows of points."""

MASK_SHAPES = ("SegmentationMask", "SemanticSegmentationMask", "InstanceSegmentationMask")
"""Shapes that are stored as volumes."""

MESH_SHAPES = ("TriangularMesh", "TriangularMeshGroup")
"""Shapes that are stored as surfaces."""

CAPTION_SHAPES = ("GlobalCaption", "AnnotationCaption")
"""Shapes that are texts: they are no objects and never counted (F31)."""

_MESH_FORMATS = {"TriangularMesh": ("obj", "stl", "ply", "vtk", "glb"), "TriangularMeshGroup": ("hff",)}


def shape_is_ingested(shape: str, arguments: Mapping[str, Any]) -> bool:
    """Whether this version ingests annotation files of a shape, with the arguments that the config gives it."""
    file_format = arguments.get("file_format", "")
    if shape in POINT_SHAPES:
        return file_format in POINT_FORMATS and shape in POINT_FORMATS[file_format].shapes
    if shape in MASK_SHAPES:
        return file_format in ("mrc", "zarr")
    return shape in CAPTION_SHAPES or file_format in _MESH_FORMATS.get(shape, ())


def not_ingested(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Places in a config that this version passes over, each with what stands there."""
    for name, section in SECTIONS.items():
        entries = data.get(name) or []
        if not section.ingested and entries:
            yield (name,), f"section {name}"
    for index, entry in enumerate(data.get("annotations") or []):
        for number, source in enumerate(entry.get("sources") or []):
            for shape in SHAPES:
                arguments = source.get(shape)
                if arguments is not None and not shape_is_ingested(shape, arguments):
                    place = ("annotations", index, "sources", number, shape)
                    yield place, f"annotation shape {shape} in format {arguments.get('file_format')}"
