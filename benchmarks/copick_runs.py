"""One operation on a copick project, in a process of its own: `copick_runs.py PACKAGE OPERATION FOLDER`.

PACKAGE is `ours` or `upstream`; the operations are the same calls for both. Prints CPU and wall seconds of the
operation alone, and the process's peak memory, as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

PACKAGE, OPERATION, FOLDER = sys.argv[1:4]
START = time.perf_counter(), time.process_time()

if PACKAGE == "ours":
    import tomoportal.copick as copick
else:
    import copick  # type: ignore[no-redef]

CONFIG = f"{FOLDER}/copick_config.json"


def load() -> None:
    getattr(copick, "from_file")  # noqa: B009 - names of ours are imported when they are first used
    if PACKAGE == "ours":
        for name in copick.__all__:
            getattr(copick, name)
    else:
        importlib.import_module("copick.models")


def open_and_list() -> int:
    root = copick.from_file(CONFIG)
    count = 0
    for run in root.runs:
        count += len(run.picks) + len(run.segmentations)
        count += sum(len(spacing.get_tomograms("wbp")) for spacing in run.voxel_spacings)
    return count


def read_picks() -> int:
    count = 0
    for run in copick.from_file(CONFIG).runs:
        for picks in run.picks:
            positions, transforms = picks.numpy()
            count += len(positions) + len(picks.instance_ids()) + len(picks.scores()) + len(transforms)
    return count // 4


def write_points() -> int:
    import numpy as np

    generator = np.random.default_rng(0)
    count = 20_000
    transforms = np.tile(np.eye(4), (count, 1, 1))
    transforms[:, :3, :3] = np.linalg.qr(generator.normal(size=(count, 3, 3)))[0]
    transforms[:, 0, :3] *= np.linalg.det(transforms[:, :3, :3])[:, None]
    positions, scores = generator.uniform(0, 5000, (count, 3)), generator.uniform(size=count)
    run = copick.from_file(CONFIG).new_run("written", exist_ok=True)
    picks = run.new_picks("ribosome", PACKAGE, "writer", exist_ok=True)
    began()
    picks.from_numpy(positions, transforms, np.arange(count), scores)
    return count


def tomogram() -> Any:
    run = copick.from_file(CONFIG).new_run("written", exist_ok=True)
    return run.new_voxel_spacing(10.0, exist_ok=True).new_tomogram(PACKAGE, exist_ok=True)


def add_tomogram() -> int:
    import numpy as np

    volume = np.load(f"{FOLDER}/volume.npy", mmap_mode="r")
    entity = tomogram()
    began()
    entity.from_numpy(volume)
    return int(volume.size)


def read_tomogram() -> int:
    entity = tomogram()
    warm_up(entity)
    began()
    return int(entity.numpy().size)


def read_slice() -> int:
    entity = tomogram()
    warm_up(entity)
    began()
    return int(entity.numpy(z=slice(90, 91)).size)


def warm_up(entity: Any) -> None:
    """Load the codecs, which both packages import before their first chunk or with it."""
    entity.numpy("2", x=slice(0, 1), y=slice(0, 1), z=slice(0, 1))


def began() -> None:
    """What was done so far is preparation and does not count."""
    global START
    START = time.perf_counter(), time.process_time()


OPERATIONS: dict[str, Callable[[], int | None]] = {
    "import": load,
    "list": open_and_list,
    "read picks": read_picks,
    "write points": write_points,
    "add tomogram": add_tomogram,
    "read tomogram": read_tomogram,
    "read slice": read_slice,
}

if OPERATION != "import":
    load()
    began()
count = OPERATIONS[OPERATION]()
wall, cpu = time.perf_counter() - START[0], time.process_time() - START[1]
with open("/proc/self/status") as file:  # getrusage would count what the parent held before this program began
    peak = next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM:"))
print(json.dumps({"cpu": cpu, "wall": wall, "peak": peak, "count": count}))
