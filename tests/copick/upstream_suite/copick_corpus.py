"""The sample project that the tests of the PyPI package copick read, made anew from what they assert.

Theirs is fetched from an archive that tests here cannot reach. This script runs where that package is installed and
writes with it: ``python copick_corpus.py TESTS FOLDER`` leaves ``sample_project.zip`` in FOLDER. TESTS is the folder of
their tests: the points of one list of picks are literals in them and are read from there. All else is seeded noise with
the sums that they assert.
"""

from __future__ import annotations

import ast
import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from copick.util.ome import write_ome_zarr_3d

import copick

RUNS = ("TS_001", "TS_002", "TS_003")
SIDE = 64  # voxels of 10 Å
OBJECTS: list[dict[str, Any]] = [
    {
        "name": "proteasome", "is_particle": True, "pdb_id": "3J9I", "label": 1, "color": [255, 0, 0, 255],
        "radius": 60, "map_threshold": 0.0418,
    },
    {
        "name": "ribosome", "is_particle": True, "pdb_id": "7P6Z", "label": 2, "color": [0, 255, 0, 255],
        "radius": 150, "map_threshold": 0.037,
    },
    {"name": "membrane", "is_particle": False, "label": 3, "color": [0, 0, 0, 255]},
]  # fmt: skip
PICKS = (
    ("pytom", "0", "proteasome"),
    ("ArtiaX", "19", "proteasome"),
    ("test.user", "1234", "proteasome"),
    ("test.user", "1234", "ribosome"),
)
MESHES = (("membrain", "0", "membrane"), ("gapstop", "0", "ribosome"), ("user.test", "321", "proteasome"))


