"""One conversion in a process of its own, measured; started by convert.py in the environment of each program.

    python convert_runs.py PROGRAM SOURCE TARGET KIND

Prints one JSON object: CPU seconds (all threads, child processes too), wall seconds, and the peak of anonymous memory
above what the imports had taken, in MB. Starting Python and importing are not counted.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shutil
import sys
import threading
from collections.abc import Callable

sys.path.append(os.path.dirname(__file__))  # last: it holds files that have the names of packages

from measuring import Measure, printed

SPACING = 10.0
CHUNK = 128


def ours(source: str, target: str, kind: str, jobs: int) -> Callable[[], dict[str, object]]:
    from tomoportal.formats import convert_volume, open_mrc
    from tomoportal.storage import open_store

    def run() -> dict[str, object]:
        import hashlib

        volume = open_mrc(source)
        store = open_store(target, create=True)
        places = {"mrc_key": "v.mrc", "zarr_prefix": "v.zarr"}
        done = convert_volume(volume, store, **places, voxel_spacing=SPACING, kind=kind, jobs=jobs)  # type: ignore[arg-type]
        return {"digest": hashlib.sha256(repr(done.files).encode()).hexdigest()}

    return run


def limit(source: str, target: str, kind: str) -> Callable[[], dict[str, object]]:
    """What no converter with these chunks and codecs can beat: gather, halve, compress and write with two threads.

    The lower levels are held in memory, each thread writes one file that is opened before the clock starts, and there
    are no checks, statistics, digests, names or metadata.
    """
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from tomoportal.formats import open_mrc
    from tomoportal.formats.omezarr import codec_for
    from tomoportal.formats.pyramid import Halving, halved_shape

    volume = open_mrc(source)
    reduction = "majority" if kind == "semantic_mask" else "mean"
    codec = codec_for(volume.dtype, is_mask=kind == "semantic_mask")
    shapes = [volume.shape]
    for _ in range(2):
        shapes.append(halved_shape(shapes[-1], (2, 2, 2)))
    lower = [np.empty(shape, volume.dtype) for shape in shapes[1:]]
    os.makedirs(target)
    scratch = threading.local()
    files = iter([os.open(f"{target}/{number}", os.O_WRONLY | os.O_CREAT) for number in range(2)])

    def prepare() -> None:
        scratch.file = next(files)
        scratch.chunk = np.zeros((CHUNK,) * 3, volume.dtype)
        scratch.halve = Halving((CHUNK,) * 3, volume.dtype, (2, 2, 2), reduction)  # type: ignore[arg-type]

    def box(shape: tuple[int, int, int], start: tuple[int, int, int], size: int) -> tuple[slice, ...]:
        return tuple(slice(at, min(at + size, end)) for at, end in zip(start, shape, strict=True))

    def copy(z: int) -> None:
        os.write(scratch.file, volume.read(z, z + 8).data)

    def convert(level: int, start: tuple[int, int, int]) -> None:
        place = box(shapes[level], start, CHUNK)
        (z0, z1), (y0, y1), (x0, x1) = ((each.start, each.stop) for each in place)
        part = scratch.chunk[: z1 - z0, : y1 - y0, : x1 - x0]
        if part.shape != scratch.chunk.shape:
            scratch.chunk[:] = 0
        part[:] = volume.read(z0, z1, y0, y1, x0, x1) if level == 0 else lower[level - 1][place]
        if level == 0:
            for k in (1, 2):
                half = lower[k - 1][box(shapes[k], (z0 >> k, y0 >> k, x0 >> k), CHUNK >> k)]
                scratch.halve(part, half)
                part = half
        os.write(scratch.file, codec.encode(scratch.chunk))

    def run() -> dict[str, object]:
        with ThreadPoolExecutor(2, initializer=prepare) as pool:
            list(pool.map(copy, range(0, volume.shape[0], 8)))
            for level, (nz, ny, nx) in enumerate(shapes):
                starts = [
                    (z, y, x) for z in range(0, nz, CHUNK) for y in range(0, ny, CHUNK) for x in range(0, nx, CHUNK)
                ]
                list(pool.map(convert, [level] * len(starts), starts))
        return {}

    return run


def copick(source: str, target: str, kind: str) -> Callable[[], dict[str, object]]:
    from copick.cli.cli import main

    def command(*arguments: str) -> None:
        sys.argv = ["copick", *arguments]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main()

    command("add", "tomogram", "--help")  # imports what the command needs
    config = f"{target}.json"
    command("config", "filesystem", "--config", config, "--overlay-root", target, "--proj-name", "benchmark")
    arguments = ("add", "tomogram", source, "--config", config, "--run", "run1", "--voxel-size", str(SPACING))

    def run() -> dict[str, object]:
        command(*arguments)
        return {}

    return run


def ngff_zarr(source: str, target: str, kind: str) -> Callable[[], dict[str, object]]:
    from ngff_zarr.cli import main

    options = ["--ome-zarr-version", "0.4", "-c", str(CHUNK), "-m", "itkwasm_bin_shrink", "--no-omero", "-q"]

    def run() -> dict[str, object]:
        sys.argv = ["ngff-zarr", "-i", source, "-o", f"{target}/v.ome.zarr", *options]
        with contextlib.suppress(SystemExit):
            main()
        return {}

    return run


PROGRAMS: dict[str, Callable[[str, str, str], Callable[[], dict[str, object]]]] = {
    "ours-1": functools.partial(ours, jobs=1),
    "ours-2": functools.partial(ours, jobs=2),
    "limit": limit,
    "copick": copick,
    "ngff-zarr": ngff_zarr,
}


def size_of(folder: str) -> int:
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(folder) for name in names)


if __name__ == "__main__":
    program, source, target, kind = sys.argv[1:]
    shutil.rmtree(target, ignore_errors=True)
    run = PROGRAMS[program](source, target, kind)
    measure = Measure()
    told = run()
    taken = measure.end()
    if not (written := size_of(target)):
        raise SystemExit("nothing was written")
    printed({**told, **taken, "written": written / 1e6})
