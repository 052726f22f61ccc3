"""kill -9 at any moment, then the same command again: the archive of an undisturbed run, byte for byte."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tomoportal.archive import Archive
from tomoportal.archive.verify import verify
from tomoportal.testing.sources import SHAPE, SPACING, write_mrc

Digests = Callable[[Path], dict[str, str]]

# Runs `tomoportal ingest` in a process that kills itself at its n-th change of the file system (0: counts only).
_DRIVER = """
import os, signal, sys
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
config, target, changes = sys.argv[1], 0, 0

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
# The smallest that `verify` takes: pictures cost more than volumes this small.
keyphotos.KEY_PHOTO_SIZES = {"snapshot": (512, 384), "thumbnail": (134, 100), "expanded": (160, 120)}

def run(number, archive, counted):
    global target
    target = number
    os.fsync = lambda descriptor: None  # what a killed process handed to the kernel is not lost
    sys.addaudithook(hook)
    code = cli.main(["ingest", config, "--archive", archive, "--jobs", "1", "--json"], standalone_mode=False)
    os.write(counted, str(changes).encode())
    os._exit(code or 0)

# One import, many deaths: every attempt is a fork of this process.
sys.stdout.flush()
null = os.open(os.devnull, os.O_WRONLY)
for line in sys.stdin:
    number, archive = line.split()
    told, counted = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(null, 1)
        os.dup2(null, 2)
        run(int(number), archive, counted)
    os.close(counted)
    _, status = os.waitpid(child, 0)
    print(status, os.read(told, 20).decode() or 0, flush=True)
    os.close(told)
"""

UNFINISHED = {
    "V306",  # a volume is there, its document comes later
    "V501",  # a publication was interrupted, and has been finished now
    "V503",  # a publication was interrupted, there is no right to write: its run is not checked
    "V504",  # staged files of the dead process
}
"""What `verify` may say about work that was interrupted; anything else would be a fault."""

MDOC_BY_ANGLE = "V707"
"""The sample's mdoc is sorted by angle, which is worth a remark at any time."""


@pytest.fixture
def one_run(tmp_path: Path, write_whole: Callable[..., Path]) -> Path:
    """Sources of one run with every entity type and every shape of annotation."""
    return write_whole(tmp_path / "raw", 1)


