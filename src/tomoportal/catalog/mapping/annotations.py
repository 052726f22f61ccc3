"""Annotation documents with their shapes, files, authors and method links."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tomoportal.catalog.mapping.alignments import alignment_at
from tomoportal.catalog.mapping.datasets import deposition_of
from tomoportal.catalog.mapping.people import DATES, add_authors, same
from tomoportal.catalog.mapping.rows import Document, ItemRefused, Key, Row
from tomoportal.catalog.mapping.runs import RunContext
from tomoportal.model.entities import ENUMS

__all__ = ["add_annotation", "is_annotation"]

_PATHS = {
    **DATES,
    **same(
        "annotation_method", "annotation_software", "method_type", "ground_truth_status", "is_curator_recommended",
        "object_count",
    ),
    "annotation_publication": "annotation_publications",
    "object_id": "annotation_object.id",
    "object_name": "annotation_object.name",
    "object_description": "annotation_object.description",
    "object_state": "annotation_object.state",
    "confidence_precision": "confidence.precision",
    "confidence_recall": "confidence.recall",
    "ground_truth_used": "confidence.ground_truth_used",
}  # fmt: skip
_EXTRA = {"version": "version"}
_LINK = {"link": "link", "link_type": "link_type", "name": "custom_name"}
_FILE = {**same("format", "is_visualization_default"), "path_key": "path"}
_FILE_EXTRA = same("object_count", "is_portal_standard")
_SHAPES: Mapping[str, str] = {
    **{name: name for name in ENUMS["annotation_file_shape_type_enum"]},
    "TriangularMesh": "Mesh",
    "TriangularMeshGroup": "Mesh",
    "SemanticSegmentationMask": "SegmentationMask",
}


def is_annotation(document: Document) -> bool:
    """Whether a file that is named like an annotation document is one (F80)."""
    return "annotation_object" in document.content and "files" in document.content


def add_annotation(context: RunContext, parent: Row, document: Document, *, alone: bool) -> Row:
    """Rows of one annotation; ``alone``: it is the only one of its folder. Raises :class:`ItemRefused`."""
    sheet = context.sheet
    deposition = deposition_of(sheet, document, context.depositions, required=False)
    alignment = alignment_at(context, document)
    computed = {
        "run_id": context.run.key,
        "tomogram_voxel_spacing_id": parent.key,
        "deposition_id": deposition,
        "metadata_path_key": document.key,
        "annotation_ingest_id": document.get("annotation_ingest_id") or _ingest_id(context, parent, document),
    }
    key = Key(document.folder if alone else document.key)
    row = sheet.add("Annotation", key, document, _PATHS, computed, extra=_EXTRA)
    add_authors(sheet, "AnnotationAuthor", "annotation_id", row, document, by_key=False)
    _add_links(context, row, document)
    for place, content in document.items("files"):
        try:
            shape = _shape(context, row, document, place, content.get("shape"))
            path = content.get("path")
            files = {
                "annotation_shape_id": shape.key,
                "tomogram_voxel_spacing_id": parent.key,
                "alignment_id": alignment.key if alignment else None,
                "file_size": context.sizes.of(sheet.path(path)) if isinstance(path, str) else None,
                "source": _source(context, deposition, content),
            }
            sheet.add(
                "AnnotationFile",
                row.key.below(path),
                document,
                _FILE,
                files,
                content=content,
                place=place,
                extra=_FILE_EXTRA,
            )
        except ItemRefused:
            continue
    return row


def _shape(context: RunContext, row: Row, document: Document, place: str, shape: object) -> Row:
    """The row of a shape, one per kind in an annotation."""
    kind = _SHAPES.get(shape, shape) if isinstance(shape, str) else shape
    if kind is None:
        raise context.sheet.refuse(f"{document.key}: {place}.shape", "a required value is missing")
    key = row.key.below(kind)
    known = context.sheet.rows.get("annotation_shape", {}).get(key)
    if known is not None:
        return known
    computed = {"annotation_id": row.key, "shape_type": kind}
    return context.sheet.add("AnnotationShape", key, document, {}, computed, place=place)


def _source(context: RunContext, deposition: int | None, content: Mapping[str, object]) -> str:
    if deposition == context.dataset_deposition:
        return "dataset_author"
    return "portal_standard" if content.get("is_portal_standard") is True else "community"


def _add_links(context: RunContext, row: Row, document: Document) -> None:
    for place, content in document.items("method_links"):
        key = row.key.below(content.get("link"), content.get("link_type"))
        computed = {"annotation_id": row.key}
        try:
            context.sheet.add(
                "AnnotationMethodLink", key, document, _LINK, computed, content=content, place=place, numbered=True
            )
        except ItemRefused:
            continue


def _ingest_id(context: RunContext, parent: Row, document: Document) -> str:
    """An id for a document of the first schema, which has none: slug of the object and a number (files are sorted)."""
    slug = re.sub(r"[^0-9a-z]+", "-", str(document.get("annotation_object.name")).lower()).strip("-")
    taken = {
        other.values["annotation_ingest_id"]
        for other in context.sheet.of("Annotation")
        if other.values["tomogram_voxel_spacing_id"] == parent.key
    }
    number = 1
    while f"{slug}-{number}" in taken:
        number += 1
    return f"{slug}-{number}"
