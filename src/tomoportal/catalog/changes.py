"""Bring the rows of a unit up to date: only what differs is written, what left the archive is removed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, select

from tomoportal.catalog.catalog import Catalog
from tomoportal.catalog.ids import IdBook
from tomoportal.catalog.mapping.rows import Key, Sheet

__all__ = ["Changes"]

_BUFFER = 5_000


class Changes:
    """Writes units within one transaction; new rows are collected and written together."""

    def __init__(self, catalog: Catalog, connection: Connection) -> None:
        self._catalog = catalog
        self._connection = connection
        self._tables = catalog.tables.in_order()
        self._references = {
            entity.table: tuple(field.name for field in entity.fields if field.references)
            for entity in catalog.graph.entities.values()
        }
        self._new: dict[str, list[dict[str, Any]]] = {}
        self._waiting = 0
        self.added: Counter[str] = Counter()
        self.updated: Counter[str] = Counter()
        self.removed: Counter[str] = Counter()

    @property
    def any(self) -> bool:
        return bool(self.added or self.updated or self.removed)

    def unit(self, sheet: Sheet, book: IdBook, *, known: bool) -> str:
        """Write the rows of a unit; ``known``: the catalog may hold rows of it. Returns the digest of its rows."""
        rows = self._stored(sheet, book)
        before = self._existing(sheet.unit) if known else {}
        self._delete({table: set(old) - set(rows.get(table, {})) for table, old in before.items()})
        for table in self._tables:
            old = before.get(table.name, {})
            changed = []
            for number, row in rows.get(table.name, {}).items():
                if number not in old:
                    self._insert(table.name, row)
                elif old[number] != row:
                    changed.append({"_id": number, **{name: value for name, value in row.items() if name != "id"}})
            if changed:
                self.updated[table.name] += len(changed)
                self.flush()
                self._connection.execute(table.update().where(table.c.id == bindparam("_id")), changed)
        return _digest(rows)

    def remove(self, unit: str) -> None:
        """Remove all rows of a unit."""
        self.flush()
        self._delete({table: set(rows) for table, rows in self._existing(unit).items()})

    def flush(self) -> None:
        """Write what is waiting, parents before children."""
        for table in self._tables:
            if rows := self._new.pop(table.name, None):
                self._catalog.database.insert(self._connection, table, rows)
        self._waiting = 0

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        self.added[table] += 1
        self._new.setdefault(table, []).append(row)
        self._waiting += 1
        if self._waiting >= _BUFFER:
            self.flush()

    def _existing(self, unit: str) -> dict[str, dict[int, dict[str, Any]]]:
        found: dict[str, dict[int, dict[str, Any]]] = {}
        for table in self._tables:
            rows = self._connection.execute(select(table).where(table.c.unit == unit)).mappings()
            if by_id := {row["id"]: dict(row) for row in rows}:
                found[table.name] = by_id
        return found

    def _delete(self, numbers: dict[str, set[int]]) -> None:
        for table in reversed(self._tables):
            if gone := numbers.get(table.name):
                self.removed[table.name] += len(gone)
                self._connection.execute(
                    table.delete().where(table.c.id == bindparam("_id")), [{"_id": number} for number in sorted(gone)]
                )

    def _stored(self, sheet: Sheet, book: IdBook) -> dict[str, dict[int, dict[str, Any]]]:
        """Rows as the tables hold them; every natural key has its id, new ones in the order of the keys."""
        for table in sorted(sheet.rows):
            for key in sorted(sheet.rows[table]):
                row = sheet.rows[table][key]
                if row.id is None:
                    row.id = book.number(table, key.owner, key.rest)
        return {
            table.name: {
                row.id: {
                    "id": row.id,
                    **row.values,
                    **{
                        name: self._resolved(sheet, table.name, name, value)
                        for name in self._references[table.name]
                        if type(value := row.values[name]) is Key
                    },
                    "natural_key": str(row.key),
                    "unit": sheet.unit,
                    "document": row.document,
                    "extra": json.dumps(row.extra, sort_keys=True) if row.extra else None,
                }
                for row in sheet.rows[table.name].values()
                if row.id is not None
            }
            for table in self._tables
            if table.name in sheet.rows
        }

    def _resolved(self, sheet: Sheet, table: str, column: str, key: Key) -> int | None:
        target = self._catalog.graph.by_table[table].field(column).references
        assert target is not None
        return sheet.rows[self._catalog.graph.entities[target].table][key].id


def _digest(rows: dict[str, dict[int, dict[str, Any]]]) -> str:
    state = hashlib.sha256()
    for table in sorted(rows):
        state.update(table.encode())
        for number in sorted(rows[table]):
            state.update(orjson.dumps(rows[table][number], option=orjson.OPT_SORT_KEYS))
    return state.hexdigest()
