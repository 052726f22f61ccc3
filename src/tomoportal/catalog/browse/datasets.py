"""Datasets for pages: landing counts, the list with search, one dataset with its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, String, cast, func, or_, select

from tomoportal.catalog.browse.reading import PER_PAGE, Listing, Reader, Row, grouped
from tomoportal.catalog.catalog import Catalog
from tomoportal.catalog.visibility import Viewer
from tomoportal.model.ids import parse_id

__all__ = ["Counts", "dataset", "datasets", "landing_counts"]

_INSTRUMENT = (
    "microscope_manufacturer",
    "microscope_model",
    "microscope_energy_filter",
    "microscope_phase_plate",
    "microscope_image_corrector",
    "camera_manufacturer",
    "camera_model",
    "acceleration_voltage",
    "spherical_aberration_constant",
    "pixel_spacing",
    "tilting_scheme",
    "tilt_range",
    "tilt_step",
    "total_flux",
    "data_acquisition_software",
)


@dataclass(frozen=True)
class Counts:
    """What the whole portal holds."""

    datasets: int
    depositions: int
    runs: int
    species: int
    """Distinct NCBI taxonomy numbers."""
    tomograms: int
    annotations: int


def landing_counts(catalog: Catalog, viewer: Viewer) -> Counts:
    """The numbers of the home page."""
    with catalog.reader(viewer) as read:
        table = read.table("Dataset")
        species = select(func.count(func.distinct(table.c.organism_taxid))).where(*read.allowed("Dataset"))
        return Counts(
            datasets=read.count("Dataset"),
            depositions=read.count("Deposition"),
            runs=read.count("Run"),
            species=int(read.all(species)[0][0]),
            tomograms=read.count("Tomogram"),
            annotations=read.count("Annotation"),
        )


def datasets(
    catalog: Catalog,
    viewer: Viewer,
    *,
    search: str | None = None,
    page: int = 1,
    per_page: int = PER_PAGE,
    title_order: str | None = None,
) -> Listing:
    """A page of datasets, newest release first; every word of ``search`` must occur somewhere in a dataset.

    Rows carry besides the fields ``authors``, ``run_count`` and ``objects`` (name, has ground truth).
    """
    with catalog.reader(viewer) as read:
        table = read.table("Dataset")
        where = [_mentions(read, word) for word in (search or "").split()]
        title = func.lower(table.c.title)
        order: dict[str | None, list[ColumnElement[Any]]] = {
            "asc": [title.asc()],
            "desc": [title.desc()],
            None: [table.c.release_date.desc(), title.asc()],
        }
        total = read.count("Dataset")
        filtered = read.count("Dataset", *where) if where else total
        page = min(page, max(1, -(-filtered // per_page)))
        rows = read.rows("Dataset", *where, order=order[title_order], page=(page, per_page))
        _complete(read, rows)
        return Listing(rows, page, per_page, filtered, total)


def _mentions(read: Reader, word: str) -> ColumnElement[bool]:
    """The dataset's texts, authors, objects, runs or ids contain the word, in any case."""
    table, run = read.table("Dataset"), read.table("Run")
    texts = (
        "title",
        "description",
        "organism_name",
        "tissue_name",
        "cell_name",
        "cell_strain_name",
        "cell_component_name",
        "dataset_publications",
        "related_database_entries",
    )
    found: list[ColumnElement[bool]] = [_contains(table.c[name], word) for name in texts]
    author = read.table("DatasetAuthor")
    by_author = select(author.c.dataset_id).where(_contains(author.c.name, word) | _contains(author.c.orcid, word))
    found.append(table.c.id.in_(by_author))
    found.append(table.c.id.in_(select(run.c.dataset_id).where(_contains(run.c.name, word))))
    for entity in ("Annotation", "IdentifiedObject"):
        items = read.table(entity)
        hit = _contains(items.c.object_name, word) | _contains(items.c.object_id, word)
        found.append(table.c.id.in_(select(run.c.dataset_id).join(items, items.c.run_id == run.c.id).where(hit)))
    found.append(_contains(cast(table.c.id, String), word))
    try:
        kind, number = parse_id(word)
    except ValueError:
        return or_(*found)
    if kind == "Dataset":
        found.append(table.c.id == number)
    elif kind == "Deposition":
        found.append(table.c.deposition_id == number)
    elif kind == "Run":
        found.append(table.c.id.in_(select(run.c.dataset_id).where(run.c.id == number)))
    return or_(*found)


def _contains(column: ColumnElement[Any], word: str) -> ColumnElement[bool]:
    return column.icontains(word, autoescape=True)


def _complete(read: Reader, rows: Sequence[Row]) -> None:
    """Authors, run counts and objects of the datasets of one page, in three statements."""
    ids = [row["id"] for row in rows]
    author, run = read.table("DatasetAuthor"), read.table("Run")
    authors = grouped(
        read.rows("DatasetAuthor", author.c.dataset_id.in_(ids), order=[author.c.author_list_order]), "dataset_id"
    )
    counted = select(run.c.dataset_id, func.count()).where(run.c.dataset_id.in_(ids), *read.allowed("Run"))
    counts = dict(read.all(counted.group_by(run.c.dataset_id)))
    objects = _objects(read, run.c.dataset_id, ids)
    for row in rows:
        row["authors"] = authors.get(row["id"], [])
        row["run_count"] = counts.get(row["id"], 0)
        row["objects"] = objects.get(row["id"], [])


