"""A portal as a copick project: ours against the PyPI package copick 1.31.0, on the same local server.

    python benchmarks/copick_portal.py [--runs N] [--files N] [--points N] [--repeat N] [--output FILE]

Makes a portal of 200 runs with four annotations of 200 points each below benchmarks/.cache, serves it with a process of
its own, runs every operation in a process of its own, the packages in turns, and counts the requests that the server
answered. Writes a Markdown table.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomoportal.copick
from tomoportal.archive import Archive
from tomoportal.testing.annotated_archive import write_annotated_dataset

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
RUNS = HERE / "copick_portal_runs.py"
DATASET = 10003

# Operation, what it is, whether answers are kept on disk, whether files are (only ours can).
OPERATIONS = (
    ("open and list", "open, list runs, spacings, tomograms, picks and masks; nothing kept", False, False),
    ("list again", "the same in the next program, with answers kept on disk", True, False),
    ("read points", "all points to arrays, one file after another", True, False),
    ("read points, many at a time", "the same with `root.load_points()`", True, False),
    ("read points", "the same in the next program, with files kept on disk", True, True),
)


def files_benchmark() -> Any:
    """benchmarks/copick.py, under a name that is not the package's."""
    spec = importlib.util.spec_from_file_location("files_benchmark", HERE / "copick.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def serving(archive: Path) -> Iterator[str]:
    """The address of a server of the archive, in a process of its own."""
    command = [sys.executable, "-m", "tomoportal", "serve", "--archive", str(archive), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0]
                break
        else:
            raise SystemExit("the server did not start")
    finally:
        server.terminate()
        server.wait()


def requests(portal: str) -> dict[str, int]:
    """How many requests of each kind the server has answered."""
    with urllib.request.urlopen(f"{portal}/metrics") as answer:
        text = answer.read().decode()
    found = {"GraphQL": 0, "files": 0}
    for route, number in re.findall(r'http_requests_total\{route="([^"]+)"[^}]*\} (\d+)', text):
        kind = "GraphQL" if route == "/graphql" else "files" if route.startswith(("/files", "/s3")) else None
        if kind:
            found[kind] += int(number)
    return found


def measure(
    python: str, package: str, operation: str, config: Path, portal: str, kept: bool, files: bool
) -> dict[str, float]:
    cache = config.parent / f"cache-{package}"
    environment = {
        **os.environ,
        "FSSPEC_S3_ENDPOINT_URL": f"{portal}/s3",
        "COPICK_PORTAL_CACHE": "1" if kept else "0",
        "COPICK_PORTAL_CACHE_DIR": str(cache),
        "COPICK_PORTAL_FILE_CACHE_MB": "256" if files else "0",
    }
    command = [python, "-P", "-W", "ignore", str(RUNS), package]
    if kept:  # answers, and files, are on disk before anything is counted
        warm = [*command, operation if files else "list again", str(config), portal]
        subprocess.run(warm, capture_output=True, text=True, env=environment, check=True)
    before = requests(portal)
    done = subprocess.run([*command, operation, str(config), portal], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{package} {operation} failed:\n{done.stderr}")
    after = requests(portal)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, **{kind: after[kind] - before[kind] for kind in after}}


def row(title: str, ours: dict[str, float], theirs: dict[str, float]) -> str:
    cells = [title]
    for kind in ("GraphQL", "files"):
        cells += [f"{ours[kind]:.0f}", f"{theirs[kind]:.0f}"]
    cells += [f"{ours['cpu']:.3f}", f"{theirs['cpu']:.3f}", f"{theirs['cpu'] / ours['cpu']:.1f}×"]
    cells += [f"{ours['wall']:.3f}", f"{theirs['wall']:.3f}", f"{ours['peak']:.0f}", f"{theirs['peak']:.0f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="runs of the dataset")
    parser.add_argument("--files", type=int, default=4, help="annotations of each run")
    parser.add_argument("--points", type=int, default=200, help="points of each annotation")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each operation; the best one counts")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "copick_portal.md")
    given = parser.parse_args()
    other = files_benchmark()
    folder = CACHE / f"portal-{given.runs}-{given.files}-{given.points}"
    archive = folder / "archive"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        made = Archive.open(archive, create=True)
        write_annotated_dataset(made, DATASET, runs=given.runs, files=given.files, points=given.points)
        (folder / "ready").touch()
    files = given.runs * given.files
    lines = [
        "# A portal as a copick project: ours against copick 1.31.0",
        "",
        f"Written by `benchmarks/copick_portal.py`: a local server with one dataset of {given.runs} runs, {files} files"
        f" of points with {files * given.points} points and {given.runs} tomograms; best of {given.repeat} runs in"
        " turns, each in a process of its own, imports not counted. Requests are those that the server answered"
        " (GraphQL; files over HTTP or S3); CPU is the client's. Memory is the process's peak, imports included.",
        "",
        other.machine(),
        "",
        "| operation | ours GraphQL | upstream GraphQL | ours files | upstream files | ours CPU s | upstream CPU s"
        " | ratio | ours wall s | upstream wall s | ours MB | upstream MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    pythons = {"ours": sys.executable, "upstream": other.upstream()}
    with serving(archive) as portal:
        config = folder / "config.json"
        tomoportal.copick.from_czcdp_datasets([DATASET], str(folder / "overlay"), output_path=config, portal_url=portal)
        for operation, title, kept, kept_files in OPERATIONS:
            runs: dict[str, list[dict[str, float]]] = {"ours": [], "upstream": []}
            for _ in range(given.repeat):
                for package, found in runs.items():
                    found.append(measure(pythons[package], package, operation, config, portal, kept, kept_files))
                    print(operation, package, found[-1], flush=True)
            counts = {each["count"] for found in runs.values() for each in found}
            if len(counts) != 1:
                raise SystemExit(f"{operation}: the packages do not find the same: {counts}")
            best = {
                package: {key: min(each[key] for each in found) for key in found[0]} for package, found in runs.items()
            }
            lines.append(row(title, best["ours"], best["upstream"]))
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
