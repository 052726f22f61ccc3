"""The catalog: a database derived from the archive, that can be dropped and rebuilt at any time."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from sqlalchemy import Connection, Engine, MetaData, QueuePool, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError

from tomoportal.archive import Archive
from tomoportal.catalog.dialect import Dialect, Sqlite
from tomoportal.catalog.graph import Graph
from tomoportal.catalog.network_disks import network_file_system
from tomoportal.catalog.search import create_search
from tomoportal.catalog.sqlite_functions import add_functions
from tomoportal.catalog.tables import SCHEMA_VERSION, Tables
from tomoportal.catalog.visibility import Viewer
from tomoportal.errors import CatalogError, SettingsError

if TYPE_CHECKING:
    from tomoportal.catalog.browse.reading import Reader

__all__ = ["Catalog", "default_url"]

_WRITER_PRAGMAS = ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536")
_READER_PRAGMAS = ("busy_timeout=5000", "cache_size=-8192", "mmap_size=268435456", "temp_store=MEMORY")
_STEPS = 100_000  # virtual machine instructions between two looks at the clock
_LARGEST_VALUE = 256 << 20  # bytes of one answer row
_REBUILD = "run `tomoportal index --rebuild`; ids stay the same"


def default_url(archive: Archive) -> str:
    """URL of the catalog inside a local archive. Raises :class:`SettingsError` if the archive is not a local folder."""
    path = archive.store.local_path(".tomoportal/catalog.sqlite")
    if path is None:
        raise SettingsError(
            "an archive on an object store cannot hold its own catalog",
            where=archive.store.url,
            fix="say where the database is: --db sqlite:////path/on/a/local/disk/catalog.sqlite",
        )
    return f"sqlite:///{path}"


class Catalog:
    """An open catalog. ``engine`` writes, :meth:`read` gives connections that cannot."""

    def __init__(self, url: str, engine: Engine, reader: Engine) -> None:
        self.url = url
        self.engine = engine
        self.graph = Graph()
        self.tables = Tables(self.graph)
        self.dialect: Dialect = Sqlite()
        self.reading_engine = reader

    @classmethod
    def open(cls, url: str, *, create: bool = False, rebuild: bool = False) -> Catalog:
        """Open ``sqlite:///path``; ``create`` makes an empty one if there is none, ``rebuild`` empties what is there.

        Raises :class:`CatalogError` if there is no catalog or it has another version, :class:`SettingsError` for a
        URL that cannot be used.
        """
        path = _path_of(url)
        if kind := network_file_system(path):
            raise SettingsError(
                f"SQLite does not work on a network file system ({kind})",
                where=str(path),
                fix="put the database on a local disk: --db sqlite:////local/disk/catalog.sqlite",
            )
        if not path.exists() and not (create or rebuild):
            raise CatalogError("there is no catalog", where=str(path), fix="run `tomoportal index`")
        if create or rebuild:
            path.parent.mkdir(parents=True, exist_ok=True)
        catalog = cls(url, _writer(path), _reader(path))
        try:
            if rebuild:
                catalog.create_tables(empty=True)
            catalog._check(create)
        except BaseException:
            catalog.close()
            raise
        return catalog

    def close(self) -> None:
        """Give back all connections."""
        self.reading_engine.dispose()
        self.engine.dispose()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_tables(self, *, empty: bool = False) -> None:
        """Make all tables; ``empty`` drops whatever is there first, in the same transaction."""
        with self.write() as connection:
            if empty:
                _drop_everything(connection)
            self.tables.metadata.create_all(connection)
            create_search(connection)
            self.set_info(connection, "schema_version", str(SCHEMA_VERSION))
            self.set_info(connection, "data_version", "0")

    @contextmanager
    def read(self, *, seconds: float | None = None) -> Iterator[Connection]:
        """A read-only connection with one snapshot for everything that is read through it.

        Statements that run longer than ``seconds`` after the start are interrupted.
        """
        with self.reading_engine.connect() as connection, connection.begin():
            if seconds is None:
                yield connection
                return
            raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
            deadline = time.monotonic() + seconds
            raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            try:
                yield connection
            finally:
                raw.set_progress_handler(None, 0)

    @contextmanager
    def reader(self, viewer: Viewer) -> Iterator[Reader]:
        """Rows for pages, of what ``viewer`` may see; one snapshot."""
        from tomoportal.catalog.browse.reading import Reader

        with self.read() as connection:
            yield Reader(connection, self.tables, self.graph, viewer)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction; all or nothing."""
        with self.engine.begin() as connection:
            yield connection

    @property
    def version(self) -> str:
        """Version of the data: changes with every change of a row, equal for equal data. Feeds ETags."""
        with self.read() as connection:
            return self.info(connection, "data_version") or "0"

    def info(self, connection: Connection, key: str) -> str | None:
        """One of the catalog's own facts."""
        table = self.tables.info
        return connection.execute(select(table.c.value).where(table.c.key == key)).scalar()

    def set_info(self, connection: Connection, key: str, value: str) -> None:
        table = self.tables.info
        connection.execute(table.delete().where(table.c.key == key))
        connection.execute(table.insert().values(key=key, value=value))

    def _check(self, create: bool) -> None:
        # A catalog on a disk that cannot be written is opened by readers only.
        engine = self.engine if create else self.reading_engine
        try:
            with engine.connect() as connection:
                names = inspect(connection).get_table_names()
                found = self.info(connection, "schema_version") if self.tables.info.name in names else None
        except DatabaseError as error:
            raise CatalogError("the file is not a catalog", where=self.url, fix=_REBUILD) from error
        if found is None and not names and create:
            self.create_tables()
        elif found is None:
            raise CatalogError("the database holds no catalog", where=self.url, fix="run `tomoportal index`")
        elif found != str(SCHEMA_VERSION):
            raise CatalogError(
                f"the catalog has version {found}, this program needs {SCHEMA_VERSION}", where=self.url, fix=_REBUILD
            )


def _path_of(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError("not the URL of a database", where=url, fix="write sqlite:///path") from error
    if parsed.get_backend_name() != "sqlite":
        raise SettingsError(
            f"{parsed.get_backend_name()} databases are not supported", where=url, fix="write sqlite:///path"
        )
    if not parsed.database or parsed.database == ":memory:":
        raise SettingsError("the catalog needs a file", where=url, fix="write sqlite:///path")
    return Path(parsed.database).absolute()


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


def _engine(connect: object, begin: str) -> Engine:
    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=4, max_overflow=60, pool_reset_on_return=None
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The driver would begin only before the first write; a snapshot for several reads needs it at once.
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.execute(begin)

    return engine


def _drop_everything(connection: Connection) -> None:
    for name in inspect(connection).get_table_names():
        if name.startswith("catalog_search"):
            connection.exec_driver_sql("DROP TABLE IF EXISTS catalog_search")
            break
    found = MetaData()
    found.reflect(connection)
    found.drop_all(connection)
