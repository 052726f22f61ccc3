"""Released plug-ins on our package: every command of copick-utils gives what it gives on upstream's.

Both packages run the same commands on copies of one project, in the environment of the plug-ins.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

import tomoportal.copick as copick

# Command → its arguments. The project has ribosomes, a membrane, two balls, a box and filaments in 64³ voxels of 10 Å.
COMMANDS = {
    "convert picks2seg": "-i ribosome:ada/1 -o ribosome:p2s/1@10.0 --radius 40",
    "convert seg2picks": "-i balls:ada/1@10.0?multilabel=true -o proteasome:s2p/1 -si 2 --min-particle-size 20",
    "convert seg2mesh": "-i membrane:ada/1@10.0 -o membrane:s2m/1",
    "convert mesh2seg": "-i membrane:box/1 -o membrane:m2s/1@10.0",
    "convert mesh2picks": "-i membrane:box/1 -t wbp@10.0 -o ribosome:m2p/1 --sampling-type surface --n-points 40"
    " --min-dist 20 --seed 1",
    "convert mesh2caps": "-i membrane:box/1 -o membrane:caps/1",
    "convert fil2picks": "-i microtubule:ada/1 -o microtubule:f2p/1 --spacing 40",
    "convert fil2seg": "-i microtubule:ada/1 -o microtubule:f2s/1@10.0?instance=true --radius 30",
    "convert seg2fil": "-i microtubule:rods/1@10.0 -o microtubule:s2f/1",
    "convert picks2mesh": "-i ribosome:ada/1 -o membrane:p2m/1",
    "convert picks2ellipsoid": "-i ribosome:ada/1 -o membrane:p2e/1",
    "convert picks2plane": "-i ribosome:ada/1 -o membrane:p2p/1",
    "convert picks2sphere": "-i ribosome:ada/1 -o membrane:p2sph/1",
    "convert picks2surface": "-i ribosome:ada/1 -o membrane:p2surf/1",
    "logical clipmesh": "-i membrane:box/1 -rs membrane:ada/1@10.0 -d 100 -o membrane:clip/1",
    "logical clippicks": "-i ribosome:ada/1 -rm membrane:box/1 -d 100 -o ribosome:clip/1",
    "logical clipseg": "-i membrane:ada/1@10.0 -rm membrane:box/1 -d 100 -o membrane:clip/1@10.0",
    "logical enclosed": "-i1 ribosome:small/1@10.0 -i2 membrane:ada/1@10.0 -vs 10 -o ribosome:encl/1@10.0",
    "logical meshop": "-i membrane:box/1 -i membrane:box/2 -op concatenate -o membrane:both/1",
    "logical picksin": "-i ribosome:ada/1 -rm membrane:box/1 -o ribosome:in/1",
    "logical picksout": "-i ribosome:ada/1 -rm membrane:box/1 -o ribosome:out/1",
    "logical segop": "-i membrane:ada/1@10.0 -i ribosome:small/1@10.0 -op union -vs 10 -o membrane:union/1@10.0",
    "process combine": "-i membrane:ada/1@10.0 -i ribosome:small/1@10.0 -o all:comb/1@10.0?multilabel=true",
    "process expand-labels": "-i balls:ada/1@10.0?multilabel=true -d 20 -o balls:grow/1@10.0?multilabel=true",
    "process filter-components": "-i membrane:ada/1@10.0 --min-size 1000 -o membrane:filt/1@10.0",
    "process fit-spline": "-i microtubule:line/1@10.0 --spacing-distance 40 -o microtubule:spline/1",
    "process hull": "-i membrane:box/1 -o membrane:hull/1",
    "process rescale": "-i membrane:ada/1@10.0 -tvs 20 -o membrane:resc/1@20.0",
    "process seg-stats": "-i membrane:ada/1@10.0 -op FOLDER/stats.csv",
    "process separate-components": "-i balls:ada/1@10.0?multilabel=true -o proteasome:sep/{instance_id}@10.0",
    "process skeletonize": "-i microtubule:rods/1@10.0 -o microtubule:skel/1@10.0",
    "process split": "-i balls:ada/1@10.0?multilabel=true --output-user-id split",
    "process thickness-filter": "-i membrane:ada/1@10.0 -mt 30 -o membrane:thick/1@10.0",
    "process validbox": "-t wbp@10.0 -o membrane:valid/1",
    "convert picks2slab": "-i1 ribosome:top/1 -i2 ribosome:low/1 -t wbp@10.0 --method parallel -o membrane:slab/1",
    "process downsample": "-i wbp@10.0 --target-resolution 40 -o small@20.0",
}
# What needs torch is tried where it is installed.
WITH_TORCH = ("convert picks2slab", "process downsample")

RUN = """
import contextlib, io, json, os, random, sys, traceback
import numpy as np
from copick.cli.cli import cli
commands, folder = json.loads(sys.argv[1]), sys.argv[2]
os.environ["COPICK_CONFIG"] = folder + "/copick_config.json"
told = {}
for name, arguments in commands.items():
    np.random.seed(0); random.seed(0)
    try:
        given = [*name.split(), *arguments.replace("FOLDER", folder).split()]
        with contextlib.redirect_stdout(io.StringIO()):
            cli.main(given, prog_name="copick", standalone_mode=False)
        told[name] = None
    except BaseException as error:
        told[name] = "".join(traceback.format_exception(error))[-1500:]
