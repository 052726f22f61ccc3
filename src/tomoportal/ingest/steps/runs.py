"""Runs: the document that makes a folder a run."""

from __future__ import annotations

from tomoportal.archive import layout
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import RunPlan

__all__ = ["make", "plan"]

KIND = "run"
VERSION = 1


def plan(run: RunPlan, *, reference: bool) -> None:
    """Write the run's document unless the run belongs to another deposition or was found in the archive (F7)."""
    document = layout.run_document(run.dataset, run.run)
    run.add(
        Item(
            kind=KIND,
            place=run.place,
            identity="run",
            title=run.run,
            document=document,
            config_path="runs[0]",
            action="reference" if reference else "create",
            settings={"run_name": run.run, "deposition_id": run.deposition_id, "stamp": run.stamp},
        )
    )


def make(item: Item, bench: Bench) -> Made:
    """The document."""
    settings = item.settings
    return Made(
        {
            "run_name": settings["run_name"],
            "deposition_id": settings["deposition_id"],
            "last_updated_at": settings["stamp"],
        }
    )
