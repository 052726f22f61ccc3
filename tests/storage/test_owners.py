"""Which process left something behind: names of the living and of the dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tomoportal.storage.owners import is_abandoned, new_token

TOKEN = "from tomoportal.storage.owners import new_token; print(new_token(), flush=True)"


def test_what_the_living_made_is_not_abandoned() -> None:
    assert not is_abandoned(new_token(), 0.0)


def test_what_a_process_made_is_abandoned_when_it_is_gone() -> None:
    done = subprocess.run([sys.executable, "-c", TOKEN], check=True, capture_output=True, text=True)
    assert is_abandoned(done.stdout.strip(), time.time())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc tells who has ended")
def test_a_process_that_ended_and_was_not_collected_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", TOKEN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        token = process.stdout.readline().strip()
        process.stdout.read()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it stays in the table of processes
        os.kill(process.pid, 0)
        assert is_abandoned(token, time.time())


def test_on_another_machine_age_decides() -> None:
    assert not is_abandoned("00000000-1-0", time.time())
    assert is_abandoned("00000000-1-0", time.time() - 25 * 3600)
