"""``tomoportal serve`` as a process: what it prints, how it stops, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tomoportal.errors import SettingsError
from tomoportal.server import LiveServer, Settings, run
from tomoportal.testing.programs import PATIENCE, Program
from tomoportal.testing.sample_archive import write_sample_archive

Serving = Callable[..., AbstractContextManager[tuple[Program, str]]]


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    write_sample_archive(tmp_path / "archive")
    return tmp_path / "archive"


def test_one_process(serving: Serving, sample: Path) -> None:
    """The settings file of the folder is used, it indexes, says where it is, logs to stderr, and stops on SIGTERM."""
    (sample.parent / "tomoportal.toml").write_text('archive = "archive"\nbucket = "from-the-file"\n')
    with serving("--access-log", cwd=sample.parent) as (program, url):
        # The address is printed when it answers, so no attempt may fail.
        assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
        query = "{ runs { name } tomograms { s3MrcFile } }"
        answer = httpx.post(f"{url}/graphql", json={"query": query}).json()
        assert len(answer["data"]["runs"]) == 2
        assert answer["data"]["tomograms"][0]["s3MrcFile"].startswith("s3://from-the-file/")
        assert program.stop(signal.SIGTERM) == 0
    assert program.output.split("\n") == [f"Serving archive at {url}", ""]
    assert "GET /healthz" in program.errors
    assert "Traceback" not in program.errors


def test_several_processes(serving: Serving, sample: Path) -> None:
    """All of them answer, log JSON to stderr, and stop on Ctrl-C without an error."""
    options = ("--archive", str(sample), "--access-log", "--log-json", "--workers", "2")
    with serving(*options, cwd=sample.parent) as (program, url):
        for _ in range(20):
            assert httpx.get(f"{url}/healthz").status_code == 200
        httpx.get(f"{url}/files/missing")
        assert program.stop(signal.SIGINT) == 0
    lines = [json.loads(line) for line in program.errors.splitlines() if not line.startswith("There is no catalog yet")]
    statuses = [line["status"] for line in lines if line["logger"] == "tomoportal.access"]
    assert sorted(statuses) == [200] * 20 + [404]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the processes of a process are asked of /proc")
def test_a_worker_that_is_suspended_for_a_while_is_not_replaced(serving: Serving, sample: Path) -> None:
    """Its answers and downloads are not lost; uvicorn's own patience is five seconds."""
    with serving("--archive", str(sample), "--workers", "2", cwd=sample.parent) as (program, url):
        children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children")
        before = children.read_text().split()
        for child in before:
            os.kill(int(child), signal.SIGSTOP)
        time.sleep(8)
        for child in before:
            os.kill(int(child), signal.SIGCONT)
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert children.read_text().split() == before


def test_a_port_in_use_is_said_with_the_way_out(sample: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match="already in use") as caught:
            run(Settings(archive=str(sample), port=port))
    assert "--port" in str(caught.value.fix)
    assert not (sample / ".tomoportal" / "catalog.sqlite").exists(), "it indexed before it looked at the port"


def test_an_address_of_another_machine_is_refused(sample: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be listened on") as caught:
        run(Settings(archive=str(sample), host="203.0.113.1", port=0))
    assert "--host" in str(caught.value.fix)


def test_the_command_line_reports_errors_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tomoportal", "serve", "--archive", str(tmp_path / "missing"), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE)
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_live_servers_come_and_go(sample: Path) -> None:
    before = set(threading.enumerate())
    for _ in range(2):
        with LiveServer(Settings(archive=str(sample), port=8000)) as server:
            assert not server.url.endswith(":8000")
            assert httpx.get(f"{server.url}/healthz").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/healthz")
    assert not [thread for thread in set(threading.enumerate()) - before if not thread.daemon]
    assert "tomoportal-server" not in {thread.name for thread in set(threading.enumerate()) - before}
