"""Runs for pages: everything about one tilt experiment."""

from __future__ import annotations

from typing import Any

from tomoportal.catalog.browse.reading import Reader, Row, grouped
from tomoportal.catalog.catalog import Catalog
from tomoportal.catalog.visibility import Viewer

__all__ = ["run", "run_of"]


def run(catalog: Catalog, viewer: Viewer, number: int) -> dict[str, Any] | None:
    """Everything on a run's page; None if there is none."""
    with catalog.reader(viewer) as read:
        row = read.row("Run", number)
        dataset = read.row("Dataset", row["dataset_id"]) if row else None
        if row is None or dataset is None:
            return None
        annotations = _annotations(read, number)
        tomograms = _tomograms(read, number)
        objects: dict[str, bool] = {}
        for item in annotations:
            objects[item["object_name"]] = objects.get(item["object_name"], False) or bool(item["ground_truth_status"])
        return {
            "run": row,
            "dataset": dataset,
            "tomograms": tomograms,
            "annotations": annotations,
            "tiltseries": _tiltseries(read, number),
            "alignments": _of_run(read, "Alignment", number),
            "frames": _of_run(read, "Frame", number, order="acquisition_order"),
            "mdocs": _of_run(read, "FrameAcquisitionFile", number),
            "gains": _of_run(read, "GainFile", number),
            "identified": _of_run(read, "IdentifiedObject", number, order="object_name"),
            "spacings": [f"{value:g} Å" for value in sorted({item["voxel_spacing"] for item in tomograms})],
            "objects": sorted(objects.items()),
        }


def run_of(catalog: Catalog, viewer: Viewer, kind: str, number: int) -> int | None:
    """The run that shows an object (a tomogram, annotation, alignment or tilt series); None if there is no such."""
    with catalog.reader(viewer) as read:
        row = read.row(kind, number)
        return None if row is None else row["run_id"]


def _of_run(read: Reader, entity: str, number: int, *, order: str = "id") -> list[Row]:
    table = read.table(entity)
    return read.rows(entity, table.c.run_id == number, order=[table.c[order]])


def _tomograms(read: Reader, number: int) -> list[Row]:
    """Portal standard first, then the depositor's own, newest first, each with its authors."""
    table = read.table("Tomogram")
    rows = read.rows(
        "Tomogram",
        table.c.run_id == number,
        order=[table.c.is_portal_standard.desc(), table.c.is_author_submitted.desc(), table.c.id.desc()],
    )
    _with_authors(read, rows, "TomogramAuthor", "tomogram_id")
    return rows


def _annotations(read: Reader, number: int) -> list[Row]:
    """Ground truth first, then the newest, each with its authors and ``shapes`` (each with its ``files``)."""
    table, shape, file = (read.table(name) for name in ("Annotation", "AnnotationShape", "AnnotationFile"))
    rows = read.rows(
        "Annotation",
        table.c.run_id == number,
        order=[table.c.ground_truth_status.desc(), table.c.deposition_date.desc(), table.c.id.desc()],
    )
    _with_authors(read, rows, "AnnotationAuthor", "annotation_id")
    shapes = read.rows("AnnotationShape", shape.c.annotation_id.in_([row["id"] for row in rows]))
    files = grouped(
        read.rows("AnnotationFile", file.c.annotation_shape_id.in_([item["id"] for item in shapes])),
        "annotation_shape_id",
    )
    for item in shapes:
        item["files"] = files.get(item["id"], [])
    by_annotation = grouped(shapes, "annotation_id")
    for row in rows:
        row["shapes"] = by_annotation.get(row["id"], [])
        row["ground_truth_status"] = bool(row["ground_truth_status"])
    return rows


def _with_authors(read: Reader, rows: list[Row], entity: str, owner: str) -> None:
    table = read.table(entity)
    authors = grouped(
        read.rows(entity, table.c[owner].in_([row["id"] for row in rows]), order=[table.c.author_list_order]), owner
    )
    for row in rows:
        row["authors"] = authors.get(row["id"], [])


def _tiltseries(read: Reader, number: int) -> list[Row]:
    """Tilt series with ``exposures``: (order of acquisition, tilt angle in degrees)."""
    rows = _of_run(read, "Tiltseries", number)
    sections = grouped(_of_run(read, "PerSectionParameters", number, order="z_index"), "tiltseries_id")
    orders = {frame["id"]: frame["acquisition_order"] for frame in _of_run(read, "Frame", number)}
    for row in rows:
        row["exposures"] = sorted(
            (float(order), float(section["raw_angle"]))
            for section in sections.get(row["id"], [])
            if (order := orders.get(section["frame_id"])) is not None
        )
    return rows
