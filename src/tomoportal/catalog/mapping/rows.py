"""Rows on their way from documents to tables: conversion of values, natural keys, and what went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tomoportal.catalog.addresses import stored_text
from tomoportal.catalog.graph import Graph
from tomoportal.catalog.timestamps import parse_timestamp
from tomoportal.errors import CatalogError, Problem
from tomoportal.model.entities import ENUMS, Field

__all__ = ["Document", "ItemRefused", "Key", "Recipe", "Row", "Sheet", "lookup"]


class Key(NamedTuple):
    """A natural key: an archive path, and what tells this row from others of the same path."""

    owner: str
    rest: str = ""

    def __str__(self) -> str:
        return f"{self.owner}#{self.rest}" if self.rest else self.owner

    def below(self, *rest: object) -> Key:
        """Key of a row that belongs to this one."""
        return Key(str(self), str(rest[0]) if len(rest) == 1 else "|".join(map(str, rest)))


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


class _Value(NamedTuple):
    """How a column's value is found and converted."""

    name: str
    path: str | None
    """Where it stands in a document; None: it may be computed."""
    plain: bool
    """Whether the path is one key."""
    convert: Callable[[Any, Field], Any] | None
    """None for the archive's paths."""
    field: Field


class Recipe:
    """How rows of an entity are made with certain paths: worked out once for many rows."""

    def __init__(self, graph: Graph, entity: str, paths: Mapping[str, str]) -> None:
        assert paths.keys() <= graph.column_names[entity], entity
        self.table = graph.entities[entity].table
        self.paths = paths
        columns = [column for column in graph.columns[entity] if column.name != "id"]
        self.empty: dict[str, Any] = dict.fromkeys(column.name for column in columns)
        values = [
            _Value(
                column.name,
                path := paths.get(column.name),
                path is not None and "." not in path,
                None if column.is_path else _CONVERTERS[column.field.type],
                column.field,
            )
            for column in columns
        ]
        self.documented = [value for value in values if value.path is not None]
        self.computed = {value.name: value for value in values}
        self.required = [value for value in values if value.path is None and value.field.required]


@dataclass
class Sheet:
    """Rows of one unit, with the problems that left something out and the warnings that did not."""

    graph: Graph
    unit: str
    recipes: dict[tuple[str, int], Recipe] = field(default_factory=dict)
    """May be shared with other sheets of the same graph."""
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
        recipe = self._recipe(entity, paths)
        assert computed.keys() <= recipe.empty.keys(), entity
        known = len(self.problems)
        values = recipe.empty.copy()
        asked = recipe.documented + [recipe.computed[name] for name in computed if name not in paths]
        for name, path, plain, convert, member in asked:
            if path is None:
                value = computed.get(name)
            elif plain and type(source) is dict:
                value = source.get(path)
            else:
                value = lookup(source, path)
            if value is None:
                if member.required:
                    self._miss(document, place, path or name, member)
                continue
            if type(value) is not Key:
                try:
                    value = self._path(value, member) if convert is None else convert(value, member)
                except _Bad as error:
                    self.problems.append(Problem(_place(document, place, path or name), error.args[0], error.args[1]))
                    continue
                if type(value) is _Rounded:
                    text = f"a fraction where a whole number belongs; {value.number} is stored"
                    self.warn(_place(document, place, path or name), text)
                    value = value.number
                elif value is None and member.required:
                    self._miss(document, place, path or name, member)
            values[name] = value
        for each in recipe.required:
            if each.name not in computed:
                self._miss(document, place, each.name, each.field)
        if len(self.problems) > known:
            raise ItemRefused("values that cannot be stored", where=document.key)
        kept = (
            {name: found for name, path in extra.items() if (found := lookup(source, path)) is not None}
            if extra
            else {}
        )
        rows = self.rows.setdefault(recipe.table, {})
        if key in rows:
            if not numbered:
                raise self.refuse(f"{document.key}: {place}", f"a second {entity} with the same key ({key.rest})")
            count = 2
            while Key(key.owner, f"{key.rest}#{count}") in rows:
                count += 1
            key = Key(key.owner, f"{key.rest}#{count}")
        kept = {name: value for name, value in kept.items() if value is not None}
        row = Row(recipe.table, key, values, document.key, kept)
        rows[key] = row
        return row

    def _recipe(self, entity: str, paths: Mapping[str, str]) -> Recipe:
        # By identity, which is found sooner; the recipe keeps its paths, so that no others come to lie at their place.
        key = (entity, id(paths) if paths else 0)
        found = self.recipes.get(key)
        if found is None:
            found = self.recipes[key] = Recipe(self.graph, entity, paths)
        return found

    def _path(self, value: Any, field: Field) -> str | None:
        return _path(self.path(value) if isinstance(value, str) else value, field)

    def _miss(self, document: Document, place: str, path: str, field: Field) -> None:
        where, fix = _place(document, place, path), f"give {field.name} ({field.type})"
        self.problems.append(Problem(where, "a required value is missing", fix))


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
