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

__all__ = ["make", "plan", "read_objects"]

KIND = "identified_objects"
VERSION = 1
_COLUMNS = ("object_id", "object_name", "object_state", "object_description")
_REQUIRED = ("run_name", "object_id", "object_name")
_IDENTIFIER = 100


def plan(run: RunPlan) -> None:
    """One item per run; several tables for one run are a problem."""
    found = run.one_file("identified_objects", "tables of objects")
    if found is None:
        return
    first, entry = found
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


def read_objects(data: bytes, name: str) -> dict[str, list[dict[str, str | None]]]:
    """Rows of a table of objects by run, without the run's name; raises `FormatError` with the line."""
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), restval="")
        header = reader.fieldnames or ()
        missing = [column for column in _REQUIRED if column not in header]
        if missing:
            text = f"the table has no column {', '.join(missing)}"
            raise FormatError(text, where=f"{name}:1", fix="name the columns so")
        columns = [column for column in _COLUMNS if column in header]
        found: dict[str, list[dict[str, str | None]]] = {}
        for row in reader:
            if not any(row.values()):  # spreadsheets leave such rows at the end
                continue
            if not row["object_id"] or not row["object_name"]:
                text = "the row has no object_id or no object_name"
                raise FormatError(text, where=f"{name}:{reader.line_num}", fix="fill both in, or remove the row")
            found.setdefault(row["run_name"], []).append({column: row[column] or None for column in columns})
    except UnicodeDecodeError as error:
        raise FormatError(f"the table is not UTF-8 text: {error}", where=name) from error
    except csv.Error as error:
        raise FormatError(f"the table is no CSV: {error}", where=name) from error
    return found


def make(item: Item, bench: Bench) -> Made:
    """Write the run's rows without their run_name; a run without rows has no identified objects."""
    key, settings = item.sources[0], item.settings
    rows = read_objects(bench.read(key), key).get(settings["run_name"], [])
    if not rows:
        return Made(absent=f"{key} has no row for this run")
    bench.target.put(item.outputs[0], documents.dump_rows(rows))
    document = {
        **settings["metadata"],
        "object_count": len(rows),
        "columns": list(rows[0]),
        "file_format": "json",
        "source_file": key,
        "identifier": _IDENTIFIER,
        "deposition_id": settings["deposition_id"],
        "last_updated_at": settings["stamp"],
    }
    return Made(document)
