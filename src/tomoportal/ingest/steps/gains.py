"""Gain references: files copied under their own names, those of DigitalMicrograph as MRC."""

from __future__ import annotations

from tomoportal.archive import layout
from tomoportal.formats.gains import convert_gain, gain_name
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
            name = gain_name(found.key.rpartition("/")[2])
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
                    settings={"stamp": run.stamp},
                    needs=run.needs,
                )
            )


def make(item: Item, bench: Bench) -> Made:
    """Copy the file; one of DigitalMicrograph becomes MRC."""
    key, target = item.sources[0], item.outputs[0]
    if gain_name(key) != key:
        converted = convert_gain(bench.source, key, bench.target, target, timestamp=item.settings["stamp"])
        return Made(warnings=tuple(f"{key}: {note}" for note in converted.notes))
    bench.copy(key, target)
    return Made()
