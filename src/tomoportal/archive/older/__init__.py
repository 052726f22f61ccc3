"""Archives in older layouts, read as if they were in today's (reference: archive layout 9). Nothing here writes.

One module per layout says where things lie (``public_v1``, ``early``, ``schema_1_1``, and ``today`` with its
oddities); the others make today's documents of what was found.

    from tomoportal.archive import Archive, older

    seen = older.view(Archive.open("/data/old", read_only=True))
    seen.documents        # {"10001/TS_1/TiltSeries/100/tiltseries_metadata.json": {...}, ...}: new keys, paths of today
    seen.sources          # new key → the key under which the file lies now
    seen.in_place()       # the documents with the paths of the files as they lie now

:mod:`tomoportal.archive.migration` makes a new archive of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tomoportal.archive.older.items import Conversion, Item, Numbers, OlderPlan, Remark
from tomoportal.archive.older.planning import plan_archive, recognise
from tomoportal.archive.older.tree import Tree

if TYPE_CHECKING:
    from tomoportal.archive.archive import Archive

__all__ = [
    "Conversion",
    "Item",
    "Numbers",
    "OlderPlan",
    "OlderView",
    "Remark",
    "Tree",
    "plan_archive",
    "recognise",
    "view",
]


@dataclass(frozen=True)
class OlderView:
    """An older archive as today's: documents and old keys of files by new key, and what has no place."""

    documents: Mapping[str, dict[str, Any]]
    sources: Mapping[str, str]
    plan: OlderPlan

    def in_place(self) -> dict[str, dict[str, Any]]:
        """The documents by new key, their paths leading to the files as they lie now.

        References between documents keep the new keys. A file that only a migration would make becomes null, and an
        entry of a list that is about such a file is left out.
        """
        made = {each.mrc for item in self.plan.items for each in item.conversions}
        made |= {each.zarr for item in self.plan.items for each in item.conversions}
        made |= {key for item in self.plan.items for key, _ in item.texts}
        missing = made - self.sources.keys()
        return {key: _moved(document, self.sources, missing) for key, document in self.documents.items()}


def view(archive: Archive, *, datasets: Iterable[str] | None = None) -> OlderView:
    """Read an archive of any layout. Raises :class:`ArchiveError` if it holds no dataset."""
    plan = plan_archive(archive.store, datasets=datasets)
    return OlderView(plan.documents(), plan.sources(), plan)


def _moved(value: Any, sources: Mapping[str, str], missing: set[str]) -> Any:
    if isinstance(value, str):
        return None if value in missing else sources.get(value, value)
    if isinstance(value, list):
        there = [each for each in value if not (isinstance(each, dict) and each.get("path") in missing)]
        return [_moved(each, sources, missing) for each in there]
    if isinstance(value, dict):
        return {name: _moved(each, sources, missing) for name, each in value.items()}
    return value
