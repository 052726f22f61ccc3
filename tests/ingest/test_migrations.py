"""Configs of older versions: what each step changes, where messages lead, and that nothing is migrated twice."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import ConfigError
from tomoportal.ingest import load_config, upgrade_config
from tomoportal.ingest.lines import load_yaml
from tomoportal.ingest.migrations import CURRENT_VERSION, OLDER_VERSIONS, Migrated, migrate, version_of
from tomoportal.ingest.migrations.to_1_3_0 import slug
from tomoportal.testing.sources import sample_config

OLDEST = """\
dataset:
  dataset_identifier: 10001
  dataset_title: Old dataset
  dataset_description: Described long ago
  authors: &authors
  - {name: Ada Author, ORCID: 0000-0002-1825-0097, primary_author_status: true, corresponding_author_status: true}
  dates: &dates {deposition_date: 2023-04-01, release_date: 2023-06-01, last_modified_date: 2023-06-01}
  key_photos: {snapshot: cryoetportal-rawdatasets-dev/snapshot.png, thumbnail: null}
  sample_type: cell_line
  cell_strain: {name: HeLa, id: CVCL_0030}
  organism: {name: Homo sapiens, taxonomy_id: 9606}
  assay: {name: cryo-electron tomography, id: 'EFO:0022601'}
  development_stage: {name: unknown, id: unknown}
  disease: {name: normal, id: 'PATO:0000461'}
  sample_preparation: buffer
  grid_preparation: copper
