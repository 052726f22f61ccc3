"""Gain references: files copied under their own names."""

from __future__ import annotations

from tomoportal.archive import layout
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import RunPlan

__all__ = ["make", "plan"]

KIND = "gain"
VERSION = 1


def plan(run: RunPlan) -> None:
    """One item per gain file of the run."""
    for entry in run.entries("gains"):
        for found in entry.found:
            if found.key is None or found.reference:
                continue
            name = found.key.rpartition("/")[2]
            if name.lower().endswith((".dm3", ".dm4")):
                run.warn(
                    entry.source_path, f"gain {found.key} is not ingested by this version (DigitalMicrograph files)"
                )
                continue
            target = layout.gain(run.dataset, run.run, name)
            run.add(
                Item(
                    kind=KIND,
                    place=run.place,
                    identity=name,
                    title=name,
                    sources=(found.key,),
                    outputs=(target,),
                    config_path=f"gains[{entry.index}]",
                    needs=run.needs,
                )
            )


def make(item: Item, bench: Bench) -> Made:
    """Copy the file."""
    bench.copy(item.sources[0], item.outputs[0])
    return Made()
