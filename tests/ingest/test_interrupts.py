"""Ctrl-C while processes work: nothing is left of them, and nobody reads a traceback."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tomoportal.archive import Archive
from tomoportal.ingest import load_config, make_plan, open_source, run_plan

LEFT = """
import multiprocessing, time
from tomoportal.ingest.workers import nameless_locks

def work(connection):
    nameless_locks()
    import numcodecs
    numcodecs.get_codec({"id": "blosc"}).encode(bytes(100_000))
    connection.send("compressed")
    time.sleep(600)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs,))
    process.start()
    print(ours.recv())
    process.%s()
    process.join()
"""


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_worker_that_is_ended_leaves_no_semaphore(tmp_path: Path, end: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(LEFT % end)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.stdout == "compressed\n", done.stderr
    assert done.stderr == ""


STARTING = """
import multiprocessing, signal, sys, time
from tomoportal.ingest.workers import uninterrupted

def work():
    signal.signal(signal.SIGINT, signal.SIG_IGN)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=work) for _ in range(2)]
    with uninterrupted():
        for process in processes:
            process.start()
    try:
        print("started", flush=True)
        for process in processes:
            process.join()
        while True:  # one pause could begin just after the signal came
            time.sleep(0.1)
    except KeyboardInterrupt:
        for process in processes:
            process.join()
        sys.exit(130)
else:
    print("imports", flush=True)
    time.sleep(1.5)  # as long as large imports take
"""


def test_workers_that_start_do_not_answer_ctrl_c(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(STARTING)
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert sorted(process.stdout.readline() for _ in range(3)) == ["imports\n", "imports\n", "started\n"]
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert errors == ""
    assert process.returncode == 130


def test_workers_that_die_idle_cost_no_more_than_an_item_each(raw: Path, tmp_path: Path) -> None:
    loaded = load_config(raw / "config.yaml")
    source = open_source(raw, loaded.source_prefix)
    archive = Archive.open(tmp_path / "archive", create=True)
    plan = make_plan(loaded, source, archive)
    killed = []

    def kill(done: int, total: int, label: str) -> None:
        if not killed:
            for worker in multiprocessing.active_children():
                worker.kill()
                worker.join()
                killed.append(worker.exitcode)

    report = run_plan(plan, archive, source.store, 2, progress=kill)
    assert killed == [-signal.SIGKILL] * len(killed)
    whys = [failure.why for failure in report.failures]
    assert 1 <= sum("killed by signal 9" in why for why in whys) <= len(killed)
    assert run_plan(make_plan(loaded, source, archive), archive, source.store, 2).ok
