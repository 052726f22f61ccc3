"""PostgreSQL: several servers and indexers on several machines, one database."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import URL, Connection, Engine, MetaData, Table, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from tomoportal.catalog.database import Reason, stored_values
from tomoportal.catalog.dialect import Dialect
from tomoportal.catalog.postgres_dialect import Postgres
from tomoportal.catalog.postgres_records import RecordTable
from tomoportal.errors import CatalogError, LockedError, MissingPartError

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
_TRUSTED_SECONDS = 10.0  # a connection that rested longer is tried before it is used

_REASONS = {
    "57014": Reason.SLOW,  # statement time-out
    "54000": Reason.DEEP,
    "54001": Reason.DEEP,  # stack depth
    "2201B": Reason.PATTERN,
}


class PostgresDatabase:
    """A catalog on a PostgreSQL server, in the schema that the connection finds first."""

    shared = True

    def __init__(self, url: URL) -> None:
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise MissingPartError(
                "the driver for PostgreSQL is not installed", fix="pip install 'tomoportal[postgres]'"
            ) from error
        self.url = url.render_as_string(hide_password=True)
        self.writer = _engine(url, "", "READ COMMITTED")
        self.reader = _engine(url, " -c default_transaction_read_only=on", "REPEATABLE READ")
        _answer_in_binary(self.reader)
        try:
            self.dialect: Dialect = Postgres(_version(self.reader, self.url))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()

    @contextmanager
    def limited(self, connection: Connection, seconds: float | None) -> Iterator[None]:
        milliseconds = 0 if seconds is None else max(1, round(seconds * 1000))
        if connection.info.get("statement_timeout", 0) != milliseconds:
            # For the session, so that the next request need not say it again.
            connection.exec_driver_sql(f"SET statement_timeout = {milliseconds}")
            connection.info["statement_timeout"] = milliseconds
        try:
            yield
        except BaseException:
            connection.info.pop("statement_timeout", None)  # rolled back with the transaction
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

    def insert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        raw = cast("Raw[Any]", connection.connection.dbapi_connection)
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        with raw.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
            for values in stored_values(table, rows):
                copy.write_row(values)

    def settle(self, tables: MetaData) -> None:
        with self.writer.begin() as connection:
            connection.exec_driver_sql(f"ANALYZE {', '.join(f'{chr(34)}{name}{chr(34)}' for name in tables.tables)}")

    def reason(self, error: BaseException) -> Reason | None:
        cause = error.orig if isinstance(error, DBAPIError) else error
        return _REASONS.get(getattr(cause, "sqlstate", None) or "")


def _engine(url: URL, options: str, isolation: Any) -> Engine:
    import psycopg

    given = url.query.get("options", "")
    given = given if isinstance(given, str) else " ".join(given)
    engine = create_engine(
        url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
        connect_args={"options": f"{given} {_OPTIONS}{options}".strip(), "fallback_application_name": "tomoportal"},
        isolation_level=isolation,
        pool_size=4,
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
        reason = str(error.orig).strip().splitlines()[-1]
        raise CatalogError(
            f"the database does not answer: {reason}",
            where=url,
            fix="see that the server runs and that the URL is right",
        ) from error
    if version < _OLDEST:
        raise CatalogError(
            f"the server is PostgreSQL {version // 10000}", where=url, fix=f"use {_OLDEST // 10000} or newer"
        )
    if encoding != "UTF8":
        raise CatalogError(f"the database stores {encoding}", where=url, fix="create it with ENCODING 'UTF8'")
    return version
