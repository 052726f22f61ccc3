"""Everything that a portal says of a project in one table (``copick.impl.cryoet_data_portal.PortalCache``).

Projects of ours ask for what is needed when it is needed (C72); this is for programs that look into upstream's table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tomoportal.copick.portal.rows import PortalObject, from_wire
from tomoportal.copick.portal.tables import MASKS, POINTS, Tables

__all__ = ["PortalCache", "all_rows"]

Rows = list[PortalObject]


@dataclass
class PortalCache:
    """Rows by the ids of what they belong to; each row knows all its columns, and asks for them once, together."""

    runs: Rows = field(default_factory=list)
    picks_files_by_run: dict[int, Rows] = field(default_factory=dict)
    seg_files_by_run: dict[int, Rows] = field(default_factory=dict)
    annotation_shapes: dict[int, PortalObject] = field(default_factory=dict)
    annotations: dict[int, PortalObject] = field(default_factory=dict)
    author_names: dict[int, list[str]] = field(default_factory=dict)
    """By the annotation's id, in the order of the authors."""
    voxel_spacings: dict[int, PortalObject] = field(default_factory=dict)
    voxel_spacings_by_run: dict[int, Rows] = field(default_factory=dict)
    tomograms_by_vs: dict[int, Rows] = field(default_factory=dict)
    tomogram_authors: dict[int, list[str]] = field(default_factory=dict)


def all_rows(tables: Tables, object_ids: Iterable[str]) -> PortalCache:
    """The table of a project: of its annotations, those of the objects with these ids."""
    found, wanted = PortalCache(), set(object_ids)
    for number, row in tables.runs().items():
        found.runs.append(PortalObject(from_wire("Run", row), "Run"))
        for file in tables.files(number):
            if file["annotationShape"]["annotation"]["objectId"] in wanted:
                _add_file(found, tables, number, file)
        for spacing in tables.spacings(number):
            known = PortalObject(from_wire("TomogramVoxelSpacing", spacing), "TomogramVoxelSpacing")
            found.voxel_spacings[known.id] = known
            found.voxel_spacings_by_run.setdefault(number, []).append(known)
            for tomogram in tables.tomograms(known.id):
                each = PortalObject(from_wire("Tomogram", tomogram), "Tomogram", tables.tomogram)
                found.tomograms_by_vs.setdefault(known.id, []).append(each)
                found.tomogram_authors[each.id] = tables.tomogram_authors(each.id)
    return found


def _add_file(found: PortalCache, tables: Tables, run: int, file: Mapping[str, Any]) -> None:
    shape = file["annotationShape"]
    annotation = shape["annotation"]
    number = annotation["id"]
    row = PortalObject(
        {**from_wire("AnnotationFile", file), "annotation_shape_id": shape["id"]},
        "AnnotationFile",
        tables.annotation_file,
    )
    if shape["shapeType"] in POINTS:
        found.picks_files_by_run.setdefault(run, []).append(row)
    elif shape["shapeType"] in MASKS:
        found.seg_files_by_run.setdefault(run, []).append(row)
    else:
        return
    about = {**from_wire("AnnotationShape", shape), "annotation_id": number}
    found.annotation_shapes[shape["id"]] = PortalObject(about, "AnnotationShape")
    found.annotations[number] = PortalObject(from_wire("Annotation", annotation), "Annotation", tables.annotation)
    found.author_names[number] = tables.annotation_authors(number)
