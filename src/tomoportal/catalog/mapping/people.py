"""Authors and dates, which look alike in all documents."""

from __future__ import annotations

from collections.abc import Mapping

from tomoportal.catalog.mapping.rows import Document, ItemRefused, Row, Sheet

__all__ = ["DATES", "add_authors", "same"]


def same(*columns: str) -> dict[str, str]:
    """Columns whose path in the document is their own name."""
    return {column: column for column in columns}


DATES: Mapping[str, str] = {
    "deposition_date": "dates.deposition_date",
    "release_date": "dates.release_date",
    "last_modified_date": "dates.last_modified_date",
}

_AUTHOR: Mapping[str, str] = {
    **same("name", "kaggle_id", "email", "affiliation_name", "affiliation_address", "affiliation_identifier"),
    "orcid": "ORCID",
}


def add_authors(sheet: Sheet, entity: str, column: str, owner: Row, document: Document, *, by_key: bool) -> None:
    """Rows of ``authors``; ``by_key``: the order may be given as ``author_list_order``, else it is the position."""
    for index, (place, content) in enumerate(document.items("authors")):
        order = content.get("author_list_order") if by_key else None
        computed = {
            column: owner.key,
            "author_list_order": index + 1 if order is None else order,
            "primary_author_status": content.get("primary_author_status") or False,
            "corresponding_author_status": content.get("corresponding_author_status") or False,
        }
        key = owner.key.below(content.get("name"))
        try:
            sheet.add(entity, key, document, _AUTHOR, computed, content=content, place=place, numbered=True)
        except ItemRefused:
            continue
