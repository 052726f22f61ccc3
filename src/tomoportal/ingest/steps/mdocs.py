"""The collection metadata of a run: its mdoc, copied under the run's name."""

from __future__ import annotations

from tomoportal.archive import layout
from tomoportal.formats.mdoc import read_mdoc
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import RunPlan

__all__ = ["make", "plan"]

KIND = "collection_metadata"
VERSION = 1


def plan(run: RunPlan) -> None:
    """The mdoc of the run; a second one is a problem, since both would have one name."""
    found = run.one_file("collection_metadata", "mdoc files")
    if found is None:
        return
    first, entry = found
    target = layout.mdoc(run.dataset, run.run)
    run.mdoc = run.add(
        Item(
            kind=KIND,
            place=run.place,
            identity=run.run,
            title=first.rpartition("/")[2],
            sources=(first,),
            outputs=(target,),
            config_path=f"collection_metadata[{entry.index}]",
            needs=run.needs,
        )
    )


def make(item: Item, bench: Bench) -> Made:
    """Copy the file, after it could be read."""
    read_mdoc(bench.read(item.sources[0]), item.sources[0])
    bench.copy(item.sources[0], item.outputs[0])
    return Made()
