"""A label volume 630×630×184 → masks as MRC + OME-Zarr: CPU seconds and peak memory, and ten masks from one source.

    python benchmarks/mask.py [--repeat N] [--output FILE]

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
}
SECONDS, MEGABYTES = {"semantic": 0.6}, 300


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


def run(name: str, folder: Path) -> dict[str, float]:
    base, peak, done = anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    cpu, wall = time.process_time(), time.perf_counter()
    store, is_zarr = open_store(folder, create=True), "zarr" in name
    if name == "semantic":
        convert(semantic_mask(open_source(is_zarr=False), label=3), store, "a", "semantic_mask")
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
    parser.add_argument("--output", type=Path)
    parser.add_argument("--run", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run[0], Path(options.run[1]))))
        return
    zarr_source()
    lines = [
        f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__};"
        f" fastest of {options.repeat}; `jobs=1`.",
        "",
        "| int16 630×630×184 → MRC + OME-Zarr | CPU s | wall s | peak MB | goal |",
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
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
