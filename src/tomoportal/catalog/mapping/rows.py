"""Rows on their way from documents to tables: conversion of values, natural keys, and what went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tomoportal.catalog.addresses import stored_text
from tomoportal.catalog.graph import Column, Graph
from tomoportal.catalog.timestamps import parse_timestamp
from tomoportal.errors import CatalogError, Problem
from tomoportal.model.entities import ENUMS, Field

__all__ = ["Document", "ItemRefused", "Key", "Row", "Sheet", "lookup"]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """A natural key: an archive path, and what tells this row from others of the same path."""

    owner: str
    rest: str = ""

    def __str__(self) -> str:
        return f"{self.owner}#{self.rest}" if self.rest else self.owner

    def below(self, *rest: object) -> Key:
        """Key of a row that belongs to this one."""
        return Key(str(self), "|".join(str(part) for part in rest))


@dataclass(slots=True)
class Row:
    """One row; foreign keys are natural keys (``Key``) or, for datasets and depositions, ids."""

    table: str
    key: Key
    values: dict[str, Any]
    document: str
    extra: dict[str, Any]
    id: int | None = None


class ItemRefused(CatalogError):
    """An item cannot become a row; the problem is on the sheet."""


@dataclass(slots=True)
class Document:
    """A metadata document that is read: key and content."""

    key: str
    content: Mapping[str, Any]

    @property
    def folder(self) -> str:
        return self.key.rpartition("/")[0]

    def get(self, path: str) -> Any:
        return lookup(self.content, path)

    def items(self, path: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Objects of a list with their places; null and missing are empty, other things are skipped."""
        value = self.get(path)
        items = value if isinstance(value, list) else []
        return [(f"{path}[{index}]", item) for index, item in enumerate(items) if isinstance(item, Mapping)]


def lookup(content: Any, path: str) -> Any:
    """Value at a dotted path; a missing or null step is None."""
    for step in path.split(".") if "." in path else (path,):
        if type(content) is not dict and not isinstance(content, Mapping):  # asking for the exact type is faster
            return None
        content = content.get(step)
    return content


