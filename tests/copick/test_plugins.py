"""Released plug-ins on our package: every command of copick-utils gives what it gives on upstream's.

Both packages run the same commands on copies of one project, in the environment of the plug-ins.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).with_name("plugin_scripts")))

from plugin_project import check_equal, contents, run_commands, twins

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
}


@pytest.mark.slow
def test_copick_utils_gives_what_it_gives_on_upstream(tmp_path: Path, make_config: Any, plugins: Any) -> None:
    ours, theirs = twins(tmp_path, make_config)
    run_commands(plugins, list(COMMANDS.items()), ours, theirs)
    assert len(check_equal(ours, theirs)) >= 10 + len(COMMANDS) - 2
    assert (ours / "stats.csv").read_text() == (theirs / "stats.csv").read_text()


RUNS = ("TS_001", "TS_002", "TS-3", "other 4")
OPTIONS = [
    ("convert picks2seg", "-i ribosome:ada/1 -o ribosome:two/1@10.0 --radius 40 -r TS_001 -r TS-3 -w 4"),
    ("convert picks2seg", "-i ribosome:ada/1 -o ribosome:commas/1@10.0 --radius 40 -r TS_001,TS_002 -w 1"),
    ("convert picks2seg", "-i ribosome:*/1 -o ribosome:glob/{input_session_id}@10.0 --radius 30 -w 3 -r TS_001"),
    ("convert picks2seg", "-i re:ribosome:(ada|top)/\\d -o ribosome:regex/{input_session_id}@10.0 --radius 30 -w 2"),
    ("convert picks2seg", "-i ribosome:ada/1 -o ribosome@10.0 --radius 20"),
    ("convert picks2mesh", "-i ribosome:ada/1 -o membrane --mesh-type convex_hull -w 2"),
    ("convert mesh2seg", "-i membrane:box/* -o membrane:sessions/{input_session_id}@10.0 -w 4"),
    ("convert seg2mesh", "-i *:ada/1@10.0 -o membrane:all/{input_session_id} -r TS_002"),
    ("convert seg2picks", "-i balls:ada/1@10.0?multilabel=true -o proteasome:lazy/1 -si 2 --min-particle-size 20 -w 4"),
    ("logical meshop", "-i membrane:box/* -op union -o membrane:merged/1 -w 2"),
    ("logical segop", "-i *:*/1@10.0 -op union -vs 10 -o membrane:everything/1@10.0 -r TS-3"),
    ("logical picksin", "-i ribosome:* -rm membrane:box/1 -o ribosome:inside/{input_session_id} -r TS_001"),
    ("process separate-components", "-i microtubule:rods/1@10.0 -o microtubule:apart/rod-{instance_id}@10.0 -w 2"),
    ("process separate-components", "-i microtubule:rods/1@10.0 -o microtubule:inst/1@10.0?instance=true -w 2"),
    ("process split", "-i balls:ada/1@10.0?multilabel=true --output-user-id split -w 3 -r TS_002"),
    ("convert fil2picks", "-i microtubule:ada/1 -o microtubule:f2p/1 --spacing 40 -w 4"),
    ("process hull", "-i membrane:box/* -o membrane:hulls/{input_session_id} -w 2"),
]


@pytest.mark.slow
def test_options_that_people_use_give_what_they_give_on_upstream(
    tmp_path: Path, make_config: Any, plugins: Any
) -> None:
    """Chosen runs, several workers, patterns, templates of session ids, short outputs."""
    ours, theirs = twins(tmp_path, make_config, RUNS)
    before = len(contents(ours))
    run_commands(plugins, OPTIONS, ours, theirs)
    made = check_equal(ours, theirs)
    assert len(made) > before + 2 * len(OPTIONS)
    assert sum("ribosome:two/1" in key for key in made) == 2


@pytest.mark.slow
def test_what_programs_do_that_do_not_install_gives_what_it_gives_on_upstream(
    tmp_path: Path, make_config: Any, plugins: Any
) -> None:
    """C89 and reference copick-faults, 15: ChimeraX's plug-in, copick-easymode, copick-server."""
    script = Path(__file__).with_name("plugin_scripts") / "programs_that_do_not_install.py"
    ours, theirs = twins(tmp_path, make_config, ("TS_001", "TS_002"))
    package, told = plugins(script.read_text(), ours, TOMOPORTAL_AS_COPICK="1")
    assert package.startswith("tomoportal")
    package, known = plugins(script.read_text(), theirs, TOMOPORTAL_AS_COPICK="")
    assert package.startswith("copick")
    known["config"][2] = known["config"][2].replace(str(theirs), str(ours))
    for what, seen in known.items():
        assert told[what] == seen, what
    check_equal(ours, theirs)


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
    """Everything imports but the modules of copick-torch that need torch; these are in test_torch.py."""
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
