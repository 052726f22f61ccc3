"""Full-text search over titles, descriptions, authors, organisms, objects and ids."""

from __future__ import annotations

from sqlalchemy import Connection

__all__ = ["create_search"]


def create_search(connection: Connection) -> None:
    """Make the search table if there is none."""
    connection.exec_driver_sql(
        "CREATE VIRTUAL TABLE IF NOT EXISTS catalog_search USING fts5("
        "kind UNINDEXED, id UNINDEXED, owner UNINDEXED, title, names, text, tokenize='unicode61 remove_diacritics 2')"
    )
