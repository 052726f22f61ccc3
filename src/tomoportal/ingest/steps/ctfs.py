"""CTF estimates: the file as it is; its values go into the tilt series' document."""

from __future__ import annotations

from tomoportal.archive import layout
from tomoportal.formats.ctf import read_ctf
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import RunPlan

__all__ = ["make", "plan"]

KIND = "ctf"
VERSION = 1


def plan(run: RunPlan, archive_id: int) -> Item | None:
    """The CTF file of the run's tilt series (its id in the archive), None without one; a second one is a problem."""
    files = {key: entry for entry in run.entries("ctfs") for key in entry.keys}
    if not files:
        return None
    first, *others = sorted(files)
    entry = files[first]
    if others:
        run.fail(
            files[others[0]].source_path,
            f"{len(files)} CTF files for one tilt series: {', '.join(sorted(files))}",
            "narrow the glob so that it matches one file per run",
        )
    program = (entry.metadata or {}).get("format")
    if program is None:
        run.fail(entry.path, "ctfs need metadata with the format of the file", "add metadata: {format: CTFFIND}")
    return run.add(
        Item(
            kind=KIND,
            place=run.place,
            identity=f"{run.deposition_id}",
            title=first.rpartition("/")[2],
            sources=(first,),
            outputs=(layout.ctf(run.dataset, run.run, archive_id, program),),
            config_path=f"ctfs[{entry.index}]",
            settings={"format": program},
            needs=run.needs,
        )
    )


def make(item: Item, bench: Bench) -> Made:
    """Copy the file, after it could be read."""
    table = read_ctf(bench.read(item.sources[0]), item.sources[0], format=item.settings["format"])
    bench.copy(item.sources[0], item.outputs[0])
    return Made(warnings=table.warnings)
