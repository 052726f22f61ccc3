"""The catalog: a database derived from the archive, that can be dropped and rebuilt at any time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, select
from sqlalchemy.exc import DatabaseError

from tomoportal.archive import Archive
from tomoportal.catalog.database import Database, open_database
from tomoportal.catalog.deadline import Deadline
from tomoportal.catalog.dialect import Dialect
from tomoportal.catalog.graph import Graph
from tomoportal.catalog.migrations import HEAD, is_older, revision_of, stamp, upgrade
from tomoportal.catalog.search import create_search
from tomoportal.catalog.summaries import Summaries
from tomoportal.catalog.tables import Tables
from tomoportal.catalog.visibility import Viewer
from tomoportal.errors import CatalogError, SettingsError

if TYPE_CHECKING:
    from tomoportal.catalog.browse.reading import Reader

__all__ = ["Catalog", "default_url"]

_INDEX = "run `tomoportal index`"
_REBUILD = "run `tomoportal index --rebuild`; ids stay the same"


def default_url(archive: Archive) -> str:
    """URL of the catalog inside a local archive. Raises :class:`SettingsError` if the archive is not a local folder."""
    path = archive.store.local_path(".tomoportal/catalog.sqlite")
    if path is None:
        raise SettingsError(
            "an archive on an object store cannot hold its own catalog",
            where=archive.store.url,
            fix="say where the database is: --db sqlite:////path/on/a/local/disk/catalog.sqlite"
            " or --db postgresql://user@host/database",
        )
    return f"sqlite:///{path}"


class Catalog:
    """An open catalog. ``engine`` writes, :meth:`read` gives connections that cannot."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.url = database.url
        self.graph = Graph()
        self.tables = Tables(self.graph)
        self.summaries = Summaries(self.graph, self.tables)

    @property
    def dialect(self) -> Dialect:
        return self.database.dialect

    @property
    def engine(self) -> Engine:
        return self.database.writer

    @property
    def reading_engine(self) -> Engine:
        return self.database.reader

    @classmethod
    def open(cls, url: str, *, create: bool = False, rebuild: bool = False) -> Catalog:
        """Open ``sqlite:///path`` or ``postgresql://user@host/database``.

        ``create`` makes an empty catalog if there is none, ``rebuild`` empties what is there. Raises
        :class:`CatalogError` if there is no catalog or it has another version, :class:`SettingsError` for a URL that
        cannot be used, :class:`MissingPartError` if the driver for PostgreSQL is not installed.
        """
        catalog = cls(open_database(url, create=create or rebuild))
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
        self.database.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_tables(self, *, empty: bool = False) -> None:
        """Make all tables; ``empty`` drops whatever is there first, in the same transaction."""
        with self.write() as connection:
            self.database.wait_for_tables(connection)
            names = set(inspect(connection).get_table_names())
            if empty:
                self.database.empty(connection, self.tables.metadata)
            elif self.tables.info.name in names:
                return  # somebody else was faster
            elif taken := names & set(self.tables.metadata.tables) if self.database.shared else names:
                raise CatalogError(
                    f"the database holds no catalog but other tables ({', '.join(sorted(taken))})",
                    where=self.url,
                    fix="give the catalog a database of its own",
                )
            self.tables.metadata.create_all(connection)
            create_search(connection)
            stamp(connection)
            self.set_info(connection, "data_version", "0")

    @contextmanager
    def read(self, deadline: Deadline | None = None) -> Iterator[Connection]:
        """A read-only connection with one snapshot for everything that is read through it.

        Statements that are not done at the deadline are interrupted. Raises :class:`CatalogError` if the database
        cannot be reached or read.
        """
        with (
            self._explained(),
            self.reading_engine.connect() as connection,
            connection.begin(),
            self.database.limited(connection, deadline or Deadline()),
        ):
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What an operator can mend is said as such, not as the driver says it."""
        try:
            yield
        except self.database.errors as error:
            trouble = self.database.trouble(error)
            if trouble is None:
                raise
            raise trouble from error

    @contextmanager
    def reader(self, viewer: Viewer) -> Iterator[Reader]:
        """Rows for pages, of what ``viewer`` may see; one snapshot."""
        from tomoportal.catalog.browse.reading import Reader

        with self.read() as connection:
            yield Reader(connection, self, viewer)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction; all or nothing. Raises :class:`CatalogError` if the database cannot be written."""
        with self._explained(), self.engine.begin() as connection:
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

    def data_version(self, connection: Connection) -> tuple[str, bool]:
        """The version of the data, and whether the counts of ``summaries`` belong to it."""
        table = self.tables.info
        found = dict(
            connection.execute(
                select(table.c.key, table.c.value).where(table.c.key.in_(("data_version", "summary")))
            ).all()
        )
        version = found.get("data_version") or "0"
        return version, found.get("summary") == self.summaries.stamp(version)

    def set_info(self, connection: Connection, key: str, value: str) -> None:
        table = self.tables.info
        connection.execute(table.delete().where(table.c.key == key))
        connection.execute(table.insert().values(key=key, value=value))

    def _check(self, create: bool) -> None:
        # A catalog on a disk that cannot be written is opened by readers only.
        engine = self.engine if create else self.reading_engine
        try:
            with self._explained(), engine.connect() as connection:
                found = revision_of(connection)
        except DatabaseError as error:
            raise CatalogError("the file is not a catalog", where=self.url, fix=_REBUILD) from error
        if found is None and create:
            self.create_tables()
        elif found is None:
            raise CatalogError("the database holds no catalog", where=self.url, fix=_INDEX)
        elif is_older(found) and create:
            self._upgrade()
        elif is_older(found):
            raise CatalogError(f"the catalog has the older version {found}", where=self.url, fix=_INDEX)
        elif found != HEAD:
            raise CatalogError(
                f"the catalog has version {found}, this program knows those up to {HEAD}",
                where=self.url,
                fix=f"use a newer tomoportal, or {_REBUILD}",
            )

    def _upgrade(self) -> None:
        with self.write() as connection:
            self.database.wait_for_tables(connection)
            if revision_of(connection) != HEAD:
                upgrade(connection)
