"""copick projects on S3 with latency: ours against the PyPI package copick 1.31.0, the same calls in one run.

    python benchmarks/copick_s3.py [--runs N] [--upstream-runs N] [--latency MS] [--output FILE]

Makes a project on a local S3 server (moto), puts a proxy in front of it that holds every request back for 20 ms, and
runs every operation in a process of its own. Upstream gets fewer runs, for it takes minutes; its time per run counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

import tomoportal.copick as copick
from tomoportal.testing.object_server import s3_server

HERE = Path(__file__).parent
RUNS = HERE / "copick_runs.py"
PICKS, POINTS = 10, 50
OPERATIONS = (
    ("list", "open, list runs, picks, tomograms, segmentations"),
    ("read picks", "read all picks to arrays"),
)


class Proxy:
    """Passes bytes on, each piece of a request after a while, in a thread of its own."""

    def __init__(self, target: str, latency: float) -> None:
        self._host, _, port = target.removeprefix("http://").partition(":")
        self._port, self._latency = int(port), latency
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(self._host, self._port)

        async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter, wait: float) -> None:
            try:
                while piece := await source.read(1 << 20):
                    await asyncio.sleep(wait)
                    sink.write(piece)
                    await sink.drain()
            except OSError:
                pass  # the other side has gone
            finally:
                sink.close()

        await asyncio.gather(pipe(reader, forth, self._latency), pipe(back, writer, 0.0))


def make_project(url: str, endpoint: str, runs: int, folder: Path) -> None:
    objects = [{"name": f"object{n}", "is_particle": True, "label": n + 1} for n in range(PICKS)]
    objects += [{"name": "membrane", "is_particle": False, "label": 51}]
    config = {
        "config_type": "filesystem",
        "pickable_objects": objects,
        "overlay_root": url,
        "overlay_fs_args": {"endpoint_url": endpoint},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "copick_config.json").write_text(json.dumps(config))
    root = copick.from_file(folder / "copick_config.json")
    generator = np.random.default_rng(0)
    for number in range(runs):
        run = root.new_run(f"TS_{number:04d}")
        run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(np.ones((4, 4, 4)), levels=1)
        run.new_segmentation(10.0, "membrane", "0", user_id="tool").from_numpy(np.ones((4, 4, 4), np.uint8))
        run.new_segmentation(10.0, "all", "0", True, user_id="tool").from_numpy(np.ones((4, 4, 4), np.uint8))
        for name in range(PICKS):
            run.new_picks(f"object{name}", "0", "tool").from_numpy(generator.uniform(size=(POINTS, 3)))


def run(package: str, operation: str, folder: Path) -> dict[str, float]:
    upstream = HERE.parent / ".venv-copick" / "bin" / "python"
    python = sys.executable if package == "ours" else str(upstream)
    command = [python, "-P", "-W", "ignore", str(RUNS), package, operation, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{package} {operation} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--upstream-runs", type=int, default=50)
    parser.add_argument("--latency", type=float, default=20.0, help="milliseconds per request")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "copick-s3.md")
    arguments = parser.parse_args()
    lines = [
        "# copick projects on S3 with latency: ours against copick 1.31.0",
        "",
        f"Written by `benchmarks/copick_s3.py`: moto behind a proxy with {arguments.latency:g} ms per request;"
        f" {PICKS} picks files, 1 tomogram, 2 segmentations per run. Wall seconds; upstream had"
        f" {arguments.upstream_runs} runs, scaled by the number of runs.",
        "",
        f"| operation | ours, {arguments.runs} runs | upstream, {arguments.upstream_runs} runs | ratio per run |",
        "|---|---|---|---|",
    ]
    cache = HERE / ".cache"
    with s3_server("bucket") as server:
        endpoint = server.partition("=")[2]
        proxy = Proxy(endpoint, arguments.latency / 1000)
        counts = {"ours": arguments.runs, "upstream": arguments.upstream_runs}
        for package, count in counts.items():
            folder = cache / f"copick-s3-{package}"
            make_project(f"s3://bucket/{package}", endpoint, count, folder)
            place = folder / "copick_config.json"
            place.write_text(place.read_text().replace(endpoint, proxy.url))
        for operation, title in OPERATIONS:
            found = {package: run(package, operation, cache / f"copick-s3-{package}") for package in counts}
            print(operation, found, flush=True)
            ratio = (found["upstream"]["wall"] / counts["upstream"]) / (found["ours"]["wall"] / counts["ours"])
            cells = (f"{found['ours']['wall']:.2f} s", f"{found['upstream']['wall']:.2f} s", f"{ratio:.1f}×")
            lines.append(f"| {title} | {' | '.join(cells)} |")
    arguments.output.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
