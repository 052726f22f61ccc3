"""Annotations as ingestion makes them: CPU seconds and peak memory.

A label volume 630×630×184 → masks as MRC + OME-Zarr, also ten masks from one source; 20,000 oriented points of a star
file and of a copick file → ndjson, and the layers that the viewer reads.

    python benchmarks/annotations.py [--repeat N] [--output FILE]

Every run is a process of its own; the fastest of N counts. Memory is anonymous memory above that of the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from tomoportal.formats import (
    LabelVolume,
    MrcHeader,
    Volume,
    convert_volume,
    instance_mask,
    open_mrc,
    open_omezarr,
    semantic_mask,
)
from tomoportal.formats.meshes import mask_surface, placed, simplified
from tomoportal.formats.ndjson import write_points
from tomoportal.formats.neuroglancer import annotation_layer, write_mesh_layer, write_point_layer
from tomoportal.formats.point_formats import PointRequest, read_point_file
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.rotations import from_relion_angles
from tomoportal.formats.star import read_star
from tomoportal.storage import open_store

CACHE = Path(__file__).parent / ".cache"
SHAPE = (184, 630, 630)
LABELS = 10
RUNS = {
    "semantic": "one label → semantic mask",
    "instance": "all labels → instance mask",
    "ten": "ten semantic masks, source shared",
    "ten-apart": "ten semantic masks, source opened ten times",
    "ten-zarr": "ten semantic masks of an OME-Zarr, source shared",
    "ten-zarr-apart": "ten semantic masks of an OME-Zarr, source opened ten times",
    "points-star": "20,000 oriented points of a RELION 4 star file → ndjson",
    "points-copick": "20,000 oriented points of a copick file → ndjson",
    "points-star-layer": "the same star file → ndjson and the viewer's layer",
    "mesh-layer": "a mesh of 2,500 triangles at 200 oriented points → the viewer's layer",
}
SECONDS, MEGABYTES = {"semantic": 0.6, "points-star": 0.3, "points-copick": 0.3}, 300
POINTS = 20_000


def source() -> Path:
    """Ellipsoids of ten labels as an int16 MRC file."""
    path = CACHE / "labels-184x630x630.mrc"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        array = np.zeros(SHAPE, np.int16)
        box = (40, 60, 60)
        z, y, x = np.ogrid[tuple(slice(-1, 1, complex(0, size)) for size in box)]
        ball = z**2 + y**2 + x**2 < 1
        for number in range(12 * LABELS):
            corner = [int(rng.integers(0, size - edge)) for size, edge in zip(SHAPE, box, strict=True)]
            part = array[tuple(slice(start, start + edge) for start, edge in zip(corner, box, strict=True))]
            part[ball] = number % LABELS + 1
        nz, ny, nx = SHAPE
        header = MrcHeader(nx, ny, nz, 1, mx=nx, my=ny, mz=nz, cella=(nx * 10.0, ny * 10.0, nz * 10.0))
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(header.pack() + array.tobytes())
        temporary.rename(path)
    return path


def zarr_source() -> Path:
    """The same labels as OME-Zarr."""
    folder = CACHE / "labels-zarr"
    if not (folder / "labels.zarr/.zgroup").exists():
        convert(open_mrc(source()), open_store(folder, create=True), "labels", "instance_mask")
    return folder


def open_source(*, is_zarr: bool) -> Volume:
    return open_omezarr(open_store(zarr_source()), "labels.zarr") if is_zarr else open_mrc(source())


def anonymous() -> float:
    """Anonymous memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1000
    raise OSError("this kernel does not tell anonymous memory")


def points_source(name: str) -> bytes:
    """The same particles as a star file of RELION 4, or as a copick file."""
    rng = np.random.default_rng(0)
    places, angles = rng.uniform(0, 600, (POINTS, 3)).round(3), rng.uniform(-180, 180, (POINTS, 3)).round(3)
    if name == "copick":
        transformations = np.zeros((POINTS, 4, 4))
        transformations[:, :3, :3], transformations[:, 3, 3] = from_relion_angles(angles), 1
        rows = zip((places * 10).tolist(), transformations.tolist(), strict=True)
        points = [
            {"location": dict(zip("xyz", place, strict=True)), "transformation_": matrix} for place, matrix in rows
        ]
        return json.dumps({"pickable_object_name": "particle", "points": points}).encode()
    columns = (
        "TomoName",
        "CoordinateX",
        "CoordinateY",
        "CoordinateZ",
        "AngleRot",
        "AngleTilt",
        "AnglePsi",
        "OpticsGroup",
    )
    lines = ["data_optics", "", "loop_", "_rlnOpticsGroup", "_rlnImagePixelSize", "1 10.0", "", "data_particles", ""]
    lines += ["loop_", *(f"_rln{column}" for column in columns)]
    for place, angle in zip(places.tolist(), angles.tolist(), strict=True):
        lines.append(" ".join(map(str, ("TS_1", *place, *angle, 1))))
    return "\n".join([*lines, ""]).encode()


