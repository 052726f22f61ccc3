"""copick projects: ours against the PyPI package copick 1.31.0, the same calls on the same files in one run.

    python benchmarks/copick_files.py [--repeat N] [--runs N] [--only OPERATION …] [--output FILE]

Makes a project of 500 runs, 5,000 picks files with 10⁶ points, 500 tomograms and 1,000 segmentations below
benchmarks/.cache; runs every operation in a process of its own, the packages in turns; writes a Markdown table. See
README.md beside it for how to read the numbers.
"""

from __future__ import annotations

import argparse
import functools
import sys
from dataclasses import dataclass
from pathlib import Path

from comparison import HERE, RESULTS, UPSTREAM, Found, best, in_turns, machine, told
from copick_project import FILES_PER_RUN, POINTS_PER_FILE, project


@dataclass(frozen=True)
class Operation:
    """What is done, and the goals: how many times less CPU and memory, and at most how much CPU or memory of ours."""

    name: str
    title: str
    less_cpu: int | None = None
    less_memory: int | None = None
    most_cpu: float | None = None
    most_memory: int | None = None
    writes: bool = False


OPERATIONS = (
    Operation("import", "import the package", most_cpu=0.1),
    Operation("open", "import it and open the project"),
    Operation("list", "open, list runs, picks, tomograms, segmentations", less_cpu=5),
    Operation("read picks", "read all picks to arrays", less_cpu=18, less_memory=8),
    Operation("write points", "store 20,000 points with transformations", less_cpu=8, writes=True),
    Operation(
        "add tomogram",
        "store a tomogram of 630×630×184 float32 (292 MB), 3 levels",
        less_cpu=4,
        most_memory=300,
        writes=True,
    ),
    Operation("read tomogram", "read it whole", writes=True),
    Operation("read slice", "read one z slice of it", less_cpu=5, writes=True),
)
HEADER = (
    "| operation | ours CPU s | upstream CPU s | ratio | goal | ours wall s | upstream wall s"
    " | ours MB | upstream MB | ratio | goal | ours resident MB | upstream resident MB |"
)


def row(operation: Operation, ours: Found, theirs: Found) -> str:
    cpu_goals = [
        f"{operation.less_cpu}×" if operation.less_cpu else "",
        f"≤ {operation.most_cpu:g} s" if operation.most_cpu else "",
    ]
    memory_goals = [
        f"{operation.less_memory}×" if operation.less_memory else "",
        f"≤ {operation.most_memory} MB" if operation.most_memory else "",
    ]
    cells = [
        operation.title,
        f"{ours['cpu']:.3f}",
        f"{theirs['cpu']:.3f}",
        f"{theirs['cpu'] / ours['cpu']:.1f}×",
        "".join(cpu_goals),
        f"{ours['wall']:.3f}",
        f"{theirs['wall']:.3f}",
        f"{ours['peak']:.0f}",
        f"{theirs['peak']:.0f}",
        f"{theirs['peak'] / ours['peak']:.1f}×" if ours["peak"] >= 1 else "",
        "".join(memory_goals),
        f"{ours['resident']:.0f}",
        f"{theirs['resident']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each operation; the best one counts")
    parser.add_argument("--runs", type=int, default=500, help="runs of the project")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in OPERATIONS], help="leave out the others")
    parser.add_argument("--output", type=Path, default=RESULTS / "copick_files.md")
    arguments = parser.parse_args()
    folder = project(arguments.runs)
    files = arguments.runs * FILES_PER_RUN
    lines = [
        "# copick projects: ours against copick 1.31.0",
        "",
        f"Written by `benchmarks/copick_files.py`: {arguments.runs} runs, {files:,} picks files with"
        f" {files * POINTS_PER_FILE:,} points, {2 * arguments.runs:,} segmentations; local disk, warm page cache. Best"
        f" of {arguments.repeat} runs in turns, fewer of what takes more than a minute, each in a process of its own."
        " MB are the peak of anonymous memory above that of the imports: what the operation takes. Resident MB are the"
        " peak of the whole process, with imports and those pages of a mapped input that were in memory at the time.",
        "",
        machine(),
        "",
        HEADER,
        "|" + "---|" * (HEADER.count("|") - 1),
    ]
    pythons = {"ours": sys.executable, "upstream": UPSTREAM.interpreter()}
    for operation in OPERATIONS:
        if arguments.only and operation.name not in arguments.only:
            continue
        config = (folder / "written" if operation.writes else folder) / "copick_config.json"
        programs = {
            name: functools.partial(
                told, [python, "-P", "-W", "ignore", HERE / "copick_runs.py", name, operation.name, config]
            )
            for name, python in pythons.items()
        }
        runs = in_turns(operation.name, programs, arguments.repeat)
        lines.append(row(operation, best(runs["ours"]), best(runs["upstream"])))
    text = "\n".join([*lines, ""])
    print(text)
    if not arguments.only:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
