"""A pytest plug-in for the tests of the PyPI package copick: writes what became of each as a line of JSON.

``COPICK_SUITE_RECORD`` names the file. The first line says which package was tested. A mock S3 server gets a free port.
"""

from __future__ import annotations

import json
import os
import random
import socket
from contextlib import suppress
from pathlib import Path

import pytest

FIRST_PORT = 4002  # theirs of the worker gw0


def write(**line: str) -> None:
    with Path(os.environ["COPICK_SUITE_RECORD"]).open("a") as record:
        record.write(json.dumps(line) + "\n")


def pytest_sessionstart() -> None:
    import copick

    write(package=copick.from_file.__module__.partition(".")[0])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or not report.passed:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        outcome = "error" if report.failed and report.when != "call" else report.outcome
        write(test=report.nodeid.partition("::")[2], outcome=outcome, reason=reason)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if not report.passed:
        write(test="", outcome=report.outcome, reason=report.longreprtext)


@pytest.fixture(scope="session")
def worker_id() -> str:
    """What pytest-xdist would say; their mock S3 server derives its port from it."""
    # Not of the ports that the system gives to clients, of which another program may get this one meanwhile.
    for port in random.SystemRandom().sample(range(10240, 32768), 100):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return f"gw{port - FIRST_PORT}"
    raise OSError("no free port")
