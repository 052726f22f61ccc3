"""The files as a whole: same bytes every time, resumable, valid for their formats and for ingestion."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import yaml

from tomoportal.demo import make_demo
from tomoportal.errors import SettingsError
from tomoportal.formats.imod import read_xf


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_bytes_depend_neither_on_time_nor_place_nor_number_of_processes(config: Path, tmp_path: Path) -> None:
    again = make_demo(tmp_path / "elsewhere", jobs=2, scale="tiny")
    assert digests(again.parent) == digests(config.parent)
    assert str(tmp_path) not in again.read_text()


def test_complete_runs_are_kept_and_broken_ones_are_made_again(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(config.parent, folder)
    whole = digests(folder)
    kept, broken, unfinished = (
        folder / "lab/cytosol/TS_001/TS_001.rec",
        folder / "lab/in_vitro/TS_101/TS_101.st",
        folder / "lab/in_vitro/TS_101/simulation.json",
    )
    before = kept.stat().st_mtime_ns
    broken.write_bytes(broken.read_bytes()[:-1] + b"\x7f")  # same size, other content
    steps: list[tuple[int, int, str]] = []
    make_demo(folder, jobs=1, progress=lambda *step: steps.append(step), scale="tiny")
    assert steps == [(1, 2, ""), (2, 2, "TS_101")]
    assert digests(folder) == whole
    assert kept.stat().st_mtime_ns == before
    unfinished.unlink()  # what a killed call leaves
    (folder / "demo.yaml").unlink()
    make_demo(folder, jobs=1, scale="tiny")
    assert digests(folder) == whole


def test_a_folder_with_other_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lab/cytosol/TS_777").mkdir(parents=True)
    (tmp_path / "lab/cytosol/TS_777/TS_777.st").write_bytes(b"someone's data")
    with pytest.raises(SettingsError, match="not of this demo") as caught:
        make_demo(tmp_path, jobs=1, scale="tiny")
    assert "TS_777" in str(caught.value.where)
    assert digests(tmp_path).keys() == {"lab/cytosol/TS_777/TS_777.st"}


def test_every_mrc_file_is_valid_and_knows_its_pixel(lab: Path) -> None:
    found = sorted([*lab.rglob("*.mrc"), *lab.rglob("*.rec"), *lab.rglob("*.st")])
    assert len(found) == 8
    for path in found:
        assert mrcfile.validate(path), path
        with mrcfile.open(path) as mrc:
            expected = 5.04 if "gain" in path.name else 10.08
            np.testing.assert_allclose([mrc.voxel_size.x, mrc.voxel_size.y, mrc.voxel_size.z], expected, rtol=1e-5)
            assert mrc.is_image_stack() == (path.suffix == ".st") or "gain" in path.name
            assert np.isfinite(mrc.data).all()


def test_notes_name_every_file_with_its_digest(lab: Path) -> None:
    for notes in lab.rglob("simulation.json"):
        files = json.loads(notes.read_text())["files"]
        folder = notes.parent
        there = {f"{folder.parent.name}/{folder.name}/{name}": value for name, value in digests(folder).items()}
        del there[f"{folder.parent.name}/{folder.name}/simulation.json"]
        assert files == there


def test_ingestion_plans_the_demo_without_a_remark(config: Path) -> None:
    from tomoportal.archive import Archive
    from tomoportal.ingest import load_config, make_plan, open_source

    loaded = load_config(config)
    assert loaded.warnings == ()
    source = open_source(str(config.parent), loaded.source_prefix, beside=loaded.folder)
    plan = make_plan(loaded, source, Archive.open("memory://", create=True))
    assert plan.errors == ()
    assert plan.unmatched == ()
    assert plan.warnings == ()
    kinds = [item.kind for item in plan.items]
    assert kinds.count("tiltseries") == kinds.count("alignment") == 2
    assert kinds.count("tomogram") == 4
    annotations = yaml.safe_load(config.read_text())["annotations"]
    identifiers = [entry["metadata"]["annotation_ingest_id"] for entry in annotations]
    assert len(set(identifiers)) == len(identifiers) == 10


def test_the_alignment_is_that_of_an_imod_user(lab: Path) -> None:
    rows = read_xf((lab / "cytosol/TS_001/TS_001.xf").read_bytes(), "xf")
    matrices = rows[:, :4].reshape(-1, 2, 2)
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-6)
    axis = np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    np.testing.assert_allclose(axis, 84.1, atol=0.3)
