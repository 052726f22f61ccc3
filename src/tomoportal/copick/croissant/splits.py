"""Which runs are for training, validation and tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tomoportal.copick.croissant.index import CroissantIndex
from tomoportal.copick.croissant.schema import SPLITS_RECORDSET_ID, STANDARD_SPLIT_URIS
from tomoportal.errors import AnnotationError

__all__ = ["checked_splits", "planned_splits", "set_splits", "split_records"]


def checked_splits(known: Iterable[str], mapping: Mapping[str, str | Iterable[str]]) -> dict[str, str]:
    """Run → split, from split → runs. Raises :class:`AnnotationError` for unknown runs and runs in two splits."""
    found: dict[str, str] = {}
    for split, runs in mapping.items():
        for run in [runs] if isinstance(runs, str) else runs:
            if found.get(run, split) != split:
                raise AnnotationError(f"The run {run} is in two splits: {found[run]} and {split}.", fix="take one away")
            found[run] = split
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise AnnotationError(f"There are unknown runs: {', '.join(unknown)}.", fix="correct the names")
    return found


def split_records(splits: Iterable[str]) -> dict[str, Any]:
    """The record set that says what the names of splits mean."""
    rows = [
        {f"{SPLITS_RECORDSET_ID}/name": name, f"{SPLITS_RECORDSET_ID}/url": STANDARD_SPLIT_URIS.get(name, "")}
        for name in sorted(set(splits))
    ]
    fields = [
        {"@type": "cr:Field", "@id": f"{SPLITS_RECORDSET_ID}/name", "dataType": "sc:Text"},
        {"@type": "cr:Field", "@id": f"{SPLITS_RECORDSET_ID}/url", "dataType": "sc:URL"},
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": SPLITS_RECORDSET_ID,
        "name": "splits",
        "description": "What the names of splits mean.",
        "key": {"@id": f"{SPLITS_RECORDSET_ID}/name"},
        "field": fields,
        "data": rows,
    }


def set_splits(
    dest_metadata_path: str,
    mapping: Mapping[str, str | Iterable[str]] | None = None,
    *,
    clear_existing: bool = False,
    unassign: Iterable[str] | None = None,
) -> str:
    """Set, clear or take away splits of runs in a manifest: split → runs. Returns its path."""
    index = CroissantIndex.from_url(dest_metadata_path)
    wanted = planned_splits(index, mapping, clear_existing=clear_existing, unassign=unassign)
    index.defer_commit()
    for run, split in wanted.items():
        index.set_split(run, split)
    index.resume_commit()
    return dest_metadata_path


def planned_splits(
    index: CroissantIndex,
    mapping: Mapping[str, str | Iterable[str]] | None = None,
    *,
    clear_existing: bool = False,
    unassign: Iterable[str] | None = None,
) -> dict[str, str | None]:
    """The new split, or None for none, of every run that :func:`set_splits` would change.

    Raises :class:`AnnotationError` for unknown runs, and for runs that are named twice.
    """
    wanted: dict[str, str | None] = dict(checked_splits(index.runs_by_name, mapping or {}))
    gone = [unassign] if isinstance(unassign, str) else list(unassign or ())
    checked_splits(index.runs_by_name, {"": gone})
    both = sorted(set(gone) & set(wanted))
    if both:
        raise AnnotationError(f"Runs are given a split and unassigned: {', '.join(both)}.", fix="choose one")
    if clear_existing:
        wanted = {**dict.fromkeys(index.runs_by_name), **wanted}
    return wanted | dict.fromkeys(gone)
