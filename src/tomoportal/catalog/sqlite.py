"""SQLite: one file on a local disk, one writer, any number of readers beside it (WAL)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import cast
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, MetaData, QueuePool, Table, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tomoportal.catalog.database import Reason, stored_values
from tomoportal.catalog.deadline import Deadline
from tomoportal.catalog.dialect import Dialect, Sqlite
from tomoportal.catalog.network_disks import network_file_system
from tomoportal.catalog.sqlite_functions import add_functions
from tomoportal.errors import CatalogError, LockedError, SettingsError, TomoportalError
from tomoportal.storage import Store, open_store

__all__ = ["SqliteDatabase"]

_WRITER_PRAGMAS = ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536")
_READER_PRAGMAS = ("busy_timeout=5000", "cache_size=-8192", "mmap_size=268435456", "temp_store=MEMORY")
_STEPS = 100_000  # virtual machine instructions between two looks at the clock
_BATCH = 1 << 18  # bytes of rows that are handed on together
_LARGEST_VALUE = 256 << 20  # bytes of one answer row
_ELSEWHERE = "or put the catalog on another disk: --db sqlite:////path/catalog.sqlite"
_TROUBLES: Mapping[int, tuple[type[TomoportalError], str, str]] = {
    sqlite3.SQLITE_FULL: (CatalogError, "the disk is full", f"free some space and try again, {_ELSEWHERE}"),
    sqlite3.SQLITE_IOERR: (CatalogError, "the disk does not do its work", f"look after the disk, {_ELSEWHERE}"),
    sqlite3.SQLITE_READONLY: (
        CatalogError,
        "the catalog cannot be written",
        f"allow this user to write the file and its folder, {_ELSEWHERE}",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        CatalogError,
        "the catalog cannot be opened",
        f"allow this user to read and write the file and its folder, {_ELSEWHERE}",
    ),
    sqlite3.SQLITE_BUSY: (
        LockedError,
        "another process is writing the catalog",
        "wait until it is done; if no `tomoportal index` runs, end the program that has the file open",
    ),
    sqlite3.SQLITE_CORRUPT: (CatalogError, "the catalog is damaged", "run `tomoportal index --rebuild`; ids stay"),
}


class SqliteDatabase:
    """A catalog in a file."""

    shared = False

    def __init__(self, url: URL, *, create: bool) -> None:
        self.path = _path_of(url)
        self.url = f"sqlite:///{self.path}"
        if kind := network_file_system(self.path):
            raise SettingsError(
                f"SQLite does not work on a network file system ({kind})",
                where=str(self.path),
                fix="put the database on a local disk: --db sqlite:////local/disk/catalog.sqlite,"
                " or use PostgreSQL: --db postgresql://user@host/database",
            )
        if create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        elif not self.path.exists():
            raise CatalogError("there is no catalog", where=str(self.path), fix="run `tomoportal index`")
        self.dialect: Dialect = Sqlite()
        self.errors: tuple[type[Exception], ...] = (DBAPIError, PoolTimeoutError, sqlite3.Error)
        self.writer = _writer(self.path)
        self.reader = _reader(self.path)

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()

    @contextmanager
    def limited(self, connection: Connection, deadline: Deadline) -> Iterator[None]:
        raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        raw.set_progress_handler(lambda: deadline.over, _STEPS)
        try:
            yield
        finally:
            raw.set_progress_handler(None, 0)

    def rows(self, connection: Connection, sql: str, parameters: Mapping[str, object]) -> Iterator[list[bytes]]:
        with connection.exec_driver_sql(sql, dict(parameters)) as result:
            batch: list[bytes] = []
            size = 0
            # The driver's own rows: those of SQLAlchemy can do more than is needed here, which costs a third. One after
            # the other, since the rows of lists in lists may have a megabyte each.
            for (row,) in cast("sqlite3.Cursor", result.cursor):
                batch.append(row)
                size += len(row)
                if size >= _BATCH:
                    yield batch
                    batch, size = [], 0
            if batch:
                yield batch

    def empty(self, connection: Connection, tables: MetaData) -> None:
        for name in inspect(connection).get_table_names():
            if name.startswith("catalog_search"):
                connection.exec_driver_sql("DROP TABLE IF EXISTS catalog_search")
                break
        found = MetaData()
        found.reflect(connection)
        found.drop_all(connection)

    def alone(self) -> nullcontext[None]:
        return nullcontext()  # the file is on this machine, where the lock of the record of ids holds

    def wait_for_tables(self, connection: Connection) -> None:
        """Every writing transaction is alone."""

    def records(self, archive: Store) -> Store:
        if not archive.read_only:
            return archive
        return open_store(self.path.with_name(self.path.name + ".ids"), create=True)

    def insert(self, connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
        # SQLAlchemy would look at every value of every row.
        marks = ",".join("?" * len(table.columns))
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        statement = f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'
        connection.exec_driver_sql(statement, list(stored_values(table, rows)))

    def settle(self, tables: MetaData) -> None:
        with self.writer.begin() as connection:
            connection.exec_driver_sql("PRAGMA optimize")

    def reason(self, error: BaseException) -> Reason | None:
        text = str(error.orig if isinstance(error, DBAPIError) else error)
        if "stack overflow" in text or "too large" in text or "too deep" in text:
            return Reason.DEEP
        return Reason.SLOW if "interrupted" in text else None

    def trouble(self, error: BaseException) -> TomoportalError | None:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(error, PoolTimeoutError):
            return CatalogError("too many requests wait for the catalog", where=str(self.path), fix="try again later")
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # without what SQLite adds to the kind of error
        if code not in _TROUBLES:
            return None
        kind, what, fix = _TROUBLES[code]
        return kind(f"{what} ({cause})", where=str(self.path), fix=fix)


def _path_of(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise SettingsError("the catalog needs a file", where=str(url), fix="write sqlite:///path")
    return Path(url.database).absolute()


def _writer(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        return _connection(f"file:{quote(str(path))}", _WRITER_PRAGMAS)

    return _engine(connect, "BEGIN IMMEDIATE")


def _reader(path: Path) -> Engine:
    # On a disk that cannot be written the log of the WAL mode cannot be opened; nobody else can write it either.
    unchanging = "" if os.access(path.parent, os.W_OK) else "&immutable=1"

    def connect() -> sqlite3.Connection:
        connection = _connection(f"file:{quote(str(path))}?mode=ro{unchanging}", _READER_PRAGMAS)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE)
        return connection

    return _engine(connect, "BEGIN")


def _connection(uri: str, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}").close()
    add_functions(connection)
    return connection


def _engine(connect: Callable[[], sqlite3.Connection], begin: str) -> Engine:
    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=16, max_overflow=64, pool_reset_on_return=None
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver would begin only before the first write; a snapshot for several reads needs it at once.
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.execute(begin)

    return engine