@dataclass
class Sheet:
    """Rows of one unit, with the problems that left something out and the warnings that did not."""

    graph: Graph
    unit: str
    rows: dict[str, dict[Key, Row]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def refuse(self, where: str, what: str, fix: str | None = None) -> ItemRefused:
        self.problems.append(Problem(where, what, fix))
        return ItemRefused(what, where=where, fix=fix)

    def warn(self, where: str, what: str, fix: str | None = None) -> None:
        self.warnings.append(Problem(where, what, fix))

    def path(self, value: str) -> str:
        """A path of a document as an archive key; old documents put the name of the bucket before it."""
        first, _, rest = value.partition("/")
        top = self.unit.partition("/")[0]
        return rest if first != top and rest.startswith(f"{top}/") else value

    def of(self, entity: str) -> list[Row]:
        """The rows of an entity so far."""
        return list(self.rows.get(self.graph.entities[entity].table, {}).values())

    def add(
        self,
        entity: str,
        key: Key,
        document: Document,
        paths: Mapping[str, str],
        computed: Mapping[str, Any],
        *,
        content: Mapping[str, Any] | None = None,
        place: str = "",
        extra: Mapping[str, str] | None = None,
        numbered: bool = False,
    ) -> Row:
        """Make a row. ``paths`` says where in ``content`` (by default the document); ``computed`` gives values.

        ``extra`` names values without a column that are kept; ``numbered`` allows several rows with one natural key.
        Raises :class:`ItemRefused` after noting every value that cannot be stored.
        """
        source = document.content if content is None else content
        names = self.graph.column_names[entity]
        assert paths.keys() <= names, entity
        assert computed.keys() <= names, entity
        known = len(self.problems)
        values: dict[str, Any] = {}
        for column in self.graph.columns[entity]:
            name = column.name
            if name == "id":
                continue
            path = paths.get(name)
            value = computed.get(name) if path is None else lookup(source, path)
            if value is not None and type(value) is not Key:
                try:
                    value = self._stored(column, value)
                except _Bad as error:
                    self.problems.append(Problem(_place(document, place, path or name), error.args[0], error.args[1]))
                    continue
                if type(value) is _Rounded:
                    text = f"a fraction where a whole number belongs; {value.number} is stored"
                    self.warn(_place(document, place, path or name), text)
                    value = value.number
            if value is None and column.field.required:
                fix = f"give {column.field.name} ({column.field.type})"
                self.problems.append(Problem(_place(document, place, path or name), "a required value is missing", fix))
            values[name] = value
        if len(self.problems) > known:
            raise ItemRefused("values that cannot be stored", where=document.key)
        kept = {name: found for name, path in (extra or {}).items() if (found := lookup(source, path)) is not None}
        table = self.graph.entities[entity].table
        rows = self.rows.setdefault(table, {})
        if key in rows:
            if not numbered:
                raise self.refuse(f"{document.key}: {place}", f"a second {entity} with the same key ({key.rest})")
            count = 2
            while Key(key.owner, f"{key.rest}#{count}") in rows:
                count += 1
            key = Key(key.owner, f"{key.rest}#{count}")
        row = Row(table, key, values, document.key, kept)
        rows[key] = row
        return row

    def _stored(self, column: Column, value: Any) -> Any:
        if not column.is_path:
            return _CONVERTERS[column.field.type](value, column.field)
        return _path(self.path(value) if isinstance(value, str) else value, column.field)


def _place(document: Document, place: str, path: str) -> str:
    return f"{document.key}: {place}{'.' if place else ''}{path}"


class _Bad(ValueError):
    """What is wrong, and how to mend it."""


@dataclass(frozen=True)
class _Rounded:
    number: int


_LEAST, _GREATEST = -(2**31), 2**31 - 1


def _integer(value: Any, field: Field) -> int | _Rounded:
    if type(value) is int and _LEAST <= value <= _GREATEST:
        return value
    number = _float(value, field)
    whole = math.floor(number + 0.5)
    if not _LEAST <= whole <= _GREATEST:
        raise _Bad(f"{value!r} does not fit into 32 bits", "give a smaller number")
    return whole if whole == number else _Rounded(whole)


def _float(value: Any, field: Field) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _Bad(f"{value!r} is not a number", "give a finite number")
    return float(value)


def _text(value: Any, field: Field) -> str | None:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Mapping) and not value:
        return None
    if not isinstance(value, str):
        raise _Bad(f"{value!r} is not a text", "give a text")
    if "\0" in value:
        raise _Bad("the text holds the character NUL", "take it out")
    return value


def _path(value: Any, field: Field) -> str | None:
    if not isinstance(value, str):
        raise _Bad(f"{value!r} is not a path", "give a path relative to the archive's root")
    return stored_text(_text(value, field))


def _flag(value: Any, field: Field) -> bool:
    if not isinstance(value, bool):
        raise _Bad(f"{value!r} is neither true nor false", "give true or false")
    return value


def _date(value: Any, field: Field) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return parse_timestamp(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _Bad(f"{value!r} is not a date", "write YYYY-MM-DD") from error


def _enum(value: Any, field: Field) -> str:
    permitted = ENUMS[field.enum or ""]
    if value not in permitted:
        raise _Bad(f"{value!r} is not permitted", f"use one of {', '.join(permitted)}")
    return str(value)


def _matrix(value: Any, field: Field) -> str:
    rows = value
    if isinstance(value, list) and len(value) == 4 and not any(isinstance(item, list) for item in value):
        rows = [value[:2], value[2:]]
    if not (isinstance(rows, list) and len(rows) == 2 and all(isinstance(r, list) and len(r) == 2 for r in rows)):
        raise _Bad(f"{value!r} is not a 2×2 matrix", "give [[a, b], [c, d]]")
    (a, b), (c, d) = ([_float(item, field) for item in row] for row in rows)
    return f"[[{a!r},{b!r}],[{c!r},{d!r}]]"


_CONVERTERS: Mapping[str, Callable[[Any, Field], Any]] = {
    "Int": _integer,
    "Float": _float,
    "String": _text,
    "Boolean": _flag,
    "DateTime": _date,
    "Enum": _enum,
    "Matrix": _matrix,
}
