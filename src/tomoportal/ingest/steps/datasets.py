"""Datasets: the document with all eight sample parts, and the key photos."""

from __future__ import annotations

from typing import Any

from tomoportal.archive import layout
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Entry, Planning
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.steps.described import early, make, plan_described
from tomoportal.ingest.steps.pictures import context

__all__ = ["context", "early", "is_reference", "make", "plan"]

KIND = "dataset"
VERSION = 1
_NOT_REPORTED = {"name": "not_reported", "id": "not_reported"}
_PARTS: dict[str, dict[str, Any]] = {
    "assay": _NOT_REPORTED,
    "development_stage": {"name": "unknown", "id": "unknown"},
    "disease": _NOT_REPORTED,
    "organism": {"name": "not_reported", "taxonomy_id": None},
    "cell_component": _NOT_REPORTED,
    "cell_strain": _NOT_REPORTED,
    "cell_type": _NOT_REPORTED,
    "tissue": _NOT_REPORTED,
}


def is_reference(planning: Planning, entry: Entry, name: str, deposition_id: int) -> bool:
    """Whether a dataset is only referred to; a document of another deposition is never rewritten (F7)."""
    if entry.metadata is None or all(found.reference for found in entry.found):
        return True
    document = planning.records.document(layout.dataset_document(name))
    if document is not None and document.get("deposition_id") != deposition_id:
        planning.fail(
            "",
            entry.path,
            f"dataset {name} belongs to deposition {document.get('deposition_id')}, this is {deposition_id}",
            "leave its metadata out of this config, so that it is only referred to",
        )
    return False


def plan(
    planning: Planning, entry: Entry, name: str, scope: Scope, deposition_id: int, stamp: int, runs: list[Item]
) -> Item:
    """The dataset's item; sample parts that the config does not name are said to be not reported."""
    metadata = dict(entry.metadata or {})
    for part, default in _PARTS.items():
        known = metadata.get(part) or {}
        metadata[part] = {**default, **{key: value for key, value in known.items() if value is not None}}
    return plan_described(
        planning,
        entry,
        KIND,
        name,
        metadata,
        scope=scope,
        deposition_id=deposition_id,
        stamp=stamp,
        runs=runs,
        document=layout.dataset_document(name),
        image=lambda file: layout.dataset_image(name, file),
    )
