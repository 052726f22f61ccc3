"""Rows that a search finds besides datasets and depositions: runs, annotations, tomograms, authors and so on.

Thousands of rows share their texts (an author stands at each of his annotations), so what is searched is a *topic*:
one entry of the search index per text within a dataset or deposition, with a negative number. A table says which rows
have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Index, Integer, MetaData, Table, and_, func, insert, or_, select
from sqlalchemy.sql.elements import ColumnElement

from tomoportal.catalog.search_index import Entry, search_index
from tomoportal.catalog.tables import Tables
from tomoportal.model.entities import ENTITIES

__all__ = ["KINDS", "ROWS", "create_rows", "forget_rows", "refresh_rows"]

KINDS = (
    "Dataset",
    "Deposition",
    "Run",
    "Tomogram",
    "Annotation",
    "Tiltseries",
    "IdentifiedObject",
    "Alignment",
    "DatasetAuthor",
    "DepositionAuthor",
    "DatasetFunding",
    "TomogramAuthor",
    "AnnotationAuthor",
    "AnnotationMethodLink",
    "TomogramVoxelSpacing",
    "AnnotationShape",
    "AnnotationFile",
    "Frame",
    "FrameAcquisitionFile",
    "GainFile",
    "DepositionType",
    "PerSectionParameters",
    "PerSectionAlignmentParameters",
)
"""All entities, in the order of equally good hits. The catalog stores the places in this list: only append."""

ROWS = Table(
    "catalog_search_row",
    MetaData(),
    Column("topic", Integer, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("id", Integer, nullable=False),
    Column("owner", Integer, nullable=False),
    Index("catalog_search_row_topic", "topic"),
    Index("catalog_search_row_owner", "owner"),
)


@dataclass(frozen=True, slots=True)
class _Texts:
    """Columns with text, by how much a match in them counts."""

    title: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    text: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.title, *self.names, *self.ids, *self.text)

    def entry(self, row: Mapping[str, str | None]) -> Entry:
        title, names, ids, text = (
            "\n".join(found for name in part if (found := row[name]))
            for part in (self.title, self.names, self.ids, self.text)
        )
        return title, names, ids, text


_AUTHOR = _Texts(names=("name",), ids=("orcid", "kaggle_id"), text=("affiliation_name",))
_OF_DATASETS: Mapping[str, _Texts] = {
    "Run": _Texts(title=("name",)),
    "Tomogram": _Texts(
        title=("name",),
        ids=("publications", "related_database_entries"),
        text=("processing_software", "reconstruction_software"),
    ),
    "Annotation": _Texts(
        title=("object_name",),
        ids=("object_id", "annotation_publication"),
        text=("object_description", "object_state", "annotation_method", "annotation_software", "ground_truth_used"),
    ),
    "Tiltseries": _Texts(
        ids=("related_empiar_entry",),
        text=(
            "microscope_model",
            "microscope_energy_filter",
            "microscope_phase_plate",
            "microscope_image_corrector",
            "microscope_additional_info",
            "camera_manufacturer",
            "camera_model",
            "tilting_scheme",
            "data_acquisition_software",
        ),
    ),
    "IdentifiedObject": _Texts(title=("object_name",), ids=("object_id",), text=("object_description", "object_state")),
    "DatasetAuthor": _AUTHOR,
    "DatasetFunding": _Texts(names=("funding_agency_name",), ids=("grant_id",)),
    "TomogramAuthor": _AUTHOR,
    "AnnotationAuthor": _AUTHOR,
    "AnnotationMethodLink": _Texts(title=("name",), text=("link",)),
}
_OF_DEPOSITIONS: Mapping[str, _Texts] = {"DepositionAuthor": _AUTHOR}


def create_rows(connection: Connection) -> None:
    """Make the table if there is none."""
    ROWS.metadata.create_all(connection)


def refresh_rows(connection: Connection, tables: Tables, kind: str, number: int) -> None:
    """Write what can be found of the rows of a dataset or deposition (``kind``) of which nothing is written."""
    owner = _owner(kind, number)
    topic = connection.execute(select(func.min(ROWS.c.topic))).scalar() or 0
    for name, texts in (_OF_DATASETS if kind == "dataset" else _OF_DEPOSITIONS).items():
        table = tables[ENTITIES[name].table]
        columns = [table.c.id, *(table.c[column] for column in texts.columns)]
        found: dict[Entry, list[int]] = {}
        for row in connection.execute(select(*columns).where(_belongs(table, kind, number)).order_by(table.c.id)):
            entry = texts.entry(dict(zip(texts.columns, row[1:], strict=True)))
            found.setdefault(entry, []).append(row[0])
        topics: dict[int, Entry] = {}
        rows = []
        for entry, ids in found.items():
            if any(entry):
                topic -= 1
                topics[topic] = entry
                rows += [{"topic": topic, "kind": KINDS.index(name), "id": one, "owner": owner} for one in ids]
        search_index(connection).write(connection, topics)
        if rows:
            connection.execute(insert(ROWS), rows)


def forget_rows(connection: Connection, kind: str, number: int) -> None:
    """Remove what can be found of the rows of a dataset or deposition."""
    own = ROWS.c.owner == _owner(kind, number)
    topics = connection.execute(select(ROWS.c.topic).where(own).distinct()).scalars().all()
    search_index(connection).remove(connection, topics)
    connection.execute(ROWS.delete().where(own))


def _owner(kind: str, number: int) -> int:
    return number if kind == "dataset" else -number


def _belongs(table: Table, kind: str, number: int) -> ColumnElement[bool]:
    """The rows that were read from a dataset's or deposition's part of the archive."""
    unit = str(number) if kind == "dataset" else f"depositions_metadata/{number}"
    after = chr(ord("/") + 1)
    return or_(table.c.unit == unit, and_(table.c.unit >= f"{unit}/", table.c.unit < f"{unit}{after}"))
