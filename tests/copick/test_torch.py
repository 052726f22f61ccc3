"""copick-torch on our package gives what it gives on upstream's: data sets, samplers, augmentations, commands.

It needs torch. A CPU build is installed into ``.venv-copick-torch`` where pip finds one; these tests are skipped where
pip would take a build with gigabytes of CUDA, unless ``TOMOPORTAL_COPICK_TORCH_PYTHON`` names an interpreter.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import tomoportal.copick as copick

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).with_name("plugin_scripts")
SIZE = 32  # voxels of 10 Å

COMMANDS = {
    "convert picks2slab": "-i1 ribosome:top/1 -i2 ribosome:low/1 -t wbp@10.0 --method parallel -o membrane:slab/1",
    "convert seg2slab": "-i membrane:ada/1@10.0 --label 1 --method parallel -o membrane:fitted/1",
    "process downsample": "-i wbp@10.0 --target-resolution 20 -o small@20.0",
    "process bandpass": "-i wbp@10.0 --lp-freq 60 --hp-freq 200 -o filtered@10.0",
    "inference membrain-seg": "-ta wbp -vs 10 --user-id membrain --session-id 1 --threshold 0.1 -r TS_001",
    "convert nnunet": "-c FOLDER/copick_config.json -uri wbp@10.0 -sinfo targets,ada,1 -n all -o FOLDER/raw -j 2",
    # It trains on a GPU only: everything before that is done, then nnU-Net ends with an error.
    "training nnunet": "-n all -r FOLDER/raw -pre FOLDER/preprocessed -o FOLDER/results",
    "inference nnunet": "-c FOLDER/copick_config.json -p FOLDER/preprocessed/Dataset001_all/nnUNetPlans.json"
    " -d FOLDER/preprocessed/Dataset001_all/dataset.json -w FOLDER/weights.pth -turi wbp@10.0"
    " -suri predict:nnunet/1 --tta False",
}


def make_project(folder: Path, make_config: Any) -> None:
    """Two runs with a tomogram, picks of tools, and a multilabel segmentation of what nnU-Net should learn."""
    folder.mkdir()
    root = copick.from_file(make_config(folder))
    generator = np.random.default_rng(5)
    z, y, x = np.indices((SIZE, SIZE, SIZE))
    for name in ("TS_001", "TS-002"):
        run = root.new_run(name)
        run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(generator.normal(size=z.shape).astype(np.float32))
        for object_name, count in (("ribosome", 9), ("proteasome", 6), ("microtubule", 4)):
            transforms = np.tile(np.eye(4), (count, 1, 1))
            transforms[:, :3, 3] = generator.uniform(-8, 8, (count, 3))
            places = generator.uniform(60, 10 * SIZE - 60, (count, 3))
            run.new_picks(object_name, "0", "tool").from_numpy(places, transforms)
        for height, user in ((220, "top"), (90, "low")):
            places = generator.uniform(40, 10 * SIZE - 40, (12, 3))
            places[:, 2] = height
            run.new_picks("ribosome", "1", user).from_numpy(places)
        slab = (z > 10) & (z < 22)
        run.new_segmentation(10, "membrane", "1").from_numpy(slab)
        balls = (x - 9) ** 2 + (y - 9) ** 2 + (z - 16) ** 2 < 25
        run.new_segmentation(10, "targets", "1", True).from_numpy(np.where(balls, 1, np.where(slab, 2, 0)))
    logs = folder / "overlay" / "logs"
    logs.mkdir()
    (logs / "targets-ada_1_targets.yaml").write_text(yaml.safe_dump({"input": {"labels": {"ribosome": 1, "slab": 2}}}))


@pytest.fixture
def twins(tmp_path: Path, make_config: Any) -> dict[str, Path]:
    """One project twice."""
    make_project(tmp_path / "ours", make_config)
    shutil.copytree(tmp_path / "ours", tmp_path / "theirs")
    config = tmp_path / "theirs" / "copick_config.json"
    config.write_text(config.read_text().replace(str(tmp_path / "ours"), str(tmp_path / "theirs")))
    return {"1": tmp_path / "ours", "": tmp_path / "theirs"}


def test_every_module_of_copick_torch_imports(torch_plugins: Any) -> None:
    script = """
import importlib, json, pkgutil
import copick, copick_torch
names = [each.name for each in pkgutil.walk_packages(copick_torch.__path__, "copick_torch.")]
print(json.dumps([copick.from_file.__module__, len([importlib.import_module(name) for name in names])]))
"""
    assert torch_plugins(script, TOMOPORTAL_AS_COPICK="1") == ["tomoportal.copick.opening", 29]


def test_data_sets_are_the_same_as_on_upstream(twins: dict[str, Path], torch_plugins: Any) -> None:
    script = (SCRIPTS / "torch_datasets.py").read_text()
    told = {flag: torch_plugins(script, folder, TOMOPORTAL_AS_COPICK=flag) for flag, folder in twins.items()}
    assert told["1"][0].startswith("tomoportal")
    assert told[""][0].startswith("copick")
    ours, theirs = (np.load(folder / "datasets.npz") for folder in twins.values())
    assert set(ours) == set(theirs)
    assert len(ours) > 60
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_commands_give_what_they_give_on_upstream(twins: dict[str, Path], torch_plugins: Any) -> None:
    script = (SCRIPTS / "torch_commands.py").read_text()
    ours, theirs = twins["1"], twins[""]
    variables = {"nnUNet_def_n_proc": "2"}
    told = torch_plugins(script, ours, json.dumps(COMMANDS), TOMOPORTAL_AS_COPICK="1", **variables)
    assert told == ["tomoportal.copick.opening", {**dict.fromkeys(COMMANDS), "training nnunet": "exit 1"}]
    # What nnU-Net plans for itself takes no copick: it is done once.
    shutil.copytree(ours / "preprocessed", theirs / "preprocessed")
    commands = {name: each for name, each in COMMANDS.items() if name != "training nnunet"}
    told = torch_plugins(script, theirs, json.dumps(commands), TOMOPORTAL_AS_COPICK="", **variables)
    assert told == ["copick.ops.open", dict.fromkeys(commands)]
    mine, others = contents(ours), contents(theirs)
    assert set(mine) == set(others)
    for name in mine:
        np.testing.assert_allclose(mine[name], others[name], atol=1e-3, err_msg=name)
    for name in ("slab/1", "fitted/1", "small@20", "filtered@10", "membranes:membrain/1@10", "predict:nnunet/1@10"):
        assert any(name in key for key in mine), (name, list(mine))


def contents(folder: Path) -> dict[str, Any]:
    """Every volume and mesh of the project and every document beside it, comparable."""
    found: dict[str, Any] = {}
    for run in copick.from_file(folder / "copick_config.json").runs:
        for volume in [*run.segmentations, *(each for spacing in run.voxel_spacings for each in spacing.tomograms)]:
            found[f"{run.name} {copick.serialize_copick_uri(volume)}"] = volume.numpy()
        for mesh in run.meshes:
            surface = mesh.mesh.to_geometry() if hasattr(mesh.mesh, "to_geometry") else mesh.mesh
            found[f"{run.name} {copick.serialize_copick_uri(mesh)}"] = np.vstack([surface.bounds, surface.centroid])
    for path in sorted((folder / "overlay" / "logs").iterdir()):
        assert path.name.endswith(".yaml")
        found[path.name] = len(path.read_text().replace(str(folder), ""))
    for path in sorted((folder / "raw").rglob("*.nii.gz")):
        found[str(path.relative_to(folder))] = os.path.getsize(path)
    return found
