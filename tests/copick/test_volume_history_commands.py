"""The history of segmentations in commands, and in what is made of a project (C5, C93)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.cli import main
from tomoportal.copick.croissant.exporting import export_croissant
from tomoportal.copick.removed import removed_documents
from tomoportal.errors import ConflictError

SIZE = (4, 5, 6)
Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path) -> Run:
    """The command as users call it, with its exit code and what it says, read as JSON where it was asked for."""
    monkeypatch.setenv("COPICK_CONFIG", str(config))
    monkeypatch.chdir(config.parent)

    def call(*arguments: object) -> tuple[int, Any]:
        with pytest.raises(SystemExit) as ended:
            main(["copick", *map(str, arguments)])
        told = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, json.loads(told.out) if "--json" in arguments else told.out + told.err

    return call


@pytest.fixture
def segmentation(config: Path) -> copick.CopickSegmentation:
    """Three versions."""
    made = copick.from_file(config).new_run("TS_001").new_segmentation(10, "all", "1", True)
    labels = np.zeros(SIZE, int)
    for number in (1, 2, 3):
        labels[number] = number
        made.from_numpy(labels)
    return made


URI = "all:ada/1@10?multilabel=true"


def test_c5_c93_versions_of_segmentations_are_listed_compared_and_brought_back(
    run: Run, segmentation: copick.CopickSegmentation, config: Path
) -> None:
    code, listed = run("history", "segmentation", URI, "--json")
    assert code == 0
    assert [(row["run"], row["version"], row["removed"]) for row in listed] == [
        ("TS_001", 1, False),
        ("TS_001", 2, False),
    ]
    assert all(row["bytes"] > 0 and row["replaced"].startswith("20") for row in listed)
    told = {"run": "TS_001", "voxels": 60, "only_here": {"2": 30, "3": 30}, "only_there": {}}
    assert run("diff", URI, "--version", 1, "--json") == (1, [{**told, "box": [[2, 4], [0, 5], [0, 6]]}])
    code, text = run("diff", URI, "--version", 1)
    assert code == 1
    assert "2: 30, 3: 30" in text
    assert "2–4, 0–5, 0–6" in text
    assert run("diff", URI, URI)[0] == 0
    assert run("diff", "all:ada/1", "--type", "segmentation", "--version", 2)[0] == 1
    code, text = run("diff", URI, "all:*@10")
    assert code == 0, text  # the only one
    assert run("restore", "segmentation", URI, "-r", "TS_001", "--version", 1, "--dry-run")[0] == 0
    assert np.unique(segmentation.numpy()).tolist() == [0, 1, 2, 3]
    assert run("restore", "segmentation", URI, "-r", "TS_001", "--version", 1)[0] == 0
    assert np.unique(segmentation.numpy()).tolist() == [0, 1]
    code, text = run("restore", "segmentation", URI, "-r", "TS_001", "--version", 9)
    assert code == 1
    assert "kept are: 1, 2, 3" in text
    assert run("rm", "segmentation", URI)[0] == 0
    code, listed = run("history", "segmentation", "all:*", "--json")
    assert [(row["version"], row["removed"]) for row in listed] == [(2, True), (3, True), (4, True)]
    assert run("restore", "segmentation", URI, "-r", "TS_001", "--version", 3)[0] == 0
    assert np.unique(copick.from_file(config).runs[0].segmentations[0].numpy()).tolist() == [0, 1, 2, 3]
    assert run("validate")[0] == 0


def manifest(segmentation: copick.CopickSegmentation) -> Path:
    root = segmentation.run.root
    place = root.root_overlay
    return Path(export_croissant(root, place, base_url=f"file://{place}", dataset_name="x", force=True))


def test_c5_a_project_in_a_manifest_keeps_versions_that_its_tables_do_not_list(
    segmentation: copick.CopickSegmentation, tmp_path: Path
) -> None:
    place = manifest(segmentation)
    run = copick.from_croissant(str(place)).runs[0]
    (mine,) = run.segmentations
    (other,) = copick.from_croissant(str(place)).runs[0].segmentations
    for found in (mine, other):
        assert len(np.unique(found.numpy())) == 4
    mine.from_numpy(np.full(SIZE, 7))
    with pytest.raises(ConflictError):
        other.from_numpy(np.full(SIZE, 8))
    assert [each.number for each in mine.history()] == [1, 2, 3]
    tables = {path.name: path.read_text() for path in place.parent.rglob("*.csv")}
    assert tables["segmentations.csv"].count(".zarr") == 1
    assert not any(".history" in text for text in (place.read_text(), *tables.values()))
    mine.restore(3)
    mine.delete()
    (again,) = removed_documents(URI, copick.from_croissant(str(place)), "segmentation")
    again.restore(3)
    assert len(np.unique(copick.from_croissant(str(place)).runs[0].segmentations[0].numpy())) == 4


def test_c5_nothing_that_is_made_of_a_project_holds_its_history(
    run: Run, segmentation: copick.CopickSegmentation, tmp_path: Path
) -> None:
    assert segmentation.history()
    manifest(segmentation)
    assert run("validate", "--json") == (0, [])
    other = tmp_path / "other"
    made = ("config", "filesystem", "--overlay-root", other / "files", "--config", other / "config.json")
    other.mkdir()
    assert run(*made, "--objects", "ribosome,True")[0] == 0
    assert run("sync", "segmentations", "--target-config", other / "config.json")[0] == 0
    assert run("cp", "segmentation", URI, "all:bob/1@10?multilabel=true")[0] == 0
    assert run("deposit", "--target-dir", tmp_path / "deposit", "--segmentations", "all:*@*?multilabel=true")[0] == 0
    exported = run(
        *("export", "segmentation", "--segmentation-uri", URI, "--output-format", "zarr"),
        *("--output-dir", tmp_path / "out"),
    )
    assert exported[0] == 0, exported[1]
    found = list(tmp_path.rglob(".history/*"))
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "overlay/ExperimentRuns/TS_001/Segmentations/.history/10.000_ada_1_all-multilabel"
    ]
    assert {path.name for path in (tmp_path / "deposit").rglob("*.zarr")} == {
        "10.000_ada_1_all-multilabel.zarr",
        "10.000_bob_1_all-multilabel.zarr",
    }
