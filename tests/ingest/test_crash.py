"""kill -9 at any moment, then the same command again: the archive of an undisturbed run, byte for byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tomoportal.testing.sources import sample_config, write_config, write_sources

Digests = Callable[[Path], dict[str, str]]

# Runs `tomoportal ingest` in a process that kills itself at its n-th change of the file system (0: counts only).
_DRIVER = """
import os, signal, sys
target, changes = int(sys.argv[1]), 0
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
archive = sys.argv[2]

def hook(event, arguments):
    global changes
    if event == "open":
        path, _, flags = arguments
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event not in CHANGES:
        return
    changes += 1
    if changes == target:
        os.kill(os.getpid(), signal.SIGKILL)

from tomoportal.cli import cli
import tomoportal.formats.keyphotos as keyphotos
import tomoportal.ingest.steps.annotations, tomoportal.ingest.planner, tomoportal.ingest.running
keyphotos.KEY_PHOTO_SIZES = {"snapshot": (64, 48), "thumbnail": (16, 12), "expanded": (80, 60)}

def run(number, archive):
    global target
    target = number
    sys.addaudithook(hook)
    code = cli.main(["ingest", sys.argv[3], "--archive", archive, "--jobs", "1", "--json"], standalone_mode=False)
    os._exit(code or 0)

# One import, many deaths: every attempt is a fork of this process.
sys.stdout.flush()
null = os.open(os.devnull, os.O_WRONLY)
for line in sys.stdin:
    number, archive = line.split()
    child = os.fork()
    if child == 0:
        os.dup2(null, 1)
        os.dup2(null, 2)
        run(int(number), archive)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""


@pytest.fixture
def one_run(tmp_path: Path) -> Path:
    write_sources(tmp_path / "raw", runs=1)
    config = sample_config()
    del config["tomograms"][1], config["gains"]
    return write_config(tmp_path / "raw" / "config.yaml", config)


class _Driver:
    def __init__(self, config: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, "0", "", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, kill_at: int, archive: Path) -> int:
        """Wait status of one ingestion."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kill_at} {archive}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _kill_at(points: list[int], config: Path, tmp_path: Path, tree: Digests) -> int:
    """Kill at each point, run again, compare; returns how many attempts died."""
    driver = _Driver(config)
    died = 0
    try:
        assert driver.run(0, tmp_path / "undisturbed") == 0
        expected = tree(tmp_path / "undisturbed")
        for point in points:
            archive = tmp_path / f"killed-{point}"
            status = driver.run(point, archive)
            died += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            assert driver.run(0, archive) == 0, point
            assert tree(archive) == expected, point
    finally:
        driver.close()
    return died


def test_killed_at_a_few_changes_of_the_file_system(one_run: Path, tmp_path: Path, tree: Digests) -> None:
    points = [2, 9, 31, 67, 140, 233, 347]
    assert _kill_at(points, one_run, tmp_path, tree) == len(points)


@pytest.mark.slow
def test_killed_at_very_many_changes_of_the_file_system(one_run: Path, tmp_path: Path, tree: Digests) -> None:
    points = list(range(1, 1300, 9))
    assert _kill_at(points, one_run, tmp_path, tree) > 60


def test_killed_twice_in_a_row(one_run: Path, tmp_path: Path, tree: Digests) -> None:
    driver = _Driver(one_run)
    try:
        driver.run(0, tmp_path / "undisturbed")
        for point in (150, 40, 90):
            driver.run(point, tmp_path / "killed")
        assert driver.run(0, tmp_path / "killed") == 0
    finally:
        driver.close()
    assert tree(tmp_path / "killed") == tree(tmp_path / "undisturbed")


def _command(config: Path, archive: Path) -> list[str]:
    return [sys.executable, "-m", "tomoportal", "ingest", str(config), "--archive", str(archive), "--jobs", "2"]


def _wait_for_the_end_of(group: int) -> None:
    """Until no process of a process group is alive; what one that still writes leaves is swept by the next run only."""
    for _ in range(600):
        alive = False
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, process_group = status.read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue  # gone meanwhile
            alive |= int(process_group) == group and state != "Z"
        if not alive:
            return
        time.sleep(0.05)
    raise AssertionError("the workers outlive their parent by half a minute")


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_two_workers_killed_by_time(tmp_path: Path, tree: Digests, way: signal.Signals) -> None:
    config = write_sources(tmp_path / "raw", runs=2)
    subprocess.run(_command(config, tmp_path / "undisturbed"), check=True, capture_output=True)
    expected = tree(tmp_path / "undisturbed")
    for number, delay in enumerate((1.0, 1.6, 2.2, 3.0, 4.0)):
        archive = tmp_path / f"killed-{number}"
        process = subprocess.Popen(
            _command(config, archive), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(delay)
        process.send_signal(way)
        process.wait()
        _wait_for_the_end_of(process.pid)  # the workers notice that their parent is gone
        subprocess.run(_command(config, archive), check=True, capture_output=True)
        assert tree(archive) == expected, delay
