"""The two schemas of the API: the public portal's own, and the extended one that a request has to ask for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT", "EXTENDED", "Variant"]


@dataclass(frozen=True, slots=True)
class Variant:
    """What a schema allows."""

    extended: bool
    """Whether there are ``_and _or _not``, foreign keys to order and group by, keyset cursors and ``search``."""
    most_rows: int
    """Most rows of one page of a connection; without ``first`` and ``last`` it has 100."""
    list_depth: int
    """Relation steps that ``where`` and ``orderBy`` of lists, connections and to-one fields may take."""
    aggregate_depth: int
    """Relation steps that ``where`` and ``groupBy`` of aggregates may take."""


DEFAULT = Variant(extended=False, most_rows=100, list_depth=4, aggregate_depth=3)
EXTENDED = Variant(extended=True, most_rows=1000, list_depth=6, aggregate_depth=5)