def _objects(read: Reader, owner: ColumnElement[Any], ids: Sequence[int]) -> dict[int, list[tuple[str, bool]]]:
    """Names of annotated and identified objects per owner, with whether any of them is ground truth."""
    run = read.table("Run")
    found: dict[int, dict[str, bool]] = {}
    for entity in ("Annotation", "IdentifiedObject"):
        items = read.table(entity)
        truth = func.max(cast(items.c.ground_truth_status, Integer)) if entity == "Annotation" else func.min(0)
        statement = (
            select(owner, items.c.object_name, truth)
            .select_from(items.join(run, run.c.id == items.c.run_id))
            .where(owner.in_(ids), *read.allowed(entity), *read.allowed("Run"))
            .group_by(owner, items.c.object_name)
        )
        for number, name, ground_truth in read.all(statement):
            names = found.setdefault(number, {})
            names[name] = names.get(name, False) or bool(ground_truth)
    return {number: sorted(names.items()) for number, names in found.items()}


def dataset(catalog: Catalog, viewer: Viewer, number: int, *, page: int = 1) -> dict[str, Any] | None:
    """Everything on a dataset's page; None if there is none (or none that the viewer may see)."""
    with catalog.reader(viewer) as read:
        row = read.row("Dataset", number)
        if row is None:
            return None
        author, funding = read.table("DatasetAuthor"), read.table("DatasetFunding")
        deposition = read.row("Deposition", row["deposition_id"]) if row["deposition_id"] is not None else None
        return {
            "row": row,
            "authors": read.rows("DatasetAuthor", author.c.dataset_id == number, order=[author.c.author_list_order]),
            "funding": read.rows("DatasetFunding", funding.c.dataset_id == number),
            "deposition": deposition,
            "contributions": _contributions(read, number, row["deposition_id"]),
            "counts": _contents(read, number),
            "instrument": _instrument(read, number),
            "listing": _runs(read, number, page),
        }


def _of_dataset(read: Reader, entity: str, number: int) -> list[ColumnElement[bool]]:
    run = read.table("Run")
    runs = select(run.c.id).where(run.c.dataset_id == number, *read.allowed("Run"))
    return [read.table(entity).c.run_id.in_(runs)]


def _contents(read: Reader, number: int) -> dict[str, int]:
    section = read.table("PerSectionParameters")
    frame = read.table("Frame")
    counts = {
        name: read.count(entity, *_of_dataset(read, entity, number))
        for name, entity in (
            ("tomograms", "Tomogram"),
            ("annotations", "Annotation"),
            ("tiltseries", "Tiltseries"),
            ("alignments", "Alignment"),
        )
    }
    counts["frames"] = read.count("Frame", *_of_dataset(read, "Frame", number), frame.c.frame_path_key.is_not(None))
    counts["ctf"] = read.count(
        "PerSectionParameters",
        *_of_dataset(read, "PerSectionParameters", number),
        section.c.major_defocus.is_not(None),
    )
    counts["runs"] = read.count("Run", read.table("Run").c.dataset_id == number)
    return counts


def _instrument(read: Reader, number: int) -> list[tuple[str, list[str]]]:
    """Distinct values over the dataset's tilt series, field by field."""
    rows = read.rows("Tiltseries", *_of_dataset(read, "Tiltseries", number))
    if not rows:
        return []

    def texts(name: str) -> list[str]:
        values = {row[name] for row in rows if row[name] not in (None, "")}
        return [f"{value:.6g}" if isinstance(value, float) else str(value) for value in sorted(values)]

    return [(name, texts(name)) for name in _INSTRUMENT]


def _contributions(read: Reader, number: int, own: int | None) -> list[Row]:
    """Other depositions with annotations, tomograms or alignments in this dataset."""
    ids = set()
    for entity in ("Annotation", "Tomogram", "Alignment"):
        column = read.table(entity).c.deposition_id
        found = select(column).where(*_of_dataset(read, entity, number), *read.allowed(entity)).distinct()
        ids |= {value for (value,) in read.all(found) if value is not None}
    ids.discard(own)
    return read.rows("Deposition", read.table("Deposition").c.id.in_(sorted(ids))) if ids else []


def _runs(read: Reader, number: int, page: int) -> Listing:
    run = read.table("Run")
    total = read.count("Run", run.c.dataset_id == number)
    page = min(page, max(1, -(-total // PER_PAGE)))
    rows = read.rows("Run", run.c.dataset_id == number, order=[run.c.name], page=(page, PER_PAGE))
    ids = [row["id"] for row in rows]
    tomogram, tiltseries = read.table("Tomogram"), read.table("Tiltseries")
    tomograms = grouped(
        read.rows("Tomogram", tomogram.c.run_id.in_(ids), order=[tomogram.c.is_visualization_default.desc()]), "run_id"
    )
    quality = select(tiltseries.c.run_id, func.max(tiltseries.c.tilt_series_quality)).where(
        tiltseries.c.run_id.in_(ids), *read.allowed("Tiltseries")
    )
    qualities = dict(read.all(quality.group_by(tiltseries.c.run_id)))
    objects = _objects(read, run.c.id, ids)
    for row in rows:
        shown = next((found for found in tomograms.get(row["id"], []) if found["s3_omezarr_dir"]), None)
        row["key_photo_thumbnail_url"] = shown["key_photo_thumbnail_url"] if shown else None
        row["tomogram_id"] = shown["id"] if shown else None
        row["quality"] = qualities.get(row["id"])
        row["objects"] = objects.get(row["id"], [])
    return Listing(rows, page, PER_PAGE, total, total)
