"""copick-mcp, which lets a language model look at projects: its tools answer on ours what they answer on upstream's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).with_name("plugin_scripts")))

from plugin_project import make_project

SCRIPT = Path(__file__).with_name("plugin_scripts") / "language_model_tools.py"


def calls(config: str) -> list[tuple[str, dict[str, Any]]]:
    project = {"config_path": config}
    run = {**project, "run_name": "TS_001"}
    validated = (
        f"copick convert picks2seg -c {config} -i a:b/c -o d:e/f@10",
        "copick convert picks2seg --nope",
        f"copick add tomogram -c {config} x.mrc",
        f"copick add picks -c {config} x.star --object-name ribosome --session-id 1",
        f"copick sync picks -c {config} --target-config {config}",
        "copick nothing",
        "else",
    )
    described = ("convert.picks2seg", "add.picks", "config.dataportal", "browse", "nothing.at-all", "a.b.c")
    return [
        ("list_runs", project),
        ("get_run_details", run),
        ("get_run_details", {**project, "run_name": "nope"}),
        ("list_objects", project),
        ("list_tomograms", {**run, "voxel_spacing": 10.0}),
        ("list_tomograms", {**run, "voxel_spacing": 11.0}),
        ("list_picks", run),
        ("list_picks", {**run, "object_name": "ribosome", "user_id": "ada"}),
        ("list_picks", {**run, "object_name": "nothing"}),
        ("list_segmentations", run),
        ("list_segmentations", {**run, "is_multilabel": True, "voxel_size": 10.0}),
        ("list_voxel_spacings", run),
        ("list_meshes", run),
        ("get_project_info", project),
        ("get_json_config", project),
        ("get_nnunet_workflow_info", {}),
        *(("validate_copick_cli_command", {"command_string": each}) for each in validated),
        *(("get_copick_cli_command_info", {"command_path": each}) for each in described),
        ("list_copick_cli_commands", {}),
    ]


@pytest.mark.slow
def test_tools_answer_what_they_answer_on_upstream(tmp_path: Path, make_config: Any, plugins: Any) -> None:
    make_project(tmp_path, make_config)
    asked = calls(str(tmp_path / "copick_config.json"))
    ours, theirs = (
        plugins(
            SCRIPT.read_text(),
            json.dumps(asked),
            TOMOPORTAL_AS_COPICK=flag,
            HOME=str(tmp_path),
        )
        for flag in ("1", "")
    )
    assert ours[0].startswith("tomoportal")
    assert theirs[0].startswith("copick")
    assert ours[1] == theirs[1] == sorted({name for name, _ in asked})
    assert len(ours[1]) == 14
    *mine, commands = ours[2]
    *others, known = theirs[2]
    for call, answer, other in zip(asked, mine, others, strict=False):
        assert answer == other, call
    for group, listed in known["commands"].items():
        here = {each["name"]: each for each in commands["commands"][group]}
        missing = [each["name"] for each in listed if each["name"] not in here]
        assert not missing, group
        for each in listed:
            below = {command["name"] for command in here[each["name"]].get("subcommands", [])}
            assert {command["name"] for command in each.get("subcommands", [])} <= below, each["name"]


@pytest.mark.slow
def test_the_program_that_a_language_model_s_client_is_set_up_by(tmp_path: Path, plugin_programs: Path) -> None:
    """``copick setup mcp-status`` comes from the plug-in's entry point."""
    done = subprocess.run(
        [str(plugin_programs / "tomoportal"), "copick", "setup", "--help"], capture_output=True, text=True, check=True
    )
    assert "mcp-status" in done.stdout
