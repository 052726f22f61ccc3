"""Changes of the catalog's tables, from one released version to the next (Alembic).

A new catalog is made from ``Tables`` and stamped with the newest revision; an older one is brought there by
``tomoportal index``, in one transaction, while the portal goes on answering from the old tables. The catalog is
derived, so a revision need not work out new values: it changes the tables and calls :func:`read_again`, and the
same ``index`` then fills them from the archive. Ids are recorded in the archive and stay.

To change a table: change the model or ``Tables``, add ``versions/<next number>.py`` and set ``HEAD``. The tests compare
what an upgrade leaves with what ``Tables`` makes.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["HEAD", "REVISION_TABLE", "downgrade", "is_older", "read_again", "revision_of", "stamp", "upgrade"]

HEAD = "0003"
"""The newest revision: the version of the tables that this program needs."""

REVISION_TABLE = "catalog_revision"
_FIRST = "0001"
_INFO = "catalog_info"


def revision_of(connection: Connection) -> str | None:
    """The revision of the catalog in the database; None if there is no catalog."""
    names = inspect(connection).get_table_names()
    if REVISION_TABLE in names:
        found = connection.execute(text(f"SELECT version_num FROM {REVISION_TABLE}")).scalar()
        return None if found is None else str(found)
    return _FIRST if _INFO in names else None  # made before revisions were recorded


def is_older(revision: str) -> bool:
    """Whether there is a way from this revision to ``HEAD``."""
    return revision.isdigit() and int(revision) < int(HEAD)


def stamp(connection: Connection) -> None:
    """Note that the tables are those of ``HEAD``, as Alembic would (which takes a while to import)."""
    connection.execute(
        text(f"CREATE TABLE IF NOT EXISTS {REVISION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    )
    connection.execute(text(f"DELETE FROM {REVISION_TABLE}"))
    connection.execute(text(f"INSERT INTO {REVISION_TABLE} VALUES (:head)"), {"head": HEAD})


def upgrade(connection: Connection) -> None:
    """Bring the tables to ``HEAD``, within the connection's transaction."""
    from alembic import command

    known = inspect(connection).has_table(REVISION_TABLE)
    configuration = _configuration(connection)
    if not known:
        command.stamp(configuration, _FIRST)
    command.upgrade(configuration, "head")


def downgrade(connection: Connection, revision: str) -> None:
    """Bring the tables back to an older revision, within the connection's transaction."""
    from alembic import command

    command.downgrade(_configuration(connection), revision)


def read_again(connection: Connection) -> None:
    """Forget what was read of the archive, so that the next ``index`` reads everything; rows and ids stay."""
    connection.execute(text("UPDATE catalog_source SET digest = ''"))


def _configuration(connection: Connection) -> Config:
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", _folder().replace("%", "%%"))
    configuration.attributes["connection"] = connection
    return configuration


def _folder() -> str:
    return str(resources.files(__name__))
