"""Depositions for pages: the list, and one with the datasets that it touches."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from tomoportal.catalog.browse.reading import PER_PAGE, Listing, Reader, grouped
from tomoportal.catalog.catalog import Catalog
from tomoportal.catalog.visibility import Viewer

__all__ = ["deposition", "depositions"]

_COUNTED = (("dataset_count", "Dataset"), ("tomogram_count", "Tomogram"), ("annotation_count", "Annotation"))


def depositions(catalog: Catalog, viewer: Viewer, *, page: int = 1) -> Listing:
    """A page of depositions, newest first, with authors and counts."""
    with catalog.reader(viewer) as read:
        table, author = read.table("Deposition"), read.table("DepositionAuthor")
        total = read.count("Deposition")
        page = min(page, max(1, -(-total // PER_PAGE)))
        rows = read.rows("Deposition", order=[table.c.deposition_date.desc()], page=(page, PER_PAGE))
        ids = [row["id"] for row in rows]
        authors = grouped(
            read.rows("DepositionAuthor", author.c.deposition_id.in_(ids), order=[author.c.author_list_order]),
            "deposition_id",
        )
        for name, entity in _COUNTED:
            counted = read.table(entity)
            statement = (
                select(counted.c.deposition_id, func.count())
                .where(counted.c.deposition_id.in_(ids), *read.allowed(entity))
                .group_by(counted.c.deposition_id)
            )
            counts = dict(read.all(statement))
            for row in rows:
                row[name] = counts.get(row["id"], 0)
        for row in rows:
            row["authors"] = authors.get(row["id"], [])
        return Listing(rows, page, PER_PAGE, total, total)


def deposition(catalog: Catalog, viewer: Viewer, number: int) -> dict[str, Any] | None:
    """Everything on a deposition's page; None if there is none."""
    with catalog.reader(viewer) as read:
        row = read.row("Deposition", number)
        if row is None:
            return None
        author, kind = read.table("DepositionAuthor"), read.table("DepositionType")
        return {
            "row": row,
            "authors": read.rows(
                "DepositionAuthor", author.c.deposition_id == number, order=[author.c.author_list_order]
            ),
            "types": [found["type"] for found in read.rows("DepositionType", kind.c.deposition_id == number)],
            "datasets": _datasets(read, number),
        }


def _datasets(read: Reader, number: int) -> list[dict[str, Any]]:
    """Datasets of the deposition, and those to which it added tomograms or annotations."""
    dataset, run = read.table("Dataset"), read.table("Run")
    counts: dict[str, dict[int, int]] = {}
    for name, entity in _COUNTED[1:]:
        counted = read.table(entity)
        statement = (
            select(run.c.dataset_id, func.count())
            .select_from(counted.join(run, run.c.id == counted.c.run_id))
            .where(counted.c.deposition_id == number, *read.allowed(entity), *read.allowed("Run"))
            .group_by(run.c.dataset_id)
        )
        counts[name] = dict(read.all(statement))
    touched = sorted({owner for found in counts.values() for owner in found})
    rows = read.rows("Dataset", (dataset.c.deposition_id == number) | dataset.c.id.in_(touched))
    for row in rows:
        for name, found in counts.items():
            row[name] = found.get(row["id"], 0)
    return rows
