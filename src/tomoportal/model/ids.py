"""Ids as people write them: ``DS-10000``, ``CZCDP-10301``, ``rn-12`` or just the number."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from tomoportal.errors import SettingsError

__all__ = ["PREFIXES", "format_id", "parse_id"]

PREFIXES: Final = MappingProxyType(
    {
        "Deposition": "CZCDP",
        "Dataset": "DS",
        "Run": "RN",
        "Tiltseries": "TS",
        "Alignment": "AL",
        "Tomogram": "TM",
        "Annotation": "AN",
    }
)
"""Entity → prefix of its ids."""

_KINDS: Final = MappingProxyType({prefix: kind for kind, prefix in PREFIXES.items()})
_ID = re.compile(r"(?:([A-Za-z]+)-)?([0-9]+)")
_LARGEST = 2**31 - 1  # Int of GraphQL


def format_id(kind: str, number: int) -> str:
    """Id of an entity with its prefix: ``format_id("Dataset", 10000)`` is ``"DS-10000"``.

    Entities that have no prefix (frames, files, authors) give the bare number.
    """
    prefix = PREFIXES.get(kind)
    return f"{prefix}-{number}" if prefix else str(number)


def parse_id(text: str | int, kind: str | None = None) -> tuple[str | None, int]:
    """Entity and number of an id, whose prefix may be absent or in lower case.

    ``kind`` is the entity that is expected, if one is; it is returned for an id without prefix.
    Raises ``SettingsError`` (a ``ValueError``) for anything else than an id, or for an id of another entity.
    """
    found = _ID.fullmatch(str(text).strip())
    prefix, digits = found.groups() if found else (None, "")
    stated = _KINDS.get(prefix.upper()) if prefix else None
    if found is None or (prefix and stated is None) or int(digits) > _LARGEST:
        examples = [format_id(kind, 123)] if kind else [f"{prefix}-123" for prefix in PREFIXES.values()]
        raise SettingsError(f"{str(text)!r} is not an id", fix=f"write a number or {', '.join(examples)}")
    if kind and stated and stated != kind:
        raise SettingsError(
            f"{str(text)!r} is the id of a {stated.lower()}, not of a {kind.lower()}",
            fix=f"write {format_id(kind, int(digits))} if that is the one you mean",
        )
    return stated or kind, int(digits)