def literals(tests: Path, fixture: str) -> np.ndarray:
    """The array that a fixture of ``test_filesystem.py`` returns."""
    for node in ast.parse((tests / "test_filesystem.py").read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name == fixture:
            (returned,) = (each for each in node.body if isinstance(each, ast.Return))
            assert isinstance(returned.value, ast.Call)
            return np.array(ast.literal_eval(returned.value.args[0]))
    raise SystemExit(f"test_filesystem.py has no fixture {fixture}")


def volume(shape: tuple[int, int, int], total: float, region: tuple[slice, slice, slice], part: float) -> np.ndarray:
    """Zeros and ones (z, y, x), float32, that add up to ``total``, and within ``region`` to ``part``.

    What is not whole is added to the region's last voxel and to the one after it in memory, so that float32 sums are
    exact in whichever order.
    """
    inside = np.zeros(shape, bool)
    inside[region] = True
    generator = np.random.default_rng(7)
    found = np.zeros(shape, np.float32)
    for where, count in ((inside, int(part)), (~inside, int(total) - int(part))):
        places = np.flatnonzero(where)
        found.reshape(-1)[generator.choice(places, count, replace=False)] = 1
    last = tuple(each.stop - 1 for each in region)
    rest = float(np.float32(part)) - int(part)
    found[last] += rest
    found[(*last[:2], last[2] + 1)] += total - int(total) - rest
    return found


def write(entity: Any, volume: np.ndarray, size: float, depth: int) -> None:
    """A pyramid of so many levels; every second voxel is kept, so that labels stay labels."""
    levels = {size * 2**level: volume[:: 2**level, :: 2**level, :: 2**level] for level in range(depth)}
    write_ome_zarr_3d(entity.zarr(), levels, (SIDE, SIDE, SIDE))


def sphere(center: tuple[int, int, int], radius: float) -> np.ndarray:
    z, y, x = np.indices((SIDE, SIDE, SIDE))
    return (z - center[0]) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2 <= radius**2


def add_volumes(run: Any) -> None:
    depth = 3 if run.name == RUNS[0] else 1  # every test copies every file
    middle = (slice(20, 40),) * 3
    generator = np.random.default_rng(8)
    for size, side in ((10.0, SIDE), (20.0, SIDE // 2)):
        spacing = run.new_voxel_spacing(size)
        wbp = spacing.new_tomogram("wbp")
        write(wbp, generator.integers(-3, 4, (side,) * 3).astype(np.float32), size, depth)
        if size == 10:
            denoised = volume((SIDE,) * 3, 8192, (slice(10, 40), slice(50, 60), slice(0, 30)), 30)
            write(spacing.new_tomogram("denoised"), denoised, size, depth)
            sobel = volume((SIDE,) * 3, 20619.8125, middle, 563.36730957)
            write(wbp.new_features("sobel"), sobel, size, depth)
            write(wbp.new_features("edge"), (sobel > 0).astype(np.float32), size, depth)
    membrane = volume((SIDE,) * 3, 24576, middle, 426).astype(np.uint8)
    write(run.new_segmentation(20.0, "membrane", "0", user_id="membrain"), membrane, 20.0, depth)
    labels = (sphere((20, 20, 20), 6) * 1 + sphere((44, 44, 40), 8) * 2).astype(np.uint8)
    write(run.new_segmentation(10.0, "prediction", "0", True, user_id="cellcanvas"), labels, 10.0, depth)
    write(run.new_segmentation(10.0, "painting", "123", True, user_id="test.user"), labels[::-1], 10.0, depth)


def add_instances(run: Any) -> None:
    """Three ribosomes as an instance and, with a membrane and a proteasome, as a panoptic segmentation."""
    ribosomes = np.zeros((SIDE,) * 3, np.uint16)
    for number, center in enumerate(((14, 16, 18), (18, 46, 42), (42, 22, 46)), start=1):
        ribosomes[sphere(center, 7)] = number
    labels, instances = np.where(ribosomes > 0, 2, 0).astype(np.uint16), ribosomes.copy()
    labels[54:60] = 3
    proteasome = sphere((40, 50, 14), 5)
    labels[proteasome], instances[proteasome] = 1, 1
    run.new_segmentation(10.0, "ribosome", "1", user_id="annotator", is_instance=True).from_numpy(ribosomes, 3)
    both = np.stack([labels, instances])
    run.new_segmentation(10.0, "cell", "1", user_id="annotator", is_panoptic=True).from_numpy(both, 3)


def add_annotations(run: Any, points: np.ndarray, transforms: np.ndarray) -> None:
    run.new_picks("ribosome", "0", user_id="gapstop").from_numpy(points, transforms)
    generator = np.random.default_rng(9)
    for user, session, name in PICKS:
        run.new_picks(name, session, user_id=user).from_numpy(generator.uniform(50, 590, (8, 3)))
    for user, session, name in MESHES:
        mesh = run.new_mesh(name, session, user_id=user)
        mesh.mesh = trimesh.creation.icosphere(subdivisions=2, radius=90).apply_translation([320, 300, 280])
        mesh.store()


def write_project(tests: Path, folder: Path) -> None:
    """``sample_project``, ``sample_overlay`` and the two configs in ``folder``."""
    (folder / "sample_overlay").mkdir(parents=True)
    config = {"config_type": "filesystem", "name": "test", "description": "A test project.", "version": "1.31.0"}
    config["pickable_objects"] = OBJECTS
    roots = {"overlay_root": "local:///somewhere/sample_overlay", "overlay_fs_args": {"auto_mkdir": True}}
    static = {"static_root": "local:///somewhere/sample_project", "static_fs_args": {"auto_mkdir": False}}
    (folder / "filesystem_overlay_only.json").write_text(json.dumps({**config, **roots}, indent=4))
    (folder / "filesystem.json").write_text(json.dumps({**config, **roots, **static}, indent=4))

    roots["overlay_root"] = f"local://{folder}/sample_project"
    root = copick.from_string(json.dumps({**config, **roots}))
    shape = (42, 36, 36)
    density = volume(shape, 1029.2904052734375, (slice(10, 20),) * 3, 168.116912842)
    for name in ("proteasome", "ribosome"):
        write_ome_zarr_3d(root.get_object(name).zarr(), {10.0: density}, (SIDE, SIDE, SIDE))
    points = literals(tests, "ts_001_ribosome_gapstop_points")
    transforms = literals(tests, "ts_001_ribosome_gapstop_transformations")
    for name in RUNS:
        run = root.new_run(name)
        add_volumes(run)
        add_annotations(run, points, transforms)
        if name == "TS_002":
            add_instances(run)


def pack(folder: Path, output: Path) -> None:
    """A zip of the folder's content, with its empty folders and without times."""
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "")
            archive.writestr(zipfile.ZipInfo(name), b"" if path.is_dir() else path.read_bytes())


def main(tests: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    made = output / "made"
    shutil.rmtree(made, ignore_errors=True)
    write_project(tests, made)
    pack(made, output / "sample_project.zip")
    shutil.rmtree(made)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
