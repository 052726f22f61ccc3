"""Rows of a statement as PostgreSQL sends them, a few at a time: prepared, and without a cursor.

``Cursor.stream`` of psycopg plans every statement anew, which takes longer than most of ours run, and a cursor of the
server costs round trips. So libpq is asked directly (its functions are ``psycopg.pq``).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import generators, pq
from psycopg.adapt import PyFormat, Transformer

if TYPE_CHECKING:
    from psycopg import Connection as Raw

__all__ = ["Statements"]

_KEPT = 100  # prepared statements of a connection
_WORTH_PREPARING = 3  # uses
_ROWS = 64  # of one piece; rows of lists in lists may have a megabyte each
_PIECES_FROM = 170000  # version of libpq that can cut an answer into pieces of several rows

_PLACEHOLDER = re.compile(r"%(?:%|\((\w+)\)s)")


class Statements:
    """The statements of one connection; those that come again are prepared."""

    def __init__(self, raw: Raw[Any]) -> None:
        self._raw = raw
        self._pgconn = raw.pgconn
        self._texts: OrderedDict[str, tuple[bytes, tuple[str, ...]]] = OrderedDict()
        self._uses: OrderedDict[tuple[str, tuple[int, ...]], int] = OrderedDict()
        self._names: OrderedDict[tuple[str, tuple[int, ...]], bytes] = OrderedDict()
        self._made = 0

    def rows(self, sql: str, parameters: Mapping[str, object]) -> Iterator[list[bytes]]:
        """The only column of the rows, as bytes; a connection that is left before the end must not be used again.

        Raises the driver's errors.
        """
        text, names = self._positional(sql)
        transformer = Transformer(self._raw)
        values = transformer.dump_sequence([parameters[name] for name in names], [PyFormat.AUTO] * len(names))
        types, formats = tuple(transformer.types or ()), transformer.formats
        if self._pgconn.transaction_status == pq.TransactionStatus.IDLE:
            self._done(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        name = self._prepared(sql, text, types)
        if name is None:
            self._pgconn.send_query_params(text, values, types, formats, pq.Format.BINARY)
        else:
            self._pgconn.send_query_prepared(name, values, formats, pq.Format.BINARY)
        if pq.version() >= _PIECES_FROM:
            self._pgconn.set_chunked_rows_mode(_ROWS)
        else:
            self._pgconn.set_single_row_mode()
        self._raw.wait(generators.send(self._pgconn))
        while (result := self._raw.wait(generators.fetch(self._pgconn))) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                self._finish()
                raise psycopg.errors.error_from_result(result, encoding="utf-8")
            if result.ntuples:
                yield [result.get_value(row, 0) or b"" for row in range(result.ntuples)]

    def _positional(self, sql: str) -> tuple[bytes, tuple[str, ...]]:
        """The statement with ``$1`` for ``%(name)s``, and the names in order."""
        found = self._texts.get(sql)
        if found is None:
            names: dict[str, int] = {}

            def number(match: re.Match[str]) -> str:
                return "%" if match[1] is None else f"${names.setdefault(match[1], len(names) + 1)}"

            text = _PLACEHOLDER.sub(number, sql).encode()
            found = self._texts[sql] = text, tuple(names)
            while len(self._texts) > _KEPT:
                self._texts.popitem(last=False)
        return found

    def _prepared(self, sql: str, text: bytes, types: tuple[int, ...]) -> bytes | None:
        """The name of the prepared statement; None for one that was not asked often enough."""
        key = (sql, types)
        if key in self._names:
            self._names.move_to_end(key)
            return self._names[key]
        uses = self._uses[key] = self._uses.pop(key, 0) + 1
        while len(self._uses) > _KEPT:
            self._uses.popitem(last=False)
        if uses < _WORTH_PREPARING:
            return None
        while len(self._names) >= _KEPT:
            _, old = self._names.popitem(last=False)
            self._done(b'DEALLOCATE "' + old + b'"')
        self._made += 1
        name = f"tomoportal_{self._made}".encode()
        self._pgconn.send_prepare(name, text, types)
        self._raw.wait(generators.send(self._pgconn))
        self._finish()
        self._names[key] = name
        del self._uses[key]
        return name

    def _done(self, command: bytes) -> None:
        self._pgconn.send_query_params(command, None)
        self._raw.wait(generators.send(self._pgconn))
        self._finish()

    def _finish(self) -> None:
        failed = None
        while (result := self._raw.wait(generators.fetch(self._pgconn))) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                failed = result
        if failed is not None:
            raise psycopg.errors.error_from_result(failed, encoding="utf-8")
