"""Identified objects: the rows of one table for the dataset that belong to a run."""

from __future__ import annotations

import csv
import io

from tomoportal.archive import documents, layout
from tomoportal.archive import identity as identities
from tomoportal.errors import FormatError
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import RunPlan

__all__ = ["make", "plan"]

KIND = "identified_objects"
VERSION = 1
_COLUMNS = ("object_id", "object_name", "object_state", "object_description")
_REQUIRED = ("run_name", "object_id", "object_name")
_IDENTIFIER = 100


def plan(run: RunPlan) -> None:
    """One item per run; several tables for one run are a problem."""
    files = {key: entry for entry in run.entries("identified_objects") for key in entry.keys}
    if not files:
        return
    first, *others = sorted(files)
    entry = files[first]
    if others:
        run.fail(files[others[0]].source_path, f"{len(files)} tables of objects for one run", "narrow the glob to one")
    run.add(
        Item(
            kind=KIND,
            place=run.place,
            identity=identities.identified_objects(run.deposition_id),
            title=first,
            sources=(first,),
            outputs=(layout.identified_objects(run.dataset, run.run),),
            document=layout.identified_objects_document(run.dataset, run.run),
            config_path=f"identified_objects[{entry.index}]",
            settings={
                "metadata": run.expand(dict(entry.metadata or {}), (*entry.path, "metadata")),
                "run_name": run.run,
                "deposition_id": run.deposition_id,
                "stamp": run.stamp,
            },
            needs=run.needs,
        )
    )


def make(item: Item, bench: Bench) -> Made:
    """Write the run's rows without their run_name; a run without rows has no identified objects."""
    key, settings = item.sources[0], item.settings
    try:
        reader = csv.DictReader(io.StringIO(bench.read(key).decode("utf-8-sig"), newline=""))
    except UnicodeDecodeError as error:
        raise FormatError(f"the table is not UTF-8 text: {error}", where=key) from error
    missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
    if missing:
        raise FormatError(f"the table has no column {', '.join(missing)}", where=f"{key}:1", fix="name the columns so")
    columns = [name for name in _COLUMNS if name in (reader.fieldnames or ())]
    rows = [{name: row[name] or None for name in columns} for row in reader if row["run_name"] == settings["run_name"]]
    if not rows:
        return Made(absent=f"{key} has no row for this run")
    bench.target.put(item.outputs[0], documents.dump_rows(rows))
    document = {
        **settings["metadata"],
        "object_count": len(rows),
        "columns": columns,
        "file_format": "json",
        "source_file": key,
        "identifier": _IDENTIFIER,
        "deposition_id": settings["deposition_id"],
        "last_updated_at": settings["stamp"],
    }
    return Made(document)
