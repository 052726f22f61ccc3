"""The JSON Schema files, with the ``jsonschema`` package as a second opinion on what is valid."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from tomoportal.model import KINDS, validate_document

jsonschema = pytest.importorskip("jsonschema")

Maker = Callable[[str], dict[str, Any]]


def validator(name: str) -> Any:
    schema = json.loads(files("tomoportal.model.generated").joinpath(f"json_schema/{name}.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_valid(document: Maker, kind: str) -> None:
    assert list(validator(f"{kind}_metadata").iter_errors(document(kind))) == []


@pytest.mark.parametrize("kind", KINDS)
def test_both_refuse_the_same_changes(document: Maker, kind: str) -> None:
    check = validator(f"{kind}_metadata")
    for key, value in document(kind).items():
        for wrong in (None, "x{y}", -7, 0.5, True, [], [None], {}, {"z": 1}):
            data = document(kind) | {key: wrong}
            ours = [problem for problem in validate_document(kind, data) if "inverted" not in problem.what]
            if isinstance(value, dict | list) and isinstance(wrong, type(value)):
                continue  # the form inside is compared below
            assert bool(ours) == bool(list(check.iter_errors(data))), (key, wrong)
        without = {name: kept for name, kept in document(kind).items() if name != key}
        assert bool(validate_document(kind, without)) == bool(list(check.iter_errors(without))), key


def test_both_refuse_wrong_parts(document: Maker) -> None:
    check = validator("tiltseries_metadata")
    for part in ("camera", "tilt_range", "size"):
        for key in document("tiltseries")[part]:
            for wrong in (None, "x", -7, 0.5, True):
                data = document("tiltseries")
                data[part][key] = wrong
                assert bool(validate_document("tiltseries", data)) == bool(list(check.iter_errors(data))), (
                    part,
                    key,
                    wrong,
                )


def test_config(config: dict[str, Any]) -> None:
    check = validator("ingestion_config")
    plain = json.loads(json.dumps(config, default=str))  # YAML dates become texts
    assert list(check.iter_errors(plain)) == []
    plain["tomograms"][0]["metadata"]["voxel_spacing"] = "{spacing}"
    error = jsonschema.exceptions.best_match(check.iter_errors(plain))
    assert list(error.absolute_path)[:4] == ["tomograms", 0, "metadata", "voxel_spacing"]


@pytest.mark.real_data
def test_real_configs(real_configs: Path) -> None:
    check = validator("ingestion_config")
    for path in sorted(real_configs.glob("104*.yaml")):
        data = json.loads(json.dumps(yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader), default=str))
        assert [error.message for error in check.iter_errors(data)] == [], path.name
