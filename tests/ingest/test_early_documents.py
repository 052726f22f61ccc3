"""Datasets and depositions have their documents before their runs, so that an ingestion that stops can be shown."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tomoportal.archive import Archive, Container
from tomoportal.archive.verify import verify
from tomoportal.errors import StorageError
from tomoportal.ingest import Report
from tomoportal.ingest.making import Maker

Ingest = Callable[..., Report]
Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Digests = Callable[[Path], dict[str, str]]

DOCUMENTS = ("10001/dataset_metadata.json", "depositions_metadata/10301/deposition_metadata.json")


@pytest.fixture
def full_at_the_second_run(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker._make

    def full(self: Maker, item: Any) -> Any:
        if "TS_02" in item.place or (item.place[0] != "run" and any("TS_01" in label for label in item.after)):
            raise StorageError("the disk is full") from OSError(errno.ENOSPC, "full")
        return make(self, item)

    monkeypatch.setattr(Maker, "_make", full)


@pytest.mark.usefixtures("full_photos")
def test_after_a_full_disk_the_complete_runs_have_their_dataset_and_deposition(
    raw: Path, ingest: Ingest, tmp_path: Path, tree: Digests, full_at_the_second_run: None, monkeypatch: Any
) -> None:
    archive = tmp_path / "archive"
    report = ingest(raw / "config.yaml", archive)
    assert not report.ok
    for key in DOCUMENTS:
        assert json.loads((archive / key).read_text())["key_photos"] == {"snapshot": None, "thumbnail": None}
    errors = [finding for finding in verify(Archive.open(archive)) if finding.severity == "error"]
    assert not [finding for finding in errors if "TS_02" not in f"{finding.path} {finding.message}"], errors
    monkeypatch.undo()
    monkeypatch.undo()
    assert ingest(raw / "config.yaml", archive).ok
    assert ingest(raw / "config.yaml", tmp_path / "undisturbed").ok
    assert tree(archive) == tree(tmp_path / "undisturbed")


def test_the_report_counts_them_once_and_as_created(raw: Path, ingest: Ingest, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    outcomes = {one.label: one.outcome for one in ingest(raw / "config.yaml", archive).results}
    assert outcomes["10001/dataset/dataset"] == "created"
    assert outcomes["10301/deposition/deposition"] == "created"
    record = Archive.open(archive).manifest(Container.dataset("10001")).items[("dataset", "dataset")]
    assert "early" not in record.inputs
    assert json.loads((archive / DOCUMENTS[0]).read_text())["key_photos"]["snapshot"]


def test_given_pictures_wait_for_no_tomogram(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, full_at_the_second_run: None
) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48)).save(raw / "photo.png")

    def change(config: dict[str, Any]) -> None:
        value = dict.fromkeys(("snapshot", "thumbnail"), "cryoetportal-rawdatasets-dev/photo.png")
        config["dataset_keyphotos"] = [{"sources": [{"literal": {"value": value}}]}]

    ingest(edit(raw, change), tmp_path / "archive")
    assert json.loads((tmp_path / "archive" / DOCUMENTS[0]).read_text())["key_photos"]["snapshot"]
