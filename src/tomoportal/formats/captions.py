"""Captions: texts about a tomogram as a whole, or about single objects of an annotation, as JSON.

``{"captions": [{"id": 0, "text": "…"}]}`` or ``{"objects": [{"id": 0, "annotation_label": 1, "text": "…"}]}``; further
keys are allowed (reference: archive layout 6).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tomoportal.errors import FormatError

__all__ = ["Caption", "CaptionKind", "read_captions"]

CaptionKind: TypeAlias = Literal["captions", "objects"]

_FIX = "write the captions as {form}, each with an id of its own"
_FORMS: dict[CaptionKind, str] = {
    "captions": '{"captions": [{"id": 0, "text": "…"}]}',
    "objects": '{"objects": [{"id": 0, "annotation_label": 1, "text": "…"}]}',
}


@dataclass(frozen=True)
class Caption:
    """One text. ``label`` is the value of the object that it is about, None for the whole tomogram."""

    number: int
    text: str
    label: int | None = None


def read_captions(data: bytes, name: str, *, kind: CaptionKind) -> tuple[Caption, ...]:
    """The captions of a file, in its order. Raises :class:`FormatError` naming the entry that is wrong."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"this is no JSON document: {error}", name, kind) from error
    rows = document.get(kind) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise _wrong(f"this is no JSON object with a list {kind!r}", name, kind)
    found: dict[int, Caption] = {}
    for index, row in enumerate(rows):
        caption = _caption(row, kind)
        if caption is None:
            raise _wrong(f"entry {index} of {kind!r} is not complete: {str(row)[:80]}", name, kind)
        if caption.number in found:
            raise _wrong(f"entry {index} of {kind!r} has the id {caption.number} of another one", name, kind)
        found[caption.number] = caption
    return tuple(found.values())


def _caption(row: Any, kind: CaptionKind) -> Caption | None:
    if not isinstance(row, dict):
        return None
    number, text, label = row.get("id"), row.get("text"), row.get("annotation_label")
    if type(number) is not int or not isinstance(text, str):
        return None
    if kind == "captions":
        return Caption(number, text)
    return Caption(number, text, label) if type(label) is int else None


def _wrong(what: str, name: str, kind: CaptionKind) -> FormatError:
    return FormatError(what, where=name, fix=_FIX.format(form=_FORMS[kind]))
