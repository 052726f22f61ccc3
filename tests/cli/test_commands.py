"""The commands as a user runs them: in a process of their own, looking at what they print and how they end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tomoportal.cli import COMMANDS
from tomoportal.testing.programs import Program

TOMOPORTAL = (sys.executable, "-m", "tomoportal")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TOMOPORTAL, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `tomoportal demo` has run."""
    folder = tmp_path_factory.mktemp("demo")
    done = run("demo", "--scale", "tiny", "--no-serve", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2 datasets, 2 runs" in done.stdout
    return folder


@pytest.fixture
def address(demo: Path) -> Iterator[str]:
    """The address at which `tomoportal up` serves that archive."""
    config = next((demo / "demo-archive-source").glob("*.yaml"))
    command = [*TOMOPORTAL, "up", config, "--archive", "demo-archive", "--port", "0"]
    with Program(command, cwd=demo) as program:
        yield re.sub("^at ", "", program.says(r"at http://\S+"))
        assert program.stop(signal.SIGINT) == 0


def test_the_demo_is_a_valid_archive(demo: Path) -> None:
    done = run("verify", "--archive", "demo-archive", "--json", cwd=demo)
    assert done.returncode == 0, done.stdout
    assert not [one for one in json.loads(done.stdout)["findings"] if one["severity"] == "error"]


def test_up_reuses_what_is_there_and_serves_it(address: str) -> None:
    question = json.dumps({"query": "{runs {name tomograms {edges {node {processing}}}}}"}).encode()
    request = urllib.request.Request(f"{address}/graphql", question, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        runs = json.load(answer)["data"]["runs"]
    assert len(runs) == 2
    assert all(len(run["tomograms"]["edges"]) == 2 for run in runs)


def test_a_second_index_changes_nothing(demo: Path) -> None:
    done = run("index", "--archive", "demo-archive", "--json", cwd=demo)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["read"] == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    done = run(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Usage:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nonsense",), 2, "No such command"),
        (("ingest",), 2, "Missing argument"),
        (("ingest", "no.yaml", "--archive", "a"), 2, "no.yaml"),
        (("serve", "--archive", "missing", "--port", "0"), 1, "missing"),
        (("index", "--archive", "missing"), 1, "missing"),
        (("verify", "--archive", "missing"), 1, "missing"),
        (("up", "--archive", "missing", "--no-serve"), 1, "missing"),
    ],
)
def test_a_wrong_call_says_why(arguments: tuple[str, ...], code: int, says: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
