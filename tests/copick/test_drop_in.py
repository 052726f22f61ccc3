"""``import copick`` means this room; importing is cheap and leaves loggers alone (C70, C84)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tomoportal.copick.drop_in.names import MODULES


def python(code: str, **environment: str) -> str:
    known = {key: value for key, value in os.environ.items() if key != "TOMOPORTAL_AS_COPICK"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**known, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_module_and_name_is_there() -> None:
    names = {name: sorted(each) for name, each in MODULES.items() if not name.startswith("copick.cli")}
    python(
        f"""
import importlib
import tomoportal.copick
tomoportal.copick.install()
tomoportal.copick.install()
for module, names in {names!r}.items():
    found = importlib.import_module(module)
    for name in names:
        getattr(found, name)
import copick
assert copick.models.CopickPoint is tomoportal.copick.CopickPoint
from copick.impl.filesystem import CopickRootFSSpec
from copick.util.uri import parse_copick_uri
assert CopickRootFSSpec is tomoportal.copick.CopickRoot
assert "from_file" in dir(copick) and copick.COPICK_TYPES
assert copick.__file__ == tomoportal.copick.__file__
try:
    import copick.impl.nothing
except ModuleNotFoundError as error:
    assert "not provided by tomoportal.copick" in str(error)
else:
    raise AssertionError
try:
    copick.nothing
except AttributeError as error:
    assert "provided by tomoportal" in str(error)
"""
    )


def test_the_environment_variable_is_enough_after_the_first_import() -> None:
    code = "import tomoportal.copick, copick; print(copick.from_file.__module__)"
    assert python(code, TOMOPORTAL_AS_COPICK="1") == "tomoportal.copick.opening"


@pytest.mark.parametrize(("value", "found"), [("1", "tomoportal.copick.opening"), ("0", "None"), ("", "None")])
def test_the_environment_variable_is_enough_where_the_wheel_is_installed(value: str, found: str) -> None:
    """The wheel puts one line into the folder of packages, which Python runs when it starts."""
    folder = Path(__file__).parents[2] / "src"
    code = f"""
import importlib.util, site
site.addsitedir({str(folder)!r})
if importlib.util.find_spec("copick") is None:
    print(None)
else:
    import copick
    print(copick.from_file.__module__)
"""
    assert python(code, TOMOPORTAL_AS_COPICK=value) == found


def test_installing_after_another_copick_is_refused(tmp_path: Path) -> None:
    (tmp_path / "copick.py").write_text("")
    code = """
import copick, tomoportal.copick
try:
    tomoportal.copick.install()
except ValueError as error:
    print(error.fix)
"""
    assert "TOMOPORTAL_AS_COPICK" in python(code, PYTHONPATH=str(tmp_path))


def test_c70_c84_importing_is_cheap_and_touches_no_logger() -> None:
    code = """
import logging, sys
handler = logging.NullHandler()
logging.getLogger().addHandler(handler)
logging.getLogger().setLevel(logging.ERROR)
import tomoportal.copick
light = sorted({"numpy", "pydantic", "zarr", "trimesh", "fsspec", "obstore", "numcodecs"} & set(sys.modules))
from tomoportal.copick import from_file, CopickRoot
from tomoportal.copick.logs import get_logger
get_logger("plug-in", debug=True)
heavy = sorted({"zarr", "trimesh", "fsspec", "obstore", "sqlalchemy", "pandas"} & set(sys.modules))
assert logging.getLogger().handlers == [handler] and logging.getLogger().level == logging.ERROR
print(light, heavy)
"""
    assert python(code) == "[] []"


def test_c85_meshes_zarr_and_other_stores_say_what_is_missing(tmp_path: Path, make_config) -> None:
    code = f"""
import sys
for name in ("zarr", "trimesh", "fsspec"):
    sys.modules[name] = None
import tomoportal.copick as copick
from tomoportal.errors import MissingPartError
run = copick.from_file({str(make_config(tmp_path))!r}).new_run("TS_001")
tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
tomogram.from_numpy([[[1.0]]])
assert tomogram.numpy().tolist() == [[[1.0]]]
mesh = run.new_mesh("membrane", "1")
def other(): copick.from_string('{{"config_type": "filesystem", "overlay_root": "ssh:///x", "pickable_objects": []}}')
for ask in (tomogram.zarr, lambda: mesh.mesh, other, lambda: tomogram.fs_overlay):
    try:
        ask()
    except MissingPartError as error:
        assert "tomoportal[copick]" in error.fix
    else:
        raise AssertionError(ask)
"""
    python(code)


@pytest.mark.parametrize("name", ["copick", "copick.models", "copick.impl.filesystem", "copick.util.uri"])
def test_nothing_is_installed_unless_asked_for(name: str) -> None:
    assert name in MODULES
    code = "import importlib.util, tomoportal.copick; print(importlib.util.find_spec('copick'))"
    assert python(code, TOMOPORTAL_AS_COPICK="") == "None"