def points(name: str, data: bytes, folder: Path) -> None:
    """What the step of ingestion does with a source of points."""
    _, kind, *layer = name.split("-")
    request = PointRequest(
        shape="OrientedPoint",
        filter_value="TS_1" if kind == "star" else None,
        binning=1.0 if kind == "star" else 10.0,
        voxel_spacing=10.0,
        volume_shape=(600, 600, 600),
    )
    if kind == "star":
        found = read_point_file("relion4_star", read_star(data, name), name, request)
    else:
        found = read_point_file("copick", data, name, request)
    assert len(found) == POINTS
    store = open_store(folder)
    store.put("points.ndjson", write_points(found))
    if layer:
        made = annotation_layer(found, voxel_spacing=10.0, object_name="particle", color="#ff0000", shape=(600,) * 3)
        write_point_layer(store, "layer", made)


def mesh(folder: Path) -> None:
    """What ingestion does with ``mesh_source_path``."""
    grid = np.ogrid[-20:21, -20:21, -20:21]
    template = mask_surface(sum(axis**2 for axis in grid) <= 300)
    assert template is not None
    rng = np.random.default_rng(0)
    where = VoxelPoints(rng.uniform(0, 600, (200, 3)), from_relion_angles(rng.uniform(-180, 180, (200, 3))))
    write_mesh_layer(open_store(folder), "layer", placed(simplified(template, 2500), where), "particle")


def run(name: str, folder: Path) -> dict[str, float]:
    data = points_source(name.split("-")[1]) if name.startswith("points") else b""
    base, peak, done = anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    cpu, wall = time.process_time(), time.perf_counter()
    store, is_zarr = open_store(folder, create=True), "zarr" in name
    if name == "semantic":
        convert(semantic_mask(open_source(is_zarr=False), label=3), store, "a", "semantic_mask")
    elif name.startswith("points"):
        points(name, data, folder)
    elif name == "mesh-layer":
        mesh(folder)
    elif name == "instance":
        convert(instance_mask(open_source(is_zarr=False)), store, "a", "instance_mask")
    elif name.endswith("apart"):
        for label in range(1, LABELS + 1):
            convert(semantic_mask(open_source(is_zarr=is_zarr), label=label), store, str(label), "semantic_mask")
    else:
        volume = LabelVolume(open_source(is_zarr=is_zarr))
        for label in filter(volume.holds, range(1, LABELS + 1)):
            convert(semantic_mask(volume, label=label), store, str(label), "semantic_mask")
        volume.close()
    found = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    done.set()
    watcher.join()
    return found | {"memory": peak[0] - base}


def convert(volume: Any, store: Any, name: str, kind: Any) -> None:
    convert_volume(volume, store, mrc_key=f"{name}.mrc", zarr_prefix=f"{name}.zarr", voxel_spacing=10.0, kind=kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "annotations.md")
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run[0], Path(options.run[1]))))
        return
    zarr_source()
    lines = [
        "# Annotations",
        "",
        f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__};"
        f" fastest of {options.repeat}; `jobs=1`.",
        "",
        "| int16 630×630×184 → MRC + OME-Zarr; points; meshes | CPU s | wall s | peak MB | goal |",
        "|---|---|---|---|---|",
    ]
    for name, title in RUNS.items():
        found = []
        for _ in range(options.repeat):
            folder = Path(tempfile.mkdtemp(dir=CACHE))
            try:
                command = [sys.executable, __file__, "--run", name, str(folder)]
                found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            finally:
                shutil.rmtree(folder)
        best = {key: min(each[key] for each in found) for key in ("cpu", "wall")}
        memory = max(each["memory"] for each in found)
        goal = f"{f'{SECONDS[name]} s, ' if name in SECONDS else ''}{MEGABYTES} MB"
        lines.append(f"| {title} | {best['cpu']:.2f} | {best['wall']:.2f} | {memory:.0f} | {goal} |")
    text = "\n".join(lines) + "\n"
    print(text)
    options.output.write_text(text)


if __name__ == "__main__":
    main()
