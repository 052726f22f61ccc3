"""Arguments that cut lists: ``limitOffset`` of root lists, ``first last before after`` of connections."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tomoportal.errors import QueryError

__all__ = ["PAGE_SIZE", "Page", "Slice", "sizes"]

PAGE_SIZE = 100
"""Rows of a connection without ``first`` and ``last``."""

_END = 2**31 - 1
_CURSOR = b"arrayconnection:"


@dataclass(frozen=True, slots=True)
class Page:
    """``limitOffset`` of a root list; ``limit`` None means all rows."""

    limit: int | None
    offset: int

    @classmethod
    def of(cls, value: Mapping[str, Any] | None, path: str) -> Page:
        """Raises :class:`QueryError` for negative numbers and for an offset without a limit."""
        limit = (value or {}).get("limit")
        offset = (value or {}).get("offset")
        for name, number in (("limit", limit), ("offset", offset)):
            if number is not None and number < 0:
                raise QueryError(f"{path}.{name} is {number}; it must not be negative")
        if offset is not None and limit is None:
            raise QueryError("Cannot use offset without limit")
        return cls(limit, offset or 0)

    @property
    def clause(self) -> str:
        if self.limit is None:
            return ""
        return f" LIMIT {self.limit} OFFSET {self.offset}"


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows ``start <= index < stop`` of a connection, and of those the last ``last`` if it is given."""

    start: int
    stop: int
    last: int | None

    @classmethod
    def of(cls, arguments: Mapping[str, Any], path: str, most: int = PAGE_SIZE) -> Slice:
        """Raises :class:`QueryError` for a negative size or one above ``most`` and for an unreadable cursor."""
        first, last = sizes(arguments, path, most)
        after, before = (arguments.get(name) for name in ("after", "before"))
        start = 0 if after is None else _index(after, f"{path}.after") + 1
        stop = _END if before is None else _index(before, f"{path}.before")
        if first is not None:
            stop = min(stop, start + first)
        return cls(start, max(start, stop), last)


def sizes(arguments: Mapping[str, Any], path: str, most: int) -> tuple[int | None, int | None]:
    """``first`` and ``last``; a page without either has ``PAGE_SIZE`` rows. Raises :class:`QueryError`."""
    first, last = (_size(arguments, name, path, most) for name in ("first", "last"))
    return (PAGE_SIZE, None) if first is None and last is None else (first, last)


def _size(arguments: Mapping[str, Any], name: str, path: str, most: int) -> int | None:
    size = arguments.get(name)
    if size is None:
        return None
    if size < 0:
        raise QueryError(f"{path}.{name} is {size}; it must not be negative")
    if size > most:
        raise QueryError(f"Argument '{name}' cannot be higher than {most}.")
    return int(size)


def _index(cursor: str, path: str) -> int:
    try:
        text = base64.b64decode(cursor, validate=True)
        number = text.removeprefix(_CURSOR).decode("ascii")
    except (binascii.Error, ValueError):
        text, number = b"", ""
    if not text.startswith(_CURSOR) or not number.isdigit() or len(number) > 9:
        raise QueryError(f"{path}: {cursor!r} is not a cursor; use one that pageInfo or an edge returned")
    return int(number)