print(json.dumps(told))
"""


def make_project(folder: Path, make_config: Any) -> None:
    root = copick.from_file(make_config(folder))
    run = root.new_run("TS_001")
    generator = np.random.default_rng(4)
    z, y, x = np.indices((64, 64, 64))
    run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(generator.normal(size=z.shape))
    picks = run.new_picks("ribosome", "1")
    transforms = np.tile(np.eye(4), (30, 1, 1))
    picks.from_numpy(generator.uniform(100, 500, (30, 3)), transforms, np.arange(30), generator.uniform(size=30))
    for name, height in (("top", 400), ("low", 200)):
        places = generator.uniform(100, 500, (12, 3))
        places[:, 2] = height
        run.new_picks("ribosome", "1", name).from_numpy(places)

    def ball(center: float, radius: float) -> Any:
        return (z - center) ** 2 + (y - center) ** 2 + (x - center) ** 2 < radius**2

    shell = ball(32, 20) & ~ball(32, 15)
    run.new_segmentation(10, "membrane", "1").from_numpy(shell)
    run.new_segmentation(10, "ribosome", "1", user_id="small").from_numpy(ball(32, 4))
    run.new_segmentation(10, "balls", "1", True).from_numpy(np.where(ball(15, 6), 1, 0) + np.where(ball(45, 7), 2, 0))
    rods = (((y - 20) ** 2 + (z - 20) ** 2 < 9) | ((y - 45) ** 2 + (z - 40) ** 2 < 9)) & (x > 5) & (x < 58)
    run.new_segmentation(10, "microtubule", "1", user_id="rods").from_numpy(rods)
    line = (y == 20) & (z == 20) & (x > 5) & (x < 58)
    run.new_segmentation(10, "microtubule", "1", user_id="line").from_numpy(line)
    for session, shift in (("1", 300), ("2", 380)):
        mesh = run.new_mesh("membrane", session, "box")
        mesh.mesh = trimesh.creation.box(extents=(200, 220, 160)).apply_translation([shift] * 3)
        mesh.store()
    t = np.linspace(0, 1, 30)[:, None]
    lines = [
        np.hstack([100 + 400 * t, 200 + 80 * np.sin(3 * t), 300 + 0 * t]),
        np.hstack([100 + 300 * t, 450 - 100 * t, 150 + t]),
    ]
    run.new_filaments("microtubule", "1").from_numpy(lines, voxel_spacing=10.0)


def contents(folder: Path) -> dict[str, Any]:
    """Everything in a project, as numbers that can be compared."""
    run = copick.from_file(folder / "copick_config.json").get_run("TS_001")
    assert run is not None
    found: dict[str, Any] = {}
    for picks in run.picks:
        positions, transforms = picks.numpy()
        order = np.lexsort(positions.T)
        key = f"picks {copick.serialize_copick_uri(picks)}"
        found[key] = [positions[order], transforms[order], picks.instance_ids()[order]]
    for mesh in run.meshes:
        whole = mesh.mesh.to_geometry() if hasattr(mesh.mesh, "to_geometry") else mesh.mesh
        found[f"mesh {copick.serialize_copick_uri(mesh)}"] = [
            np.asarray(whole.bounds), np.array([whole.area, len(whole.vertices), len(whole.faces)])
        ]  # fmt: skip
    for segmentation in run.segmentations:
        found[f"segmentation {copick.serialize_copick_uri(segmentation)}"] = [segmentation.numpy()]
    for filaments in run.filaments:
        found[f"filaments {copick.serialize_copick_uri(filaments)}"] = filaments.numpy()
    for spacing in run.voxel_spacings:
        for tomogram in spacing.tomograms:
            found[f"tomogram {copick.serialize_copick_uri(tomogram)}"] = [tomogram.numpy()]
    return found


@pytest.mark.slow
def test_copick_utils_gives_what_it_gives_on_upstream(tmp_path: Path, make_config: Any, plugins: Any) -> None:
    (tmp_path / "ours").mkdir()
    make_project(tmp_path / "ours", make_config)
    shutil.copytree(tmp_path / "ours", tmp_path / "theirs")
    config = tmp_path / "theirs" / "copick_config.json"
    config.write_text(config.read_text().replace(str(tmp_path / "ours"), str(tmp_path / "theirs")))
    torch = plugins("import importlib.util, json; print(json.dumps(importlib.util.find_spec('torch') is not None))")
    commands = {name: arguments for name, arguments in COMMANDS.items() if torch or name not in WITH_TORCH}
    told = {
        place: plugins(RUN, json.dumps(commands), tmp_path / place, TOMOPORTAL_AS_COPICK=flag)
        for place, flag in (("ours", "1"), ("theirs", ""))
    }
    wrong = {name: told["ours"][name] for name in commands if told["ours"][name] and not told["theirs"][name]}
    assert not wrong, "\n".join(f"{name}: {error}" for name, error in wrong.items())
    assert not any(told["theirs"].values()), told["theirs"]
    ours, theirs = contents(tmp_path / "ours"), contents(tmp_path / "theirs")
    assert set(ours) == set(theirs)
    assert len(ours) >= 10 + len(commands) - 2
    for key, arrays in ours.items():
        assert len(arrays) == len(theirs[key]), key
        for mine, other in zip(arrays, theirs[key], strict=True):
            assert mine.shape == other.shape, key
            np.testing.assert_allclose(mine, other, atol=1e-3, err_msg=key)
    assert (tmp_path / "ours" / "stats.csv").read_text() == (tmp_path / "theirs" / "stats.csv").read_text()


def test_the_program_shows_what_plug_ins_bring(plugin_programs: Path) -> None:
    """C70: the groups are listed without loading a plug-in that is not asked for."""
    program = [str(plugin_programs / "copick"), "convert", "--help"]
    done = subprocess.run(program, capture_output=True, text=True, env={"TOMOPORTAL_AS_COPICK": "1"}, check=True)
    assert "picks2seg" in done.stdout
    done = subprocess.run([program[0], "--version"], capture_output=True, text=True, env={"TOMOPORTAL_AS_COPICK": "1"})
    assert "tomoportal" in done.stdout


IMPORTS = """
import importlib, json, pkgutil
import copick
told = {}
for package in ("copick_utils", "copick_shared_ui", "copick_torch", "napari_copick", "copick_mcp"):
    found = importlib.import_module(package)
    for each in pkgutil.walk_packages(found.__path__, package + "."):
        try:
            importlib.import_module(each.name)
            told[each.name] = None
        except BaseException as error:
            told[each.name] = f"{type(error).__name__}: {error}"
