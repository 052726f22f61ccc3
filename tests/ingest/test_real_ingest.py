"""Real files through `init` and `ingest`, read in place."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from click.testing import CliRunner

from tomoportal.archive import Archive
from tomoportal.archive.verify import verify
from tomoportal.cli.init import command
from tomoportal.ingest import Config, Report, load_config, make_plan, open_source

Ingest = Callable[..., Report]
pytestmark = pytest.mark.real_data


@pytest.fixture
def assembled(real_data: Path, tmp_path: Path) -> Path:
    """A folder as a lab would have it, of links to real files."""
    folder = tmp_path / "raw"
    links = {
        "krios.mrc": "mrc/tomogram/krios_k2_100cube_int16_imod.mrc",
        "krios_labels.mrc": "mrc/segmentation/presynapse_vesicle_labels_155x155x60.mrc",
        "krios_particles.star": "annotations/star/relion_3.0.star",
        "krios_points.csv": "annotations/csv/points.csv",
        "MT_001.mrc": "mrc/tomogram/derived_mt_96cube_float32.mrc",
        "MT_001_mask.mrc": "mrc/segmentation/derived_mt_96cube_mask_int8.mrc",
        "TS_017/TS_017.st": "mrc/tilt_series/derived_SERI_extended_header.st",
        "TS_017/TS_017.mdoc": "tilt/mdoc/serialem4_TS_017.mdoc",
        "TS_001/TS_001.rec": "mrc/tomogram/tf30_microtubules_32x64x78.rec",
        **{f"TS_001/TS_001.{end}": f"tilt/imod/TS_001/TS_001.{end}" for end in ("rawtlt", "tlt", "xf", "xtilt")},
        "TS_01.mdoc": "tilt/mdoc/serialem_tilt_series.mdoc",
        "Position_10.mdoc": "tilt/mdoc/tomo5_Position_10.mdoc",
        "bad_1.mrc": "mrc/oddities/derived_truncated_60pct.mrc",
    }
    for name, target in links.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(real_data / target)
    angles = re.findall(r"TiltAngle = (\S+)", (folder / "TS_017/TS_017.mdoc").read_text())[:4]
    (folder / "TS_017/TS_017.rawtlt").write_text("".join(f"{float(angle):.2f}\n" for angle in angles))
    return folder


@pytest.mark.usefixtures("full_photos")
def test_a_folder_of_real_files_goes_through(assembled: Path, ingest: Ingest, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command, [str(assembled), "--yes", "--json"], standalone_mode=False, catch_exceptions=False
    )
    assert result.return_value == 0, result.output
    left_out = {file["file"]: file["why"] for file in json.loads(result.output)["files"] if file["role"] == "left out"}
    assert list(left_out) == ["bad_1.mrc"]
    archive = tmp_path / "archive"
    report = ingest(assembled / "tomoportal.yaml", archive, follow_links=True)
    # The labels are real and of the same microscope, but of another box than the crop: they are refused (V807).
    assert [failure.why for failure in report.failures if "the mask has 155 × 155 × 60 voxels" in (failure.why or "")]
    assert len(report.failures) == 1
    findings = [finding for finding in verify(Archive.open(archive, read_only=True)) if finding.severity == "error"]
    assert findings == []

    krios = archive / "10000/krios/Reconstructions/VoxelSpacing16.840"
    with (
        mrcfile.open(krios / "Tomograms/100/krios.mrc") as written,
        mrcfile.open(assembled / "krios.mrc", permissive=True) as source,
    ):
        assert written.data.dtype == np.int16
        assert np.array_equal(written.data, source.data)
    (mask,) = (archive / "10000/MT_001").glob("Reconstructions/*/Annotations/*/*[0-9].json")
    with (
        mrcfile.open(archive / json.loads(mask.read_text())["files"][1]["path"]) as written,
        mrcfile.open(assembled / "MT_001_mask.mrc", permissive=True) as source,
    ):
        assert np.array_equal(written.data, source.data >= 0.5)
    annotations = [json.loads(path.read_text()) for path in krios.glob("Annotations/*/*[0-9].json")]
    oriented = [file for document in annotations for file in document["files"] if file["shape"] == "OrientedPoint"]
    assert len(oriented) == 1
    assert oriented[0]["object_count"] == 3

    tilt_series = json.loads((archive / "10000/TS_017/TiltSeries/100/tiltseries_metadata.json").read_text())
    assert tilt_series["size"] == {"z": 4, "y": 240, "x": 232}
    assert [row["raw_angle"] for row in tilt_series["per_section_parameter"]] == [
        -52.0064,
        -50.0066,
        -48.0064,
        -46.0066,
    ]
    assert tilt_series["data_acquisition_software"] == "SerialEM"
    assert tilt_series["tilt_axis"] == 82.9
    alignment = json.loads((archive / "10000/TS_001/Alignments/100/alignment_metadata.json").read_text())
    assert len(alignment["per_section_alignment_parameters"]) == 40
    frames = json.loads((archive / "10000/Position_10/Frames/frames_metadata.json").read_text())
    assert len(frames["frames"]) == 3


RUNS = ("run1", "run2")
_FIELD = re.compile(r"\{([a-zA-Z0-9_-]+)\}")
_KNOWN = {
    "run_name",
    "dataset_name",
    "deposition_name",
    "voxel_spacing_name",
    "run_output_path",
    "dataset_output_path",
    "output_path",
}


def _numeric(text: str) -> set[str]:
    return set(re.findall(r"(?:float|int)\s*\{([a-zA-Z0-9_-]+)\}", text))


def _made_up(config: Config, raw: Path) -> Config:
    """The config with a few runs by name, and a source tree and maps that fit its globs."""
    text = json.dumps(config.data)
    runs = [*RUNS, *_runs_that_filters_want(config.data)]
    columns = sorted(set(_FIELD.findall(text)) - _KNOWN - {"mapped_tomo_name", "mapped_frame_name", "mapped_ts_name"})
    numbers = _numeric(text)
    settings = dict(config.data["standardization_config"])
    prefix = raw / settings["source_prefix"]
    prefix.mkdir(parents=True, exist_ok=True)
    rows = {run: {column: "3" if column in numbers else f"{column}_{run}" for column in columns} for run in runs}
    settings["run_data_map_file"] = "map.csv"
    (prefix / "map.csv").write_text(
        "".join(",".join(row) + "\n" for row in [["run_name", *columns], *([run, *rows[run].values()] for run in runs)])
    )
    for key in ("run_to_tomo_map_csv", "run_to_frame_map_csv", "run_to_ts_map_csv"):
        if key in settings:
            settings[key] = f"{key}.csv"
            (prefix / settings[key]).write_text("".join(f"{run},{run}.rec\n" for run in runs))
    dataset = next(
        (
            str(value)
            for source in config.data["datasets"][0]["sources"]
            for value in (source.get("literal") or {}).get("value", ())
        ),
        "10001",
    )
    data = {
        **config.data,
        "standardization_config": settings,
        "runs": [{"sources": [{"literal": {"value": runs}}]}],
        "datasets": [{**config.data["datasets"][0], "sources": [{"literal": {"value": [dataset]}}]}],
    }
    for run in runs:
        values = {**rows[run], "run_name": run, "dataset_name": dataset, "voxel_spacing_name": "3.000"}
        for pattern in _patterns(data):
            name = pattern
            for field in _FIELD.findall(pattern):
                name = name.replace(f"{{{field}}}", values.get(field, f"{run}.rec"))
            name = re.sub(r"/\*$", "/a.mrc", name)
            name = re.sub(r"\[(.)[^]]*\]", r"\1", name).replace("*", "1").replace("?", "1").strip("/")
            path = prefix / name
            if path.suffix == ".tif" and any(prefix.rglob(path.name)):
                continue  # a movie lies in one of several folders
            if not path.exists() and not any(parent.is_file() for parent in path.parents):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    return dataclasses.replace(config, data=data)


def _patterns(value: object) -> list[str]:
    found: list[str] = []
    if isinstance(value, dict):
        for key, child in value.items():
            if key in ("list_glob", "glob_string", "mesh_source_path"):
                found.append(child)
                # A rule that lists the names of files, in brackets: the first of them.
                listed = re.match(r"^\(([^|()]+)\|", value.get("match_regex") or "")
                if listed:
                    found.append(f"{child.rpartition('/')[0]}/{re.sub(chr(92) * 2, '', listed[1])}")
            elif key in ("list_globs", "glob_strings"):
                found += child
            elif key != "destination_glob":
                found += _patterns(child)
    elif isinstance(value, list):
        for child in value:
            found += _patterns(child)
    return found


def _runs_that_filters_want(value: object) -> list[str]:
    """A name for every rule by which `parent_filters` let runs pass."""
    found: dict[str, None] = {}
    if isinstance(value, dict):
        for rule in ((value.get("parent_filters") or {}).get("include") or {}).get("run") or ():
            name = re.sub(r"\.[*+]", "x", rule.strip("^$")).replace("\\", "")
            assert re.search(rule, name), f"{name!r} is no example of {rule!r}"
            found[name] = None
        for child in value.values():
            found |= dict.fromkeys(_runs_that_filters_want(child))
    elif isinstance(value, list):
        for child in value:
            found |= dict.fromkeys(_runs_that_filters_want(child))
    return list(found)


def test_every_real_config_plans_against_a_made_up_tree(real_configs: Path, tmp_path: Path) -> None:
    """Not a word of complaint. Those that add to datasets of others are in test_augmenting.py."""
    planned: dict[str, set[str]] = {}
    told: list[str] = []
    for path in sorted(path for path in real_configs.rglob("*.yaml") if not path.stem.endswith("_draft")):
        loaded = load_config(path)
        if not loaded.section("tomograms"):
            continue
        config = _made_up(loaded, tmp_path / path.stem)
        source = open_source(tmp_path / path.stem, config.source_prefix)
        plan = make_plan(config, source, Archive.open("memory://"))
        told += [f"{path.name}: {error}" for error in plan.errors]
        told += [f"{path.name}: {one}" for one in plan.unmatched if one.wrong]
        planned[path.stem] = {item.kind for item in plan.items}
    assert not told, "\n".join(told)
    with_volumes = {name for name, kinds in planned.items() if {"run", "tomogram", "viewer_config"} <= kinds}
    with_tilts = {name for name, kinds in planned.items() if {"tiltseries", "frames", "collection_metadata"} <= kinds}
    assert len(planned) > 85
    assert len(with_volumes) == len(planned)
    assert len(with_tilts) > 70
