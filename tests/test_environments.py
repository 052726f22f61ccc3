"""Environments for oracles: an index that fails is asked again, and what cannot be tested is said, or fails in CI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tomoportal.testing import environments
from tomoportal.testing.environments import Environment

_PYTHON = """#!/bin/sh
echo "$PIP_CONSTRAINT $*" >> calls
test "$(wc -l < calls)" -ge {works_at} && echo done && exit
echo "no answer" >&2
exit 1
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environments, "_PAUSES", (0.0, 0.0))
    return Environment(tmp_path / "made", tmp_path / "list.txt")


def _python(environment: Environment, works_at: int) -> None:
    environment.programs.mkdir(parents=True)
    python = environment.programs / "python"
    python.write_text(_PYTHON.format(works_at=works_at))
    python.chmod(0o755)


def test_an_index_that_fails_is_asked_again(environment: Environment, tmp_path: Path) -> None:
    _python(environment, 3)
    assert environment.pip("install", "six") == "done\n"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 3
    assert calls[0].startswith(f"{tmp_path / 'build.txt'} -m pip")


@pytest.mark.parametrize("ci", ["", "true"])
def test_what_cannot_be_installed_is_skipped_and_fails_in_ci(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, ci: str
) -> None:
    _python(environment, 99)
    environment.requirements.write_text("six\n")
    monkeypatch.setattr(environments.venv, "create", lambda *arguments, **more: None)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.fail.Exception if ci else pytest.skip.Exception, match="no answer"):
        environment.tested()
    assert not environment.is_ready


def test_what_is_installed_beside_the_list_counts(environment: Environment) -> None:
    _python(environment, 1)
    environment.requirements.write_text("six\n")
    (environment.folder / "ready").write_text("six\n")
    assert environment.is_ready
    assert environment.interpreter() == environment.programs / "python"
    assert not Environment(environment.folder, environment.requirements, bare=("seven",)).is_ready


def test_every_list_pins_all_and_builds_with_the_same_versions() -> None:
    pinned: dict[str, dict[str, set[str]]] = {}
    for path in (Path(__file__).parents[1] / "requirements").glob("*.txt"):
        known = pinned.setdefault(path.name, {})
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                found = re.fullmatch(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.+!]+)(?: ; .+)?", line)
                assert found, f"{path.name}: {line}"
                known.setdefault(re.sub(r"[-_.]+", "-", found[1]).lower(), set()).add(found[2])
    build = pinned.pop("build.txt")
    assert {"setuptools", "hatchling"} <= build.keys()
    for name, known in pinned.items():
        assert {package: known[package] for package in build.keys() & known.keys()}.items() <= build.items(), name
