"""``tomoportal serve`` as a process: what it prints, how it stops, what it refuses."""

from __future__ import annotations

import json
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
from tomoportal.testing.sample_archive import write_sample_archive

Serving = Callable[..., AbstractContextManager[tuple[subprocess.Popen[str], str]]]


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    write_sample_archive(tmp_path / "archive")
    return tmp_path / "archive"


def test_it_indexes_prints_its_address_and_stops_on_sigterm(serving: Serving, sample: Path) -> None:
    with serving("--archive", str(sample), cwd=sample.parent) as (process, url):
        # The address is printed when it answers, so no attempt may fail.
        assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
        answer = httpx.post(f"{url}/graphql", json={"query": "{ runs { name } }"}).json()
        assert len(answer["data"]["runs"]) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_the_access_log_goes_to_stderr(serving: Serving, sample: Path) -> None:
    with serving("--archive", str(sample), "--access-log", cwd=sample.parent) as (process, url):
        httpx.get(f"{url}/healthz")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=15)
    assert out == ""
    assert "GET /healthz" in err


def test_the_log_as_json(serving: Serving, sample: Path) -> None:
    options = ("--archive", str(sample), "--access-log", "--log-json", "--workers", "2")
    with serving(*options, cwd=sample.parent) as (process, url):
        httpx.get(f"{url}/files/missing")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    lines = [json.loads(line) for line in err.splitlines() if not line.startswith("There is no catalog yet")]
    assert [line["status"] for line in lines if line["logger"] == "tomoportal.access"] == [404]


def test_it_stops_on_ctrl_c_without_an_error(serving: Serving, sample: Path) -> None:
    with serving("--archive", str(sample), cwd=sample.parent) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0


def test_the_settings_file_of_the_folder_is_used(serving: Serving, sample: Path) -> None:
    (sample.parent / "tomoportal.toml").write_text('archive = "archive"\nbucket = "from-the-file"\n')
    with serving(cwd=sample.parent) as (_, url):
        rows = httpx.post(f"{url}/graphql", json={"query": "{ tomograms { s3MrcFile } }"}).json()["data"]["tomograms"]
        assert rows[0]["s3MrcFile"].startswith("s3://from-the-file/")


def test_several_processes(serving: Serving, sample: Path) -> None:
    with serving("--archive", str(sample), "--workers", "2", cwd=sample.parent) as (process, url):
        for _ in range(20):
            assert httpx.get(f"{url}/healthz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize(("workers", "path"), [(1, "/files/10001/big.bin"), (3, "/s3/tomoportal/10001/big.bin")])
def test_a_download_that_runs_is_finished_before_the_stop(
    serving: Serving, sample: Path, workers: int, path: str
) -> None:
    with open(sample / "10001" / "big.bin", "wb") as file:
        file.truncate(80_000_000)
    with serving("--archive", str(sample), "--workers", str(workers), cwd=sample.parent) as (process, url):
        received = 0
        with httpx.stream("GET", f"{url}{path}") as answer:
            for number, piece in enumerate(answer.iter_raw(1 << 20)):
                received += len(piece)
                if number == 3:
                    process.send_signal(signal.SIGTERM)
                    time.sleep(0.3)
        assert received == 80_000_000
        assert process.wait(15) == 0


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
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_live_servers_come_and_go(sample: Path) -> None:
    before = threading.active_count()
    for _ in range(2):
        with LiveServer(Settings(archive=str(sample), port=8000)) as server:
            assert not server.url.endswith(":8000")
            assert httpx.get(f"{server.url}/healthz").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/healthz")
    assert threading.active_count() <= before + 1
