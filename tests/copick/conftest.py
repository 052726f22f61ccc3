"""Fixtures of the copick tests: small projects, and upstream's package as the oracle.

Upstream pins zarr 2, so it lives in ``.venv-copick`` beside the repository's ``.venv``, made on first use from
``requirements/copick.txt``. That takes a minute and is left to the slow tests; once the environment is there, the
comparisons run by default. ``TOMOPORTAL_COPICK_PYTHON`` names the interpreter of another environment with copick 1.31.
Released plug-ins live in ``.venv-copick-plugins`` (``requirements/copick-plugins.txt``), which holds our package, too,
and what upstream's own tests need (``test_upstream_suite.py``); copick-torch lives with torch in ``.venv-copick-torch``
(``requirements/copick-torch.txt``), where a CPU build of torch can be had.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tomoportal.copick as copick
from tomoportal.archive import Archive
from tomoportal.errors import MissingPartError
from tomoportal.server import LiveServer, Settings
from tomoportal.testing.annotated_archive import write_annotated_dataset
from tomoportal.testing.environments import Environment, not_testable

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Oracle:
    """Packages of others, and the fixture that runs them."""

    fixture: str
    environment: Environment

    @property
    def is_ready(self) -> bool:
        return self.environment.is_ready

    def interpreter(self) -> Path:
        """Its Python, after the environment was made if need be."""
        return self.environment.tested()


LISTS = REPOSITORY / "requirements"
UPSTREAM = Oracle(
    "upstream", Environment(REPOSITORY / ".venv-copick", LISTS / "copick.txt", "TOMOPORTAL_COPICK_PYTHON")
)
NEXT = Oracle(
    "next_upstream",
    Environment(REPOSITORY / ".venv-copick-next", LISTS / "copick-next.txt", "TOMOPORTAL_COPICK_NEXT_PYTHON"),
)
PLUGINS = Oracle(
    "plugins",
    Environment(
        REPOSITORY / ".venv-copick-plugins",
        LISTS / "copick-plugins.txt",
        "TOMOPORTAL_COPICK_PLUGINS_PYTHON",
        # copick-torch would bring several GB of CUDA: what it imports without is tested here, the rest in TORCH.
        ("copick-torch==1.2.1", "-e", str(REPOSITORY)),
    ),
)
TORCH = Oracle(
    "torch_plugins",
    Environment(
        REPOSITORY / ".venv-copick-torch",
        LISTS / "copick-torch.txt",
        "TOMOPORTAL_COPICK_TORCH_PYTHON",
        # Their lists name torchvision and timm, which bring CUDA and which nothing that runs here imports.
        (
            "copick-torch==1.2.1",
            "nnunetv2==2.8.1",
            "dynamic-network-architectures==0.4.4",
            "batchgeneratorsv2==0.3.6",
            "fft-conv-pytorch==1.2.0",
            "membrain-seg==0.0.10",
            "-e",
            str(REPOSITORY),
        ),
    ),
)


def cuda_of_torch() -> list[str]:
    """The packages of CUDA that pip would install with torch; nothing is downloaded to know."""
    known = (LISTS / "copick-torch.txt").read_text()
    wanted = next(line for line in known.splitlines() if line.startswith("torch=="))
    ours = Environment(Path(sys.prefix), LISTS / "dev.txt")
    report = ours.pip("install", "--dry-run", "--ignore-installed", "--report", "-", wanted)
    named = [each["metadata"]["name"] for each in json.loads(report)["install"]]
    return [name for name in named if name.startswith(("nvidia", "cuda", "triton"))]


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Comparisons with other packages are slow as long as their environment has to be made first."""
    for environment in (UPSTREAM, NEXT, PLUGINS, TORCH):
        if not environment.is_ready:
            for item in items:
                if environment.fixture in getattr(item, "fixturenames", ()):
                    item.add_marker(pytest.mark.slow)


