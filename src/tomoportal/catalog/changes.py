"""Bring the rows of a unit up to date: only what differs is written, what left the archive is removed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, select

from tomoportal.catalog.catalog import Catalog
from tomoportal.catalog.ids import IdBook
from tomoportal.catalog.mapping.rows import Key, Sheet
from tomoportal.catalog.summaries import Summaries
from tomoportal.catalog.tables import OWN_COLUMNS

__all__ = ["Changes"]

_BUFFER = 5_000

_Stored = tuple[Any, ...]
"""A row in the order of its table's columns: the id, the values, and the table's own columns."""


class Changes:
    """Writes units within one transaction; new rows are collected and written together."""

    def __init__(self, catalog: Catalog, connection: Connection) -> None:
        self._catalog = catalog
        self._connection = connection
        self._tables = catalog.tables.in_order()
        self._summaries = Summaries(catalog.graph, catalog.tables)
        entities = catalog.graph.entities
        self._references = {
            entity.table: tuple((f.name, entities[f.references].table) for f in entity.fields if f.references)
            for entity in entities.values()
        }
        self._values = {
            table.name: itemgetter(*(column.name for column in table.columns if column.name not in OWN_COLUMNS))
            for table in self._tables
        }
        self._new: dict[str, list[_Stored]] = {}
        self._sources: list[tuple[object, ...]] = []
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
        self._delete(
            {
                table: {number: row for number, row in old.items() if number not in rows.get(table, {})}
                for table, old in before.items()
            }
        )
        for table in self._tables:
            old, new = before.get(table.name, {}), rows.get(table.name, {})
            self._insert(table.name, [row for number, row in new.items() if number not in old])
            changed = []
            for number in old.keys() & new.keys():
                if old[number] != (row := new[number]):
                    self._summaries.count(table.name, [old[number]], -1)
                    self._summaries.count(table.name, [row])
                    names = [column.name for column in table.columns]
                    changed.append({"_id": number, **dict(zip(names[1:], row[1:], strict=True))})
            if changed:
                self.updated[table.name] += len(changed)
                self.flush()
                self._connection.execute(table.update().where(table.c.id == bindparam("_id")), changed)
        return _digest(rows)

    def read(self, unit: str, *facts: object) -> None:
        """Note what a unit was read from: the other columns of its row in the table of sources."""
        self._sources.append((unit, *facts))

    def remove(self, unit: str) -> None:
        """Remove all rows of a unit."""
        self.flush()
        self._delete(self._existing(unit))

    def flush(self) -> None:
        """Write what is waiting, parents before children."""
        for table in self._tables:
            if rows := self._new.pop(table.name, None):
                self._summaries.count(table.name, rows)
                self._catalog.database.insert(self._connection, table, rows)
        if self._sources:
            self._catalog.database.insert(self._connection, self._catalog.tables.source, self._sources)
            self._sources = []
        self._summaries.write(self._connection)
        self._waiting = 0

    def _insert(self, table: str, rows: list[_Stored]) -> None:
        if not rows:
            return
        self.added[table] += len(rows)
        self._new.setdefault(table, []).extend(rows)
        self._waiting += len(rows)
        if self._waiting >= _BUFFER:
            self.flush()

    def _existing(self, unit: str) -> dict[str, dict[int, _Stored]]:
        found: dict[str, dict[int, _Stored]] = {}
        for table in self._tables:
            rows = self._connection.execute(select(table).where(table.c.unit == unit))
            if by_id := {row[0]: tuple(row) for row in rows}:
                found[table.name] = by_id
        return found

    def _delete(self, rows: dict[str, dict[int, _Stored]]) -> None:
        for table in reversed(self._tables):
            if gone := rows.get(table.name):
                self.removed[table.name] += len(gone)
                self._summaries.count(table.name, list(gone.values()), -1)
                self._connection.execute(
                    table.delete().where(table.c.id == bindparam("_id")), [{"_id": number} for number in sorted(gone)]
                )

    def _stored(self, sheet: Sheet, book: IdBook) -> dict[str, dict[int, _Stored]]:
        """Rows as the tables hold them; every natural key has its id, new ones in the order of the keys."""
        for table in sorted(sheet.rows):
            for key in sorted(sheet.rows[table]):
                row = sheet.rows[table][key]
                if row.id is None:
                    row.id = book.number(table, key.owner, key.rest)
        found: dict[str, dict[int, _Stored]] = {}
        for table, rows in sheet.rows.items():
            stored, values_of, references = found.setdefault(table, {}), self._values[table], self._references[table]
            for row in rows.values():
                values = row.values
                for name, target in references:
                    if type(key := values[name]) is Key:
                        values = values if values is not row.values else values.copy()
                        values[name] = sheet.rows[target][key].id
                extra = json.dumps(row.extra, sort_keys=True) if row.extra else None
                stored[row.id or 0] = (row.id, *values_of(values), str(row.key), sheet.unit, row.document, extra)
        return found


def _digest(rows: dict[str, dict[int, _Stored]]) -> str:
    state = hashlib.sha256()
    for table in sorted(rows):
        state.update(table.encode())
        for number in sorted(rows[table]):
            state.update(orjson.dumps(rows[table][number]))
    return state.hexdigest()
