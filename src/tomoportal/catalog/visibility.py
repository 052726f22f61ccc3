"""Who may see what: the one rule that every read path asks.

Everything is public today, so the rule answers "all". Private and embargoed datasets come later; then only this
module changes, because the query compiler, pages, search, facets, files, S3 and viewer all ask here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ANYONE", "Owner", "Rule", "Viewer", "owner_of", "visible"]

Owner = tuple[str, int]
"""``("dataset", 10001)`` or ``("deposition", 10301)``."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """The one who asks. Hashable: plans of queries are kept per viewer."""

    name: str | None = None


ANYONE = Viewer()
"""A request without credentials."""

Rule = Callable[[str, Viewer, str], str | None]
"""``rule(table, viewer, alias)`` → an SQL predicate over ``alias``, or None if every row is visible."""


def visible(table: str, viewer: Viewer, alias: str | None = None) -> str | None:
    """SQL predicate that a row of ``table`` (known as ``alias`` in the statement) is visible; None means all rows."""
    return None


def owner_of(key: str) -> Owner | None:
    """The dataset or deposition that an archive key belongs to; None for keys that belong to neither."""
    first, _, rest = key.lstrip("/").partition("/")
    if first == "depositions_metadata":
        number = rest.partition("/")[0]
        return ("deposition", int(number)) if _is_id(number) else None
    return ("dataset", int(first)) if _is_id(first) else None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit()