def _runner(environment: Oracle) -> Upstream:
    python = environment.interpreter()

    def run_script(script: str, *arguments: object, **variables: str) -> Any:
        command = [str(python), "-W", "ignore", "-c", script, *map(str, arguments)]
        known = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TOMOPORTAL_AS_COPICK")}
        done = subprocess.run(command, capture_output=True, text=True, env={**known, **variables})
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None

    return run_script


@pytest.fixture(scope="session")
def upstream() -> Upstream:
    """Runs a script under upstream's package; arguments become ``sys.argv``, what it prints last is read as JSON."""
    return _runner(UPSTREAM)


@pytest.fixture(scope="session")
def upstream_python(upstream: Upstream) -> Path:
    """The interpreter that has upstream's package, for programs that stay."""
    return UPSTREAM.interpreter()


@pytest.fixture(scope="session")
def next_upstream() -> Upstream:
    """The same under the pre-release 2.0 of upstream's package, which writes Zarr version 3."""
    return _runner(NEXT)


@pytest.fixture(scope="session")
def plugins() -> Upstream:
    """The same where the released plug-ins, upstream's package and ours are installed; keywords are its environment."""
    return _runner(PLUGINS)


@pytest.fixture(scope="session")
def plugin_programs(plugins: Upstream) -> Path:
    """The folder of the plug-ins' programs."""
    return PLUGINS.interpreter().parent


@pytest.fixture(scope="session")
def torch_plugins() -> Upstream:
    """The same where copick-torch is installed with torch."""
    if not TORCH.is_ready:
        try:
            cuda = cuda_of_torch()
        except MissingPartError as error:
            not_testable(str(error))
        if cuda:
            pytest.skip(f"pip finds no CPU build of torch here: it would install {', '.join(cuda[:3])}, … with it")
    return _runner(TORCH)


# --- a portal

MANY, MANY_RUNS = 10003, 14
"""The dataset with many runs, each with four annotations of five points and a tomogram."""


@pytest.fixture(scope="session")
def portal_archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """See ``portal_project.py``, and the dataset with many runs."""
    archive: Archive = _beside("portal_project").write_portal_archive(tmp_path_factory.mktemp("portal"))
    write_annotated_dataset(archive, MANY, runs=MANY_RUNS, files=4, points=5)
    return archive


@pytest.fixture(scope="session")
def portal(portal_archive: Archive) -> Iterator[LiveServer]:
    with LiveServer(Settings(archive=str(portal_archive.store.local_path("")))) as live:
        yield live


@pytest.fixture(scope="session")
def wide_portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A portal with everything that one can say about a run: see ``wide_portal.py``."""
    archive = _beside("wide_portal").write_wide_archive(tmp_path_factory.mktemp("wide"))
    with LiveServer(Settings(archive=str(archive.store.local_path("")))) as live:
        yield live


def _beside(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def portal_root(portal: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes roots of projects on the portal, each in a folder of its own unless the same name is given."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tomoportal.client.endpoint._DELAYS", (0.01, 0.01, 0.01))

    def made(ids: list[int | str] | None = None, name: str = "project", **changes: Any) -> Any:
        folder = tmp_path / name
        path = folder / "config.json"
        if not path.exists():
            copick.from_czcdp_datasets(ids or [10001], str(folder / "overlay"), output_path=path, portal_url=portal.url)
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        return copick.from_file(path)

    return made


@pytest.fixture
def asked(portal: LiveServer) -> Callable[[], dict[str, int]]:
    """How many GraphQL requests the portal answered since the last call, by their status."""
    before: dict[str, int] = {}

    def count() -> dict[str, int]:
        with urllib.request.urlopen(f"{portal.url}/metrics") as answer:
            text = answer.read().decode()
        total: dict[str, int] = {}
        for status, number in re.findall(r'requests_total\{route="/graphql",[^}]*status="(\d+)"\} (\d+)', text):
            total[status] = total.get(status, 0) + int(number)
        found = {status: number - before.get(status, 0) for status, number in total.items()}
        before.clear()
        before.update(total)
        return {status: number for status, number in found.items() if number}

    count()
    return count
