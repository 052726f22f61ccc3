"""A portal as a copick project: ours against the PyPI package copick 1.31.0, on the same local server.

    python benchmarks/copick_portal.py [--runs N] [--files N] [--points N] [--repeat N] [--output FILE]

Makes a portal of 200 runs with four annotations of 200 points each below benchmarks/.cache, serves it with a process of
its own, runs every operation in a process of its own, the packages in turns, and counts the requests that the server
answered. Writes a Markdown table.
"""

from __future__ import annotations

import argparse
import functools
import re
import shutil
import sys
import urllib.request
from pathlib import Path

from comparison import CACHE, HERE, RESULTS, UPSTREAM, Found, best, in_turns, machine, running, told

import tomoportal.copick
from tomoportal.archive import Archive
from tomoportal.testing.annotated_archive import write_annotated_dataset

DATASET = 10003

# Operation, what it is, whether answers are kept on disk, whether files are (only ours can).
OPERATIONS = (
    ("open and list", "open, list runs, spacings, tomograms, picks and masks; nothing kept", False, False),
    ("list again", "the same in the next program, with answers kept on disk", True, False),
    ("read points", "all points to arrays, one file after another", True, False),
    ("read points, many at a time", "the same with `root.load_points()`", True, False),
    ("read points", "the same in the next program, with files kept on disk", True, True),
)


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
    python: str | Path, package: str, operation: str, config: Path, portal: str, kept: bool, files: bool
) -> Found:
    environment = {
        "FSSPEC_S3_ENDPOINT_URL": f"{portal}/s3",
        "COPICK_PORTAL_CACHE": "1" if kept else "0",
        "COPICK_PORTAL_CACHE_DIR": str(config.parent / f"cache-{package}"),
        "COPICK_PORTAL_FILE_CACHE_MB": "256" if files else "0",
    }
    command = [python, "-P", "-W", "ignore", HERE / "copick_portal_runs.py", package]
    if kept:  # answers, and files, are on disk before anything is counted
        told([*command, operation if files else "list again", config, portal], environment)
    before = requests(portal)
    found = told([*command, operation, config, portal], environment)
    after = requests(portal)
    return {**found, **{kind: after[kind] - before[kind] for kind in after}}


def row(title: str, ours: Found, theirs: Found) -> str:
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
    parser.add_argument("--output", type=Path, default=RESULTS / "copick_portal.md")
    given = parser.parse_args()
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
        " (GraphQL; files over HTTP or S3); CPU is the client's. MB are the peak of anonymous memory above that of the"
        " imports.",
        "",
        machine(),
        "",
        "| operation | ours GraphQL | upstream GraphQL | ours files | upstream files | ours CPU s | upstream CPU s"
        " | ratio | ours wall s | upstream wall s | ours MB | upstream MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    pythons: dict[str, str | Path] = {"ours": sys.executable, "upstream": UPSTREAM.interpreter()}
    serve = [sys.executable, "-P", "-m", "tomoportal", "serve", "--archive", archive, "--port", "0"]
    with running(serve) as line:
        portal = re.findall(r"http://127\.0\.0\.1:\d+", line)[0]
        config = folder / "config.json"
        tomoportal.copick.from_czcdp_datasets([DATASET], str(folder / "overlay"), output_path=config, portal_url=portal)
        for operation, title, kept, kept_files in OPERATIONS:
            programs = {
                package: functools.partial(measure, python, package, operation, config, portal, kept, kept_files)
                for package, python in pythons.items()
            }
            runs = in_turns(operation, programs, given.repeat)
            lines.append(row(title, best(runs["ours"]), best(runs["upstream"])))
    given.output.write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
