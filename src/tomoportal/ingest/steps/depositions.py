"""Depositions: the document and the key photos."""

from __future__ import annotations

from tomoportal.archive import layout
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Entry, Planning
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.steps.described import early, make, plan_described
from tomoportal.ingest.steps.pictures import context

__all__ = ["context", "early", "make", "plan"]

KIND = "deposition"
VERSION = 1


def plan(
    planning: Planning, entry: Entry, deposition_id: int, scope: Scope, stamp: int, runs: list[Item]
) -> Item | None:
    """The deposition's item; None without metadata (the deposition is only referred to)."""
    if entry.metadata is None:
        return None
    return plan_described(
        planning,
        entry,
        KIND,
        str(deposition_id),
        entry.metadata,
        scope=scope,
        deposition_id=deposition_id,
        stamp=stamp,
        runs=runs,
        document=layout.deposition_document(deposition_id),
        image=lambda file: layout.deposition_image(deposition_id, file),
    )
