"""``tomoportal demo``: everything in one call, and next to nothing in the second."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tomoportal.archive import Archive
from tomoportal.catalog import ANYONE, Bases, Catalog, GraphQL, default_url
from tomoportal.cli import main

QUERY = """{
  datasets { id runs { edges { node { name } } } }
  tiltseries { tiltMin tiltMax totalFlux pixelSpacing }
  tomograms { processing voxelSpacing ctfCorrected }
  annotations(where: {groundTruthStatus: {_eq: false}}) { objectName confidencePrecision confidenceRecall }
}"""


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["demo", *arguments, "--scale", "tiny", "--no-serve", "--jobs", "1"])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and ".tomoportal" not in path.parts)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_one_call_makes_a_portal_and_a_second_one_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "portal"
    assert run("--archive", str(folder)) == 0
    assert (tmp_path / "portal-source/demo.yaml").exists()
    made = contents(folder)

    archive = Archive.open(str(folder), read_only=True)
    with Catalog.open(default_url(archive)) as catalog:
        answer = GraphQL(catalog).execute(QUERY, None, None, bases=Bases("s3://b", "http://h/files"), viewer=ANYONE)
    data = json.loads(answer.body)["data"]
    names = {each["id"]: [edge["node"]["name"] for edge in each["runs"]["edges"]] for each in data["datasets"]}
    assert names == {10000: ["TS_001"], 10001: ["TS_101"]}
    assert {each["processing"] for each in data["tomograms"]} == {"raw", "denoised"}
    for series in data["tiltseries"]:
        assert series["totalFlux"] == pytest.approx(120, abs=0.1)
        assert series["tiltMin"] == pytest.approx(-60, abs=0.05)
    assert data["annotations"][0]["objectName"] == "cytosolic ribosome"
    assert 0 < data["annotations"][0]["confidencePrecision"] <= 100

    assert run("--archive", str(folder)) == 0
    assert contents(folder) == made


def test_a_demo_that_cannot_be_written_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in-the-way-source/lab/cytosol/TS_900").mkdir(parents=True)
    (tmp_path / "in-the-way-source/lab/cytosol/TS_900/TS_900.st").write_bytes(b"0")
    assert run("--archive", str(tmp_path / "in-the-way")) == 1
    assert "TS_900" in capsys.readouterr().err
