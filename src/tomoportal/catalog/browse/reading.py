"""One reader per page: the connection, the tables and who asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, UnaryExpression, func, select, text
from sqlalchemy.sql import operators

from tomoportal.catalog.graph import Graph
from tomoportal.catalog.tables import Tables
from tomoportal.catalog.visibility import Viewer, visible

__all__ = ["PER_PAGE", "Listing", "Reader", "Row", "grouped"]

PER_PAGE = 20

Row = dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """One page of a list."""

    rows: list[Row]
    page: int
    per_page: int
    filtered: int
    """Rows that the search or filter leaves."""
    total: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.filtered // self.per_page))


class Reader:
    """Selects rows as dictionaries by field name, never showing what the viewer may not see."""

    def __init__(self, connection: Connection, tables: Tables, graph: Graph, viewer: Viewer) -> None:
        self.connection = connection
        self.tables = tables
        self.graph = graph
        self.viewer = viewer

    def table(self, entity: str) -> Table:
        return self.tables[self.graph.entities[entity].table]

    def allowed(self, entity: str) -> list[ColumnElement[bool]]:
        """The visibility rule for a table that stands under its own name in a statement."""
        name = self.graph.entities[entity].table
        predicate = visible(name, self.viewer, name)
        return [text(f"({predicate})")] if predicate else []  # type: ignore[list-item]

    def rows(
        self,
        entity: str,
        *where: ColumnElement[bool],
        order: Sequence[ColumnElement[Any]] = (),
        page: tuple[int, int] | None = None,
    ) -> list[Row]:
        """Rows of an entity; ``page`` is (page from 1, rows per page). Ties of the order are broken by id.

        Null counts as the smallest value, whatever the database would make of it.
        """
        table = self.table(entity)
        terms = [_nulls_smallest(term) for term in order]
        statement = select(table).where(*where, *self.allowed(entity)).order_by(*terms, table.c.id)
        if page is not None:
            statement = statement.limit(page[1]).offset((page[0] - 1) * page[1])
        return [self._named(entity, dict(row)) for row in self.connection.execute(statement).mappings()]

    def row(self, entity: str, number: int) -> Row | None:
        found = self.rows(entity, self.table(entity).c.id == number)
        return found[0] if found else None

    def count(self, entity: str, *where: ColumnElement[bool]) -> int:
        statement = select(func.count()).select_from(self.table(entity)).where(*where, *self.allowed(entity))
        return int(self.connection.execute(statement).scalar_one())

    def all(self, statement: Select[Any]) -> list[Any]:
        return list(self.connection.execute(statement))

    def _named(self, entity: str, stored: Row) -> Row:
        """Fields by name; both fields of an s3/https pair hold the archive key, or the https address elsewhere."""
        return {
            field.name: _address(stored[column.name]) if column.is_path else stored[column.name]
            for column in self.graph.columns[entity]
            for field in column.fields
        }


def _nulls_smallest(term: ColumnElement[Any]) -> ColumnElement[Any]:
    descending = isinstance(term, UnaryExpression) and term.modifier is operators.desc_op
    return term.nulls_last() if descending else term.nulls_first()


def _address(value: str | None) -> str | None:
    if value is None or not value.startswith("/"):
        return value
    s3, _, https = value[1:].partition("\n")
    return https or s3


def grouped(rows: Iterable[Row], key: str) -> dict[Any, list[Row]]:
    """Rows by the value of one field, in their order."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups
