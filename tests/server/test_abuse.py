"""A running server survives what nobody should send: bounded time and memory, nothing leaks, the next one is served."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tomoportal.server import LiveServer, Settings, running
from tomoportal.server.connections import Connection
from tomoportal.testing.programs import Program
from tomoportal.testing.sample_archive import write_sample_archive

JSON = {"Content-Type": "application/json"}
Serving = Callable[..., AbstractContextManager[tuple[Program, str]]]
_PATIENCE = 10.0  # CPU seconds: other programs may be busy beside the server
_MEMORY = 150_000_000

ALIASES = "{" + " ".join(f"a{number}: datasets {{ id }}" for number in range(10_000)) + "}"
DEEP = "{ datasets { id " + "runs { edges { node { dataset { " * 15 + "id" + " } } } }" * 15 + "} }"
FRAGMENTS = "query { datasets { ...A } } fragment A on Dataset { id ...B } fragment B on Dataset { ...A }"
DOUBLING = (
    "query { datasets { ...F0 } } "
    + " ".join(f"fragment F{n} on Dataset {{ ...F{n + 1} ...F{n + 1} }}" for n in range(200))
    + " fragment F200 on Dataset { id }"
)
REGEX = '{ datasets(where: {title: {_regex: "^(([a-z])+.)+[A-Z]([a-z])+$(a|a)*(a|aa)+$"}}) { id } }'
LIKE = '{ datasets(where: {title: {_like: "' + "%a" * 5_000 + '"}}) { id } }'
DIRECTIVES = "{ datasets { id " + "@skip(if: false) " * 20_000 + "} }"
SAME = "{ datasets { " + "id " * 90_000 + "} }"
BRACES = "{" * 90_000
STRING = '{ datasets(where: {title: {_eq: "' + "x" * 1_500_000 + '"}}) { id } }'
QUOTES = '{ datasets(where: {title: {_eq: "\'; DROP TABLE dataset; --"}}) { id } }'
LIST = "{ datasets(where: {id: {_in: [" + ",".join(map(str, range(40_000))) + "]}}) { id } }"
NESTED_WHERE = "{ runs(where: " + "{dataset: {runs: " * 100 + "{}" + "}}" * 100 + ") { id } }"
INTROSPECTION = "{ __schema { types { " + "fields { type { fields { type { " * 6 + "name" + " } } } }" * 6 + " } } }"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory, serving: Serving) -> Iterator[tuple[Program, str]]:
    """A server in a process of its own, so that its memory can be looked at."""
    folder = tmp_path_factory.mktemp("abused")
    write_sample_archive(folder / "archive")
    with serving("--archive", str(folder / "archive"), cwd=folder) as (program, url):
        yield program, url
        assert program.stop() == 0
    assert "Traceback" not in program.errors, program.errors[-3000:]


def _memory(program: Program) -> int:
    status = Path(f"/proc/{program.process.pid}/status")
    if not status.is_file():
        return 0
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("RssAnon"))


def _cpu(program: Program) -> float:
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _is_clean(text: str) -> None:
    """An answer tells nothing of what is behind the server."""
    for secret in ("Traceback", "SELECT ", "sqlalchemy", "sqlite", "OperationalError", ".py", "/tmp/", os.sep + "work"):
        assert secret not in text, f"{secret!r} leaks: …{text[max(text.find(secret) - 200, 0) :][:600]}"


def _alive(url: str) -> None:
    answer = httpx.post(f"{url}/graphql", json={"query": "{ datasets { id } }"}, timeout=60)
    assert answer.json() == {"data": {"datasets": [{"id": 10001}]}}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(ALIASES, id="10,000 aliases"),
        pytest.param(DEEP, id="depth 60"),
        pytest.param(FRAGMENTS, id="recursive fragments"),
        pytest.param(DOUBLING, id="doubling fragments"),
        pytest.param(REGEX, id="hostile regex"),
        pytest.param('{ datasets(where: {title: {_regex: "("}}) { id } }', id="broken regex"),
        pytest.param('{ datasets(where: {title: {_regex: "(x{1000}){1000}"}}) { id } }', id="large regex"),
        pytest.param(LIKE, id="5,000 wildcards"),
        pytest.param(DIRECTIVES, id="20,000 directives"),
        pytest.param(SAME, id="90,000 times the same field"),
        pytest.param(BRACES, id="90,000 braces"),
        pytest.param(STRING, id="a string of 1.5 MB"),
        pytest.param(QUOTES, id="SQL in a string"),
        pytest.param(LIST, id="a list of 40,000 ids"),
        pytest.param(NESTED_WHERE, id="a filter 200 deep"),
        pytest.param(INTROSPECTION, id="deep introspection"),
        pytest.param("{ datasets { id } }" + "#" * 1_900_000, id="a comment of 2 MB"),
        pytest.param("\x00\ud83d"[:1] * 1000, id="control characters"),
    ],
)
def test_hostile_queries(portal: tuple[Program, str], query: str) -> None:
    program, url = portal
    before, started = _memory(program), _cpu(program)
    answer = httpx.post(f"{url}/graphql", json={"query": query}, timeout=120)
    assert _cpu(program) - started < _PATIENCE
    assert answer.status_code in {200, 400, 413}
    assert _memory(program) - before < _MEMORY
    _is_clean(answer.text[:100_000])
    _alive(url)


@pytest.mark.parametrize(
    "body",
    [
        b'{"query": "\xff\xfe\xc3\x28"}',
        b'{"query": "\\ud800"}',
        b'{"query": "{ datasets(where: {title: {_eq: \\"\\ud800\\"}}) { id } }"}',
        b'{"query": "{ datasets { id } }", "variables": {"\\ud800": "\\udfff"}}',
        b'{"query": "query($a: String) { datasets(where: {title: {_eq: $a}}) { id } }", "variables": {"a": "\\ud800"}}',
        b'{"query": "query($a: Int) { datasets(where: {id: {_eq: $a}}) { id } }", "variables": {"a": 1e400}}',
        b'{"query": "query($a: Int) { datasets(where: {id: {_eq: $a}}) { id } }", "variables": {"a": '
        + b"9" * 5000
        + b"}}",
        b'{"query": "{ datasets { id } }", "operationName": "\\u0000"}',
        b'{"a":' * 50_000,
        b"{" + b'"k": 1,' * 1_000_000 + b'"query": "{ datasets { id } }"}',
    ],
    ids=range(10),
)
def test_broken_text(portal: tuple[Program, str], body: bytes) -> None:
    program, url = portal
    started = _cpu(program)
    answer = httpx.post(f"{url}/graphql", content=body, headers=JSON, timeout=120)
    assert _cpu(program) - started < _PATIENCE
    assert answer.status_code in {200, 400}
    _is_clean(answer.text)
    _alive(url)


def test_bodies_of_50_mb(portal: tuple[Program, str]) -> None:
    program, url = portal
    before = _memory(program)
    large = json.dumps({"query": "{ datasets { id } }" + " " * 50_000_000}).encode()
    for path in ("/graphql", "/s3/tomoportal/new", "/files/new", "/", "/healthz"):
        try:
            answer = httpx.post(f"{url}{path}", content=large, headers=JSON, timeout=60)
            assert answer.status_code in {405, 413}
            _is_clean(answer.text)
        except (httpx.NetworkError, httpx.RemoteProtocolError):  # the connection may end before all was sent
            pass
        _alive(url)
    assert _memory(program) - before < _MEMORY


def test_odd_addresses(portal: tuple[Program, str]) -> None:
    _, url = portal
    paths = ["/%00", "/%ff%fe", "/..%2f..%2fetc/passwd", "//etc/passwd", "/" + "a" * 50_000, "/files/" + "a/" * 20_000]
    paths += ["/files/" + "a" * 300 + "/", "/files/" + "a" * 300, "/s3/tomoportal/" + "a" * 300]
    paths += [f"/s3/tomoportal?list-type=2&{each}={'a' * 300}/b" for each in ("prefix", "start-after", "delimiter")]
    paths += ["/datasets/" + "9" * 5000, "/datasets/-1", "/runs/1e3", "/datasets/10001?page=" + "9" * 400]
    paths += [
        "/browse-data/datasets?search=" + "%22" * 3000,
        "/browse-data/datasets?organism=%00&page=-5",
        "/s3?%ff=%00",
    ]
    paths += ["/viewer/runs/" + "9" * 5000 + "/state.json", "/viewer/runs/1/state.json?tomogram=" + "9" * 5000]
    paths += ["/viewer/runs/99999999999999999999/state.json", "/viewer/annotations/1/%2e%2e/info", "/graphql?query=%ff"]
    paths += ["/graphql?query={datasets{id}}&variables=" + "[" * 10_000, "/s3/tomoportal?list-type=2&max-keys=1e9"]
    for path in paths:
        for method in ("GET", "HEAD"):
            answer = httpx.request(method, f"{url}{path}", timeout=120)
            assert answer.status_code < 500, path[:80]
            _is_clean(answer.text)
    _alive(url)


def _talk(url: str, data: bytes) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    parts = []
    with socket.create_connection((host, int(port)), timeout=60) as connection, suppress(ConnectionError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            parts.append(piece)
    return b"".join(parts)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET \xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=range(9),
)
def test_what_is_not_http(portal: tuple[Program, str], data: bytes) -> None:
    _, url = portal
    answer = _talk(url, data)
    assert not answer or re.match(rb"HTTP/1.1 (2|4)\d\d ", answer), answer[:200]
    _is_clean(answer.decode("latin-1").replace("/static/", ""))
    _alive(url)


def test_headers_without_end(portal: tuple[Program, str]) -> None:
    program, url = portal
    before = _memory(program)
    host, port = url.removeprefix("http://").split(":")
    for line in (b"X-%d: " % 1 + b"y" * 1000 + b"\r\n", b"z" * 1000):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            try:
                for _ in range(50_000):
                    connection.sendall(line)
                pytest.fail("50 MB of headers were taken")
            except OSError:
                pass
    assert _memory(program) - before < _MEMORY
    _alive(url)


def test_200_readers_who_leave_in_the_middle(portal: tuple[Program, str]) -> None:
    program, url = portal
    host, port = url.removeprefix("http://").split(":")
    before = _memory(program)
    for number in range(200):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            if number % 2:
                connection.sendall(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
                connection.sendall(b'Content-Length: 500\r\n\r\n{"query"')
            else:
                connection.sendall(b"GET /browse-data/datasets HTTP/1.1\r\nHost: x\r\n\r\n")
    _alive(url)
    assert _memory(program) - before < _MEMORY


@contextmanager
def impatient(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveServer]:
    class Impatient(Connection):
        head_patience = body_patience = reader_patience = 0.6

    monkeypatch.setattr(running, "Connection", Impatient)
    with LiveServer(Settings(archive=str(folder))) as server:
        yield server


def _seconds_until_cut(connection: socket.socket, drip: bytes) -> float:
    started = time.monotonic()
    connection.settimeout(0.1)
    while time.monotonic() - started < 60:
        try:
            if drip:
                connection.sendall(drip)
            if connection.recv(1000) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        pytest.fail("the connection was held")
    return time.monotonic() - started


@pytest.mark.parametrize(
    ("begin", "drip"),
    [
        (b"", b""),
        (b"GET / HT", b""),
        (b"GET / HTTP/1.1\r\nX: ", b"x"),
        (b"POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n", b" "),
        (b"PUT /s3/tomoportal/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n", b" "),
    ],
    ids=["nothing", "half a line", "dripping headers", "a dripping body", "a dripping body that is refused"],
)
def test_those_who_stall_are_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch, begin: bytes, drip: bytes) -> None:
    with impatient(folder, monkeypatch) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(begin)
            _seconds_until_cut(connection, drip)
        _alive(server.url)


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def _received(connection: socket.socket) -> int:
    total = 0
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            total += len(piece)
    return total


def test_those_who_do_not_read_are_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "10001" / "unread.bin"
    with open(path, "wb") as file:
        file.truncate(300_000_000)
    try:
        with impatient(folder, monkeypatch) as server:
            host, port = server.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(b"GET /files/10001/unread.bin HTTP/1.1\r\nHost: x\r\n\r\n")
                _wait_for(lambda: "_cut_total{" in httpx.get(f"{server.url}/metrics").text)
                assert _received(connection) < 300_000_000
            _alive(server.url)
    finally:
        path.unlink()


def test_quick_requests_on_one_connection_are_not_cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with impatient(folder, monkeypatch) as server, httpx.Client(base_url=server.url) as http:
        started = time.monotonic()
        while time.monotonic() - started < 2:
            assert http.get("/healthz").status_code == 200
            time.sleep(0.3)


def test_a_server_that_was_suspended_cuts_off_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in which it could not read is not the client's."""
    received, asleep = Connection.data_received, threading.Event()

    def suspended(self: Connection, data: bytes) -> None:
        if not asleep.is_set():
            asleep.set()
            time.sleep(2)
        received(self, data)

    monkeypatch.setattr(Connection, "data_received", suspended)
    question = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with impatient(folder, monkeypatch) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as early, socket.create_connection((host, int(port))) as late:
            late.sendall(question)
            assert asleep.wait(60)
            early.sendall(question)
            for connection in (early, late):
                connection.settimeout(60)
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
