"""The copick project of the comparisons: many picks with many points, small volumes, and a large one to store."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
from comparison import CACHE

import tomoportal.copick as copick
from tomoportal.copick.pick_documents import table_of
from tomoportal.copick.pick_output import write_picks

FILES_PER_RUN = 10
POINTS_PER_FILE = 200


def project(runs: int) -> Path:
    """A folder with a project to read (``copick_config.json``, its files below ``served/overlay``), one to write to
    (``written/``) and ``volume.npy``."""
    folder = CACHE / f"copick-{runs}-runs"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _make_project(folder, runs)
        _make_volume(folder / "volume.npy")
        (folder / "ready").touch()
    shutil.rmtree(folder / "written", ignore_errors=True)
    (folder / "written").mkdir()
    objects = [{"name": "ribosome", "is_particle": True, "label": 50}]
    config = folder / "written" / "copick_config.json"
    copick.new_config(config, str(folder / "written" / "overlay"), pickable_objects=objects)
    return folder


def few_runs(folder: Path, runs: int) -> None:
    """The first runs of a project once more, as hard links, below ``served/few``."""
    few = folder / "served" / "few"
    shutil.rmtree(few, ignore_errors=True)
    for run in sorted((folder / "served" / "overlay" / "ExperimentRuns").glob("TS_*"))[:runs]:
        shutil.copytree(run, few / "ExperimentRuns" / run.name, copy_function=os.link)


def _make_project(folder: Path, runs: int) -> None:
    """Files as both packages write them; volumes are copies of one."""
    objects = [{"name": f"object{n}", "is_particle": True, "label": n + 1} for n in range(FILES_PER_RUN)]
    objects += [{"name": "membrane", "is_particle": False, "label": 51}]
    root = copick.new_config(
        folder / "copick_config.json", str(folder / "served" / "overlay"), pickable_objects=objects
    )
    template = root.new_run("template")
    generator = np.random.default_rng(0)
    volume = generator.normal(size=(32, 32, 32)).astype(np.float32)
    template.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(volume)
    template.new_segmentation(10.0, "membrane", "0", user_id="tool").from_numpy(volume > 0)
    template.new_segmentation(10.0, "all", "0", True, user_id="tool").from_numpy(volume > 0)
    base = Path(template.overlay_path)
    for number in range(runs):
        run = base.with_name(f"TS_{number:04d}")
        shutil.copytree(base, run)
        (run / "Picks").mkdir()
        for name in range(FILES_PER_RUN):
            transforms = np.tile(np.eye(4), (POINTS_PER_FILE, 1, 1))
            transforms[:, :3, :3] = np.linalg.qr(generator.normal(size=(POINTS_PER_FILE, 3, 3)))[0]
            table = table_of(
                generator.uniform(0, 5000, (POINTS_PER_FILE, 3)),
                transforms,
                np.arange(POINTS_PER_FILE),
                generator.uniform(size=POINTS_PER_FILE),
            )
            names = {"pickable_object_name": f"object{name}", "user_id": "tool", "session_id": "0"}
            rest = {"run_name": run.name, "voxel_spacing": None, "unit": "angstrom", "trust_orientation": True}
            (run / "Picks" / f"tool_0_object{name}.json").write_bytes(write_picks(table, {**names, **rest}))
    shutil.rmtree(base)


def _make_volume(path: Path) -> None:
    generator = np.random.default_rng(0)
    tomogram = np.lib.format.open_memmap(path, "w+", np.float32, (184, 630, 630))
    for z in range(len(tomogram)):
        plane = generator.standard_normal((630, 630), np.float32)
        tomogram[z] = (np.roll(plane, 1, 0) + 2 * plane + np.roll(plane, -1, 1)) / 4
    tomogram.flush()
