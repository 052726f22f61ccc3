"""What the commands say: nothing lost, nothing cut, nothing that does not exist."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tomoportal.cli import console, ingest
from tomoportal.ingest import Report
from tomoportal.ingest.report import Result
from tomoportal.testing.sources import write_mrc


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tomoportal", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "raw µ [files]"
    (folder / "grid [a]").mkdir(parents=True)
    voxels = np.random.default_rng(1).normal(size=(12, 24, 32)).astype(np.float32)
    write_mrc(folder / "grid [a]" / "tomo 1.mrc", voxels, 13.48)
    return folder


def test_init_shows_names_as_they_are_and_a_command_that_can_be_pasted(odd_folder: Path) -> None:
    done = run("init", odd_folder.name, "--yes", cwd=odd_folder.parent)
    assert done.returncode == 0, done.stderr
    assert "grid [a]/tomo 1.mrc" in done.stdout
    assert "1 run," in done.stderr
    command = shlex.split(done.stderr.splitlines()[-1].strip())
    assert command[:2] == ["tomoportal", "up"]
    done = run(*command[1:], "--no-serve", cwd=odd_folder.parent)
    assert done.returncode == 0, done.stderr
    assert "1 dataset, 1 run, 0 tilt series, 1 tomogram, 0 annotations" in done.stdout


def test_init_that_cannot_write_says_so_and_leaves_nothing(odd_folder: Path) -> None:
    done = run("init", odd_folder.name, "--yes", "--output", f"{odd_folder.name}/grid [a]/tomo 1.mrc/x.yaml",
               cwd=odd_folder.parent)  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert "tomo 1.mrc" in done.stderr


def test_a_table_in_a_pipe_keeps_one_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(("what", "where"), [("a" * 70, "b" * 70), ("[red]c[/]", 1)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "a" * 70 in lines[1]
    assert "b" * 70 in lines[1]
    assert "[red]c[/]" in lines[2]


def test_progress_is_told_in_lines_where_no_bar_can_be_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_SPEAK_EVERY", 0.0)
    with console.progress_bar("ingest") as progress:
        progress(3, 10, "TS_1")
    with console.progress_bar("ingest", quiet=True) as progress:
        progress(4, 10, "TS_2")
    assert capsys.readouterr().err == "ingest: 3 of 10, TS_1\n"


def test_a_full_disk_and_a_closed_pipe_leave_no_traceback(tmp_path: Path) -> None:
    verify = [sys.executable, "-m", "tomoportal", "verify", "--rules"]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(verify, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(verify, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=300)
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""


def test_one_full_disk_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    full = "a/volume.mrc: the disk is full\n  fix: free some space"
    results = [Result("x", "TS_1 volume", "failed", full)]
    results += [Result("y", f"TS_{n} volume", "not attempted", f"{full} (at TS_1)") for n in range(2, 50)]
    ingest._show_report(Report(results))
    said = capsys.readouterr().err
    assert said.count("fix: free some space") == 1
    assert "failed TS_1 volume" in said
    assert "43 more items were not attempted" in said
