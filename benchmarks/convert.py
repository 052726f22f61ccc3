"""MRC → MRC + OME-Zarr with three levels: ours, the limit of this machine, `copick add tomogram` and `ngff-zarr`.

    python benchmarks/convert.py [--repeat N] [--quick] [--without-peers] [--output FILE]

Makes its inputs and the peers' environments below benchmarks/.cache, runs every program in a process of its own and
writes a Markdown table. See README.md beside it for how to read the numbers.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from comparison import CACHE, HERE, REQUIREMENTS, RESULTS, Found, machine, told

from tomoportal.formats import MrcHeader
from tomoportal.testing.environments import Environment

RUNS = HERE / "convert_runs.py"
PEERS = {"copick": "copick.txt", "ngff-zarr": "bench-ngff.txt"}
PEER_RUNS = 1
NAMES = {
    "ours-1": "tomoportal, `jobs=1`",
    "ours-2": "tomoportal, `jobs=2`",
    "limit": "limit (two threads)",
    "copick": "`copick add tomogram` 1.31.0",
    "ngff-zarr": "`ngff-zarr` 0.50.0",
}


@dataclass(frozen=True)
class Input:
    """A synthetic volume; ``shape`` is (z, y, x)."""

    title: str
    shape: tuple[int, int, int]
    kind: str

    @property
    def megabytes(self) -> float:
        return self.shape[0] * self.shape[1] * self.shape[2] * (1 if self.kind == "semantic_mask" else 4) / 1e6

    @property
    def path(self) -> Path:
        return CACHE / f"{self.kind}-{'x'.join(map(str, self.shape))}.mrc"

    def make(self) -> Path:
        if not self.path.exists():
            nz, ny, nx = self.shape
            is_mask = self.kind == "semantic_mask"
            cell = (nx * 10.0, ny * 10.0, nz * 10.0)
            header = MrcHeader(nx, ny, nz, 0 if is_mask else 2, mx=nx, my=ny, mz=nz, cella=cell, dmin=0.0, dmax=1.0)
            temporary = self.path.with_suffix(".tmp")
            with temporary.open("wb") as file:
                file.write(header.pack())
                for plane in mask_planes(self.shape) if is_mask else noise_planes(self.shape):
                    file.write(plane.tobytes())
            temporary.rename(self.path)
        return self.path


INPUTS = (
    Input("float32 630×630×184", (184, 630, 630), "tomogram"),
    Input("int8 mask 630×630×184", (184, 630, 630), "semantic_mask"),
    Input("float32 960×928×464", (464, 928, 960), "tomogram"),
)


def noise_planes(shape: tuple[int, int, int]) -> Iterator[np.ndarray[Any, Any]]:
    """Noise without the highest frequencies, as in a tomogram."""
    generator = np.random.default_rng(0)
    for _ in range(shape[0]):
        plane: np.ndarray[Any, Any] = generator.standard_normal(shape[1:], np.float32)
        for axis in (0, 1):
            plane = (np.roll(plane, 1, axis) + 2 * plane + np.roll(plane, -1, axis)) / 4
        yield plane


def mask_planes(shape: tuple[int, int, int]) -> Iterator[np.ndarray[Any, Any]]:
    """Two hundred balls."""
    generator = np.random.default_rng(0)
    centres = generator.uniform(0, 1, (200, 3)) * shape
    radii = generator.uniform(10, 30, 200)
    y, x = np.ogrid[: shape[1], : shape[2]]
    for z in range(shape[0]):
        plane = np.zeros(shape[1:], np.int8)
        for (cz, cy, cx), radius in zip(centres, radii, strict=True):
            if abs(z - cz) < radius:
                plane |= ((y - cy) ** 2 + (x - cx) ** 2 <= radius**2 - (z - cz) ** 2).astype(np.int8)
        yield plane


def interpreter(program: str) -> Path:
    """The Python of the environment that a program runs in; made on first use."""
    if program not in PEERS:
        return Path(sys.executable)
    return Environment(CACHE / f"venv-{program}", REQUIREMENTS / PEERS[program]).interpreter()


def run(program: str, source: Path, kind: str, target: Path) -> Found:
    source.read_bytes()  # every program finds the source in the page cache
    try:
        return told([interpreter(program), "-P", RUNS, program, source, target, kind])
    finally:
        shutil.rmtree(target, ignore_errors=True)


def best(runs: list[Found]) -> Found:
    """Least time, most memory."""
    return {
        **{key: min(each[key] for each in runs) for key in ("cpu", "wall")},
        **{key: max(each[key] for each in runs) for key in ("peak", "written")},
    }


def table(each: Input, results: dict[str, dict[str, float]]) -> list[str]:
    lines = [
        f"## {each.title} ({each.megabytes:.0f} MB)",
        "",
        "| program | CPU s | of ours | wall s | of the limit | peak memory MB | written MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for program, found in results.items():
        ratios = found["cpu"] / results["ours-1"]["cpu"], found["wall"] / results["limit"]["wall"]
        lines.append(
            f"| {NAMES[program]} | {found['cpu']:.2f} | {ratios[0]:.1f}× | {found['wall']:.2f} | {ratios[1]:.1f}× "
            f"| {found['peak']:.0f} | {found['written']:.0f} |"
        )
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each program; the best one counts")
    parser.add_argument("--quick", action="store_true", help="leave out the largest input")
    parser.add_argument("--without-peers", action="store_true", help="only ours and the limit")
    parser.add_argument("--target", type=Path, help="where to write volumes (default: memory, if /dev/shm is there)")
    parser.add_argument("--output", type=Path, default=RESULTS / "convert.md")
    arguments = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    memory = Path("/dev/shm")
    base = arguments.target or (memory if memory.is_dir() and shutil.disk_usage(memory).free > 8e9 else CACHE)
    target = Path(tempfile.mkdtemp(prefix="tomoportal-benchmark-", dir=base))
    medium = "memory (tmpfs)" if base == memory else "disk"
    lines = [
        "# MRC → MRC + OME-Zarr, three levels",
        "",
        f"Written by `benchmarks/convert.py`; best of {arguments.repeat} runs"
        f" (peers {min(PEER_RUNS, arguments.repeat)}), output to {medium}.",
        "",
        machine(),
        "",
    ]
    programs = [name for name in NAMES if not (arguments.without_peers and name in PEERS)]
    try:
        for each in INPUTS[:2] if arguments.quick else INPUTS:
            source = each.make()
            runs: dict[str, list[Found]] = {program: [] for program in programs}
            for turn in range(arguments.repeat):  # in turns, so that what else the machine does meets all alike
                for program in programs:
                    if program in PEERS and turn >= PEER_RUNS:
                        continue
                    runs[program].append(run(program, source, each.kind, target / "out"))
                    print(each.title, program, runs[program][-1], flush=True)
            if len({found["digest"] for done in runs.values() for found in done if "digest" in found}) != 1:
                raise SystemExit(f"the bytes of {each.title} differ from run to run")
            lines += table(each, {program: best(done) for program, done in runs.items()})
    finally:
        shutil.rmtree(target, ignore_errors=True)
    lines.append("All our runs of one input, with one and two threads, wrote the same bytes.")
    arguments.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
