"""``tomoportal diff``: what a run would change, and that it is what the run then changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tomoportal.archive import Archive
from tomoportal.cli.diff import command
from tomoportal.ingest import Report
from tomoportal.ingest.diff import MISSING, FieldChange, compare_documents
from tomoportal.testing.sources import SHAPE, SPACING, write_mrc

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]
Digests = Callable[[Path], dict[str, str]]

RUN = "10001/TS_01"
FOLDER = f"{RUN}/Reconstructions/VoxelSpacing13.480"


@pytest.fixture
def done(tmp_path: Path, raw: Path, ingest: Ingest) -> Path:
    """The archive of the sample sources."""
    ingest(raw / "config.yaml", tmp_path / "archive")
    return tmp_path / "archive"


def _diff(config: Path, archive: Path, *more: str) -> tuple[int, dict[str, Any]]:
    arguments = [str(config), "--archive", str(archive), "--json", *more]
    result = CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)
    return int(result.return_value), json.loads(result.stdout)


def _everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_no_change_is_told_by_the_exit_code_too(raw: Path, done: Path) -> None:
    code, found = _diff(raw / "config.yaml", done)
    assert code == 0
    assert found["same"]
    assert found["changes"] == []
    result = CliRunner().invoke(command, [str(raw / "config.yaml"), "--archive", str(done)], standalone_mode=False)
    assert "nothing would change" in result.stderr


def test_fields_of_documents_before_and_after_and_nothing_is_written(raw: Path, edit: Edit, done: Path) -> None:
    before = _everything(done)
    config = edit(raw, lambda c: c["tomograms"][0]["metadata"].update(ctf_corrected=True, tomogram_version=2))
    code, found = _diff(config, done)
    assert code == 1
    assert _everything(done) == before
    assert found["counts"] == {"create": 0, "replace": 2, "fail": 0, "remove": 0}
    change = found["changes"][0]
    assert (change["container"], change["kind"]) == (RUN, "tomogram")
    assert change["document"] == f"{FOLDER}/Tomograms/100/tomogram_metadata.json"
    assert change["why"] == ["its part of the config changed"]
    assert change["fields"] == [
        {"field": "ctf_corrected", "old": False, "new": True},
        {"field": "tomogram_version", "old": 1, "new": 2},
    ]
    assert change["files"] == []


def test_a_changed_source_shows_in_files_by_digest_and_in_all_that_shows_it(
    raw: Path, ingest: Ingest, done: Path, tree: Digests
) -> None:
    write_mrc(raw / "tomograms" / "TS_01.rec", np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE), SPACING)
    before = tree(done)
    code, found = _diff(raw / "config.yaml", done)
    assert code == 1
    changes = {(change["container"], change["kind"]): change for change in found["changes"]}
    volume = changes[RUN, "tomogram_volume"]
    assert volume["why"] == ["source tomograms/TS_01.rec changed"]
    keys = [file["key"] for file in volume["files"]]
    assert keys == [f"{FOLDER}/Tomograms/100/TS_01.mrc", f"{FOLDER}/Tomograms/100/TS_01.zarr"]
    assert volume["files"][0]["old"] == before[keys[0]]
    assert {kind for container, kind in changes if container == RUN} == {
        "tomogram_volume",
        "key_photos",
        "viewer_config",
    }

    ingest(raw / "config.yaml", done)
    after = tree(done)
    assert volume["files"][0]["new"] == after[keys[0]]
    told = {file["key"] for change in found["changes"] for file in change["files"]}
    told |= {change["document"] for change in found["changes"] if change["fields"]}
    really = {key for key in {*before, *after} if before.get(key) != after.get(key) and not key.startswith(".")}
    assert {key.partition(".zarr/")[0] + (".zarr" if ".zarr/" in key else "") for key in really} == told
    assert _diff(raw / "config.yaml", done)[0] == 0


def test_fast_converts_nothing_and_says_from_what(raw: Path, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a volume is converted")

    monkeypatch.setattr("tomoportal.ingest.steps.volumes.convert_volume", never)
    write_mrc(raw / "tomograms" / "TS_01.rec", np.ones(SHAPE, np.float32), SPACING)
    code, found = _diff(raw / "config.yaml", done, "--fast")
    assert code == 1
    volume, *others = [change for change in found["changes"] if change["container"] == RUN]
    assert volume["why"] == ["source tomograms/TS_01.rec changed"]
    assert not any(change["compared"] for change in (volume, *others))
    assert any("made from tomogram_volume tomograms/TS_01.rec, which changes" in change["why"] for change in others)


def test_new_failing_and_stale_items(raw: Path, edit: Edit, done: Path) -> None:
    shutil.copy(raw / "points" / "TS_01.csv", raw / "points" / "TS_01_more.csv")
    (raw / "points" / "TS_01.csv").write_text("no numbers\n")

    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]
        config["annotations"][1]["metadata"]["annotation_ingest_id"] = "membrane-2"

    config = edit(raw, change)
    code, found = _diff(config, done)
    assert code == 1
    assert found["counts"]["fail"] == 1
    failing = next(change for change in found["changes"] if change["action"] == "fail")
    assert "points/TS_01.csv" in failing["why"][0]
    new = next(change for change in found["changes"] if change["action"] == "create")
    assert new["document"] == f"{FOLDER}/Annotations/103/membrane-1.0.json"
    assert [file["key"].rpartition(".")[2] for file in new["files"]] == ["zarr", "mrc"]
    # The viewer shows the new annotation, and the old one until it is pruned.
    viewer = next(change for change in found["changes"] if change["kind"] == "viewer_config")
    assert viewer["action"] == "replace"
    assert any("annotation" in name for name in found["stale"])
    assert found["counts"]["remove"] == 0
    removed = _diff(config, done, "--prune")[1]["counts"]["remove"]
    assert removed == len(found["stale"])


def test_an_archive_that_is_not_there_yet(raw: Path, tmp_path: Path) -> None:
    code, found = _diff(raw / "config.yaml", tmp_path / "nowhere")
    assert code == 1
    assert found["counts"]["create"] == 38
    assert not (tmp_path / "nowhere").exists()


def test_what_people_read(raw: Path, edit: Edit, done: Path) -> None:
    config = edit(raw, lambda c: c["tomograms"][0]["metadata"].update(reconstruction_software="other"))
    result = CliRunner().invoke(command, [str(config), "--archive", str(done)], standalone_mode=False)
    assert result.return_value == 1
    assert 'reconstruction_software: "IMOD" → "other"' in result.stdout
    assert "2 to replace; nothing was written" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": 2}, {"a": 1}, [("b", 2, MISSING)]),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}, 4]}}, [("a.b[1].c", 2, 3), ("a.b[2]", MISSING, 4)]),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": None}, {"a": []}, [("a", None, [])]),
    ],
)
def test_documents_are_compared_field_by_field(old: Any, new: Any, changes: list[tuple[str, Any, Any]]) -> None:
    assert compare_documents(old, new) == [FieldChange(*change) for change in changes]


def test_a_lost_file_would_come_back(raw: Path, done: Path) -> None:
    (done / RUN / "run_metadata.json").unlink()
    code, found = _diff(raw / "config.yaml", done)
    assert code == 1
    assert [change["kind"] for change in found["changes"]] == ["run"]
    assert found["changes"][0]["fields"][0] == {"field": "run_name", "old": MISSING, "new": "TS_01"}
    assert Archive.open(done).store.exists(f"{FOLDER}/Tomograms/100/TS_01.mrc")
