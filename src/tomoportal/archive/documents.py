"""Metadata documents: JSON with an indent of four, ASCII only, no newline at the end, keys in the order given."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tomoportal.archive import layout
from tomoportal.errors import DocumentError, Problem

__all__ = ["check", "dump", "dump_rows", "load"]


def dump(document: Mapping[str, Any]) -> bytes:
    """The bytes of a document; the same document always gives the same bytes.

    Raises :class:`DocumentError` for values that JSON cannot hold (NaN, infinity, objects).
    """
    try:
        text = json.dumps(document, ensure_ascii=True, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise DocumentError([Problem("", f"a value cannot be written as JSON: {error}")]) from error
    try:  # what json writes with an indent, byte for byte, but in C: a tenth of the time of many small items
        return msgspec.json.format(text, indent=4).encode("ascii")
    except (msgspec.DecodeError, RecursionError):  # a lone surrogate, or very deep
        return json.dumps(document, indent=4, ensure_ascii=True).encode("ascii")


def dump_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The bytes of ``identified_objects.json``: no space after the colon, ``/`` escaped."""
    try:
        text = json.dumps(list(rows), indent=4, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError) as error:
        raise DocumentError([Problem("", f"a value cannot be written as JSON: {error}")]) from error
    return text.replace("/", "\\/").encode("ascii")


def load(data: bytes, where: str = "") -> dict[str, Any]:
    """A document from its bytes. Raises :class:`DocumentError` with line and column if they are not a JSON object."""
    try:
        document = json.loads(data)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise DocumentError([Problem(place, f"not JSON: {error.msg}")], source=where or None) from error
    except UnicodeDecodeError as error:
        raise DocumentError([Problem(f"byte {error.start}", "not UTF-8")], source=where or None) from error
    except RecursionError as error:
        raise DocumentError([Problem("", "the values are nested without end")], source=where or None) from error
    if not isinstance(document, dict):
        raise DocumentError([Problem("", "not a JSON object")], source=where or None)
    return document


def check(key: str, document: dict[str, Any], *, as_read: bool = False) -> None:
    """Raise :class:`DocumentError` if the document breaks the schema of the kind that its key names.

    ``as_read`` lets pass what readers put up with in documents of other archives.
    """
    from tomoportal import model

    place = layout.parse(key)
    if place is None or place.kind is None:
        raise DocumentError([Problem("", "this is not the key of a metadata document")], source=key)
    kind = place.kind
    if problems := model.check_document(kind, document).errors if as_read else model.validate_document(kind, document):
        raise DocumentError(problems, source=key)
