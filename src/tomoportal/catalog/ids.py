"""Ids that stay: natural key → number, recorded in the archive so that a rebuilt catalog has the same ids.

``.tomoportal/ids/next.json`` holds the next free number of every table, ``.tomoportal/ids/<dataset>.json`` the
numbers of a dataset. They are written in this order, and before the database commits: a number may be lost by a
crash, but it is never given twice (catalog-import 7).
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any, Protocol

from tomoportal.errors import CatalogError, NotFoundError

__all__ = ["MAX_ID", "IdBook", "IdRecords", "Records"]

MAX_ID = 2**31 - 1
_FOLDER = ".tomoportal/ids"
_VERSION = 1

_Numbers = dict[str, dict[str, dict[str, int]]]
"""table → owner (an archive path) → rest of the natural key → id"""


class Records(Protocol):
    """Where the records lie: in the archive, or beside the catalog if the archive cannot be written."""

    def get(self, key: str) -> bytes: ...
    def put(self, key: str, data: bytes) -> object: ...
    def lock(self, name: str) -> AbstractContextManager[object]: ...


class IdRecords:
    """All records of an archive."""

    def __init__(self, store: Records) -> None:
        self._store = store
        self._next: dict[str, int] = _read(store, f"{_FOLDER}/next.json").get("next", {})
        self._saved = dict(self._next)

    def book(self, name: str) -> IdBook:
        """The record of a dataset or of ``depositions_metadata``."""
        return IdBook(self, name, _read(self._store, f"{_FOLDER}/{name}.json").get("ids", {}))

    def take(self, table: str) -> int:
        number = self._next.get(table, 1)
        if number > MAX_ID:
            raise CatalogError(f"the ids of {table} are used up", fix="GraphQL's Int ends at 2147483647")
        self._next[table] = number + 1
        return number

    def save(self, name: str, numbers: _Numbers) -> None:
        if self._next != self._saved:
            _write(self._store, f"{_FOLDER}/next.json", {"version": _VERSION, "next": self._next})
            self._saved = dict(self._next)
        _write(self._store, f"{_FOLDER}/{name}.json", {"version": _VERSION, "ids": numbers})


class IdBook:
    """The ids of one dataset."""

    def __init__(self, records: IdRecords, name: str, numbers: _Numbers) -> None:
        self._records = records
        self._name = name
        self._numbers = numbers
        self._changed = False

    def number(self, table: str, owner: str, rest: str) -> int:
        """The id of a natural key; a new key gets the next number of its table."""
        known = self._numbers.setdefault(table, {}).setdefault(owner, {})
        if rest not in known:
            known[rest] = self._records.take(table)
            self._changed = True
        return known[rest]

    def save(self) -> None:
        """Write the record if it grew; to be called before the database commits."""
        if self._changed:
            self._records.save(self._name, self._numbers)
            self._changed = False


def _read(store: Records, key: str) -> dict[str, Any]:
    try:
        data = store.get(key)
    except NotFoundError:
        return {}
    try:
        content = json.loads(data)
    except ValueError as error:
        raise CatalogError("the record of ids cannot be read", where=key, fix="restore it from a backup") from error
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise CatalogError("the record of ids has an unknown version", where=key, fix="use a newer tomoportal")
    return content


def _write(store: Records, key: str, content: dict[str, Any]) -> None:
    store.put(key, json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode())
