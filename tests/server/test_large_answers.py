"""Large GraphQL answers: as they are made, with flat memory, and never a part that looks whole."""

from __future__ import annotations

import gzip
import json
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tomoportal.server import LiveServer, Settings
from tomoportal.server.app import prepare
from tomoportal.server.observation import ACCESS, JsonLines
from tomoportal.testing.programs import PATIENCE, Program
from tomoportal.testing.sample_archive import write_sample_archive

ROWS = 60_000
SCALARS = "id alignmentType alignmentMethod volumeXDimension tiltOffset affineTransformationMatrix s3AlignmentMetadata"
ALL = f"{{ alignments {{ {SCALARS} httpsAlignmentMetadata xRotationOffset isPortalStandard }} }}"
ENDLESS = "{ alignments { id run { alignmentsAggregate { aggregate { count } } } } }"
BROKEN = f"{{ alignments(where: {{id: {{_lte: {1000 + ROWS}}}}}) {{ {SCALARS} httpsAlignmentMetadata }} }}"
PLAIN = {"Accept-Encoding": "identity"}

Portal = tuple[Program, str]
Serving = Callable[..., AbstractContextManager[Portal]]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portal with many rows, the last of which has no number where one is due."""
    folder = tmp_path_factory.mktemp("large") / "archive"
    write_sample_archive(folder)
    prepare(Settings(archive=str(folder)))
    with closing(sqlite3.connect(folder / ".tomoportal/catalog.sqlite")) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(alignment)")]
        others = [name for name in columns if name not in {"id", "natural_key", "volume_x_dimension"}]
        names = ", ".join(others)
        connection.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < {1000 + ROWS})"
            f" INSERT INTO alignment (id, natural_key, volume_x_dimension, {names})"
            f" SELECT i, 'row ' || i, CASE i WHEN {1000 + ROWS} THEN 'broken' ELSE 960.0 END,"
            f" {names} FROM n, (SELECT * FROM alignment LIMIT 1)"
        )
        connection.commit()
    return folder


@pytest.fixture(scope="module")
def portal(archive: Path, serving: Serving) -> Iterator[Portal]:
    with serving("--archive", str(archive), cwd=archive.parent) as found:
        yield found


def whole(query: str = ALL) -> str:
    """The query without the row that breaks."""
    return query.replace("alignments {", f"alignments(where: {{id: {{_lt: {1000 + ROWS}}}}}) {{", 1)


def _memory(program: Program) -> int:
    status = Path(f"/proc/{program.process.pid}/status")
    if not status.is_file():
        pytest.skip("this system does not tell the memory of a process")
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("RssAnon"))


def _cpu(program: Program) -> float:
    return float(Path(f"/proc/{program.process.pid}/schedstat").read_text().split()[0]) / 1e9


def _leave(url: str, query: str, *, wait: float) -> None:
    """Ask, and close the connection after a while without having read the answer."""
    parts = urlsplit(url)
    body = json.dumps({"query": query}).encode()
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        head = f"POST /graphql HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(wait)


def test_it_is_the_same_answer_compressed_and_plain_by_post_and_by_get(portal: Portal) -> None:
    _, url = portal
    plain = httpx.post(f"{url}/graphql", json={"query": whole()}, headers=PLAIN, timeout=60)
    rows = plain.json()["data"]["alignments"]
    assert len(rows) == ROWS + 2
    assert rows[-1]["volumeXDimension"] == 960.0
    assert len(plain.content) > 20_000_000
    assert "content-encoding" not in plain.headers
    with httpx.stream("GET", f"{url}/graphql", params={"query": whole()}, timeout=60) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content
    again = httpx.get(
        f"{url}/graphql", params={"query": whole()}, headers={"If-None-Match": packed.headers["etag"]}, timeout=60
    )
    assert (again.status_code, again.content) == (304, b"")


def test_slow_readers_cost_no_memory_and_hold_up_nobody(portal: Portal) -> None:
    program, url = portal
    httpx.post(f"{url}/graphql", json={"query": whole()}, timeout=60)
    before = _memory(program)
    peaks: list[int] = []

    def read_slowly(number: int) -> int:
        received = 0
        with httpx.stream("POST", f"{url}/graphql", json={"query": whole()}, headers=PLAIN, timeout=60) as answer:
            for count, piece in enumerate(answer.iter_raw(1 << 20)):
                received += len(piece)
                time.sleep(0.05)
                if number == 0 and count % 4 == 0:
                    peaks.append(_memory(program))
                    small = httpx.post(f"{url}/graphql", json={"query": "{ runs { id } }"}, timeout=30)
                    assert len(small.json()["data"]["runs"]) == 2
        return received

    with ThreadPoolExecutor(6) as pool:
        sizes = list(pool.map(read_slowly, range(6)))
    assert len(set(sizes)) == 1
    assert sizes[0] > 20_000_000
    assert max(peaks) - before < 40_000_000, "six answers of more than 20 MB each"


def test_the_statement_of_a_client_who_left_is_stopped(portal: Portal) -> None:
    program, url = portal
    before = _cpu(program)
    _leave(url, ENDLESS, wait=1.0)
    _wait_for(lambda: _rests(program))
    assert _cpu(program) - before < 8, "it ended by itself"


def _rests(program: Program) -> bool:
    """Whether no thread of the program has anything to do, be there a processor for it or not."""
    for _ in range(20):
        for thread in Path(f"/proc/{program.process.pid}/task").iterdir():
            if (thread / "stat").read_text().rpartition(")")[2].split()[0] != "S":
                return False
        time.sleep(0.02)
    return True


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_client_who_leaves_in_the_middle_is_no_error(portal: Portal) -> None:
    program, url = portal
    before = _nameless_files(program)
    for _ in range(5):
        _leave(url, whole(), wait=0.1)
    small = httpx.post(f"{url}/graphql", json={"query": "{ runs { id } }"}, timeout=30)
    assert small.status_code == 200
    _wait_for(lambda: _nameless_files(program) <= before)


def _nameless_files(program: Program) -> int:
    found = 0
    for entry in Path(f"/proc/{program.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we looked
            found += os.readlink(entry).endswith(" (deleted)")
    return found


def test_an_error_in_the_middle_breaks_the_connection(portal: Portal) -> None:
    """Never a 200 whose JSON ends early: neither cut off, nor as if it were all."""
    _, url = portal
    for encoding in ("gzip", "identity"):
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{url}/graphql", json={"query": BROKEN}, headers={"Accept-Encoding": encoding}, timeout=60)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{url}/graphql", params={"query": BROKEN}, timeout=60)


def test_an_answer_that_breaks_off_is_logged_and_counted_as_broken(
    archive: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with LiveServer(Settings(archive=str(archive))) as server, caplog.at_level(logging.INFO, logger=ACCESS):
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{server.url}/graphql", json={"query": BROKEN}, timeout=60)
        with httpx.stream("POST", f"{server.url}/graphql", json={"query": whole()}, headers=PLAIN, timeout=60) as left:
            next(left.iter_raw(1000))
        assert httpx.post(f"{server.url}/graphql", json={"query": "{ runs { id } }"}, timeout=60).status_code == 200
        _wait_for(lambda: len(_ends(caplog)) >= 3)  # a line is written when its answer is on the way
        assert sorted(_ends(caplog)) == ["broken", "left", "whole"]
        counted = [line for line in httpx.get(f"{server.url}/metrics").text.splitlines() if "_cut_total{" in line]
    assert counted == [
        f'tomoportal_http_responses_cut_total{{route="/graphql",end="{end}"}} 1' for end in ("broken", "left")
    ]
    assert [record.getMessage().rpartition(" ms")[2] for record in _access(caplog)].count(", broken") == 1


def _access(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == ACCESS]


def _ends(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [json.loads(JsonLines().format(record))["end"] for record in _access(caplog)]


@pytest.mark.parametrize(("query", "status"), [(BROKEN, b"503"), (whole(), b"200")])
def test_http_1_0_which_has_no_end_of_its_own(portal: Portal, query: str, status: bytes) -> None:
    parts = urlsplit(portal[1])
    body = json.dumps({"query": query}).encode()
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.settimeout(60)
        head = f"POST /graphql HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}Host: {parts.netloc}\r\n\r\n".encode() + body)
        received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    head_of_answer, _, content = received.partition(b"\r\n\r\n")
    assert head_of_answer.split()[1] == status
    lengths = [
        line.split(b":")[1] for line in head_of_answer.lower().splitlines() if line.startswith(b"content-length")
    ]
    assert [int(length) for length in lengths] == [len(content)]
    if status == b"200":
        assert len(json.loads(content)["data"]["alignments"]) == ROWS + 2


@pytest.mark.parametrize(("workers", "path"), [(1, "/files/10001/big.bin"), (2, "/s3/tomoportal/10001/big.bin")])
def test_what_runs_is_finished_before_the_stop(archive: Path, serving: Serving, workers: int, path: str) -> None:
    """An answer and a download that have begun arrive whole, though the server is told to stop."""
    size = (
        40_000_000  # more than the system's buffers hold; plain, so that it costs the server little of its ten seconds
    )
    with open(archive / "10001" / "big.bin", "wb") as file:
        file.truncate(size)
    with serving("--archive", str(archive), "--workers", str(workers), cwd=archive.parent) as (program, url):
        with (
            httpx.stream("POST", f"{url}/graphql", json={"query": whole()}, headers=PLAIN, timeout=60) as answer,
            httpx.stream("GET", f"{url}{path}", headers=PLAIN, timeout=60) as download,
        ):
            rows, pieces = answer.iter_raw(1 << 20), download.iter_raw(1 << 20)
            parts, received = [next(rows)], len(next(pieces))
            program.process.terminate()
            time.sleep(0.3)
            parts += rows
            received += sum(map(len, pieces))
        assert len(json.loads(b"".join(parts))["data"]["alignments"]) == ROWS + 2
        assert received == size
        assert program.process.wait(PATIENCE) == 0
