"""The S3 endpoint against `rclone serve s3` and against plain files, on one archive of many small chunks.

    python benchmarks/s3.py                  # writes benchmarks/results/s3.md
    python benchmarks/s3.py --quick          # a small archive; prints the table only

Every server runs in a process of its own. Chunks are fetched by eight connections that say next to nothing else
(raw sockets, GET with keep-alive), so that the server is what is measured; CPU seconds are the server's.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from tomoportal.testing.environments import Environment

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
BUCKET = "tomoportal"
CONNECTIONS = 8
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass(frozen=True)
class Server:
    """A running server: the base of its keys, the base of its listings, its process and what it is."""

    name: str
    host: str
    port: int
    keys: str
    process: int


def write_archive(folder: Path, runs: int, chunks: int, size: int) -> list[str]:
    """Runs with one Zarr array each; returns the keys of the chunks."""
    data = os.urandom(size)
    (folder / "10001").mkdir()
    keys = []
    for run in range(runs):
        base = f"10001/TS_{run:04d}/Reconstructions/VoxelSpacing10.000/Tomograms/100/TS_{run:04d}.zarr/0"
        for number in range(chunks):
            key = f"{base}/{number // 64}/{number // 8 % 8}/{number % 8}"
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            keys.append(key)
    return keys


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


@contextmanager
def ours(folder: Path, workers: int) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "tomoportal", "serve", "--archive", folder, "--port", port, "--workers", workers]
    with running(command) as process:
        wait_for(port)
        time.sleep(1)
        name = "ours, /s3" + (f", {workers} workers" if workers > 1 else "")
        yield Server(name, "127.0.0.1", port, f"/s3/{BUCKET}", process)


@contextmanager
def rclone(folder: Path) -> Iterator[Server]:
    served = folder.parent / "rclone"
    served.mkdir(exist_ok=True)
    if not (served / BUCKET).exists():
        (served / BUCKET).symlink_to(folder)
    port = free_port()
    command = [programs() / "rclone", "serve", "s3", "--config", os.devnull, "--addr", f"127.0.0.1:{port}"]
    options = ["--copy-links", "--etag-hash", "", "--read-only", "--log-level", "ERROR"]
    with running([*command, *options, served]) as process:
        wait_for(port)
        yield Server("rclone serve s3", "127.0.0.1", port, f"/{BUCKET}", process)


@contextmanager
def nginx(folder: Path) -> Iterator[Server]:
    port, home = free_port(), folder.parent / "nginx"
    home.mkdir(exist_ok=True)
    (home / "nginx.conf").write_text(
        f"worker_processes 1; pid {home}/pid; error_log {home}/log; daemon off; user root;\n"
        f"events {{}} http {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; root {folder}; "
        f"keepalive_requests 1000000; }} }}\n"
    )
    with running(["nginx", "-c", home / "nginx.conf", "-p", home]) as process:
        wait_for(port)
        yield Server("nginx (no listing)", "127.0.0.1", port, "", process)


@contextmanager
def running(command: list[object]) -> Iterator[int]:
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def programs() -> Path:
    environment = Environment(CACHE / "venv-s3-programs", HERE.parent / "requirements" / "s3-programs.txt")
    return environment.interpreter().parent


def cpu_seconds(process: int) -> float:
    """Of a process and its children, now."""
    ticks = 0
    for each in Path("/proc").glob("[0-9]*"):
        try:
            fields = (each / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(each.name) == process or int(fields[1]) == process:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def fetch(server: Server, keys: list[str], size: int) -> None:
    """GET every key over eight connections; checks status and length."""

    def work(part: list[str]) -> None:
        buffer = bytearray(size + 4096)
        with socket.create_connection((server.host, server.port)) as connection:
            for key in part:
                connection.sendall(f"GET {server.keys}/{quote(key)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                received, wanted = 0, 0
                while not wanted or received < wanted:
                    received += connection.recv_into(memoryview(buffer)[received:])
                    if not wanted and (end := buffer.find(b"\r\n\r\n", 0, received)) > 0:
                        head = bytes(buffer[:end])
                        length = re.search(rb"(?i)content-length: (\d+)", head)
                        if not head.startswith(b"HTTP/1.1 200") or not length or int(length[1]) != size:
                            raise SystemExit(f"{server.name}: {head[:300]!r}")
                        wanted = end + 4 + size

    threads = [threading.Thread(target=work, args=(keys[number::CONNECTIONS],)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def list_all(server: Server) -> tuple[int, float]:
    """Number of keys, and seconds of the slowest page."""
    found, token, slowest = 0, "", 0.0
    while True:
        more = f"&continuation-token={quote(token, safe='')}" if token else ""
        url = f"http://{server.host}:{server.port}{server.keys}?list-type=2&max-keys=1000&encoding-type=url{more}"
        started = time.perf_counter()
        with urllib.request.urlopen(url, timeout=600) as answer:
            body = answer.read()
        slowest = max(slowest, time.perf_counter() - started)
        root = ElementTree.fromstring(body)
        found += len(root.findall(f"{NAMESPACE}Contents"))
        token = root.findtext(f"{NAMESPACE}NextContinuationToken") or ""
        if not token:
            return found, slowest


def measured(server: Server, work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Wall and CPU seconds of the server, the median of some rounds."""
    walls, cpus = [], []
    for _ in range(rounds):
        cpu, wall = cpu_seconds(server.process), time.perf_counter()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(cpu_seconds(server.process) - cpu)
    return statistics.median(walls), statistics.median(cpus)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a small archive, and no file of results")
    quick = parser.parse_args().quick
    runs, rounds = (4, 1) if quick else (98, 3)
    base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    rows = []
    with tempfile.TemporaryDirectory(dir=base) as temporary:
        folder = Path(temporary) / "archive"
        folder.mkdir()
        keys = write_archive(folder, runs, 512, 32_768)
        fetched = keys[:: max(len(keys) // 8_000, 1)]
        makers = [lambda: ours(folder, 1), lambda: ours(folder, 2), lambda: rclone(folder)]
        if shutil.which("nginx"):
            makers.append(lambda: nginx(folder))
        for make in makers:
            with ExitStack() as stack:
                server = stack.enter_context(make())
                fetch(server, fetched[:500], 32_768)
                wall, cpu = measured(server, lambda server=server: fetch(server, fetched, 32_768), rounds)
                row = [server.name, f"{len(fetched) / wall:,.0f}", f"{1e6 * cpu / len(fetched):.0f}"]
                if server.keys:
                    found, slowest = list_all(server)
                    if found != len(keys):
                        row[0] += f" (lists {found:,} keys)"
                    wall, cpu = measured(server, lambda server=server: list_all(server), rounds)
                    row += [f"{wall:.2f}", f"{cpu:.2f}", f"{1000 * slowest:.0f}"]
                else:
                    row += ["–", "–", "–"]
                rows.append(row)
                print(row, flush=True)
    head = ["server", "chunks/s", "CPU µs per chunk", f"list {len(keys):,} keys, s", "CPU s", "slowest page, ms"]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
    text = (
        "# The S3 endpoint\n\n"
        f"{len(keys):,} chunks of 32 KiB in {runs} Zarr arrays, in memory; {len(fetched):,} of them fetched by "
        f"{CONNECTIONS} connections, all listed by pages of 1,000 with ListObjectsV2. The client takes a part of the "
        f"same {os.cpu_count()} cores. {platform.machine()}, Python {platform.python_version()}. "
        "Made by `python benchmarks/s3.py`.\n\n"
        f"{table}\n\n"
        "CPU seconds are firm; wall seconds depend on what else the machine does. `rclone serve s3` keeps listings in\n"
        "memory and repeats a folder where a page ends; ours reads the disk each time.\n"
    )
    print(text)
    if not quick:
        (HERE / "results" / "s3.md").write_text(text)


if __name__ == "__main__":
    main()
