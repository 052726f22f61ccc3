"""``import copick`` in processes that a program starts, versions that plug-ins ask for, what is pickled."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tomoportal.copick as copick
from tomoportal.copick.drop_in.names import API_VERSION

SOURCES = str(Path(__file__).parents[2] / "src")

POOL = """
import concurrent.futures, json, multiprocessing, sys
sys.path.insert(0, {folder!r})

if __name__ == "__main__":
    import tomoportal.copick
    tomoportal.copick.install()
    import copick
    import work
    run = copick.from_file({config!r}).get_run("TS_001")
    context = multiprocessing.get_context({method!r})
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        print(json.dumps(pool.submit(work.count, run).result()))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        print(json.dumps(list(pool.map(work.count, [run, run]))))
"""

WORK = """
import copick
from copick.models import CopickRun

def count(run):
    assert isinstance(run, CopickRun)
    return [copick.from_file.__module__, len(run.get_picks("ribosome")[0].points)]
"""


def _program(code: str, folder: Path, **variables: str) -> str:
    """What a program prints that has nothing of ours on but the folder of packages where our wheel is."""
    script = folder / "program.py"
    script.write_text(code)
    known = {key: value for key, value in os.environ.items() if key != "TOMOPORTAL_AS_COPICK"}
    # A file that Python runs when it starts, as it does with the line that our wheel puts beside the packages.
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text((Path(SOURCES) / "tomoportal_copick.pth").read_text())
    path = os.pathsep.join([str(folder / "site"), SOURCES])
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env={**known, "PYTHONPATH": path, **variables}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_workers_of_a_pool_import_ours_too(
    method: str, tmp_path: Path, picks: copick.CopickPicks, config: Path
) -> None:
    """Their own modules import copick before anything of the program runs there."""
    if sys.platform == "win32" and method != "spawn":
        pytest.skip("this system has no fork")
    picks.from_numpy([[1.0, 2.0, 3.0]] * 4)
    (tmp_path / "work.py").write_text(WORK)
    code = POOL.format(folder=str(tmp_path), config=str(config), method=method)
    first, second = map(json.loads, _program(code, tmp_path).splitlines())
    assert first == ["tomoportal.copick.opening", 4]
    assert second == [first, first]


VERSIONS = """
import importlib.metadata, json
import tomoportal, tomoportal.copick
tomoportal.copick.install()
import copick
print(json.dumps([copick.__version__, importlib.metadata.version("copick"), tomoportal.copick.__version__,
    tomoportal.__version__, importlib.metadata.version("tomoportal"), importlib.metadata.version("numpy")]))
print(len({each.metadata["Name"] for each in importlib.metadata.distributions()}) > 10)
"""


def test_plug_ins_that_ask_for_a_version_are_told_whose_names_they_find(tmp_path: Path) -> None:
    """They compare it with the release they need; ours counts by itself and says so under its own name."""
    told, many = _program(VERSIONS, tmp_path).splitlines()
    api, installed, ours, package, *_ = json.loads(told)
    assert api == installed == API_VERSION
    assert ours == package != api
    assert many == "True"


def test_an_installed_copick_keeps_its_version(plugins: Any) -> None:
    script = """
import importlib.metadata, json
import copick
print(json.dumps([copick.from_file.__module__, importlib.metadata.version("copick"), copick.__version__]))
"""
    assert plugins(script, TOMOPORTAL_AS_COPICK="1") == ["tomoportal.copick.opening", "1.31.0", API_VERSION]


POINTS = """
import pickle, sys
import copick
from copick.models import CopickConfig, CopickLocation, CopickPoint
path, action = sys.argv[1:]
points = [CopickPoint(location=CopickLocation(x=1, y=2, z=3), instance_id=4, score=0.5), CopickPoint]
if action == "write":
    with open(path, "wb") as file:
        pickle.dump(points, file)
else:
    with open(path, "rb") as file:
        found, kind = pickle.load(file)
    print("[%s]" % ",".join(map(str, [found.location.z, found.instance_id, found.score, int(isinstance(found, kind))])))
"""


@pytest.mark.parametrize(("writer", "reader"), [("", "1"), ("1", ""), ("1", "1")])
def test_points_that_one_package_pickled_are_read_by_the_other(
    writer: str, reader: str, tmp_path: Path, plugins: Any
) -> None:
    plugins(POINTS, tmp_path / "points", "write", TOMOPORTAL_AS_COPICK=writer)
    assert plugins(POINTS, tmp_path / "points", "read", TOMOPORTAL_AS_COPICK=reader) == [3.0, 4, 0.5, 1]


ENTITIES = """
import pickle, sys
from pathlib import Path
import copick
folder, config, action = sys.argv[1:]
if action == "write":
    root = copick.from_file(config)
    run = root.get_run("TS_001")
    spacing = run.voxel_spacings[0]
    tomogram = spacing.tomograms[0]
    for thing in (
        root, run, spacing, tomogram, tomogram.features[0], run.picks[0], run.meshes[0], run.segmentations[0],
        run.filaments[0], root.pickable_objects[0],
    ):
        name = type(thing).__name__.removesuffix("FSSpec")
        Path(folder, name).write_bytes(pickle.dumps(thing))
