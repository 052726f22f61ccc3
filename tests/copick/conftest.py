"""Fixtures of the copick tests: small projects, and upstream's package as the oracle.

Upstream pins zarr 2, so it lives in ``.venv-copick`` beside the repository's ``.venv``, made on first use from
``requirements/copick.txt``. That takes a minute and is left to the slow tests; once the environment is there, the
comparisons run by default. ``TOMOPORTAL_COPICK_PYTHON`` names the interpreter of another environment with copick 1.31.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tomoportal.copick as copick
from tomoportal.storage import open_store

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = REPOSITORY / ".venv-copick"
REQUIREMENTS = REPOSITORY / "requirements" / "copick.txt"
HOW = f"make it: python -m venv {ENVIRONMENT.name} && {ENVIRONMENT.name}/bin/pip install -r requirements/copick.txt"

OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 1, "color": [255, 0, 0, 255], "radius": 120},
    {"name": "proteasome", "is_particle": True, "label": 2, "pdb_id": "3J9I"},
    {"name": "membrane", "is_particle": False, "label": 3},
    {
        "name": "microtubule",
        "is_particle": True,
        "label": 4,
        "metadata": {"copick": {"filament": {"polar": True}}},
    },
]


def write_config(folder: Path, **changes: Any) -> Path:
    """A config of a project in ``folder/overlay``; None takes a key away."""
    config = {
        "config_type": "filesystem",
        "name": "test",
        "description": "A test project.",
        "version": "1.31.0",
        "pickable_objects": OBJECTS,
        "user_id": "ada",
        "overlay_root": f"local://{folder}/overlay",
        "overlay_fs_args": {"auto_mkdir": True},
        **changes,
    }
    path = folder / "copick_config.json"
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


@pytest.fixture
def root(config: Path) -> copick.CopickRoot:
    return copick.from_file(config)


@pytest.fixture
def run(root: copick.CopickRoot) -> copick.CopickRun:
    return root.new_run("TS_001")


@pytest.fixture
def picks(run: copick.CopickRun) -> copick.CopickPicks:
    return run.new_picks("ribosome", "1")


@pytest.fixture(scope="session")
def make_config() -> Callable[..., Path]:
    return write_config


Upstream = Callable[..., Any]


def _named() -> str | None:
    return os.environ.get("TOMOPORTAL_COPICK_PYTHON")


def _is_ready() -> bool:
    ready = ENVIRONMENT / "ready"
    return _named() is not None or (ready.exists() and ready.read_text() == REQUIREMENTS.read_text())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Comparisons with upstream are slow as long as its environment has to be made first."""
    if not _is_ready():
        for item in items:
            if "upstream" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.slow)


def _interpreter() -> Path:
    """Upstream's Python, after its environment was made if need be."""
    if named := _named():
        return Path(named)
    python = ENVIRONMENT / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    locks = open_store(Path(tempfile.gettempdir()) / "tomoportal-tests", create=True)
    with locks.lock("venv-copick", timeout=600):
        if not _is_ready():
            try:
                venv.create(ENVIRONMENT, with_pip=True, clear=True)
                command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]
                subprocess.run(command, check=True, capture_output=True, text=True)
            except (OSError, subprocess.CalledProcessError) as error:
                pytest.skip(f"upstream's copick cannot be installed ({error}); {HOW}")
            (ENVIRONMENT / "ready").write_text(REQUIREMENTS.read_text())
    return python


@pytest.fixture(scope="session")
def upstream() -> Upstream:
    """Runs a script under upstream's package; arguments become ``sys.argv``, what it prints last is read as JSON."""
    python = _interpreter()

    def run_script(script: str, *arguments: object) -> Any:
        command = [str(python), "-W", "ignore", "-c", script, *map(str, arguments)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None

    return run_script
