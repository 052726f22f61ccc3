"""Many small runs through an ingestion: CPU seconds per run beyond the conversion of volumes, repetition, planning,
and what is left to do for one process when two share the work.

    python benchmarks/ingest.py [--runs N] [--planned N] [--output FILE]

Every run has two tomograms of 12×24×32 voxels, a tilt series, frames, an alignment and three annotations: 19 items.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tomoportal.archive import Archive
from tomoportal.ingest import Plan, load_config, make_plan, open_source, run_plan
from tomoportal.ingest.steps import key_photos, mask_files, volumes
from tomoportal.storage import Store, open_store
from tomoportal.testing.faulty import FaultyStore
from tomoportal.testing.sources import write_sources

GOALS = {"cpu": 0.15, "again": 5.0, "planned": 5.0, "efficiency": 0.85}
_SETTLED = 1_600_000_000
_START = """
from tomoportal.ingest.making import Maker
from tomoportal.ingest.steps import _MODULES, step_of
from tomoportal.model import validate_document

validate_document("run", {})
for kind in _MODULES:
    step_of(kind)
"""
"""What a worker does before its first item."""


class Reads(FaultyStore):
    """Counts the files whose contents are read."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.read: Counter[str] = Counter()

    def step(self, operation: str, key: str) -> None:
        if operation in ("get", "get_range"):
            self.read[key] += 1
        super().step(operation, key)


def sources(folder: Path, runs: int) -> Path:
    """The sample sources, old enough for their digests to be remembered."""
    config = write_sources(folder, runs)
    for path in folder.rglob("*"):
        os.utime(path, (_SETTLED, _SETTLED))
    return config


def planned(config: Path, archive: Archive) -> Plan:
    loaded = load_config(config)
    return make_plan(loaded, open_source(config.parent, loaded.source_prefix, beside=loaded.folder), archive)


@contextmanager
def clocked(module: Any, name: str, spent: Counter[str]) -> Iterator[None]:
    """Add up the CPU time of a function that a module calls."""
    original: Callable[..., Any] = getattr(module, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return original(*arguments, **options)
        finally:
            spent[name] += time.process_time() - began  # type: ignore[assignment]

    setattr(module, name, timed)
    try:
        yield
    finally:
        setattr(module, name, original)


def measure(runs: int, many: int, folder: Path) -> dict[str, float]:
    found: dict[str, float] = {"runs": runs, "many": many}
    config = sources(folder / "raw", runs)
    archive = Archive.open(folder / "archive", create=True)
    raw = open_store(folder / "raw", read_only=True)
    spent: Counter[str] = Counter()
    cpu, wall = time.process_time(), time.perf_counter()
    with (
        clocked(volumes, "convert_volume", spent),
        clocked(mask_files, "convert_volume", spent),
        clocked(key_photos, "render_key_photos", spent),
    ):
        plan = planned(config, archive)
        report = run_plan(plan, archive, raw, jobs=1)
    assert report.ok, report.failures[:3]
    total = time.process_time() - cpu
    found["items"] = len(plan.items)
    found["wall"] = (time.perf_counter() - wall) / runs
    found["total"] = total / runs
    found["converting"] = spent["convert_volume"] / runs
    found["pictures"] = spent["render_key_photos"] / runs
    found["cpu"] = (total - spent["convert_volume"]) / runs
    found["rest"] = (total - spent["convert_volume"] - spent["render_key_photos"]) / runs

    counting = Reads(raw)
    archive = Archive.open(folder / "archive")
    began = time.process_time()
    plan = planned(config, archive)
    report = run_plan(plan, archive, counting, jobs=1)
    found["again"] = (time.process_time() - began) / len(plan.items) * 1000
    assert report.counts["created"] + report.counts["replaced"] == 0, report.counts
    found["read"] = sum(counting.read.values())

    found |= shared(config, folder, raw, total)

    config = sources(folder / "many", many)
    began = time.process_time()
    plan = planned(config, Archive.open("memory://"))
    found["planned"] = time.process_time() - began
    found["planned_items"] = len(plan.items)
    return found


def shared(config: Path, folder: Path, raw: Store, alone: float) -> dict[str, float]:
    """The same ingestion by two processes; CPU seconds of the one that gives out the work, and of all together.

    ``efficiency`` is what two idle cores could reach: the work of one process, divided by twice the time of the busier
    core. It does not depend on what else the machine does, as the wall time would.
    """
    archive = Archive.open(folder / "shared", create=True)
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    report = run_plan(planned(config, archive), archive, raw, jobs=2)
    assert report.ok, report.failures[:3]
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    giving, working = (
        new.ru_utime + new.ru_stime - old.ru_utime - old.ru_stime for new, old in zip(after, before, strict=True)
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", _START], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = 2 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {
        "giving": giving,
        "working": working,
        "start": start,
        "efficiency": alone / 2 / (giving + working / 2),
        "long": alone / 2 / (giving + (working - start) / 2),
    }


def page(found: dict[str, float]) -> str:
    def row(what: str, value: str, goal: str = "") -> str:
        return f"| {what} | {value} | {goal} |"

    runs, many = int(found["runs"]), int(found["many"])
    lines = [
        "# Ingestion of many small runs",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; one process, local disk,"
        f" other work on the machine (load average {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores);"
        f" {runs} runs with {int(found['items'])} items.",
        "",
        "| | measured | goal |",
        "|---|---|---|",
        row("CPU per run, all", f"{found['total']:.3f} s"),
        row("– converting volumes", f"{found['converting']:.3f} s"),
        row("– drawing key photos", f"{found['pictures']:.3f} s"),
        row("– everything else", f"{found['rest']:.3f} s"),
        row("CPU per run beyond the conversion", f"{found['cpu']:.3f} s", f"≤ {GOALS['cpu']} s"),
        row("wall time per run", f"{found['wall']:.2f} s"),
        row("again, nothing changed: CPU per item", f"{found['again']:.2f} ms", f"< {GOALS['again']:g} ms"),
        row("again: reads of source files", f"{int(found['read'])}", "0"),
        row("two processes: CPU of both", f"{found['working']:.1f} s"),
        row("– of the one that gives out the work", f"{found['giving']:.1f} s"),
        row("– of starting the two", f"{found['start']:.1f} s"),
        row("– efficiency that two idle cores can reach, start included", f"{found['efficiency']:.0%}"),
        row("– the same for long ingestions", f"{found['long']:.0%}", f"≥ {GOALS['efficiency']:.0%}"),
        row(f"{many} runs planned ({int(found['planned_items'])} items): CPU", f"{found['planned']:.2f} s", "< 5 s"),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--planned", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "ingest.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tomoportal-bench-") as folder:
        text = page(measure(options.runs, options.planned, Path(folder)))
    print(text)
    options.output.write_text(text)


if __name__ == "__main__":
    main()
