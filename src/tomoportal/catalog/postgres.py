"""PostgreSQL: several servers and indexers on several machines, one database."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import URL, Connection, Engine, MetaData, Table, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from tomoportal.catalog.database import Reason, stored_values
from tomoportal.catalog.deadline import Deadline
from tomoportal.catalog.dialect import Dialect
from tomoportal.catalog.postgres_dialect import Postgres
from tomoportal.catalog.postgres_records import RecordTable
from tomoportal.errors import CatalogError, LockedError, MissingPartError, TomoportalError

if TYPE_CHECKING:
    from psycopg import Connection as Raw

    from tomoportal.catalog.ids import Records
    from tomoportal.storage import Store

__all__ = ["PostgresDatabase"]

_OLDEST = 140000
# Compiling a statement to machine code costs more than any of ours takes; lists are sorted in memory.
_OPTIONS = "-c timezone=UTC -c jit=off -c work_mem=65536"
_LOCK_SECONDS = 60
_INDEXER, _TABLES = 0x746F6D6F01, 0x746F6D6F02  # "tomo": numbers of our advisory locks
_CANCEL_SECONDS = 5.0
_TRUSTED_SECONDS = 10.0  # a connection that rested longer is tried before it is used

_REASONS = {
    "57014": Reason.SLOW,  # statement time-out
    "54000": Reason.DEEP,
    "54001": Reason.DEEP,  # stack depth
    "2201B": Reason.PATTERN,
}
_TROUBLES: Mapping[str, tuple[type[TomoportalError], str, str]] = {
    "25006": (CatalogError, "the database cannot be written", "give the URL of a server that takes changes"),
    "40P01": (LockedError, "another program changes the same tables", "wait until it is done and try again"),
    "42501": (CatalogError, "the database refuses this user", "grant it the rights to the catalog's tables and schema"),
    "53100": (CatalogError, "the disk of the database is full", "free some space and try again"),
    "53200": (CatalogError, "the database has too little memory", "try again when there is more"),
    "53300": (CatalogError, "the database takes no more connections", "raise its max_connections, or try again later"),
    "55P03": (LockedError, "another program holds the tables", "wait until it is done and try again"),
}


class PostgresDatabase:
    """A catalog on a PostgreSQL server, in the schema that the connection finds first."""

    shared = True

    def __init__(self, url: URL) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise MissingPartError(
                "the driver for PostgreSQL is not installed", fix="pip install 'tomoportal[postgres]'"
            ) from error
        self.url = url.render_as_string(hide_password=True)
        self.writer = _engine(url, "", "READ COMMITTED")
        self.reader = _engine(url, " -c default_transaction_read_only=on", "REPEATABLE READ")
        _answer_in_binary(self.reader)
        self.errors: tuple[type[Exception], ...] = (DBAPIError, PoolTimeoutError, psycopg.Error)
        try:
            self.dialect: Dialect = Postgres(_version(self.reader, self.url))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()

    @contextmanager
    def limited(self, connection: Connection, deadline: Deadline) -> Iterator[None]:
        milliseconds = 0 if deadline.seconds is None else max(1, round(deadline.seconds * 1000))
        if deadline.stopped:
            milliseconds = 1
        if connection.info.get("statement_timeout", 0) != milliseconds:
            # For the session, so that the next request need not say it again.
            connection.exec_driver_sql(f"SET statement_timeout = {milliseconds}")
            connection.info["statement_timeout"] = milliseconds
        raw = cast("Raw[Any]", connection.connection.dbapi_connection)
        try:
            with deadline.interrupting(lambda: raw.cancel_safe(timeout=_CANCEL_SECONDS)):
                yield
        except BaseException:
            if not connection.invalidated:
                connection.info.pop("statement_timeout", None)  # rolled back with the transaction
            raise
        finally:
            if deadline.stopped and not connection.invalidated:
                connection.invalidate()  # the cancellation may arrive late and would hit somebody else's statement

    def rows(self, connection: Connection, sql: str, parameters: Mapping[str, object]) -> Iterator[list[bytes]]:
        from tomoportal.catalog.postgres_rows import Statements

        connection.dispatch.before_cursor_execute(connection, None, sql, parameters, None, False)
        raw = cast("Raw[Any]", connection.connection.dbapi_connection)
        statements = connection.info.get("statements")
        if statements is None:
            statements = connection.info["statements"] = Statements(raw)
        try:
            yield from statements.rows(sql, parameters)
        except GeneratorExit:
            raw.cancel_safe(timeout=_CANCEL_SECONDS)
            connection.invalidate()
            raise
        except self.errors:
            if raw.broken:
                connection.invalidate()
                self.reader.dispose()  # the other connections that rest are lost as well
            raise

    def empty(self, connection: Connection, tables: MetaData) -> None:
        # The database may hold other people's tables.
        ours = {table.name for table in tables.sorted_tables}
        for name in inspect(connection).get_table_names():
            if name in ours or (name.startswith("catalog_") and name != RecordTable.name):
                connection.exec_driver_sql(f'DROP TABLE IF EXISTS "{name}" CASCADE')

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
            try:
                connection.exec_driver_sql(f"SELECT pg_advisory_lock({_INDEXER})")
            except OperationalError as error:
                raise LockedError(
                    "another process indexes into this database", where=self.url, fix="wait until it is done"
                ) from error
            try:
                yield
            finally:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_INDEXER})")
                connection.exec_driver_sql("RESET lock_timeout")

    def wait_for_tables(self, connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TABLES})")

    def records(self, archive: Store) -> Records:
        return RecordTable(self.writer) if archive.read_only else archive

    def insert(self, connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
        raw = cast("Raw[Any]", connection.connection.dbapi_connection)
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        with raw.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
            for values in stored_values(table, rows):
                copy.write_row(values)

    def settle(self, tables: MetaData) -> None:
        with self.writer.begin() as connection:
            connection.exec_driver_sql(f"ANALYZE {', '.join(f'{chr(34)}{name}{chr(34)}' for name in tables.tables)}")

    def reason(self, error: BaseException) -> Reason | None:
        return _REASONS.get(_state(error) or "")

    def trouble(self, error: BaseException) -> TomoportalError | None:
        if isinstance(error, PoolTimeoutError):
            return CatalogError("too many requests wait for the database", where=self.url, fix="try again later")
        state = _state(error)
        if state is None:
            return None
        if _is_lost(state):
            return _unanswered(error, self.url)
        if state not in _TROUBLES:
            return None
        kind, what, fix = _TROUBLES[state]
        return kind(f"{what} ({_said(error)})", where=self.url, fix=fix)


def _state(error: BaseException) -> str | None:
    """The SQLSTATE of an error of the driver; empty if the server said nothing; None for other errors."""
    import psycopg

    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return None
    if cause.sqlstate is None and not isinstance(cause, psycopg.OperationalError):
        return None
    return cause.sqlstate or ""


def _is_lost(state: str) -> bool:
    """Whether the connection is gone, or was never there."""
    return state == "" or state.startswith(("08", "57P"))


def _said(error: BaseException) -> str:
    lines = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def _unanswered(error: BaseException, url: str) -> CatalogError:
    return CatalogError(
        f"the database does not answer: {_said(error)}",
        where=url,
        fix="see that the server runs and that the URL is right",
    )


def _engine(url: URL, options: str, isolation: Any) -> Engine:
    import psycopg

    given = url.query.get("options", "")
    given = given if isinstance(given, str) else " ".join(given)
    engine = create_engine(
        url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
        connect_args={"options": f"{given} {_OPTIONS}{options}".strip(), "fallback_application_name": "tomoportal"},
        isolation_level=isolation,
        # As many as a server has threads stay open: making one takes as long as ten questions.
        pool_size=16,
        max_overflow=16,
    )

    @event.listens_for(engine, "checkin")
    def _rest(raw: object, record: ConnectionPoolEntry) -> None:
        record.info["rested"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _try(raw: Raw[Any], record: ConnectionPoolEntry, proxy: object) -> None:
        if time.monotonic() - record.info.get("rested", time.monotonic()) < _TRUSTED_SECONDS:
            return
        try:
            raw.execute("SELECT 1")
            raw.rollback()
        except psycopg.Error as error:
            raise DisconnectionError("the server closed the connection") from error

    return engine


def _answer_in_binary(engine: Engine) -> None:
    """Answers come as bytes and need not be decoded."""
    import psycopg
    from psycopg.pq import Format

    class Cursor(psycopg.Cursor[Any]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.format = Format.BINARY

    @event.listens_for(engine, "connect")
    def _connect(raw: Raw[Any], record: ConnectionPoolEntry) -> None:
        raw.cursor_factory = Cursor


def _version(engine: Engine, url: str) -> int:
    try:
        with engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            version = int(raw.info.server_version)
            encoding = raw.info.parameter_status("server_encoding")
    except DBAPIError as error:
        raise _unanswered(error, url) from error
    if version < _OLDEST:
        raise CatalogError(
            f"the server is PostgreSQL {version // 10000}", where=url, fix=f"use {_OLDEST // 10000} or newer"
        )
    if encoding != "UTF8":
        raise CatalogError(f"the database stores {encoding}", where=url, fix="create it with ENCODING 'UTF8'")
    return version
