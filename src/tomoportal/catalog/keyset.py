"""Cursors that hold the keys of their row, so that a page begins after the same row whatever came or went meanwhile.

A cursor is the base64 of ``keyset:`` and a JSON list: a mark of the order that it belongs to, then the value of each
key of that order, the id last.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from tomoportal.catalog.dialect import Dialect, Part, Sql
from tomoportal.catalog.ordering import Key
from tomoportal.catalog.statement import Statement
from tomoportal.errors import QueryError

__all__ = ["Cursor", "cursor_of", "past"]

_PREFIX = b"keyset:"
_LARGEST_INT = 2**63
_NULLS_FIRST = {"asc_nulls_first", "desc", "desc_nulls_first"}
_WRONG = object()


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor that a request gave: the values of the keys of one row."""

    values: tuple[Any, ...]

    @classmethod
    def of(cls, text: str, keys: Sequence[Key], path: str) -> Cursor:
        """Raises :class:`QueryError` for what no page of this order can have returned."""
        try:
            plain = base64.b64decode(text, validate=True)
            found = orjson.loads(plain.removeprefix(_PREFIX)) if plain.startswith(_PREFIX) else None
        except (binascii.Error, ValueError):
            found = None
        if not isinstance(found, list) or not found:
            shown = text if len(text) <= 60 else f"{text[:60]}…"
            raise QueryError(f"{path}: {shown!r} is not a cursor; use one that pageInfo or an edge returned")
        mark, *values = found
        if mark != _mark(keys) or len(values) != len(keys):
            raise QueryError(
                f"{path}: the cursor belongs to another list or order; ask with the orderBy that returned it"
                f" (this one is {', '.join(f'{key.name} {key.direction}' for key in keys)})"
            )
        checked = tuple(_checked(value, key) for value, key in zip(values, keys, strict=True))
        if any(value is _WRONG for value in checked):
            raise QueryError(f"{path}: the cursor was changed; use one that pageInfo or an edge returned")
        return cls(checked)


def _checked(value: Any, key: Key) -> Any:
    """A value as a parameter of the statement."""
    kind = key.field.type
    match value:
        case None:
            return None if key.nullable else _WRONG
        case bool():
            return value if kind == "Boolean" else _WRONG
        case int() if kind in {"Int", "Float"}:
            return value if abs(value) < _LARGEST_INT else _WRONG
        case float():
            return value if kind == "Float" else _WRONG
        case str():
            return value if kind in {"String", "Enum", "DateTime", "Matrix"} else _WRONG
        case _:
            return _WRONG


def _mark(keys: Sequence[Key]) -> str:
    order = ",".join(f"{key.name} {key.direction}" for key in keys)
    return hashlib.sha256(order.encode()).hexdigest()[:8]


def cursor_of(dialect: Dialect, keys: Sequence[Key]) -> Sql:
    """JSON of the cursor of the row that the expressions of ``keys`` are about."""
    parts: list[Part] = [f'{_PREFIX.decode()}["{_mark(keys)}"']
    for key in keys:
        # A matrix is sorted by its text, so the text is what the cursor holds.
        kind = "String" if key.field.type == "Matrix" else key.field.type
        parts += [",", dialect.scalar(key.expression, replace(key.field, type=kind, required=False))]
    return dialect.opaque(dialect.text([*parts, "]"]))


def past(statement: Statement, keys: Sequence[Key], cursor: Cursor, *, before: bool = False) -> str:
    """Condition: the row comes after the cursor's row in the order of ``keys``, or ``before`` it."""
    arms: list[str] = []
    equal: list[str] = []
    for key, value in zip(keys, cursor.values, strict=True):
        backwards = key.direction.startswith("desc") is not before
        nulls_first = (key.direction in _NULLS_FIRST) is not before
        placeholder = None if value is None else statement.bind(value)
        if placeholder is None:
            later = f"{key.expression} IS NOT NULL" if nulls_first else None
        else:
            later = f"{key.expression} {'<' if backwards else '>'} {placeholder}"
            if not nulls_first and key.nullable:
                later = f"({later} OR {key.expression} IS NULL)"
        if later is not None:
            arms.append(" AND ".join([*equal, later]))
        equal.append(f"{key.expression} IS NULL" if placeholder is None else f"{key.expression} = {placeholder}")
    return f"({' OR '.join(arms)})"
