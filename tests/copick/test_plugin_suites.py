"""The tests that released plug-ins carry in their source distributions pass on ours.

They are fetched when the test runs; none of their code is kept here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.errors import MissingPartError
from tomoportal.testing.environments import Environment, not_testable

sys.path.insert(0, str(Path(__file__).with_name("plugin_scripts")))

from plugin_project import make_project

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "copick-plugins.txt"
RECORDER = Path(__file__).with_name("upstream_suite")
# What fails on upstream's package as well, and why.
KNOWN = {
    "copick_shared_ui": {
        "test_browser_selection_signal_and_mirroring": "takes QItemSelectionModel.Select, which PySide6 6.12 has not"
    },
    "copick_torch": {
        "TestCopickDataPortalDistribution::test_pickable_object_distribution": "reads the public portal",
        "TestIntegration::test_dataset_with_real_data": "makes a batch of labels that hold None",
    },
}


def unpacked_tests(python: Path, name: str, version: str) -> Path:
    """The folder of a package's own tests, in the folder of the environment."""
    try:
        return Environment(python.parent.parent, REQUIREMENTS).sources(name, version) / "tests"
    except MissingPartError as error:
        not_testable(str(error))


def check(python: Path, name: str, version: str, least: int, folder: Path, **variables: str) -> None:
    """Run them all on ours."""
    record = folder / "record"
    command = [python, "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "copick_recorder"]
    tests = unpacked_tests(python, name, version)
    command += ["-o", "addopts=", "--import-mode=importlib", "--basetemp", folder / "t", "--rootdir", tests, tests]
    known = {key: value for key, value in os.environ.items() if not key.startswith(("COPICK", "PYTEST", "TOMO"))}
    ours = {"TOMOPORTAL_AS_COPICK": "1", "COPICK_SUITE_RECORD": str(record), "PYTHONPATH": str(RECORDER)}
    more = {"HOME": str(folder), "QT_QPA_PLATFORM": "offscreen", **variables}
    done = subprocess.run(command, capture_output=True, text=True, env={**known, **ours, **more}, cwd=folder)
    assert done.returncode in (0, 1), done.stdout[-3000:]
    package, *outcomes = map(json.loads, record.read_text().splitlines())
    assert package == {"package": "tomoportal"}
    failed = {each["test"]: each["reason"] for each in outcomes if each["outcome"] != "passed"}
    assert set(failed) == set(KNOWN.get(name, {})), "\n".join(f"{test}: {why[-1500:]}" for test, why in failed.items())
    assert len(outcomes) >= least


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "version", "least"), [("copick_utils", "1.10.2", 86), ("copick_shared_ui", "0.8.1", 64)]
)
def test_their_own_tests_pass_on_ours(
    name: str, version: str, least: int, plugin_programs: Path, tmp_path: Path
) -> None:
    check(plugin_programs / "python", name, version, least, tmp_path)


@pytest.mark.slow
def test_those_of_copick_torch_pass_on_ours(torch_plugins: Any, tmp_path: Path, make_config: Any) -> None:
    """Its integration tests take a project of ours instead of one on the public portal."""
    make_project(tmp_path, make_config)
    picks = copick.from_file(tmp_path / "copick_config.json").get_run("TS_001").new_picks("ribosome", "0", "tool")
    picks.from_numpy(np.linspace([100, 120, 140], [500, 480, 460], 9))
    python = Path(torch_plugins("import json, sys; print(json.dumps(sys.executable))"))
    config = str(tmp_path / "copick_config.json")
    check(python, "copick_torch", "1.2.1", 78, tmp_path, COPICK_TEST_CONFIG=config, TZ="UTC")
