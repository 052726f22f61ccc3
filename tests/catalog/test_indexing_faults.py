"""Indexing over stores that fail or die, and over stores that are no folder."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tomoportal.archive import Archive
from tomoportal.catalog import Catalog, index
from tomoportal.errors import TomoportalError
from tomoportal.storage import open_store
from tomoportal.testing.faulty import FaultyStore, Killed


def everything(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    with catalog.read() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table).order_by(table.c.id)).mappings()]
            for table in catalog.tables.in_order()
        }


def _grow(example: Any) -> None:
    """Add to the example what a second indexing has to find: a changed document, a new run, a new deposition."""
    run = "10001/TS_run2"
    for key, content in list(example.documents.items()):
        if key.startswith("10001/TS_run1/"):
            example.documents[key.replace("TS_run1", "TS_run2")] = copy.deepcopy(content)
    example.documents[f"{run}/run_metadata.json"] = {"run_name": "TS_run2"}
    deposition = copy.deepcopy(example.documents["depositions_metadata/10301/deposition_metadata.json"])
    example.documents["depositions_metadata/10302/deposition_metadata.json"] = deposition | {
        "deposition_identifier": 10302
    }
    example.change("10001/dataset_metadata.json", dataset_title="Another title")


@pytest.mark.parametrize("kill", [False, True], ids=["fails", "dies"])
def test_any_operation_may_go_wrong(example: Any, tmp_path: Path, kill: bool) -> None:
    url = f"sqlite:///{tmp_path}/catalog.sqlite"
    with Catalog.open(url, create=True) as catalog:
        index(example.write(), catalog)
        before = everything(catalog)
    _grow(example)
    example.write()
    database = (tmp_path / "catalog.sqlite").read_bytes()
    identifiers = {path: path.read_bytes() for path in (example.folder / ".tomoportal/ids").iterdir()}
    number, finished = 0, False
    while not finished:
        for rest in tmp_path.glob("catalog.sqlite*"):
            rest.unlink()
        (tmp_path / "catalog.sqlite").write_bytes(database)
        for path, content in identifiers.items():
            path.write_bytes(content)
        store = FaultyStore(open_store(example.folder), fail_at=number, kill=kill)
        with Catalog.open(url) as catalog:
            try:
                report = index(Archive.open(store), catalog)
                finished = store.operations <= number
                assert finished or report.problems
                assert not report.removed
            except (TomoportalError, Killed):
                finished = False
            found = everything(catalog)
            for table, rows in before.items():
                # Old or new, never less; what was there is there.
                assert {row["id"] for row in rows} <= {row["id"] for row in found[table]}, (number, table)
            index(Archive.open(example.folder), catalog)
            done = everything(catalog)
            assert len(done["run"]) == 2
            assert len(done["deposition"]) == 2
            assert done["dataset"][0]["title"] == "Another title"
            for table, rows in before.items():
                assert [row["natural_key"] for row in rows] == [row["natural_key"] for row in done[table][: len(rows)]]
        number += 1 if number < 4 else 9


def test_an_object_store(example: Any, tmp_path: Path) -> None:
    local = example.write()
    store = open_store("memory://", create=True)
    for stat in local.store.list():
        store.put(stat.key, local.store.get(stat.key))
    found = []
    for name, archive in (("one", local), ("two", Archive.open(store))):
        with Catalog.open(f"sqlite:///{tmp_path}/{name}.sqlite", create=True) as catalog:
            report = index(archive, catalog)
            assert report.problems == []
            found.append((everything(catalog), report.version))
            assert index(archive, catalog).read == 0
    assert found[0] == found[1]