class _Driver:
    def __init__(self, config: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, kill_at: int, archive: Path) -> tuple[int, int]:
        """Wait status of one ingestion, and its number of changes if it was not killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kill_at} {archive}\n")
        self._process.stdin.flush()
        status, changes = self._process.stdout.readline().split()
        return int(status), int(changes)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def driver(one_run: Path) -> Iterator[_Driver]:
    driver = _Driver(one_run)
    yield driver
    driver.close()


OUTDATED = {
    "V305",  # an annotation went, and the viewer's file of its tomogram is made anew after it
}
"""What it may say in addition when a correction was interrupted."""


def _check_interrupted(archive: Path, allowed: set[str]) -> set[str]:
    """Look at what a killed ingestion left: without the right to write, and then (in a copy) with it."""
    told = set()
    if archive.is_dir():
        copy = archive.with_name(f"{archive.name}-verified")
        shutil.copytree(archive, copy)
        for opened in (Archive.open(archive, read_only=True), Archive.open(copy)):
            found = verify(opened)
            rules = {one.rule for one in found}
            assert rules <= {*allowed, MDOC_BY_ANGLE}, [one for one in found if one.rule not in allowed]
            told |= rules
        assert "V503" not in rules, "with the right to write publications are finished"
        shutil.rmtree(copy)
    return told


def _kill_at(
    points: Iterable[int], driver: _Driver, tmp_path: Path, tree: Digests, former: Path | None = None
) -> set[str]:
    """Kill at each point, verify, run again, compare; returns what `verify` had to say about the interrupted states.

    ``former`` is the archive that there was before, if any.
    """
    expected = tree(tmp_path / "undisturbed")
    told = set()
    for point in points:
        archive = tmp_path / "killed"
        if former is not None:
            shutil.copytree(former, archive)
        status, _ = driver.run(point, archive)
        assert os.WIFSIGNALED(status), point
        assert os.WTERMSIG(status) == signal.SIGKILL
        told |= _check_interrupted(archive, UNFINISHED | (OUTDATED if former else set()))
        assert driver.run(0, archive)[0] == 0, point
        assert tree(archive) == expected, point
        assert not list(archive.glob(".tomoportal/staging/*")), point
        shutil.rmtree(archive)
    return told


def test_killed_at_a_few_changes_of_the_file_system(driver: _Driver, tmp_path: Path, tree: Digests) -> None:
    """F4, F5: no mixed states, and the work goes on where it was left."""
    status, changes = driver.run(0, tmp_path / "undisturbed")
    assert status == 0
    told = _kill_at([9, *range(61, changes, changes // 4), changes], driver, tmp_path, tree)
    assert told & UNFINISHED


@pytest.mark.slow
def test_killed_at_any_change_of_the_file_system(driver: _Driver, tmp_path: Path, tree: Digests) -> None:
    """Every n-th change, n from CRASH_STRIDE; with 1 the whole matrix (an hour)."""
    status, changes = driver.run(0, tmp_path / "undisturbed")
    assert status == 0
    told = _kill_at(range(1, changes + 1, int(os.environ.get("CRASH_STRIDE", "29"))), driver, tmp_path, tree)
    assert told >= UNFINISHED  # the matrix reaches every kind of interruption


def _corrected(raw: Path) -> None:
    """New contents for something of every kind, and a label fewer, so that items are replaced and one goes."""
    rng = np.random.default_rng(7)
    write_mrc(raw / "tomograms/TS_01.rec", rng.normal(size=SHAPE).astype(np.float32), SPACING)
    write_mrc(raw / "coarse/TS_01.mrc", rng.normal(size=(6, 12, 16)).astype(np.float32), 2 * SPACING)
    labels = np.zeros(SHAPE, np.int8)
    labels[2:9, 6:18, 8:24] = 1
    write_mrc(raw / "masks/TS_01_labels.mrc", labels, SPACING)
    for name, old, new in (
        ("stacks/TS_01.mdoc", "ExposureTime = 1.5", "ExposureTime = 1.6"),
        ("stacks/TS_01.xtilt", "0.10", "0.20"),
        ("stacks/TS_01_ctf.txt", "19000.0", "18000.0"),
        ("meshes/TS_01.obj", "v 9.0", "v 8.0"),
        ("objects.csv", "elongated", "round"),
        ("captions/TS_01_each.json", "round", "flat"),
        ("config.yaml", "Sample dataset", "Another dataset"),
        ("config.yaml", "K2 SUMMIT", "K3"),
    ):
        text = (raw / name).read_text()
        assert old in text, name
        (raw / name).write_text(text.replace(old, new))
    (raw / "points/TS_01.csv").write_text("3,3,3\n")
    (raw / "frames/TS_01_000.tif").write_bytes((raw / "frames/TS_01_001.tif").read_bytes())
    (raw / "photos/preview.png").write_bytes((raw / "photos/deposition_big.png").read_bytes())


def _prepared_correction(one_run: Path, driver: _Driver, tmp_path: Path) -> int:
    """An archive of the sources as they were (`former`), and of the corrected ones on top; the number of changes."""
    assert driver.run(0, tmp_path / "former")[0] == 0
    _corrected(one_run.parent)
    shutil.copytree(tmp_path / "former", tmp_path / "undisturbed")
    status, changes = driver.run(0, tmp_path / "undisturbed")
    assert status == 0
    return changes


def test_killed_while_a_correction_arrives(one_run: Path, driver: _Driver, tmp_path: Path, tree: Digests) -> None:
    """F1, F4: what was published is replaced item by item, and each is the old one or the new one."""
    changes = _prepared_correction(one_run, driver, tmp_path)
    _kill_at([changes // 3, 2 * changes // 3], driver, tmp_path, tree, tmp_path / "former")


@pytest.mark.slow
def test_killed_at_any_change_while_a_correction_arrives(
    one_run: Path, driver: _Driver, tmp_path: Path, tree: Digests
) -> None:
    changes = _prepared_correction(one_run, driver, tmp_path)
    points = range(1, changes + 1, int(os.environ.get("CRASH_STRIDE", "29")))
    _kill_at(points, driver, tmp_path, tree, tmp_path / "former")


def test_killed_twice_in_a_row(driver: _Driver, tmp_path: Path, tree: Digests) -> None:
    driver.run(0, tmp_path / "undisturbed")
    for point in (150, 40, 90):
        driver.run(point, tmp_path / "killed")
    assert driver.run(0, tmp_path / "killed")[0] == 0
    assert tree(tmp_path / "killed") == tree(tmp_path / "undisturbed")


def _command(config: Path, archive: Path) -> list[str]:
    return [sys.executable, "-m", "tomoportal", "ingest", str(config), "--archive", str(archive), "--jobs", "2"]


def _wait_for_the_end_of(group: int) -> None:
    """Until no process of a process group is alive; what one that still writes leaves is swept by the next run only."""
    for _ in range(6000):
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
    raise AssertionError("the workers outlive their parent by five minutes")


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_two_workers_killed_by_time(
    tmp_path: Path, tree: Digests, write_whole: Callable[..., Path], way: signal.Signals
) -> None:
    config = write_whole(tmp_path / "raw", 2)
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
