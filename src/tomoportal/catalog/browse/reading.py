"""One reader per page: the connection, the tables and who asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, Table, UnaryExpression, func, select, text
from sqlalchemy.sql import operators

from tomoportal.catalog.visibility import Viewer, visible

if TYPE_CHECKING:
    from tomoportal.catalog.catalog import Catalog

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

    def __init__(self, connection: Connection, catalog: Catalog, viewer: Viewer) -> None:
        self.connection = connection
        self.tables = catalog.tables
        self.graph = catalog.graph
        self.viewer = viewer
        self._catalog = catalog
        self._summarised: bool | None = None

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
        if not where and not self.allowed(entity) and self._has_counts():
            summary = self.tables.summary
            total = select(summary.c.number).where(summary.c.place == self.table(entity).name)
            return int(self.connection.execute(total).scalar() or 0)
        statement = select(func.count()).select_from(self.table(entity)).where(*where, *self.allowed(entity))
        return int(self.connection.execute(statement).scalar_one())

    def _has_counts(self) -> bool:
        if self._summarised is None:
            _, self._summarised = self._catalog.data_version(self.connection)
        return self._summarised

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
