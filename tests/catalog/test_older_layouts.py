"""Archives in older layouts are indexed where they lie: the same rows as after a migration, with the old paths."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import select

from tomoportal.archive import Archive
from tomoportal.archive.migration import migrate, plan_migration
from tomoportal.archive.older.presented import older_datasets, present
from tomoportal.catalog import Catalog, IndexReport, index
from tomoportal.errors import StorageError
from tomoportal.storage import open_store

_PATHS = (
    ("tomogram", "mrc_file_key"),
    ("tomogram", "omezarr_dir_key"),
    ("tiltseries", "mrc_file_key"),
    ("annotation_file", "path_key"),
    ("frame_acquisition_file", "mdoc_path_key"),
)
_OF_FILES = {"annotation_file", "gain_file"}
_OF_PLACES = {"extra", "neuroglancer_config"}


def _trees() -> ModuleType:
    path = Path(__file__).parents[1] / "archive" / "older_trees.py"
    spec = importlib.util.spec_from_file_location("older_trees", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


trees = _trees()


def indexed(folder: Path, database: Path) -> tuple[IndexReport, dict[str, list[dict[str, Any]]]]:
    with Catalog.open(f"sqlite:///{database}", create=True) as catalog:
        report = index(Archive.open(folder, read_only=True), catalog)
        with catalog.read() as connection:
            rows = {
                table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
                for table in catalog.tables.in_order()
            }
    return report, rows


@pytest.mark.parametrize("name", sorted(trees.BUILDERS))
def test_the_rows_are_those_of_a_migrated_archive(tmp_path: Path, name: str) -> None:
    old = trees.BUILDERS[name](tmp_path / "old")
    before = trees.tree(old)
    report, rows = indexed(old, tmp_path / "old.sqlite")
    assert report.problems == []
    assert any("older layout" in problem.what for problem in report.warnings)
    again, _ = indexed(old, tmp_path / "old.sqlite")
    assert (again.read, again.changed) == (0, False)
    assert {key: data for key, data in trees.tree(old).items() if ".tomoportal" not in key} == before

    source, new = open_store(old, read_only=True), Archive.open(tmp_path / "new", create=True)
    plan = plan_migration(source, new)
    assert migrate(plan, source, new).ok
    _, expected = indexed(tmp_path / "new", tmp_path / "new.sqlite")
    for table, wanted in expected.items():
        if table not in _OF_FILES:
            assert [_told(row) for row in rows[table]] == [_told(row) for row in wanted], table
    # Masks that only a migration makes are not there yet, and gains are found by their folder, which is told.
    missing = {key for item in plan.items for each in item.conversions for key in (each.mrc, each.zarr)}
    missing -= plan.sources().keys()
    masks = sum("/Annotations/" in key for key in missing)
    assert len(rows["annotation_file"]) == len(expected["annotation_file"]) - masks
    gains = [problem for problem in report.warnings if "gain reference" in problem.what]
    assert len(rows["gain_file"]) + len(gains) == len(expected["gain_file"])
    paths = [row[column] for table, column in _PATHS for row in rows[table] if row[column] is not None]
    assert paths
    assert [path for path in paths if not (old / path).exists()] == []


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what follows from where files lie, and how many bytes they have."""
    return {
        name: value
        for name, value in row.items()
        if not name.endswith(("_key", "_url")) and not name.startswith("file_size") and name not in _OF_PLACES
    }


def test_todays_layout_beside_leftovers_is_read_as_it_is(tmp_path: Path) -> None:
    old = trees.BUILDERS["v1"](tmp_path)
    assert list(older_datasets(open_store(old))) == [trees.DATASET]
    (old / trees.DATASET / trees.RUN / "Reconstructions").mkdir()
    (old / trees.DATASET / trees.RUN / "Reconstructions" / "note.txt").write_text("new things lie here")
    assert list(older_datasets(open_store(old))) == []


def test_what_is_presented_cannot_be_written(tmp_path: Path) -> None:
    old = trees.BUILDERS["v1"](tmp_path)
    shown = present(Archive.open(old)).archive.store
    key = f"{trees.DATASET}/{trees.RUN}/TiltSeries/100/tiltseries_metadata.json"
    assert json.loads(shown.get(key))["run_name"] == trees.RUN
    assert shown.get_range(key, 0, 1) == b"{"
    assert not shown.exists(f"{trees.DATASET}/{trees.RUN}/TiltSeries/100")
    assert [stat.key for stat in shown.list()] == sorted(stat.key for stat in shown.list())
    assert {stat.key for stat in shown.scan(f"{trees.DATASET}/{trees.RUN}/TiltSeries/1")} == {key}
    for write in (
        lambda: shown.put(key, b""),
        lambda: shown.open_writer(key),
        lambda: shown.delete(key),
        lambda: shown.delete_tree("10000"),
        lambda: shown.move(key, "x"),
    ):
        with pytest.raises(StorageError, match="older layout"):
            write()
