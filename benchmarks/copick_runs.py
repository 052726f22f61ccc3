"""One operation on a copick project, in a process of its own.

    python -P copick_runs.py ours|upstream OPERATION CONFIG

The operations are the same calls for both packages. Prints what the operation took (see measuring.py) and a count that
must be the same for both; importing does not count where it is not the operation.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

sys.path.append(os.path.dirname(__file__))  # last: it holds files that have the names of packages

from measuring import Measure, printed

PACKAGE, OPERATION, CONFIG = sys.argv[1:4]
MEASURE = Measure()


def package() -> Any:
    return importlib.import_module("tomoportal.copick" if PACKAGE == "ours" else "copick")


def loaded() -> Any:
    """The package with everything that it imports when it is first used."""
    copick = package()
    if PACKAGE == "ours":
        for name in copick.__all__:
            getattr(copick, name)
    else:
        importlib.import_module("copick.models")
        importlib.import_module("copick.impl.filesystem")
    return copick


def import_package() -> None:
    package()


def open_project() -> int:
    return len(package().from_file(CONFIG).config.pickable_objects)


def open_and_list() -> int:
    copick = loaded()
    MEASURE.begin()
    root = copick.from_file(CONFIG)
    count = 0
    for run in root.runs:
        count += len(run.picks) + len(run.segmentations)
        count += sum(len(spacing.get_tomograms("wbp")) for spacing in run.voxel_spacings)
    return count


def read_picks() -> int:
    copick = loaded()
    MEASURE.begin()
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
    run = loaded().from_file(CONFIG).new_run("TS_0000", exist_ok=True)
    picks = run.new_picks("ribosome", PACKAGE, "writer", exist_ok=True)
    MEASURE.begin()
    picks.from_numpy(positions, transforms, np.arange(count), scores)
    return count


def tomogram() -> Any:
    run = loaded().from_file(CONFIG).new_run("TS_0000", exist_ok=True)
    return run.new_voxel_spacing(10.0, exist_ok=True).new_tomogram(PACKAGE, exist_ok=True)


def add_tomogram() -> int:
    import numpy as np

    volume = np.load(os.path.join(os.path.dirname(CONFIG), "..", "volume.npy"), mmap_mode="r")
    entity = tomogram()
    MEASURE.begin()
    entity.from_numpy(volume)
    return int(volume.size)


def read_tomogram() -> int:
    return read_part()


def read_slice() -> int:
    return read_part(z=slice(90, 91))


def read_part(**box: slice) -> int:
    entity = tomogram()
    entity.numpy("2", x=slice(0, 1), y=slice(0, 1), z=slice(0, 1))  # loads the codecs
    MEASURE.begin()
    return int(entity.numpy(**box).size)


OPERATIONS: dict[str, Callable[[], int | None]] = {
    "import": import_package,
    "open": open_project,
    "list": open_and_list,
    "read picks": read_picks,
    "write points": write_points,
    "add tomogram": add_tomogram,
    "read tomogram": read_tomogram,
    "read slice": read_slice,
}

if __name__ == "__main__":
    count = OPERATIONS[OPERATION]()
    printed({**MEASURE.end(), "count": count})
