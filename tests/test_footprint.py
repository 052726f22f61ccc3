"""What the package needs: few libraries, none of them loaded before it is used, and no shell."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tomoportal

ROOT = Path(__file__).parents[1]
SOURCE = Path(tomoportal.__file__).parent

_HEAVY = {"vtk", "igneous-pipeline", "cloud-volume", "opencv-python", "pandas", "scipy", "scikit-image", "dask", "zarr"}
_LIMIT = 350e6  # bytes on disk; the public portal's ingestion takes 2.2 GB


def _distributions() -> list[importlib.metadata.Distribution]:
    """What `requirements/run.txt` installs on this machine."""
    found = []
    for line in (ROOT / "requirements/run.txt").read_text().splitlines():
        name = re.split(r"[=;\s]", line.strip())[0]
        try:
            found.append(importlib.metadata.distribution(name))
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform or version of Python
    return found


def test_what_is_installed_to_run_is_small() -> None:
    """F121. F65: no VTK, no OpenCV, no frames of tables; everything together is a sixth of the public portal's."""
    distributions = _distributions()
    names = {distribution.metadata["Name"].lower() for distribution in distributions}
    assert {"numpy", "sqlalchemy", "obstore"} <= names
    assert not names & _HEAVY
    size = 0
    for distribution in distributions:
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file)))
            if path.suffix != ".pyc" and path.is_file():
                size += path.stat().st_size
    assert size < _LIMIT


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("tomoportal.cli", {"numpy", "sqlalchemy", "pydantic", "rich", "obstore", "h5py", "distributed", "zarr"}),
        ("tomoportal.ingest", {"numpy", "sqlalchemy", "h5py", "distributed", "ruamel", "PIL"}),
        ("tomoportal.formats.meshes", {"h5py", "trimesh", "vtk"}),
        ("tomoportal.ingest.running", {"h5py", "distributed", "dask_jobqueue", "ruamel", "sqlalchemy", "zarr"}),
    ],
)
def test_libraries_are_loaded_when_they_are_needed(module: str, unwanted: set[str]) -> None:
    """F65: seconds of imports are not paid by who only asks for help, or ingests without a cluster."""
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & unwanted


def test_no_command_goes_through_a_shell() -> None:
    """F51: programs are started with lists of arguments, if at all."""
    wrong = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            shell = any(word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords)
            if shell or called in ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"):
                wrong.append(f"{path.relative_to(SOURCE)}:{node.lineno}: {called}")
            elif (
                called.startswith("subprocess.")
                and node.args
                and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
            ):
                wrong.append(f"{path.relative_to(SOURCE)}:{node.lineno}: the arguments of {called} are one text")
    assert not wrong
