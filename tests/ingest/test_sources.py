"""Where raw files come from: a folder that is not there is said before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tomoportal.cli import cli
from tomoportal.errors import ConfigError, TomoportalError
from tomoportal.ingest import load_config, open_source
from tomoportal.testing.sources import sample_config

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]


@pytest.mark.parametrize("absolute", [False, True])
def test_a_source_folder_that_does_not_exist_is_named_before_anything_is_written(
    raw: Path, edit: Edit, tmp_path: Path, absolute: bool
) -> None:
    prefix = str(tmp_path / "nowhere") if absolute else "nowhere"
    config = edit(raw, lambda c: c["standardization_config"].update(source_prefix=prefix))
    archive = tmp_path / "archive"
    with pytest.raises(ConfigError) as caught:
        cli.main(["ingest", str(config), "--archive", str(archive)], standalone_mode=False)
    (problem,) = caught.value.problems
    assert problem.where.startswith("config.yaml:")
    assert "standardization_config.source_prefix" in problem.where
    assert "nowhere" in problem.what
    assert "does not exist" in problem.what
    assert problem.fix
    assert "--source-root" in problem.fix or absolute
    assert not archive.exists()


def test_a_file_is_no_source_folder(raw: Path) -> None:
    with pytest.raises(ConfigError, match=r"particles\.star"):
        open_source(raw, "particles.star")


def test_a_prefix_in_a_bucket_or_in_memory_that_holds_nothing_is_named() -> None:
    with pytest.raises(TomoportalError, match="nowhere"):
        open_source("memory://", "nowhere")


def test_a_prefix_that_leaves_the_root_names_the_option_of_both_commands(raw: Path, edit: Edit) -> None:
    config = edit(raw, lambda c: c["standardization_config"].update(source_prefix="../elsewhere"))
    with pytest.raises(ConfigError) as caught:
        open_source(raw, load_config(config).source_prefix)
    fix = caught.value.problems[0].fix or ""
    assert "--source " in fix.replace(",", " ").replace(")", " ")
    assert "--source-root" in fix


def test_the_sample_is_free_of_such_problems(raw: Path) -> None:
    assert open_source(raw, sample_config()["standardization_config"]["source_prefix"]).prefix == ""
