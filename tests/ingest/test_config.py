from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tomoportal.errors import ConfigError, NotFoundError
from tomoportal.ingest import load_config

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]


def _problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [str(problem) for problem in caught.value.problems]


def test_a_good_config_loads_without_a_word(raw: Path) -> None:
    config = load_config(raw / "config.yaml")
    assert config.deposition_id == 10301
    assert config.warnings == ()
    assert len(config.section("tomograms")) == 2
    assert config.section("ctfs") == []


def test_all_problems_of_a_config_are_told_at_once_with_their_lines(raw: Path) -> None:
    text = (raw / "config.yaml").read_text()
    text = text.replace("sample_type: cell_line", "sample_typ: cell_line").replace(
        "processing: raw", "processing: cooked", 1
    )
    text = text.replace("dose_rate: 1.881", "dose_rate: 1.881\n    dose_rate: 2.0")
    (raw / "config.yaml").write_text(text)
    lines = text.splitlines()
    found = _problems(raw / "config.yaml")
    for key, value in (
        ("sample_typ:", "sample_typ"),
        ("processing: cooked", "processing"),
        ("dose_rate: 2.0", "dose_rate"),
    ):
        number = next(index for index, line in enumerate(lines, 1) if key in line)
        assert any(problem.startswith(f"config.yaml:{number} (") and value in problem for problem in found), (
            key,
            found,
        )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda c: c["runs"][0]["sources"][0]["source_glob"].update(name_regex="("), "is not a regular expression"),
        (lambda c: c["runs"][0]["sources"][0]["source_glob"].update(name_regex="TS.*"), "has no group"),
        (lambda c: c["runs"][0]["sources"][0].update(exclude=["["]), "is not a regular expression"),
        (
            lambda c: c["gains"][0]["sources"][0].update(parent_filters={"include": {"run": ["*"]}}),
            "is not a regular expression",
        ),
    ],
)
def test_regular_expressions_are_checked_when_the_config_is_loaded(
    raw: Path, edit: Edit, change: Any, what: str
) -> None:
    (problem,) = _problems(edit(raw, change))
    assert what in problem
    assert problem.startswith("config.yaml:")


def test_older_versions_are_migrated_and_say_so(raw: Path, edit: Edit) -> None:
    def old(config: dict[str, Any]) -> None:
        config["version"] = "1.0.0"
        del config["annotations"][0]["metadata"]["annotation_ingest_id"]
        config["standardization_config"]["frame_dose_rate"] = 2

    config = load_config(edit(raw, old))
    (warning,) = (one for one in config.warnings if "migrated" in one.what)
    assert warning.where.startswith("config.yaml:1 ")
    assert "version 1.0.0" in warning.what
    assert "1 annotations got an annotation_ingest_id" in warning.what
    assert config.data["version"] == "1.3.0"
    assert config.section("annotations")[0]["metadata"]["annotation_ingest_id"]


def test_the_plan_of_a_migrated_config_says_so(raw: Path, edit: Edit, plan_of: Callable[..., Any]) -> None:
    plan = plan_of(edit(raw, lambda config: config.update(version="1.2.0")))
    assert any("migrated to 1.3.0" in one.what for one in plan.warnings)
    assert plan.items


def test_an_unknown_version_is_refused(raw: Path, edit: Edit) -> None:
    assert any("version" in problem for problem in _problems(edit(raw, lambda c: c.update(version="9.9"))))


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text\n", ""])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert _problems(tmp_path / "c.yaml")


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_config(tmp_path / "nothing.yaml")


def test_unquoted_dates_and_orcid_links_become_canonical(raw: Path) -> None:
    text = (raw / "config.yaml").read_text()
    text = text.replace("'2023-06-01'", "2023-06-01").replace(
        "0000-0002-1825-0097", "https://orcid.org/0000-0002-1825-0097"
    )
    (raw / "config.yaml").write_text(text)
    metadata = load_config(raw / "config.yaml").section("datasets")[0]["metadata"]
    assert metadata["dates"]["last_modified_date"] == "2023-06-01"
    assert metadata["authors"][0]["ORCID"] == "0000-0002-1825-0097"


def test_every_section_and_shape_is_ingested(raw: Path, edit: Edit) -> None:
    def change(config: dict[str, Any]) -> None:
        config["key_images"] = [{"sources": [{"source_glob": {"list_glob": "x"}}]}]
        source = {"TriangularMesh": {"file_format": "ply", "glob_string": "x.ply"}}
        config["annotations"][0]["sources"].append(source)
        mask = {"InstanceSegmentationMask": {"file_format": "mrc", "glob_string": "x.mrc", "rescale": True}}
        config["annotations"][1]["sources"].append(mask)

    warnings = [str(warning) for warning in load_config(edit(raw, change)).warnings]
    assert not [warning for warning in warnings if "not ingested" in warning]


@pytest.mark.real_data
def test_the_public_portals_configs_load(real_configs: Path) -> None:
    paths = sorted(path for path in real_configs.rglob("*.yaml") if not path.stem.endswith("_draft"))
    assert len(paths) > 100
    for path in paths:
        config = load_config(path)
        assert config.data["version"] == "1.3.0"
        assert not [warning for warning in config.warnings if "not a regular expression" in warning.what]


@pytest.mark.real_data
def test_a_draft_with_unknown_keys_is_refused_by_their_names(real_configs: Path) -> None:
    problems = _problems(real_configs / "10311_draft.yaml")
    assert {problem.split("(")[1].split(")")[0].rpartition(".")[2] for problem in problems} == {
        "offset",
        "is_portal_standard",
        "is_standardized",
    }
    assert all(re.match(r"10311_draft\.yaml:\d+ ", problem) for problem in problems)
