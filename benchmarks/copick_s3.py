"""copick projects on S3 with latency: ours against the PyPI package copick 1.31.0, the same calls in one run.

    python benchmarks/copick_s3.py [--repeat N] [--runs N] [--upstream-runs N] [--latency MS] [--output FILE]

Serves the project of copick_files.py with an S3 server that holds every request back for 20 ms, and runs every
operation in a process of its own. Upstream gets fewer runs, for it would take minutes; its time per run counts.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import urllib.request
from pathlib import Path

from comparison import HERE, RESULTS, UPSTREAM, Found, best, in_turns, machine, running, told
from copick_project import FILES_PER_RUN, POINTS_PER_FILE, few_runs, project

# Operation, what it is, at most how many seconds for all runs, how many times faster per run.
OPERATIONS = (
    ("list", "open, list runs, picks, tomograms, segmentations", 4, None),
    ("read picks", "read all picks to arrays", None, 15),
)


def configs(folder: Path, address: str) -> dict[str, Path]:
    """For ours the whole project, for upstream its first runs, both as they are on the server."""
    found = {}
    for package, prefix in (("ours", "overlay"), ("upstream", "few")):
        config = json.loads((folder / "copick_config.json").read_text())
        config["overlay_root"] = f"s3://bucket/{prefix}"
        config["overlay_fs_args"] = {"anon": True, "endpoint_url": f"{address}/s3"}
        found[package] = folder / f"s3-{package}.json"
        found[package].write_text(json.dumps(config))
    return found


def requests(address: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{address}/requests") as answer:
        found: dict[str, int] = json.load(answer)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each operation; the best one counts")
    parser.add_argument("--runs", type=int, default=500, help="runs of the project")
    parser.add_argument("--upstream-runs", type=int, default=20)
    parser.add_argument("--latency", type=float, default=20.0, help="milliseconds per request")
    parser.add_argument("--output", type=Path, default=RESULTS / "copick_s3.md")
    arguments = parser.parse_args()
    counts = {"ours": arguments.runs, "upstream": arguments.upstream_runs}
    files = arguments.runs * FILES_PER_RUN
    lines = [
        "# copick projects on S3 with latency: ours against copick 1.31.0",
        "",
        f"Written by `benchmarks/copick_s3.py`: {arguments.runs} runs with {files:,} picks files of {POINTS_PER_FILE}"
        f" points, {arguments.runs} tomograms and {2 * arguments.runs:,} segmentations, on our S3 endpoint in a process"
        f" of its own that holds every request back for {arguments.latency:g} ms; unsigned requests. Upstream had"
        f" {arguments.upstream_runs} of the runs; ratios are per run. Best of {arguments.repeat} runs in turns. Server"
        " and client share the machine.",
        "",
        machine(),
        "",
        f"| operation | ours, {arguments.runs} runs | goal | upstream, {arguments.upstream_runs} runs | ratio per run"
        " | goal | ours CPU s | ratio per run | ours requests | upstream requests |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    folder = project(arguments.runs)
    few_runs(folder, arguments.upstream_runs)
    pythons = {"ours": sys.executable, "upstream": UPSTREAM.interpreter()}
    with running([sys.executable, "-P", HERE / "slow_s3.py", folder, arguments.latency]) as line:
        address = line.strip()
        places = configs(folder, address)
        seen: dict[tuple[str, str], dict[str, int]] = {}

        def measured(package: str, operation: str) -> Found:
            script = HERE / "copick_runs.py"
            found = told([pythons[package], "-P", "-W", "ignore", script, package, operation, places[package]])
            seen[package, operation] = requests(address)
            return {**found, "count": found["count"] / counts[package]}

        for operation, title, most, faster in OPERATIONS:
            programs = {name: functools.partial(measured, name, operation) for name in counts}
            runs = {name: best(done) for name, done in in_turns(operation, programs, arguments.repeat).items()}
            per_run = {
                kind: (runs["upstream"][kind] / counts["upstream"]) / (runs["ours"][kind] / counts["ours"])
                for kind in ("wall", "cpu")
            }
            asked = [
                ", ".join(f"{number:,} {kind}" for kind, number in sorted(seen[name, operation].items()))
                for name in counts
            ]
            cells = [
                title,
                f"{runs['ours']['wall']:.2f} s",
                f"≤ {most} s" if most else "",
                f"{runs['upstream']['wall']:.2f} s",
                f"{per_run['wall']:.1f}×",
                f"{faster}×" if faster else "",
                f"{runs['ours']['cpu']:.2f}",
                f"{per_run['cpu']:.1f}×",
                *asked,
            ]
            lines.append(f"| {' | '.join(cells)} |")
    text = "\n".join([*lines, ""])
    print(text)
    arguments.output.write_text(text)


if __name__ == "__main__":
    main()
