"""`tomoportal init`: what is found in a folder, and a config that ingests as it stands."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tomoportal.archive import Archive
from tomoportal.cli.init import command
from tomoportal.ingest import Report, load_config
from tomoportal.ingest.drafting import Answers, draft_config, free_ids, survey_folder
from tomoportal.model.entities import ENUMS
from tomoportal.testing.sources import PIXEL, SHAPE, SPACING, write_mrc

Ingest = Callable[..., Report]


@pytest.fixture
def folder(raw: Path) -> Path:
    """The sample sources without their config and map."""
    (raw / "config.yaml").unlink()
    (raw / "run_data.csv").unlink()
    return raw


def _init(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(command, [str(folder), "--yes", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert result.return_value == 0, result.output
    return result.output


def _roles(folder: Path) -> dict[str, str]:
    return {file.key: file.role for file in survey_folder(folder).files}


def test_roles_are_read_from_headers_lines_and_names(folder: Path) -> None:
    roles = _roles(folder)
    assert roles["tomograms/TS_01.rec"] == "tomogram"
    assert roles["stacks/TS_01.st"] == "tilt series"
    assert roles["stacks/TS_01.mdoc"] == "mdoc"
    assert roles["stacks/TS_01.rawtlt"] == "raw tilts"
    assert roles["stacks/TS_01.xf"] == "alignment"
    assert roles["masks/TS_01_labels.mrc"] == "mask"
    assert roles["frames/TS_01_000.tif"] == "frames"
    assert roles["gains/CountRef_TS_01.mrc"] == "gain"
    assert roles["points/TS_01.csv"] == "points"
    assert roles["particles.star"] == "particles"
    assert "left out" not in roles.values()


def test_the_drafted_config_ingests_as_it_stands(folder: Path, ingest: Ingest, tmp_path: Path) -> None:
    _init(folder)
    config = load_config(folder / "tomoportal.yaml")
    assert config.deposition_id == 10300
    report = ingest(folder / "tomoportal.yaml", tmp_path / "archive")
    assert report.ok, report.failures
    archive = tmp_path / "archive"
    assert len(list(archive.glob("10000/*/Reconstructions/VoxelSpacing13.480/Tomograms/*/tomogram_metadata.json"))) == 4
    tilt_series = json.loads((archive / "10000/TS_01/TiltSeries/100/tiltseries_metadata.json").read_text())
    assert tilt_series["tilt_range"] == {"min": -4.0, "max": 2.0}
    assert tilt_series["tilt_axis"] == 84.7
    assert tilt_series["pixel_spacing"] == PIXEL
    names = {
        json.loads(path.read_text())["annotation_object"]["name"]
        for path in archive.glob("10000/*/*/*/Annotations/*/*[0-9].json")
    }
    assert {"cellular component 1", "cellular component 2"} <= names
    offsets = json.loads((archive / "10000/TS_01/Alignments/100/alignment_metadata.json").read_text())
    assert offsets["offset_unit"] == "angstrom"


def test_a_flat_folder_and_a_nested_one(tmp_path: Path, ingest: Ingest) -> None:
    volume = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    for run in ("lam1_ts_003", "lam1_ts_004"):
        write_mrc(tmp_path / "flat" / f"{run}_bin4_rec.mrc", volume, SPACING)
        write_mrc(tmp_path / "nested" / run / "tomo.mrc", volume, SPACING)
    survey = survey_folder(tmp_path / "flat")
    assert draft_config(survey, Answers()).runs.names == ["lam1_ts_003", "lam1_ts_004"]
    _init(tmp_path / "flat")
    assert ingest(tmp_path / "flat" / "tomoportal.yaml", tmp_path / "archive").ok
    assert (tmp_path / "archive/10000/lam1_ts_004/Reconstructions/VoxelSpacing13.480/Tomograms/100").is_dir()


def test_runs_of_different_spacing_are_bound_to_theirs(tmp_path: Path, ingest: Ingest) -> None:
    volume = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    labels = np.zeros(SHAPE, np.int8)
    labels[2:5, 3:9, 4:8] = 1
    for run, spacing in (("A", 10.01), ("B", 7.56)):
        write_mrc(tmp_path / "raw" / f"{run}.mrc", volume, spacing)
        write_mrc(tmp_path / "raw" / f"{run}_mask.mrc", labels, spacing)
    (tmp_path / "raw" / "B_points.csv").write_text("x,y,z\n1,2,3\n30,20,10\n")
    _init(tmp_path / "raw")
    report = ingest(tmp_path / "raw" / "tomoportal.yaml", tmp_path / "archive")
    assert report.ok, (report.failures, report.errors)
    documents = sorted(
        path.relative_to(tmp_path / "archive").as_posix()
        for path in (tmp_path / "archive").glob("10000/*/*/*/Annotations/*/*[0-9].json")
    )
    assert [document.split("/")[3] for document in documents] == [
        "VoxelSpacing10.010",
        "VoxelSpacing7.560",
        "VoxelSpacing7.560",
    ]


def test_values_that_differ_between_runs_become_a_map(folder: Path, ingest: Ingest, tmp_path: Path) -> None:
    mdoc = folder / "stacks" / "TS_02.mdoc"
    mdoc.write_text(mdoc.read_text().replace("84.7", "-95.2"))
    _init(folder)
    rows = (folder / "tomoportal_runs.csv").read_text().splitlines()
    assert rows == ["run_name,tilt_axis", "TS_01,84.7", "TS_02,-95.2"]
    assert ingest(folder / "tomoportal.yaml", tmp_path / "archive").ok


def test_what_cannot_be_ingested_is_left_out_with_the_reason(folder: Path, ingest: Ingest, tmp_path: Path) -> None:
    write_mrc(folder / "tomograms" / "TS_03.rec", np.ones(SHAPE, np.float32), SPACING)
    data = bytearray((folder / "tomograms" / "TS_03.rec").read_bytes())
    struct.pack_into("<3f", data, 40, 0, 0, 0)
    (folder / "tomograms" / "TS_03.rec").write_bytes(bytes(data))
    write_mrc(folder / "stacks" / "TS_04.st", np.ones((4, 8, 8), np.float32), 3.3, stack=True)
    (folder / "tomograms" / "TS_05.rec").write_bytes(b"broken")
    (folder / "notes.docx").write_bytes(b"x")
    output = _init(folder, "--json")
    why = {file["file"]: file["why"] for file in json.loads(output)["files"] if file["role"] == "left out"}
    assert "no voxel size" in why["tomograms/TS_03.rec"]
    assert "needs its mdoc" in why["stacks/TS_04.st"]
    assert "cannot be read" in why["tomograms/TS_05.rec"]
    assert "notes.docx" in why
    assert ingest(folder / "tomoportal.yaml", tmp_path / "archive").ok


def test_ids_are_the_next_free_ones(folder: Path, ingest: Ingest, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    _init(folder, "--archive", str(archive))  # an archive that does not exist yet
    assert ingest(folder / "tomoportal.yaml", archive).ok
    assert free_ids(Archive.open(archive)) == (10001, 10301)
    _init(folder, "--archive", str(archive), "--force")
    assert load_config(folder / "tomoportal.yaml").deposition_id == 10301


def test_an_existing_config_is_not_overwritten(folder: Path) -> None:
    from tomoportal.errors import SettingsError

    _init(folder)
    with pytest.raises(SettingsError, match="--force"):
        _init(folder)


def test_a_config_elsewhere_names_the_folder(folder: Path, ingest: Ingest, tmp_path: Path) -> None:
    _init(folder, "--output", str(tmp_path / "configs" / "mine.yaml"))
    assert load_config(tmp_path / "configs" / "mine.yaml").source_prefix == str(folder)
    assert ingest(tmp_path / "configs" / "mine.yaml", tmp_path / "archive").ok


def test_answers_are_written(folder: Path) -> None:
    answers = Answers(
        title='A "quoted" title: ü', authors=("Ada", "Bob"), organism="Homo sapiens", sample_type="tissue"
    )
    draft = draft_config(survey_folder(folder), answers)
    (folder / "c.yaml").write_text(draft.config)
    metadata: dict[str, Any] = load_config(folder / "c.yaml").section("datasets")[0]["metadata"]
    assert metadata["dataset_title"] == 'A "quoted" title: ü'
    assert metadata["organism"] == {"name": "Homo sapiens", "taxonomy_id": 9606}
    assert [author["name"] for author in metadata["authors"]] == ["Ada", "Bob"]


@pytest.mark.parametrize("sample_type", sorted({*ENUMS["sample_type_enum"]} - {"cell"}))  # of older archives
def test_a_config_for_every_type_of_sample_is_accepted(folder: Path, sample_type: str) -> None:
    draft = draft_config(survey_folder(folder), Answers(sample_type=sample_type))
    (folder / "c.yaml").write_text(draft.config)
    assert load_config(folder / "c.yaml").section("datasets")[0]["metadata"]["sample_type"] == sample_type


def test_on_a_terminal_it_asks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["My tomograms", "Ada, Bob", "mus musculus", "tissue"])
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    from tomoportal.cli.init import _ask

    assert _ask() == {
        "title": "My tomograms",
        "authors": ("Ada", "Bob"),
        "organism": "mus musculus",
        "sample_type": "tissue",
    }


def test_a_folder_without_runs(tmp_path: Path) -> None:
    from tomoportal.errors import SettingsError

    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="no run"):
        _init(tmp_path / "empty")


@pytest.mark.parametrize(
    ("scale", "binning"), [(1.0, 1.0), (4.0, 4.0), (SPACING, SPACING)], ids=["voxels", "unbinned voxels", "angstrom"]
)
def test_the_unit_of_points_is_guessed_from_their_range(folder: Path, scale: float, binning: float) -> None:
    points = np.random.default_rng(1).uniform(0.2, 0.97, (200, 3)) * np.array(SHAPE[::-1]) * scale
    for run in ("TS_01", "TS_02"):
        (folder / "points" / f"{run}.csv").write_text("".join(f"{x},{y},{z}\n" for x, y, z in points.tolist()))
    (folder / "particles.star").unlink()
    _init(folder)
    entries = load_config(folder / "tomoportal.yaml").section("annotations")
    found = [source["Point"]["binning"] for entry in entries for source in entry["sources"] if "Point" in source]
    assert found == [binning]


@pytest.mark.parametrize(
    "missing",
    [
        ("denoised/TS_02.mrc",),
        ("masks/TS_02_labels.mrc", "points/TS_02.csv"),
        ("frames/TS_02_*.tif", "gains/CountRef_TS_02.mrc"),
        ("stacks/TS_02.rawtlt", "stacks/TS_02.st"),
        ("stacks/TS_02.*", "frames/TS_02_*.tif"),
        ("tomograms/TS_02.rec", "denoised/TS_02.mrc", "masks/TS_02_labels.mrc", "points/TS_02.csv"),
    ],
)
def test_what_only_some_runs_have_is_bound_to_them(
    folder: Path, plan_of: Callable[..., Any], missing: tuple[str, ...]
) -> None:
    for pattern in missing:
        for path in folder.glob(pattern):
            path.unlink()
    _init(folder)
    plan = plan_of(folder / "tomoportal.yaml")
    assert plan.unmatched == ()
    assert plan.ok
    assert {item.place[2] for item in plan.items if item.kind == "run"} == {"TS_01", "TS_02"}
