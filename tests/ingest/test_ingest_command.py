"""The commands as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tomoportal.cli.ingest import command


def _run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(command, list(arguments), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), result.stdout, result.stderr


def test_plan_then_ingest_then_nothing_to_do(raw: Path, tmp_path: Path) -> None:
    config, archive = str(raw / "config.yaml"), str(tmp_path / "archive")
    code, shown, _ = _run(config, "--archive", archive, "--plan")
    assert code == 0
    assert "create" in shown
    assert not Path(archive).exists()
    code, shown, _ = _run(config, "--archive", archive, "--plan", "--json")
    plan = json.loads(shown)
    assert plan["counts"] == {"create": 38, "replace": 0, "skip": 0, "reference": 0}
    assert plan["items"][0]["document"] == "depositions_metadata/10301/deposition_metadata.json"
    code, shown, told = _run(config, "--archive", archive, "--jobs", "1")
    assert code == 0
    assert "created" in shown
    assert "does not hold the label 2" in told
    code, shown, _ = _run(config, "--archive", archive, "--jobs", "1", "--json")
    assert json.loads(shown)["counts"]["skipped"] == 37


def test_a_failure_is_told_and_the_exit_code_says_so(raw: Path, tmp_path: Path) -> None:
    (raw / "stacks" / "TS_01.rawtlt").write_text("no angles\n")
    code, shown, told = _run(str(raw / "config.yaml"), "--archive", str(tmp_path / "archive"), "--jobs", "1")
    assert code == 1
    assert "stacks/TS_01.rawtlt:1" in told
    assert "not attempted" in shown


def test_an_error_of_a_run_in_the_plan_gives_exit_code_1(raw: Path, tmp_path: Path) -> None:
    (raw / "stacks" / "TS_01.mdoc").unlink()
    arguments = (str(raw / "config.yaml"), "--archive", str(tmp_path / "archive"))
    assert _run(*arguments, "--plan")[0] == 1
    code, _, told = _run(*arguments, "--jobs", "1")
    assert code == 1
    assert "no mdoc" in told
    assert (tmp_path / "archive/10001/TS_02/run_metadata.json").exists()
    assert not (tmp_path / "archive/10001/TS_01").exists()


def test_source_replaces_the_configs_folder(raw: Path, tmp_path: Path) -> None:
    config = tmp_path / "elsewhere.yaml"
    (raw / "config.yaml").rename(config)
    code, shown, _ = _run(str(config), "--archive", str(tmp_path / "archive"), "--source", str(raw), "--plan", "--json")
    assert code == 0
    assert json.loads(shown)["counts"]["create"] == 38


@pytest.mark.slow
def test_the_installed_command_lists_all_problems(raw: Path, tmp_path: Path) -> None:
    text = (raw / "config.yaml").read_text()
    (raw / "config.yaml").write_text(
        text.replace("is_aligned:", "is_alined:").replace("dose_rate: 1.881", "dose_rate: -1")
    )
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "tomoportal",
            "ingest",
            str(raw / "config.yaml"),
            "--archive",
            str(tmp_path / "archive"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "is_alined" in result.stderr
    assert "dose_rate" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "archive").exists()
