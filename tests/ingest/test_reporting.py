"""What people read while an ingestion runs and when it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tomoportal.archive import Archive
from tomoportal.ingest import load_config, make_plan, open_source, run_plan
from tomoportal.ingest.plan import Item
from tomoportal.ingest.report import Result


def test_progress_names_run_kind_and_title_and_no_identity_key(raw: Path, tmp_path: Path, edit: Any) -> None:
    def change(config: dict[str, Any]) -> None:
        for section in ("tomograms", "annotations", "gains"):
            del config[section]

    config = load_config(edit(raw, change))
    archive = Archive.open(tmp_path / "archive", create=True)
    source = open_source(raw, "", beside=config.folder)
    plan = make_plan(config, source, archive)
    told: list[str] = []
    report = run_plan(plan, archive, source.store, 1, lambda done, total, text: told.append(text))
    assert sorted(told) == sorted(result.name for result in report.results)
    assert "10001/TS_01 tiltseries_volume stacks/TS_01.st" in told


def test_a_warning_names_its_file_once() -> None:
    item = Item("tiltseries_volume", ("run", "10001", "TS_01"), "100", "stacks/TS_01.st")
    result = Result.of(item, "created", warnings=("stacks/TS_01.st: no valid machine stamp", "other.mrc: odd"))
    assert result.warnings == ("no valid machine stamp", "other.mrc: odd")
    assert result.name.endswith("stacks/TS_01.st")
