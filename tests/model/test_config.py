"""Ingestion configs: their form, and every rule with a config that keeps it and one that breaks it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoportal.errors import ConfigError
from tomoportal.model import canonical_config, check_config, validate_config
from tomoportal.model.generated import config as classes
from tomoportal.model.rules import portal, raw

Config = dict[str, Any]

REMOVED = object()


def change(data: Config, path: str, value: object) -> Config:
    """Set, or remove, the value at ``a.b.0.c``; ``value`` may be a function of the old one."""
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target: Any = data
    for part in way:
        target = target[part]
    if value is REMOVED:
        del target[last]
    else:
        target[last] = value
    return data


def found(data: Config) -> list[tuple[str, str]]:
    return [(problem.where, problem.what) for problem in validate_config(data)]


def test_the_example_has_no_problems(config: Config) -> None:
    checked = check_config(config)
    assert checked.errors == ()
    assert checked.warnings == ()


def test_it_is_its_own_canonical_form_but_for_spellings(config: Config) -> None:
    config["datasets"][0]["metadata"]["authors"][0]["ORCID"] = "https://orcid.org/0000-0002-1825-0097"
    canonical = canonical_config(config)
    assert list(canonical) == list(config)
    assert list(canonical["tomograms"][0]["metadata"]) == list(config["tomograms"][0]["metadata"])
    assert canonical["datasets"][0]["metadata"]["authors"][0]["ORCID"] == "0000-0002-1825-0097"
    assert canonical["tomograms"][0]["metadata"]["fiducial_alignment_status"] == "FIDUCIAL"
    assert isinstance(config["datasets"][0]["metadata"]["dates"]["deposition_date"], datetime.date)
    assert canonical["datasets"][0]["metadata"]["dates"]["deposition_date"] == "2024-01-31"
    assert validate_config(canonical) == []
    assert canonical_config(canonical) == canonical


def test_no_canonical_form_of_a_wrong_config() -> None:
    with pytest.raises(ConfigError, match="is not a known key"):
        canonical_config({"versoin": "1.3.0"})


def test_sources_survive_validation(config: Config) -> None:
    """F74: a validated config still has everything."""
    container = classes.Container.model_validate(config)
    dumped = container.model_dump(exclude_unset=True)
    assert dumped["runs"] == config["runs"]
    assert dumped["voxel_spacings"][0]["sources"][0]["literal"]["value"] == ["float {spacing}", 13.48]
    assert dumped["annotations"][0]["sources"][1] == config["annotations"][0]["sources"][1]
    assert dumped["frames"][0]["metadata"]["dose_rate"] == "float {dose}"


@pytest.mark.parametrize(
    ("path", "value", "where", "what"),
    [
        ("version", REMOVED, "version", "is missing"),
        ("version", 1.3, "version", "must be a text; found 1.3"),
        ("runs", [], "runs", "must have at least 1 entry, but is empty"),
        ("overrides", [], "overrides", "is not a known key"),
        ("standardization_config.deposition_id", "10300", "standardization_config.deposition_id",
         "must be a whole number of at least 0; found '10300'"),
        ("standardization_config.run_glob", "*", "standardization_config.run_glob", "is not a known key"),
        ("tomograms.0.metadata.voxel_spacing", "{spacing}", "tomograms[0].metadata.voxel_spacing",
         "must be a number of at least 0.001 (Å/voxel) or a placeholder such as float {column}; found '{spacing}'"),
        ("tomograms.0.metadata.processing", "{how}", "tomograms[0].metadata.processing",
         "must be one of denoised, filtered, raw; found '{how}'"),
        ("tomograms.0.metadata.fiducial_alignment_status", "yes", "tomograms[0].metadata.fiducial_alignment_status",
         "must be one of FIDUCIAL, NON_FIDUCIAL or a placeholder such as {column}; found 'yes'"),
        ("tiltseries.0.metadata.tilt_series_quality", "float {q}", "tiltseries[0].metadata.tilt_series_quality",
         "must be a whole number from 1 to 5 or a placeholder such as int {column}; found 'float {q}'"),
        ("tiltseries.0.metadata.camera.model", "K4", "tiltseries[0].metadata.camera.model",
         "must be one of FALCON IV, FALCON 4i, K2, K2 SUMMIT, K3, K3 BIOQUANTUM, UltraCam, UltraScan, simulated or "
         "a placeholder such as {column}; found 'K4'"),
        ("runs.0.sources.0.source_glob.list_globs", ["*"], "runs[0].sources[0].source_glob.list_globs",
         "is not a known key"),
        ("voxel_spacings.0.sources.0.literal.value.1", "13.48", "voxel_spacings[0].sources[0].literal.value[1]",
         "must be a number of at least 0.001 (Å) or a placeholder such as float {column}; found '13.48'"),
        ("dataset_keyphotos.0.sources.0.literal.value.snapshot", "ftp://h/a",
         "dataset_keyphotos[0].sources[0].literal.value.snapshot",
         "must be an address such as https://example.org/photo.png; found 'ftp://h/a'"),
        ("annotations.0.sources.0.Point.file_format", "star", "annotations[0].sources[0].Point.file_format",
         "must be one of csv, csv_with_header, tsv, mod, relion3_star, relion4_star, tomoman_relion_star, copick, "
         "stopgap_star, relion5_star, warp_star, dynamo, motivelist, cbox, coords, box, eman2, pytom, deepfinder, "
         "ndjson; found 'star'"),
        ("annotations.0.sources.0.Point.order", "xyz", "annotations[0].sources[0].Point.order", "is not a known key"),
        ("annotations.0.metadata", REMOVED, "annotations[0].metadata", "is missing"),
        ("annotations.0.sources.1.parent_filters.include.tomogram", ["x"],
         "annotations[0].sources[1].parent_filters.include.tomogram", "is not a known key"),
        ("datasets.0.sources.0.parent_filters", {"include": {"run": ["x"]}},
         "datasets[0].sources[0].parent_filters.include.run", "is not a known key"),
        ("runs.0.sources.0.destination_filter", {"filters": [{"key": ["a"], "value": 1}]},
         "runs[0].sources[0].destination_filter", "is not a known key"),
        ("alignments.0.metadata.format", "RELION", "alignments[0].metadata.format",
         "must be one of IMOD, ARETOMO3; found 'RELION'"),
        ("datasets.0.metadata.cell_strain.id", "CVCL0030", "datasets[0].metadata.cell_strain.id",
         "must be a WormBase strain such as WBStrain00000001, an NCBI taxon such as NCBITaxon:559292, a Cellosaurus id "
         "such as CVCL_0030, a CC strain such as CC-1010 or the word not_reported; found 'CVCL0030'"),
    ],
)  # fmt: skip
def test_one_wrong_value_is_one_problem(config: Config, path: str, value: object, where: str, what: str) -> None:
    problems = found(change(config, path, value))
    assert (where, what) in problems
    assert len(problems) == (2 if path.endswith("destination_filter") else 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("annotations", None),
        ("annotations", []),
        ("datasets.0.metadata", REMOVED),
        ("datasets.0.sources", [{"source_glob": {"list_glob": "10???", "match_regex": "(10014|10015)$"}}]),
        ("voxel_spacings.0.sources.0", {"tomogram_header": {"list_glob": "*.mrc", "header_key": "voxel_size"}}),
        ("tomograms.0.sources.0", {"destination_filter": {"filters": [{"key": ["camera", "model"], "value": "K3"}]}}),
        ("tiltseries.0.metadata.tilt_range", {"min": -60, "max": "int {tmax}"}),
        ("annotations.0.metadata.annotation_object.id", "PDB-6DRV"),
        ("tomograms.0.metadata.fiducial_alignment_status", "{status}"),
        ("tomograms.0.metadata.fiducial_alignment_status", "False"),
        ("standardization_config.source_prefix", "s3://bucket/prefix"),
        ("annotations.1.sources.3.TriangularMeshGroup", {"file_format": "hff", "glob_string": "a", "name": "m"}),
        ("annotations.0.sources.0.Point.file_format", "tsv"),
        ("tiltseries.0.sources.0.parent_filters", {"exclude": {"run": ["bad$"]}}),
    ],
)
def test_still_valid(config: Config, path: str, value: object) -> None:
    assert found(change(config, path, value)) == []


# ---- Rules: (path, value, place of the problem, words in it); the unchanged example keeps all of them ----------------

_SOURCES = "annotations.0.sources"
RULES: list[tuple[int | str, str, object, str, str]] = [
    (1, "datasets.0.metadata.authors", [{"name": "A", "primary_author_status": True}],
     "datasets[0].metadata.authors", "no corresponding author is named"),
    (1, "tomograms.0.metadata.authors.0.primary_author_status", False,
     "tomograms[0].metadata.authors", "no primary author is named"),
    (2, "datasets.0.metadata.dates.release_date", "2024-01-30", "datasets[0].metadata.dates.release_date",
     "release date 2024-01-30 is before deposition date 2024-01-31"),
    (2, "annotations.0.metadata.dates.release_date", datetime.date(2023, 1, 1),
     "annotations[0].metadata.dates.release_date", "is before deposition date"),
    (3, "runs.0.sources.0.literal", {"value": ["a"]}, "runs[0].sources[0]", "has 2 finders: source_glob, literal"),
    (3, "runs.0.sources.0.source_glob", REMOVED, "runs[0].sources[0]", "exclude without a finder"),
    (3, "tiltseries.0.sources.0", {"parent_filters": {"include": {"run": ["a"]}}}, "tiltseries[0].sources[0]",
     "parent_filters without a finder"),
    (4, "datasets.0.sources.0.literal.value", [10000], "datasets[0].sources[0].literal.value[0]",
     "must be a text; found 10000"),
    (4, "depositions.0.sources.0.literal.value", ["10300"], "depositions[0].sources[0].literal.value[0]",
     "must be a whole number; found '10300'"),
    (4, "depositions.0.sources.0.literal.value", [True], "depositions[0].sources[0].literal.value[0]",
     "must be a whole number; found True"),
    (5, f"{_SOURCES}.0.OrientedPoint", {"file_format": "mod", "glob_string": "a"}, "annotations[0].sources[0]",
     "has 2 shapes: Point, OrientedPoint"),
    (5, f"{_SOURCES}.0.Point.glob_strings", ["a"], "annotations[0].sources[0].Point",
     "has both glob_string and glob_strings"),
    (5, f"{_SOURCES}.1.OrientedPoint", REMOVED, "annotations[0].sources[1]", "parent_filters without a shape"),
    (5, f"{_SOURCES}.2", {"Point": {"file_format": "csv", "glob_string": "b"}}, "annotations[0].sources[2]",
     "Point occurs a second time in this annotation without parent_filters"),
    (6, "annotations.0.metadata.method_type", "automated", "annotations[0].metadata.ground_truth_status",
     "an automated annotation cannot be ground truth"),
    (7, "annotations.0.metadata.confidence", {"precision": 90, "ground_truth_used": ""},
     "annotations[0].metadata.confidence", "precision without ground_truth_used"),
    (7, "annotations.0.metadata.confidence", {"precision": 90, "recall": 0}, "annotations[0].metadata.confidence",
     "precision and recall without ground_truth_used"),
    (8, "annotations.1.metadata.annotation_ingest_id", "ferritin-1", "annotations[1].metadata.annotation_ingest_id",
     "'ferritin-1' is the id of annotations[0].metadata already"),
    (9, "datasets.0.metadata.sample_type", "tissue", "datasets[0].metadata.tissue",
     "a sample of type tissue needs tissue.name and tissue.id"),
    (9, "datasets.0.metadata.sample_type", "organoid", "datasets[0].metadata.tissue", "a sample of type organoid"),
    (9, "datasets.0.metadata.sample_type", "primary_cell_culture", "datasets[0].metadata.cell_type", "cell_type.name"),
    (9, "datasets.0.metadata.sample_type", "virus", "datasets[0].metadata.cell_component", "cell_component.name"),
    (9, "datasets.0.metadata.cell_strain", None, "datasets[0].metadata.cell_strain", "a sample of type cell_line"),
    (10, "datasets.0.metadata.development_stage.name", "adult", "datasets[0].metadata.development_stage",
     "only one of name and id is unknown"),
    (10, "datasets.0.metadata.development_stage", {"name": "unknown"}, "datasets[0].metadata.development_stage",
     "only one of name and id is unknown"),
    (11, "frames.0.metadata.dose_rate", 0, "frames[0].metadata.dose_rate", "must be above 0 (e⁻/Å²/s); found 0"),
    (12, "tiltseries.0.metadata.tilt_range", {"min": 60, "max": -60}, "tiltseries[0].metadata.tilt_range",
     "min 60° is above max -60°"),
    (14, "frames", REMOVED, "frames", "is missing although there is collection_metadata"),
    (15, "collection_metadata", REMOVED, "collection_metadata", "is missing although there are tiltseries"),
    ("version", "version", "2.0.0", "version", "'2.0.0' is not a known version"),
    ("regex", "runs.0.sources.0.source_glob.match_regex", "(", "runs[0].sources[0].source_glob.match_regex",
     "'(' is not a regular expression"),
    ("regex", "runs.0.sources.0.source_glob.name_regex", "TS_.*", "runs[0].sources[0].source_glob.name_regex",
     "'TS_.*' has no group"),
    ("regex", "runs.0.sources.0.exclude", ["[a"], "runs[0].sources[0].exclude[0]", "is not a regular expression"),
    ("regex", f"{_SOURCES}.1.parent_filters.include.run", ["*"],
     "annotations[0].sources[1].parent_filters.include.run[0]", "is not a regular expression"),
    ("literal", "datasets.0.sources.0.literal.value", ["10000", "10000"], "datasets[0].sources[0].literal.value[1]",
     "dataset 10000 is named twice"),
    ("mask", f"{_SOURCES}.2.SemanticSegmentationMask.threshold", 0.5,
     "annotations[0].sources[2].SemanticSegmentationMask", "has both a threshold and a mask_label"),
    ("mesh", "annotations.1.sources.3.TriangularMeshGroup.mesh_name", REMOVED,
     "annotations[1].sources[3].TriangularMeshGroup", "names no mesh"),
    ("caption", "annotations.1.sources.5.AnnotationCaption.companion_shape", REMOVED,
     "annotations[1].sources[5].AnnotationCaption.companion_shape", "is missing"),
    ("matrix", "tomograms.0.metadata.affine_transformation_matrix", [[0, 0, 0, 0]] * 3 + [[0, 0, 0, 1]],
     "tomograms[0].metadata.affine_transformation_matrix", "the matrix cannot be inverted"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "value", "where", "words"), RULES)
def test_a_broken_rule(config: Config, rule: int | str, path: str, value: object, where: str, words: str) -> None:
    problems = validate_config(change(config, path, value))
    assert [problem.where for problem in problems] == [where]
    assert words in problems[0].what
    assert problems[0].fix


def test_every_rule_of_the_portal_is_tested() -> None:
    assert {rule for rule, *_ in RULES if isinstance(rule, int)} | {13} == set(range(1, 16))


KEPT: list[tuple[int | str, str, object]] = [
    (2, "datasets.0.metadata.dates.release_date", "2024-01-31"),
    (2, "tomograms.0.metadata.dates.release_date", "2020-01-01"),
    (5, f"{_SOURCES}.2",
     {"Point": {"file_format": "csv", "glob_string": "b"}, "parent_filters": {"include": {"dataset": ["10000"]}}}),
    (6, "annotations.0.metadata.method_type", "hybrid"),
    (7, "annotations.0.metadata.confidence", {"precision": 90, "ground_truth_used": "by hand"}),
    (7, "annotations.0.metadata.confidence", {}),
    (9, "datasets.0.metadata.sample_type", "in_silico"),
    (9, "datasets.0.metadata.cell_strain", {"name": "HeLa"}),
    (10, "datasets.0.metadata.development_stage", {"name": "adult", "id": "HsapDv:0000087"}),
    (10, "datasets.0.metadata.development_stage", {}),
    (11, "frames.0.metadata.dose_rate", 0.01),
    (12, "tiltseries.0.metadata.tilt_range", {"min": 0, "max": 0}),
    (12, "tiltseries.0.metadata.tilt_range", {"min": "float {a}", "max": -60}),
    ("mask", f"{_SOURCES}.2.SemanticSegmentationMask",
     {"file_format": "mrc", "glob_string": "a", "threshold": 0.5, "mask_label": 1}),
    ("matrix", "tomograms.0.metadata.affine_transformation_matrix",
     [[0, 1, 0, 5], [-1, 0, 0, 5], [0, 0, 1e-3, 0], [0, 0, 0, 1]]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "value"), KEPT)
def test_a_kept_rule(config: Config, rule: int | str, path: str, value: object) -> None:
    assert found(change(config, path, value)) == []


def test_rule_14_and_15_together(config: Config) -> None:
    for section in ("collection_metadata", "frames", "tiltseries"):
        del config[section]
    assert found(config) == []


def test_rule_15_exempts_the_dataset_that_the_portal_exempts(config: Config) -> None:
    del config["collection_metadata"]
    config["standardization_config"]["deposition_id"] = 10006
    assert found(change(config, "datasets.0.metadata.dataset_identifier", 10006)) == []


@pytest.mark.parametrize(
    ("path", "value", "where", "words"),
    [
        ("version", "1.1.0", "version", "1.1.0 is an older version"),
        ("tiltseries.0.metadata.camera.manufacturer", "TFS", "tiltseries[0].metadata.camera.model",
         "'K3' is not known as a camera of TFS"),
        ("tiltseries.0.metadata.camera.manufacturer", "simulated", "tiltseries[0].metadata.camera.model",
         "'K3' is not known as a camera of simulated"),  # F75: a list of one, not a text to look into
        ("alignments.0.sources.0.literal", {"value": ["a"]}, "alignments[0].sources[0]", "has 2 finders"),
        ("annotations.0.sources.0.Point.glob_string", REMOVED, "annotations[0].sources[0].Point", "finds no files"),
        ("annotations.0.metadata.annotation_ingest_id", "ferritin_1", "annotations[0].metadata.annotation_ingest_id",
         "is not of the usual form"),
        ("datasets.0.metadata.authors.0.ORCID", "0000-0002-1825-0098", "datasets[0].metadata.authors[0].ORCID",
         "has a wrong check digit"),
        ("datasets.0.metadata.cross_references", {"related_database_entries": "EMD-1234, EMPIAR-1"},
         "datasets[0].metadata.cross_references.related_database_entries", "EMPIAR-1 has not five digits"),
        ("tomograms.0.metadata.affine_transformation_matrix",
         [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [0, 0, 625, 1]],
         "tomograms[0].metadata.affine_transformation_matrix", "the last row must be 0 0 0 1; found 0 0 625 1"),
    ],
)  # fmt: skip
def test_warnings(config: Config, path: str, value: object, where: str, words: str) -> None:
    checked = check_config(change(config, path, value))
    assert checked.errors == ()
    assert [warning.where for warning in checked.warnings] == [where]
    assert words in checked.warnings[0].what
    assert checked.warnings[0].fix


def test_rule_13_skips_placeholders(config: Config) -> None:
    assert check_config(change(config, "tiltseries.0.metadata.camera.model", "{model}")).warnings == ()


@pytest.mark.parametrize("orcid", ["0000-0002-1825-0097", "0000-0001-5109-3700", "0000-0002-1694-233X"])
def test_check_digits_of_real_orcids(config: Config, orcid: str) -> None:
    assert check_config(change(config, "datasets.0.metadata.authors.0.ORCID", orcid)).warnings == ()


def test_lists_of_the_rules_agree_with_the_schema() -> None:
    fields = classes.Container.model_fields
    assert set(raw.SECTIONS) == set(fields) - {"version", "standardization_config"}
    assert set(raw.SHAPES) == set(classes.AnnotationSource.model_fields) - {"exclude", "parent_filters"}
    assert set(raw.FINDERS) == {
        name
        for cls in (classes.TomogramSource, classes.VoxelSpacingSource)
        for name in cls.model_fields
        if name not in raw.FILTERS
    }
    assert set(portal._CAMERAS) == set(get_args(classes.TiltseriesCameraManufacturer))
    assert portal._CAMERAS["Gatan"] == get_args(classes.TiltseriesGatanCameraModel)
    assert portal._CAMERAS["TFS"] == portal._CAMERAS["FEI"] == get_args(classes.TiltseriesFeiTfsCameraModel)
    assert portal._CAMERAS["simulated"] == get_args(classes.TiltseriesSimulatedCameraModel)


def test_section_classes_follow_one_scheme() -> None:
    prefixes = {name.removesuffix("Source") for name in classes.__all__ if name.endswith("Source")} - {"Standard"}
    assert len(prefixes) == 16
    for prefix in prefixes:
        assert f"{prefix}Entity" in classes.__all__
        if prefix != "Deposition":
            assert {f"{prefix}ParentFilters", f"{prefix}Parent"} <= set(classes.__all__)
            assert set(getattr(classes, f"{prefix}ParentFilters").model_fields) == {"include", "exclude"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _paths(value: object, path: str = "") -> list[str]:
    """Places inside a config, as ``change`` takes them."""
    pairs: list[tuple[object, object]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    found = [f"{path}{key}" for key, _ in pairs]
    return found + [deeper for key, inner in pairs for deeper in _paths(inner, f"{path}{key}.")]


def test_a_key_with_a_line_break_is_quoted(fresh_config: Callable[[], Config]) -> None:
    checked = check_config(change(fresh_config(), "standardization_config", {"a\nb": None}))
    assert [each.where for each in checked.errors if "known key" in each.what] == [r"standardization_config.'a\nb'"]


@given(data=st.data())
@settings(max_examples=150)
def test_no_value_breaks_the_checks(fresh_config: Callable[[], Config], data: st.DataObject) -> None:
    config = fresh_config()
    path = data.draw(st.sampled_from(_paths(config)))
    checked = check_config(change(config, path, data.draw(JSON | st.just(REMOVED))))
    for problem in (*checked.errors, *checked.warnings):
        assert problem.what
        assert "\n" not in str(problem)


@pytest.mark.parametrize("data", [None, [], "text", 3, {}, {"runs": 3}, {1: 2}])
def test_what_is_no_config_at_all(data: object) -> None:
    assert validate_config(data)


@pytest.mark.real_data
class TestRealConfigs:
    """Configs of the public portal, as they are, older versions included."""

    def test_all_of_them_are_valid(self, real_configs: Path) -> None:
        problems = {}
        versions: dict[str, int] = {}
        for path in sorted(real_configs.rglob("*.yaml")):
            if path.stem.endswith("_draft"):  # left out by the portal's validator as well: keys of no version
                continue
            data = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
            versions[data["version"]] = versions.get(data["version"], 0) + 1
            if errors := validate_config(data):
                problems[path.name] = [str(error) for error in errors]
        assert problems == {}
        assert versions == {"1.3.0": 98, "1.1.0": 3, "1.0.0": 3}

    def test_drafts_say_what_is_wrong(self, real_configs: Path) -> None:
        data = yaml.load((real_configs / "10311_draft.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
        assert {problem.what for problem in validate_config(data)} == {"is not a known key"}

    def test_their_canonical_form_changes_spellings_only(self, real_configs: Path) -> None:
        for path in sorted(real_configs.glob("*.yaml")):
            if path.stem.endswith("_draft"):
                continue
            data = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
            canonical = canonical_config(data)
            assert canonical_config(canonical) == canonical
            assert json.dumps(canonical).count(":") == json.dumps(data, default=str).count(":")
            assert validate_config(canonical) == []
