"""Rules of a source that leave nothing over (`exclude`, `match_regex`, `parent_filters`) are named, never silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tomoportal.errors import ConfigError
from tomoportal.ingest import Plan

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Planner = Callable[..., Plan]


def _source(config: dict[str, Any], section: str) -> dict[str, Any]:
    source: dict[str, Any] = config[section][0]["sources"][0]
    return source


@pytest.mark.parametrize(
    ("section", "rule", "example"),
    [
        ("gains", "^CountRef_TS", "gains/CountRef_TS_01.mrc"),
        ("rawtilts", r".*rawtlt$", "stacks/TS_01.rawtlt"),
        ("frames", "TS", "frames/TS_01_000.tif"),
        ("annotations", r"TS_0\d", "points/TS_01.csv"),
        ("alignments", "stacks", "stacks/TS_01.tlt"),
    ],
)
def test_an_exclude_that_leaves_nothing_is_named(
    raw: Path, edit: Edit, plan_of: Planner, section: str, rule: str, example: str
) -> None:
    plan = plan_of(edit(raw, lambda c: _source(c, section).update(exclude=["^unlikely", rule])))
    assert not plan.ok
    (one,) = plan.unmatched
    assert section in one.where
    assert f"exclude `^unlikely, {rule}` left out all " in str(one)
    assert f"for example {example}" in str(one)
    assert plan.to_json()["unmatched"][0]["why"] == one.why


def test_an_exclude_that_leaves_nothing_for_one_run_is_a_notice(raw: Path, edit: Edit, plan_of: Planner) -> None:
    plan = plan_of(edit(raw, lambda c: _source(c, "gains").update(exclude=["CountRef_TS_01"])))
    assert plan.ok
    (one,) = plan.unmatched
    assert "nothing in 1 of 2 runs (10001/TS_01); exclude `CountRef_TS_01` left out the one" in str(one)


def test_an_exclude_that_leaves_something_says_nothing(raw: Path, edit: Edit, plan_of: Planner) -> None:
    assert not plan_of(edit(raw, lambda c: _source(c, "frames").update(exclude=[r".*_003\.tif"]))).unmatched


@pytest.mark.parametrize("section", ["depositions", "datasets", "runs", "voxel_spacings"])
def test_a_required_section_of_which_nothing_is_left_is_an_error(
    raw: Path, edit: Edit, plan_of: Planner, section: str
) -> None:  # F35
    with pytest.raises(ConfigError) as caught:
        plan_of(edit(raw, lambda c: _source(c, section).update(exclude=["."])))
    text = str(caught.value)
    assert "exclude `.` left out" in text
    assert section in text


@pytest.mark.parametrize(
    ("section", "filters", "count"),
    [
        ("gains", {"include": {"run": ["^TS_1"]}}, "none of 2 pass (10001/TS_01, 10001/TS_02)"),
        ("annotations", {"exclude": {"run": ["TS"]}}, "none of 2 pass (10001/TS_01, 10001/TS_02)"),
        ("tomograms", {"include": {"voxel_spacing": [r"10\.000"]}}, "none of 2 pass"),
        ("alignments", {"include": {"dataset": ["10002"]}}, "none of 2 pass"),
    ],
)
def test_parent_filters_that_let_nothing_pass_are_named(
    raw: Path, edit: Edit, plan_of: Planner, section: str, filters: dict[str, Any], count: str
) -> None:
    def change(config: dict[str, Any]) -> None:
        _source(config, section)["parent_filters"] = filters
        if section == "tomograms":  # so that the other one is left for pictures and alignments
            assert len(config["tomograms"]) == 2

    plan = plan_of(edit(raw, change))
    assert not plan.ok
    (one,) = plan.unmatched
    assert section in one.where
    assert f"its parent_filters let {count}" in str(one)


@pytest.mark.parametrize("section", ["datasets", "runs", "voxel_spacings"])
def test_parent_filters_that_bar_a_required_section_are_the_reason_of_the_error(
    raw: Path, edit: Edit, plan_of: Planner, section: str
) -> None:
    filters = {"include": {"deposition": ["^999"]}}
    with pytest.raises(ConfigError, match="parent_filters let none of") as caught:
        plan_of(edit(raw, lambda c: _source(c, section).update(parent_filters=filters)))
    assert section in str(caught.value)


@pytest.mark.parametrize(("rule", "passes"), [("^103", True), ("10301$", True), ("^3", False)])
def test_numbers_of_depositions_are_compared_as_text(
    raw: Path, edit: Edit, plan_of: Planner, rule: str, passes: bool
) -> None:  # F44
    filters = {"include": {"deposition": [rule]}, "exclude": {"deposition": ["^99"]}}
    plan = plan_of(edit(raw, lambda c: _source(c, "gains").update(parent_filters=filters)))
    assert any(item.kind == "gain" for item in plan.items) is passes
    assert plan.ok is passes


def test_key_photos_have_parent_filters_too(raw: Path, edit: Edit, plan_of: Planner) -> None:
    (raw / "one.png").write_bytes(b"\x89PNG")
    pictures = dict.fromkeys(("snapshot", "thumbnail"), "cryoetportal-rawdatasets-dev/one.png")
    filters = {"include": {"deposition": ["^999"]}}
    source = {"literal": {"value": pictures}, "parent_filters": filters}
    plan = plan_of(edit(raw, lambda c: c.update(dataset_keyphotos=[{"sources": [source]}])))
    assert not any("one.png" in item.sources for item in plan.items)
    (one,) = plan.unmatched
    assert "its parent_filters let none of 1 pass (10001)" in str(one)
