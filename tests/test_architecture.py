"""The house rules of docs/architecture.md, checked on the source itself."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import tomoportal

SOURCE = Path(tomoportal.__file__).parent

# From the roof to the ground, as docs/architecture.md prints them: a room may use those after it, never those before.
ROOMS = (
    "cli",
    "server",
    "web",
    "curation",
    "demo",
    "testing",
    "copick",
    "client",
    "ingest",
    "catalog",
    "archive",
    "formats",
    "storage",
    "model",
    "errors",
)

# Third-party library -> the only rooms that may import it.
LIBRARY_ROOMS = {
    "sqlalchemy": {"catalog"},
    "graphql": {"catalog"},
    "re2": {"catalog"},
    "psycopg": {"catalog"},
    "alembic": {"catalog"},
    "obstore": {"storage"},
    "numcodecs": {"formats"},
    "PIL": {"formats"},
    "h5py": {"formats", "testing"},
    "starlette": {"server", "web"},
    "uvicorn": {"server"},
    "jinja2": {"web"},
    "yaml": {"ingest", "model", "testing"},
    "ruamel": {"ingest"},
    "distributed": {"ingest"},
    "dask_jobqueue": {"ingest"},
    "linkml_runtime": {"model"},
    "pydantic": {"copick", "model"},
    "fsspec": {"storage"},
    "trimesh": {"copick"},
    "zarr": {"copick"},
    "pandas": {"copick"},
    "click": {"cli"},
    "rich": {"cli"},
    "textual": {"cli"},
}

MODULES = sorted(path for path in SOURCE.rglob("*.py"))
GENERATED = SOURCE / "model" / "generated"


def room_of(path: Path) -> str:
    part = path.relative_to(SOURCE).parts[0]
    return part.removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    package = ["tomoportal", *path.relative_to(SOURCE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == "tomoportal":
                for alias in node.names:
                    yield node.lineno, f"tomoportal.{alias.name}"
            else:
                yield node.lineno, module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_downwards(path: Path) -> None:
    own = room_of(path)
    if own in {"__init__", "__main__"}:
        return
    for line, name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "tomoportal" or len(parts) == 1 or parts[1] in {own, "__version__"}:
            continue
        assert parts[1] in ROOMS, f"{path}:{line} imports the unknown room {parts[1]}"
        assert ROOMS.index(parts[1]) > ROOMS.index(own), (
            f"{path}:{line}: {own}/ may not use {parts[1]}/, which is above it"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_library_stays_in_its_rooms(path: Path) -> None:
    for line, name in imports_of(path):
        rooms = LIBRARY_ROOMS.get(name.split(".")[0])
        assert rooms is None or room_of(path) in rooms, (
            f"{path}:{line} imports {name}, which belongs to {sorted(rooms or ())}"
        )


def test_no_module_is_longer_than_500_lines() -> None:
    """C86, too."""
    long = {
        str(path.relative_to(SOURCE)): lines
        for path in MODULES
        if GENERATED not in path.parents and (lines := len(path.read_text().splitlines())) > 500
    }
    assert not long, f"rooms to divide: {long}"


def test_no_module_is_called_after_nothing() -> None:
    names = {path.stem for path in MODULES} | {path.parent.name for path in MODULES}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc"}


@pytest.mark.parametrize("room", sorted({room_of(path) for path in MODULES} - {"__init__", "__main__"}))
def test_public_names_are_listed_and_exist(room: str) -> None:
    module = importlib.import_module(f"tomoportal.{room}")
    assert hasattr(module, "__all__"), f"{room}/__init__.py does not list its public names in __all__"
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert not missing, f"{room}/ lists names that it does not have: {missing}"
    assert module.__doc__, f"{room}/__init__.py does not say what the room is for"


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("statement", ["import tomoportal.cli", "import tomoportal.model.entities"])
def test_light_imports_stay_light(statement: str) -> None:
    heavy = {"numpy", "sqlalchemy", "rich", "pydantic", "starlette", "graphql", "obstore", "yaml", "PIL"}
    assert not loaded_by(statement) & heavy


def test_every_command_says_in_its_own_help_what_the_overview_says() -> None:
    from tomoportal.cli import COMMANDS, cli

    context = click.Context(cli)
    for name, line in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert (command.help or "").startswith(line.rstrip(".")), (
            f"tomoportal {name} --help does not begin with: {line}"
        )


# From the roof to the ground, as docs/architecture.md prints them; modules beside them are the model, which may open a
# portal or a manifest and hand out data frames, each when it is first asked.
COPICK_ROOMS = ("operations", "overviews", "exchange", "transfers", "particles", "portal", "croissant", "drop_in")
COPICK_MAY = {("operations", "exchange"), ("operations", "transfers"), ("operations", "particles")}
COPICK_MAY |= {("exchange", "particles"), ("croissant", "portal")}


def test_sub_rooms_of_copick_import_one_way() -> None:
    wrong = []
    for path in sorted((SOURCE / "copick").rglob("*.py")):
        here = path.relative_to(SOURCE / "copick").parts[0]
        for line, name in imports_of(path):
            there = name.removeprefix("tomoportal.copick.").split(".")[0]
            if here in COPICK_ROOMS and there in COPICK_ROOMS and there != here and (here, there) not in COPICK_MAY:
                wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {name}")
    assert not wrong
    assert {path.name for path in (SOURCE / "copick").iterdir() if path.is_dir()} - {"__pycache__"} == set(COPICK_ROOMS)
