"""A database that holds the catalog, found by its URL: a file of SQLite, or a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import Enum
from typing import Protocol

from sqlalchemy import URL, Connection, Engine, MetaData, Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tomoportal.catalog.deadline import Deadline
from tomoportal.catalog.dialect import Dialect
from tomoportal.catalog.ids import Records
from tomoportal.catalog.timestamps import Timestamp, wire_timestamp
from tomoportal.errors import SettingsError, TomoportalError
from tomoportal.storage import Store

__all__ = ["Database", "Reason", "open_database", "stored_values"]

_FIX = "write sqlite:///path or postgresql://user@host/database"


class Reason(Enum):
    """Why a database gave up a statement that is not wrong in itself."""

    DEEP = "nested too deeply"
    SLOW = "takes too long"
    PATTERN = "a pattern it cannot search for"


class Database(Protocol):
    """What the two databases do differently, apart from the SQL of queries (``Dialect``)."""

    url: str
    """As it may be shown: without a password."""
    shared: bool
    """Whether tables of others may stand beside those of the catalog."""
    dialect: Dialect
    writer: Engine
    reader: Engine
    """Connections that cannot write; a transaction is one snapshot."""
    errors: tuple[type[Exception], ...]
    """What SQLAlchemy and the driver raise."""

    def close(self) -> None:
        """Give back all connections."""

    def limited(self, connection: Connection, deadline: Deadline) -> AbstractContextManager[None]:
        """Statements that are not done at the deadline are given up."""

    def rows(self, connection: Connection, sql: str, parameters: Mapping[str, object]) -> Iterator[list[bytes]]:
        """The only column of a statement's rows, a few rows at a time, as the database finds them.

        Raises the driver's errors, or those of SQLAlchemy.
        """

    def empty(self, connection: Connection, tables: MetaData) -> None:
        """Drop the catalog's tables, of whatever version."""

    def alone(self) -> AbstractContextManager[None]:
        """Be the only one who indexes into this database. Raises :class:`LockedError`."""

    def wait_for_tables(self, connection: Connection) -> None:
        """Within a transaction: nobody else makes tables until it ends."""

    def records(self, archive: Store) -> Records:
        """Where the record of ids lies: in the archive, or with the database if the archive cannot be written."""

    def insert(self, connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
        """Many new rows, each with a value for every column, in the order of the columns."""

    def settle(self, tables: MetaData) -> None:
        """After many changes: let the planner know how the rows are distributed."""

    def reason(self, error: BaseException) -> Reason | None:
        """Why a statement was given up; None for a fault. ``error`` is SQLAlchemy's or the driver's own."""

    def trouble(self, error: BaseException) -> TomoportalError | None:
        """An error of the database that its operator can mend (a full disk, a lost server); None for any other."""


def stored_values(table: Table, rows: Sequence[tuple[object, ...]]) -> Iterable[tuple[object, ...]]:
    """Rows as drivers take them."""
    if not any(isinstance(column.type, Timestamp) for column in table.columns):
        return rows
    return (tuple(wire_timestamp(value) if type(value) is datetime else value for value in row) for row in rows)


def open_database(url: str, *, create: bool = False) -> Database:
    """The database behind a URL. Raises :class:`SettingsError` for one that cannot be used."""
    try:
        parsed = make_url("postgresql://" + url.removeprefix("postgres://") if url.startswith("postgres://") else url)
    except ArgumentError as error:
        raise SettingsError("not the URL of a database", where=url, fix=_FIX) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        from tomoportal.catalog.sqlite import SqliteDatabase

        return SqliteDatabase(parsed, create=create)
    if backend == "postgresql":
        return _postgres(parsed)
    raise SettingsError(f"{backend} databases are not supported", where=url, fix=_FIX)


def _postgres(url: URL) -> Database:
    from tomoportal.catalog.postgres import PostgresDatabase

    return PostgresDatabase(url)