overrides_by_run:
- run_regex: TS_1
standardization_config:
  deposition_id: 10301
  destination_prefix: '10001'
  source_prefix: old
  frame_dose_rate: 2.5
  frames_glob: frames/{run_name}_*.tif
  gain_glob: gains/{run_name}.mrc
  rawtlt_files:
  - stacks/{run_name}.rawtlt
  - stacks/{run_name}.mdoc
  - stacks/{run_name}.xf
  - stacks/{run_name}.tlt
  run_glob: tomograms/*.rec
  run_regex: .*
  run_name_regex: (.*)\\.rec
  run_data_map_file: runs.csv
  tiltseries_glob: stacks/{run_name}.st
  ts_name_regex: .*\\.st$
  tomo_format: mrc
  tomo_glob: tomograms/{run_name}.rec
  tomo_regex: .*\\.rec$
  tomo_voxel_size: ''
tiltseries:
  acceleration_voltage: 300000
  spherical_aberration_constant: 2.7
  camera: {manufacturer: Gatan, model: K2 SUMMIT, acquire_mode: counting}
  microscope: {manufacturer: TFS, model: Krios, additional_info: ''}
  microscope_optical_setup: {energy_filter: GIF Quantum LS, phase_plate: Volta, image_corrector: null}
  data_acquisition_software: SerialEM
  is_aligned: false
  pixel_spacing: 3.37
  tilt_axis: 84.7
  tilt_range: {min: -60, max: 60}
  tilt_step: 2
  tilting_scheme: Dose symmetric
  tilt_series_quality: 4
  total_flux: 11.3
tomograms:
  voxel_spacing: float {spacing}
  fiducial_alignment_status: NON_FIDUCIAL
  reconstruction_method: WBP
  reconstruction_software: IMOD 4.11
  processing: raw
  tomogram_version: 1
  offset: {x: 0, y: 0, z: 0}
  affine_transformation_matrix: [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
  authors: *authors
annotations:
- metadata:
    annotation_method: manual picking
    annotation_object: {id: 'GO:0022626', name: Cytosolic Ribosome (80S)}
    method_type: manual
    ground_truth_status: true
    version: 1.0
    authors: *authors
    dates: *dates
  sources:
  - {shape: Point, file_format: csv, glob_string: 'points/{run_name}.csv'}
"""


def _migrated(text: str) -> Migrated:
    return migrate(load_yaml(text, "c.yaml"))


def _of(data: Any) -> Migrated:
    return _migrated(yaml.safe_dump(data, sort_keys=False))


def test_the_oldest_form_becomes_sections_of_today(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(OLDEST)
    config = load_config(tmp_path / "old.yaml")
    data = config.data
    assert data["version"] == CURRENT_VERSION
    assert data["standardization_config"] == {
        "deposition_id": 10301,
        "source_prefix": "old",
        "run_data_map_file": "runs.csv",
    }
    (dataset,) = data["datasets"]
    assert dataset["sources"] == [{"literal": {"value": ["10001"]}}]
    assert "key_photos" not in dataset["metadata"]
    assert data["dataset_keyphotos"][0]["sources"] == [
        {"literal": {"value": {"snapshot": "cryoetportal-rawdatasets-dev/snapshot.png", "thumbnail": None}}}
    ]
    (deposition,) = data["depositions"]
    assert deposition["metadata"]["deposition_title"] == deposition["metadata"]["deposition_description"] == "TBA"
    assert deposition["metadata"]["deposition_types"] == ["dataset"]
    assert deposition["metadata"]["dates"] == dataset["metadata"]["dates"]
    assert deposition["metadata"]["authors"] == dataset["metadata"]["authors"]
    assert deposition["sources"] == [{"literal": {"value": [10301]}}]
    assert data["runs"][0]["sources"] == [
        {"source_glob": {"list_glob": "tomograms/*.rec", "match_regex": ".*", "name_regex": r"(.*)\.rec"}}
    ]
    assert data["voxel_spacings"][0]["sources"] == [{"literal": {"value": ["float {spacing}"]}}]
    assert data["tiltseries"][0]["sources"] == [
        {"source_glob": {"list_glob": "stacks/{run_name}.st", "match_regex": r".*\.st$"}}
    ]
    assert data["rawtilts"][0]["sources"] == [{"source_multi_glob": {"list_globs": ["stacks/{run_name}.rawtlt"]}}]
    assert data["collection_metadata"][0]["sources"] == [
        {"source_multi_glob": {"list_globs": ["stacks/{run_name}.mdoc"]}}
    ]
    (alignment,) = data["alignments"]
    assert alignment["sources"] == [
        {"source_multi_glob": {"list_globs": ["stacks/{run_name}.xf", "stacks/{run_name}.tlt"]}}
    ]
    (tomogram,) = data["tomograms"]
    assert alignment["metadata"] == {
        "format": "IMOD",
        "affine_transformation_matrix": tomogram["metadata"]["affine_transformation_matrix"],
        "method_type": "patch_tracking",
    }
    assert tomogram["metadata"]["is_visualization_default"] is True
    assert tomogram["metadata"]["dates"] == deposition["metadata"]["dates"]
    assert data["frames"][0]["metadata"] == {"dose_rate": 2.5, "is_gain_corrected": False}
    (annotation,) = data["annotations"]
    assert annotation["metadata"]["annotation_ingest_id"] == "cytosolic-ribosome-80s-1"
    assert annotation["sources"] == [{"Point": {"file_format": "csv", "glob_string": "points/{run_name}.csv"}}]
    (warning,) = (str(one) for one in config.warnings if "migrated" in one.what)
    for words in ("0.0.0", CURRENT_VERSION, "overrides_by_run", "TBA", "tomoportal config upgrade"):
        assert words in warning


def test_messages_about_a_migrated_config_lead_to_the_lines_of_the_file(tmp_path: Path) -> None:
    text = OLDEST.replace("processing: raw", "processing: cooked").replace("sample_type: cell_line", "sample_type: x")
    text = text.replace("file_format: csv", "file_format: cvs").replace("run_name_regex: (", "run_name_regex: ((")
    text = text.replace("name: HeLa", "nam: HeLa")
    (tmp_path / "old.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "old.yaml")
    found = [str(problem) for problem in caught.value.problems]
    lines = text.splitlines()
    for key, place in (
        ("processing: cooked", "tomograms[0].metadata.processing"),
        ("sample_type: x", "datasets[0].metadata.sample_type"),
        ("nam: HeLa", "datasets[0].metadata.cell_strain.nam"),
        ("file_format: cvs", "annotations[0].sources[0].Point.file_format"),
        ("run_name_regex", "runs[0].sources[0].source_glob.name_regex"),
    ):
        number = next(index for index, line in enumerate(lines, 1) if key in line)
        assert any(one.startswith(f"old.yaml:{number} ({place})") for one in found), (key, number, found)
    assert any("migrated" in one for one in found)


def test_a_made_section_is_placed_where_its_content_came_from() -> None:
    yaml_now = _migrated(OLDEST).yaml
    lines = OLDEST.splitlines()
    for path, key in (
        ("collection_metadata[0].sources[0]", "rawtlt_files"),
        ("voxel_spacings[0].sources[0]", "voxel_spacing: float {spacing}"),
        ("frames[0].sources[0].source_glob", "frames_glob"),
        ("dataset_keyphotos[0]", "key_photos"),
        ("standardization_config.source_prefix", "source_prefix"),
    ):
        number = next(index for index, line in enumerate(lines, 1) if key in line)
        assert 0 <= yaml_now.line(path_of(path)) - number <= 1, path


def path_of(text: str) -> tuple[str | int, ...]:
    from tomoportal.ingest.lines import parse_path

    return parse_path(text)


def _older(version: str, change: Callable[[dict[str, Any]], object] = lambda config: None) -> dict[str, Any]:
    config = sample_config()
    config["version"] = version
    change(config)
    return config


def test_a_bare_placeholder_becomes_a_number_in_the_voxel_spacings() -> None:
    data = _migrated(OLDEST.replace("float {spacing}", "'{spacing}'")).yaml.data
    assert data["voxel_spacings"][0]["sources"] == [{"literal": {"value": ["float {spacing}"]}}]


def test_files_move_out_of_rawtilts_into_the_sections_that_are_there() -> None:
    def change(config: dict[str, Any]) -> None:
        del config["tomograms"][1]
        config["alignments"] = [
            {"metadata": {"format": "ARETOMO3"}, "sources": [{"source_multi_glob": {"list_globs": ["a.aln"]}}]}
        ]
        globs = ["s/{run_name}.rawtlt", "m.mdoc", "b.txt", "c.com"]
        config["rawtilts"] = [{"sources": [{"source_multi_glob": {"list_globs": globs}}]}]

    data = _of(_older("1.0.0", change)).yaml.data
    assert data["rawtilts"] == [{"sources": [{"source_multi_glob": {"list_globs": ["s/{run_name}.rawtlt"]}}]}]
    assert [entry["metadata"]["format"] for entry in data["alignments"]] == ["ARETOMO3", "IMOD"]
    assert data["alignments"][0]["sources"] == [{"source_multi_glob": {"list_globs": ["a.aln", "b.txt"]}}]
    assert {entry["metadata"]["method_type"] for entry in data["alignments"]} == {"fiducial_based"}
    mdocs = [source for entry in data["collection_metadata"] for source in entry["sources"]]
    assert {"source_multi_glob": {"list_globs": ["m.mdoc"]}} in mdocs


def test_what_cannot_be_told_is_refused_with_the_line() -> None:
    def change(config: dict[str, Any]) -> None:
        config["rawtilts"] = [{"sources": [{"source_multi_glob": {"list_globs": ["a.xf"]}}]}]

    with pytest.raises(ConfigError, match="2 entries of tomograms") as caught:
        _of(_older("1.0.0", change))
    assert caught.value.problems[1].where.startswith("c.yaml:")


@pytest.mark.parametrize(
    ("software", "status", "method"),
    [
        ("AreTomo 1.3", "NON_FIDUCIAL", "projection_matching"),
        ("imod", "NON_FIDUCIAL", "patch_tracking"),
        ("AreTomo", "FIDUCIAL", "fiducial_based"),
        ("Warp", "NON_FIDUCIAL", None),
    ],
)
def test_the_method_of_an_alignment_is_told_by_the_tomogram(software: str, status: str, method: str | None) -> None:
    def change(config: dict[str, Any]) -> None:
        del config["tomograms"][1]
        config["tomograms"][0]["metadata"] |= {
            "reconstruction_software": software,
            "fiducial_alignment_status": status,
        }
        del config["alignments"][0]["metadata"]["method_type"]

    data = _of(_older("1.0.0", change)).yaml.data
    assert data["alignments"][0]["metadata"].get("method_type") == method


@pytest.mark.parametrize(
    ("gains", "literal", "corrected"), [(True, False, False), (False, False, True), (False, True, False)]
)
def test_f54_frames_with_gains_are_not_gain_corrected(gains: bool, literal: bool, corrected: bool) -> None:
    def change(config: dict[str, Any]) -> None:
        config["standardization_config"]["frame_dose_rate"] = 3
        del config["frames"][0]["metadata"]
        if literal:
            del config["frames"]
        if not gains:
            del config["gains"]

    migrated = _of(_older("1.1.0", change))
    assert migrated.yaml.data["frames"][0]["metadata"] == {"dose_rate": 3, "is_gain_corrected": corrected}
    assert "frame_dose_rate" not in migrated.yaml.data["standardization_config"]
    assert any("is_gain_corrected" in change for change in migrated.changes)
    if literal:
        assert migrated.yaml.data["frames"][0]["sources"] == [{"literal": {"value": ["default"]}}]


def test_an_unknown_dose_rate_is_an_error_that_says_where(tmp_path: Path) -> None:
    config = _older("1.1.0", lambda config: config["frames"][0].pop("metadata"))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    with pytest.raises(ConfigError, match="dose_rate"):
        load_config(tmp_path / "c.yaml")


def test_frames_stay_as_they_are_without_a_dose_rate_and_without_mdoc() -> None:
    def change(config: dict[str, Any]) -> None:
        del config["collection_metadata"]
        del config["frames"][0]["metadata"]

    assert "metadata" not in _of(_older("1.1.0", change)).yaml.data["frames"][0]


def test_ingest_ids_count_per_name_and_never_collide() -> None:
    names = ["Membrane", "membrane", "", "Ribosome 80S!", "membrane", "membrane"]
    given = [None, "membrane-1", None, None, "other", None]
    annotations = [
        {"metadata": {"annotation_object": {"name": name}, **({"annotation_ingest_id": own} if own else {})}}
        for name, own in zip(names, given, strict=True)
    ]
    data = _of({"version": "1.2.0", "annotations": annotations}).yaml.data
    ids = [entry["metadata"]["annotation_ingest_id"] for entry in data["annotations"]]
    assert ids == ["membrane-2", "membrane-1", "unknown-1", "ribosome-80s-1", "other", "membrane-5"]
    assert slug("--A  b/c--") == "a-b-c"


_JUNK = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab{}", max_size=3) | st.just([]) | st.just({})


@st.composite
def _damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A config of some version in which some values are not what they should be."""
    config = draw(st.sampled_from([yaml.safe_load(OLDEST), sample_config()]))
    config = copy.deepcopy(config)
    if "dataset" not in config:
        config["version"] = draw(st.sampled_from((*OLDER_VERSIONS, CURRENT_VERSION)))
    for _ in range(draw(st.integers(0, 4))):
        here: Any = config
        for _ in range(draw(st.integers(0, 5))):
            keys = [
                key
                for key in (here if isinstance(here, dict) else range(len(here)))
                if isinstance(here[key], dict | list) and here[key]
            ]
            if not keys:
                break
            here = here[draw(st.sampled_from(keys))]
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = draw(st.sampled_from(keys))
        if isinstance(here, dict) and draw(st.booleans()):
            del here[key]
        else:
            here[key] = draw(_JUNK)
        if not config:
            break
    return config


@given(_damaged())
def test_upgrading_twice_is_upgrading_once_whatever_the_config(data: dict[str, Any]) -> None:
    try:
        once = _of(data)
    except ConfigError:
        return
    if version_of(data) in OLDER_VERSIONS:
        assert once.yaml.data["version"] == CURRENT_VERSION
        for path, line in once.yaml.lines.items():
            assert line >= 1, path
    again = migrate(once.yaml)
    assert again.yaml is once.yaml
    assert not again.changes


@given(_damaged())
def test_a_config_of_today_is_left_alone(data: dict[str, Any]) -> None:
    data["version"] = CURRENT_VERSION
    yaml_before = load_yaml(yaml.safe_dump(data, sort_keys=False), "c.yaml")
    assert migrate(yaml_before).yaml is yaml_before


def test_every_step_of_a_config_in_todays_shape_changes_nothing_but_the_version() -> None:
    for version in OLDER_VERSIONS:
        config = _older(version)
        migrated = _of(config)
        assert migrated.yaml.data | {"version": version} == config, version


@pytest.mark.real_data
def test_the_public_portals_older_configs_keep_what_they_say(real_configs: Path) -> None:
    versions = {}
    for path in sorted(real_configs.rglob("*.yaml")):
        before = load_yaml(path.read_bytes(), path.name)
        after = migrate(before)
        versions[after.version] = versions.get(after.version, 0) + 1
        if after.version in OLDER_VERSIONS:
            assert after.yaml.data | {"version": after.version} == before.data
            assert after.yaml.lines == before.lines
    assert {"1.0.0", "1.1.0", CURRENT_VERSION} <= set(versions)


# The same for the text: `upgrade_config`


def test_what_moves_takes_its_comments_along() -> None:
    text = OLDEST.replace("  sample_preparation", "  # by hand\n  sample_preparation")
    text = text.replace("pixel_spacing: 3.37", "pixel_spacing: 3.37  # calibrated")
    upgraded = upgrade_config(text.encode(), "c.yaml")
    assert upgraded.version == "0.0.0"
    assert "# by hand" in upgraded.text
    assert re.search(r"pixel_spacing: 3\.37 +# calibrated", upgraded.text)
    assert upgraded.text.startswith("version: 1.3.0\n")
    assert load_yaml(upgraded.text, "c.yaml").data == migrate(load_yaml(text, "c.yaml")).yaml.data


@given(_damaged(), st.booleans())
def test_the_text_holds_the_migrated_data_and_is_upgraded_once(data: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=flow or None)
    try:
        upgraded = upgrade_config(text.encode(), "c.yaml")
    except ConfigError:
        return
    assert load_yaml(upgraded.text, "c.yaml").data == migrate(load_yaml(text, "c.yaml")).yaml.data
    assert upgrade_config(upgraded.text.encode(), "c.yaml").text == upgraded.text


@pytest.mark.real_data
def test_of_the_public_portals_configs_only_the_version_line_changes(real_configs: Path) -> None:
    changed = 0
    for path in sorted(real_configs.rglob("*.yaml")):
        before = path.read_text()
        after = upgrade_config(before.encode(), path.name)
        lines = [line for line in difflib.ndiff(before.splitlines(), after.text.splitlines()) if line[0] in "+-"]
        if after.version != CURRENT_VERSION:
            changed += 1
            assert lines == [f"- version: {after.version}", f"+ version: {CURRENT_VERSION}"], path
        else:
            assert not lines
    assert changed >= 6
