"""How much the database is asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from tomoportal.catalog.catalog import Catalog

__all__ = ["StatementCount"]


class StatementCount:
    """The number of statements that a catalog's readers sent to the database since the count was begun."""

    def __init__(self, catalog: Catalog) -> None:
        self.value = 0
        event.listen(catalog.reading_engine, "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        self.value += 1  # threads may lose one now and then
