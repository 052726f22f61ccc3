"""Deposition documents."""

from __future__ import annotations

from tomoportal.catalog.mapping.people import DATES, add_authors
from tomoportal.catalog.mapping.rows import Document, ItemRefused, Key, Row, Sheet

__all__ = ["add_deposition"]

_PATHS = {
    **DATES,
    "title": "deposition_title",
    "description": "deposition_description",
    "related_database_entries": "cross_references.related_database_entries",
    "deposition_publications": "cross_references.publications",
    "tag": "tag",
    "key_photo_url": "key_photos.snapshot",
    "key_photo_thumbnail_url": "key_photos.thumbnail",
}


def add_deposition(sheet: Sheet, folder: str, document: Document) -> Row:
    """Rows of a deposition; its folder is named after its id. Raises :class:`ItemRefused`."""
    number = document.get("deposition_identifier")
    if isinstance(number, bool) or not isinstance(number, int) or str(number) != folder:
        raise sheet.refuse(
            f"{document.key}: deposition_identifier", f"{number!r} is not the name of the folder", f"write {folder}"
        )
    row = sheet.add("Deposition", Key(f"depositions_metadata/{folder}"), document, _PATHS, {})
    row.id = number
    add_authors(sheet, "DepositionAuthor", "deposition_id", row, document, by_key=True)
    types = document.get("deposition_types")
    for index, kind in enumerate(dict.fromkeys(types if isinstance(types, list) else [])):
        text = kind.strip() if isinstance(kind, str) else kind
        computed = {"deposition_id": row.key, "type": text}
        try:
            sheet.add("DepositionType", row.key.below(text), document, {}, computed, place=f"deposition_types[{index}]")
        except ItemRefused:
            continue
    return row