print(json.dumps(told))
"""


def test_modules_of_plug_ins_import_what_they_need(plugins: Any) -> None:
    """Everything imports but the modules of copick-torch that need torch, which is too heavy to install here."""
    told = plugins(IMPORTS, TOMOPORTAL_AS_COPICK="1", QT_QPA_PLATFORM="offscreen")
    whole = {name for name, error in told.items() if error is None}
    assert not {name for name in told if not name.startswith("copick_torch")} - whole
    assert len(whole) > 150
    assert sum(name.startswith("copick_torch") for name in whole) > 10  # the others need torch, nnunetv2 or gdown
    assert not {name: error for name, error in told.items() if error and "No module named 'copick" in error}


@pytest.mark.slow
def test_napari_copick_s_own_tests_pass_on_ours(plugin_programs: Path, tmp_path: Path) -> None:
    command = [str(plugin_programs / "python"), "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    variables = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "TOMOPORTAL_AS_COPICK": "1"}
    done = subprocess.run(
        [*command, "--pyargs", "napari_copick"],
        capture_output=True,
        text=True,
        env=variables,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "19 passed" in done.stdout


def test_forms_of_the_shared_widgets_know_every_command(plugins: Any) -> None:
    script = """
import json
from copick_shared_ui.core.click_schema import discover_commands
print(json.dumps(sorted("/".join(each.full_path) for each in discover_commands())))
"""
    told = plugins(script, TOMOPORTAL_AS_COPICK="1", QT_QPA_PLATFORM="offscreen")
    assert {name.replace(" ", "/") for name in COMMANDS} - {"process/seg-stats"} <= set(told)
