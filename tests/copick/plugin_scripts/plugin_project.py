"""A project that plug-ins work on, what they make of it on our package and on upstream's, and whether that is equal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

import tomoportal.copick as copick

RUN = """
import contextlib, io, json, os, random, sys, traceback
import numpy as np
from copick.cli.cli import cli
commands, folder = json.loads(sys.argv[1]), sys.argv[2]
os.environ["COPICK_CONFIG"] = folder + "/copick_config.json"
told = []
for name, arguments in commands:
    np.random.seed(0); random.seed(0)
    try:
        given = [*name.split(), *arguments.replace("FOLDER", folder).split()]
        with contextlib.redirect_stdout(io.StringIO()):
            cli.main(given, prog_name="copick", standalone_mode=False)
        told.append(None)
    except BaseException as error:
        told.append("".join(traceback.format_exception(error))[-1500:])
print(json.dumps(told))
"""


def make_project(folder: Path, make_config: Any, runs: tuple[str, ...] = ("TS_001",)) -> None:
    """Runs of 64³ voxels of 10 Å with everything that commands start from."""
    root = copick.from_file(make_config(folder))
    for seed, name in enumerate(runs, 4):
        _fill(root.new_run(name), np.random.default_rng(seed))


def twins(folder: Path, make_config: Any, runs: tuple[str, ...] = ("TS_001",)) -> tuple[Path, Path]:
    """One project twice: for ours and for theirs."""
    ours, theirs = folder / "ours", folder / "theirs"
    ours.mkdir()
    make_project(ours, make_config, runs)
    shutil.copytree(ours, theirs)
    config = theirs / "copick_config.json"
    config.write_text(config.read_text().replace(str(ours), str(theirs)))
    return ours, theirs


def run_commands(plugins: Any, commands: list[tuple[str, str]], ours: Path, theirs: Path) -> None:
    """Run commands on both packages; they have to succeed, or to fail on both."""
    mine, others = (
        plugins(RUN, json.dumps(commands), folder, TOMOPORTAL_AS_COPICK=flag)
        for folder, flag in ((ours, "1"), (theirs, ""))
    )
    wrong = [f"{name} {arguments}: {error}" for (name, arguments), error in zip(commands, mine, strict=True) if error]
    assert not wrong, "\n".join(wrong)
    assert not any(others), others


def check_equal(ours: Path, theirs: Path) -> dict[str, Any]:
    """What is in both projects, which has to be the same."""
    mine, others = contents(ours), contents(theirs)
    assert set(mine) == set(others)
    for key, arrays in mine.items():
        assert len(arrays) == len(others[key]), key
        for one, other in zip(arrays, others[key], strict=True):
            assert one.shape == other.shape, key
            np.testing.assert_allclose(one, other, atol=1e-3, err_msg=key)
    return mine


def _fill(run: copick.CopickRun, generator: np.random.Generator) -> None:
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
    found: dict[str, Any] = {}
    for run in copick.from_file(folder / "copick_config.json").runs:
        found |= {f"{run.name} {key}": arrays for key, arrays in _contents(run).items()}
    return found


def _contents(run: copick.CopickRun) -> dict[str, Any]:
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
