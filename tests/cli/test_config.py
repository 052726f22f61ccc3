"""`tomoportal config`: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tomoportal.ingest import load_config
from tomoportal.testing.sources import sample_config, write_config

TOMOPORTAL = (sys.executable, "-m", "tomoportal")
COMMENTED = """\
# who made this
version: '1.2.0'  # old
annotations:
  # the first
  - metadata: &shared
      annotation_object: {name: Membrane, id: 'GO:0016020'}  # checked
    sources: [{Point: {glob_string: "a.csv"}}]
  - metadata:
      <<: *shared
      authors: &people
        - name: Ada
    sources: []
  - metadata: *shared
    sources: []
tail: *people
"""


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOMOPORTAL, "config", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_config(tmp_path / "good.yaml", sample_config())
    config = sample_config()
    config["version"] = "1.2.0"
    del config["annotations"][0]["metadata"]["annotation_ingest_id"]
    write_config(tmp_path / "old.yaml", config)
    config = sample_config()
    config["tomograms"][0]["metadata"]["processing"] = "cooked"
    write_config(tmp_path / "bad.yaml", config)
    return tmp_path


def test_validate_lists_every_problem_with_its_line(folder: Path) -> None:
    done = run("validate", "good.yaml", "old.yaml", "bad.yaml", cwd=folder)
    assert done.returncode == 1
    assert re.search(r"error +bad\.yaml:\d+ \(tomograms\[0\]\.metadata\.processing\)", done.stdout)
    assert "migrated to 1.3.0" in done.stdout
    assert "2 of 3 configs can be used" in done.stderr


def test_validate_speaks_json(folder: Path) -> None:
    done = run("validate", "good.yaml", "bad.yaml", "--json", cwd=folder)
    good, bad = json.loads(done.stdout)
    assert done.returncode == 1
    assert good == {"file": "good.yaml", "ok": True, "errors": [], "warnings": []}
    assert not bad["ok"]
    assert bad["errors"][0]["where"].startswith("bad.yaml:")


def test_validate_of_good_configs_ends_well(folder: Path) -> None:
    assert run("validate", "good.yaml", "old.yaml", cwd=folder).returncode == 0


def test_upgrade_writes_a_new_file_and_only_then_another_or_the_same(folder: Path) -> None:
    before = (folder / "old.yaml").read_bytes()
    done = run("upgrade", "old.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "1 annotations got an annotation_ingest_id" in done.stderr
    assert (folder / "old.yaml").read_bytes() == before
    new = load_config(folder / "old.1.3.0.yaml")
    assert new.warnings == ()
    assert new.data == load_config(folder / "old.yaml").data

    again = run("upgrade", "old.yaml", cwd=folder)
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert run("upgrade", "old.yaml", "--in-place", cwd=folder).returncode == 0
    assert (folder / "old.yaml").read_bytes() == (folder / "old.1.3.0.yaml").read_bytes()
    assert "already" in run("upgrade", "old.yaml", "--in-place", cwd=folder).stderr


def test_upgrade_keeps_comments_anchors_and_quotes(tmp_path: Path) -> None:
    """F53."""
    (tmp_path / "c.yaml").write_text(COMMENTED)
    done = run("upgrade", "c.yaml", "--output", "new.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "new.yaml").read_text()
    for words in (
        "# who made this",
        "version: '1.3.0'  # old",
        "# the first",
        "# checked",
        '"a.csv"',
        "*people",
        "'GO",
    ):
        assert words in text, text
    annotations = yaml.safe_load(text)["annotations"]
    assert [one["metadata"]["annotation_ingest_id"] for one in annotations] == [
        "membrane-1",
        "membrane-2",
        "membrane-3",
    ]
    assert all(one["metadata"]["annotation_object"]["name"] == "Membrane" for one in annotations)


def test_upgrade_of_what_is_no_config_says_why(tmp_path: Path) -> None:
    for text, says in (("version: 9.9.9\n", "9.9.9"), ("- a\n", "mapping"), ("a: [\n", "YAML")):
        (tmp_path / "c.yaml").write_text(text)
        done = run("upgrade", "c.yaml", cwd=tmp_path)
        assert done.returncode == 1
        assert says in done.stderr
        assert "Traceback" not in done.stderr


def test_the_schema_is_json_schema_and_the_line_names_it(tmp_path: Path) -> None:
    done = run("schema", cwd=tmp_path)
    assert "properties" in json.loads(done.stdout) or "$defs" in json.loads(done.stdout)
    assert "# yaml-language-server: $schema=./ingestion_config.schema.json" in done.stderr
    run("schema", "--output", "s.json", cwd=tmp_path)
    assert json.loads((tmp_path / "s.json").read_text()) == json.loads(done.stdout)
