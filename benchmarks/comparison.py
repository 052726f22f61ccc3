"""What the comparisons share: the machine, the peers' environments, one operation in a process of its own, in turns."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tomoportal.testing.environments import Environment

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
RESULTS = HERE / "results"
REQUIREMENTS = HERE.parent / "requirements"
UPSTREAM = Environment(HERE.parent / ".venv-copick", REQUIREMENTS / "copick.txt", "TOMOPORTAL_COPICK_PYTHON")
"""The PyPI package copick 1.31."""

Found = dict[str, float]

_LONG = 60.0  # wall seconds; a program that has taken longer has no further turn


def machine() -> str:
    with open("/proc/cpuinfo") as cpus:
        model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Machine: {model}, {os.cpu_count()} cores, {memory:.0f} GB; Linux {platform.release().partition('-')[0]},"
        f" Python {platform.python_version()}, NumPy {np.__version__}."
        f" Load average before the first run: {os.getloadavg()[0]:.1f}."
    )


def told(command: Sequence[object], environment: Mapping[str, str] | None = None) -> Found:
    """What a process measured of itself: the last line that it prints, see measuring.py."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env={**os.environ, **(environment or {})}
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def in_turns(title: str, programs: Mapping[str, Callable[[], Found]], repeat: int) -> dict[str, list[Found]]:
    """What the programs say of some runs each, in turns, so that what else the machine does meets all alike.

    All must have counted the same.
    """
    runs: dict[str, list[Found]] = {name: [] for name in programs}
    for _ in range(repeat):
        for name, program in programs.items():
            if sum(found["wall"] for found in runs[name]) < _LONG:
                runs[name].append(program())
                print(title, name, runs[name][-1], flush=True)
    if len(counts := {found.get("count") for done in runs.values() for found in done}) > 1:
        raise SystemExit(f"{title}: the programs do not find the same: {counts}")
    return runs


def best(runs: Sequence[Found]) -> Found:
    """The least of everything."""
    return {key: min(each[key] for each in runs) for key in runs[0] if runs[0][key] is not None}


@contextmanager
def running(command: Sequence[object]) -> Iterator[str]:
    """A server in a process of its own, for as long; yields the line that it prints when it answers."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if "http://" in line), "")
        if not line:
            raise SystemExit(f"the server did not start: {' '.join(map(str, command))}")
        yield line
    finally:
        process.terminate()
        process.wait(20)
