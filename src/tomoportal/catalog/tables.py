"""Tables of the catalog, made from the model's entities, and the few tables of its own.

Besides its fields every entity table has

- ``natural_key``: what stays the same when the catalog is rebuilt (``reference`` key of catalog-import 3);
- ``unit``: the part of the archive that the row was read from (a run, a dataset, a deposition);
- ``document``: the key of the metadata document that it came from;
- ``extra``: JSON text of values without a field on the wire (cross-correlation, acquire mode, …), or null.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

from tomoportal.catalog import graph as _graph
from tomoportal.catalog.timestamps import Timestamp
from tomoportal.model.entities import Entity, Field

__all__ = ["INFO", "OWN_COLUMNS", "SOURCE", "SUMMARY", "Tables"]

INFO = "catalog_info"
SOURCE = "catalog_source"
SUMMARY = "catalog_summary"

OWN_COLUMNS = ("id", "natural_key", "unit", "document", "extra")
"""Columns that every entity has and that no document gives; the id stands first, the others last."""

# Texts compare by code point in every database.
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")

_TYPES: dict[str, TypeEngine[Any] | type[TypeEngine[Any]]] = {
    "Int": Integer,
    "Float": Double,
    "String": _TEXT,
    "Boolean": Boolean,
    "Enum": _TEXT,
    "Matrix": _TEXT,
}

# What people filter, sort and search by; the public portal has indexes on keys only.
_INDEXED = frozenset(
    {
        "annotation_ingest_id",
        "deposition_date",
        "funding_agency_name",
        "name",
        "object_id",
        "object_name",
        "orcid",
        "organism_name",
        "related_database_entries",
        "release_date",
        "title",
        "voxel_spacing",
    }
)


class Tables:
    """All tables in one ``metadata``; ``tables["tomogram"]`` is the table of an entity."""

    def __init__(self, graph: _graph.Graph) -> None:
        self.metadata = MetaData()
        self.info = Table(
            INFO, self.metadata, Column("key", _TEXT, primary_key=True), Column("value", _TEXT, nullable=False)
        )
        # One row per unit of the archive: fingerprint of the files that were read and digest of the rows made of them,
        # so that unchanged units are not read again.
        self.source = Table(
            SOURCE,
            self.metadata,
            Column("unit", _TEXT, primary_key=True),
            Column("owner", _TEXT, nullable=False, index=True),
            Column("digest", _TEXT, nullable=False),
            Column("content", _TEXT, nullable=False),
            Column("size", BigInteger, nullable=False),
            Column("problems", _TEXT, nullable=False),
        )
        # How many rows have a value: "annotation.object_name", 0, "membrane" -> 12; see ``summaries``.
        self.summary = Table(
            SUMMARY,
            self.metadata,
            Column("place", _TEXT, primary_key=True),
            Column("missing", Integer, primary_key=True, autoincrement=False),
            Column("value", _TEXT, primary_key=True),
            Column("number", BigInteger, nullable=False),
        )
        self._entities = {entity.table: _table(entity, graph, self.metadata) for entity in graph.entities.values()}

    def __getitem__(self, name: str) -> Table:
        return self._entities[name]

    def in_order(self) -> list[Table]:
        """Tables of the entities, parents before children."""
        return [table for table in self.metadata.sorted_tables if table.name in self._entities]


def _table(entity: Entity, graph: _graph.Graph, metadata: MetaData) -> Table:
    columns = [_column(column.name, column.field, graph) for column in graph.columns[entity.name]]
    return Table(
        entity.table,
        metadata,
        *columns,
        Column("natural_key", _TEXT, nullable=False, unique=True),
        Column("unit", _TEXT, nullable=False, index=True),
        Column("document", _TEXT),
        Column("extra", _TEXT),
    )


def _column(name: str, field: Field, graph: _graph.Graph) -> Column[object]:
    if name == "id":
        return Column(name, Integer, primary_key=True, autoincrement=False)
    kind = Timestamp if field.type == "DateTime" else _TYPES[field.type]
    if field.references is not None:
        key = ForeignKey(f"{graph.entities[field.references].table}.id", deferrable=True, initially="DEFERRED")
        return Column(name, kind, key, nullable=not field.required, index=True)
    return Column(name, kind, nullable=not field.required, index=name in _INDEXED)