else:
    found = {}
    for path in Path(folder).iterdir():
        try:
            thing = pickle.loads(path.read_bytes())
            found[path.name] = [type(thing).__name__ == path.name, thing.__class__.__module__]
        except Exception as error:
            found[path.name] = [type(error).__name__, str(error)]
    import json
    print(json.dumps(found))
"""


@pytest.fixture
def full_run(config: Path, picks: copick.CopickPicks) -> copick.CopickRun:
    """A run with one of everything."""
    run = picks.run
    picks.from_numpy([[1.0, 2.0, 3.0]])
    tomogram = run.new_voxel_spacing(10).new_tomogram("wbp")
    tomogram.from_numpy(np.zeros((4, 4, 4), np.float32))
    tomogram.new_features("edges").from_numpy(np.zeros((4, 4, 4), np.float32))
    run.new_segmentation(10, "membrane", "1", False).from_numpy(np.ones((4, 4, 4), np.uint8))
    run.new_mesh("membrane", "1").store()
    run.new_filaments("microtubule", "1").from_numpy([np.array([[0.0, 0, 0], [1, 1, 1]])])
    return run


def test_projects_that_the_package_pickled_are_refused_in_words(
    tmp_path: Path, plugins: Any, full_run: copick.CopickRun, config: Path
) -> None:
    """What belongs to a project holds other things there: at its first use it ended in an AttributeError."""
    folder = tmp_path / "pickles"
    folder.mkdir()
    plugins(ENTITIES, folder, config, "write")
    found = plugins(ENTITIES, folder, config, "read", TOMOPORTAL_AS_COPICK="1")
    assert len(found) == 10
    for name, (kind, text) in found.items():
        assert kind == "FormatError"
        told = re.search(r"This (\w+) was pickled by the package copick", text)  # the first that is met: it or a part
        assert told is not None
        assert told[1] in found, name
        assert "fix: open its project here" in text
    for reader in ("1", ""):  # ours are ours where tomoportal is installed, whatever copick is
        plugins(ENTITIES, folder, config, "write", TOMOPORTAL_AS_COPICK="1")
        mine = plugins(ENTITIES, folder, config, "read", TOMOPORTAL_AS_COPICK=reader)
        assert {is_same for is_same, _ in mine.values()} == {True}
        assert all(module.startswith("tomoportal.copick.") for _, module in mine.values())


@pytest.mark.slow
def test_plug_ins_run_where_only_ours_is_installed(
    tmp_path: Path, plugin_programs: Path, picks: copick.CopickPicks, config: Path
) -> None:
    """``pip install --no-deps copick-utils`` is enough: the program shows its commands, pools of workers run them."""
    picks.from_numpy([[100.0, 120.0, 140.0], [200.0, 150.0, 180.0]])
    spacing = picks.run.new_voxel_spacing(10.0)
    spacing.new_tomogram("wbp").from_numpy(np.zeros((32, 32, 32), np.float32))
    packages = plugin_programs.parent / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    alone = tmp_path / "packages"
    alone.mkdir()
    for path in packages.iterdir():
        if path.name != "copick" and not path.name.startswith("copick-"):
            (alone / path.name).symlink_to(path)
    known = {key: value for key, value in os.environ.items() if key != "TOMOPORTAL_AS_COPICK"}

    def program(*arguments: object) -> str:
        code = "import sys; from tomoportal.cli import main; sys.argv[0] = 'tomoportal'; main()"
        command = [plugin_programs / "python", "-S", "-W", "ignore", "-c", code, "copick", *map(str, arguments)]
        variables = {**known, "PYTHONPATH": os.pathsep.join([str(alone), SOURCES])}
        done = subprocess.run(command, capture_output=True, text=True, env=variables)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    assert "picks2seg" in program("--help")
    assert "copick-utils" in program("info")
    assert "--radius" in program("convert", "picks2seg", "--help")
    output = ["-i", "ribosome:ada/1", "-o", "ribosome:alone/1@10.0", "--radius", 40, "-w", 2]
    program("convert", "picks2seg", "-c", config, *output)
    run = copick.from_file(config).get_run("TS_001")
    assert run is not None
    assert run.get_segmentations(user_id="alone")[0].numpy().sum() > 100
