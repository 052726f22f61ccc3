"""A folder that may not be read and a link that leads nowhere: left out by name, and everything else goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tomoportal.errors import ConfigError, StorageError
from tomoportal.ingest import Plan, Report
from tomoportal.ingest.drafting import survey_folder

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Planner = Callable[..., Plan]
Ingest = Callable[..., Report]
Lock = Callable[[Path], None]


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Lock:
    """Takes away the right to list a folder, from root too."""
    scandir = os.scandir

    def locked(folder: Path) -> None:
        def refusing(path: Any) -> Any:
            if str(path) == str(folder):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)

    return locked


def test_the_survey_names_an_unreadable_folder_and_goes_on(raw: Path, lock: Lock) -> None:
    before = [file.key for file in survey_folder(raw).files]
    lock(raw / "denoised")
    files = survey_folder(raw).files
    (left,) = [file for file in files if file.key.startswith("denoised")]
    assert left.key == "denoised/"
    assert left.role == "left out"
    assert "permission denied" in left.why
    assert [file.key for file in files if file is not left] == [key for key in before if not key.startswith("denoised")]


def test_the_survey_names_a_link_that_leads_nowhere(raw: Path) -> None:
    (raw / "tomograms" / "TS_09.rec").symlink_to(raw / "gone.rec")
    (left,) = [file for file in survey_folder(raw).files if file.key == "tomograms/TS_09.rec"]
    assert left.role == "left out"
    assert "does not exist" in left.why
    assert "gone.rec" in left.why


def test_the_folder_itself_must_be_readable(raw: Path, lock: Lock, plan_of: Planner) -> None:
    lock(raw)
    with pytest.raises(StorageError):
        survey_folder(raw)
    with pytest.raises(StorageError):
        plan_of(raw / "config.yaml")


def test_ingestion_goes_on_without_an_unreadable_folder_and_is_not_complete(
    raw: Path, lock: Lock, ingest: Ingest, tmp_path: Path
) -> None:
    lock(raw / "denoised")
    report = ingest(raw / "config.yaml", tmp_path / "archive")
    assert not report.ok
    assert any("denoised" in str(error) and "permission denied" in str(error) for error in report.errors)
    assert not report.failures
    assert sum("tomogram" in one.label for one in report.results) > 2


def test_a_folder_that_no_pattern_looks_into_does_not_matter(raw: Path, lock: Lock, plan_of: Planner) -> None:
    (raw / "lost+found").mkdir()
    lock(raw / "lost+found")
    assert plan_of(raw / "config.yaml").ok


def test_if_no_run_is_found_the_folder_is_among_the_reasons(raw: Path, lock: Lock, plan_of: Planner) -> None:
    lock(raw / "tomograms")
    with pytest.raises(ConfigError, match="permission denied"):
        plan_of(raw / "config.yaml")


def test_what_is_on_record_from_such_a_folder_is_kept(
    raw: Path, edit: Edit, lock: Lock, ingest: Ingest, plan_of: Planner, tmp_path: Path, tree: Any
) -> None:
    def change(config: dict[str, Any]) -> None:
        config["annotations"][0]["sources"].append(config["annotations"][1]["sources"][0])

    config = edit(raw, change)
    archive = tmp_path / "archive"
    assert ingest(config, archive).ok
    before = tree(archive)
    lock(raw / "masks")  # one annotation has points elsewhere, the others nothing
    plan = plan_of(config, archive)
    assert plan.stale == ()
    assert any("kept as it is" in str(error) for error in plan.errors)
    ingest(config, archive)
    after = tree(archive)
    assert {key: digest for key, digest in after.items() if "Annotations" in key} == {
        key: digest for key, digest in before.items() if "Annotations" in key
    }
