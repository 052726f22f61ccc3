"""Several clients at once: connections that stay open and ask one question after the other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["asked", "portal", "written_by_hand"]

CLIENTS = 8


@contextmanager
def _process(command: Sequence[str], stdin: str = "") -> Iterator[tuple[int, str]]:
    """A server in a process of its own: its number, and the address that it prints."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(list(command), stdin=pipe, stdout=pipe, text=True)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(stdin)
        process.stdin.close()
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "the server did not start"
        yield process.pid, found.group()
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def portal(database: str) -> Iterator[tuple[int, str]]:
    """Our server, with one process, over a catalog."""
    with tempfile.TemporaryDirectory(prefix="tomoportal-") as folder:
        command = [sys.executable, "-m", "tomoportal", "serve", "--archive", folder, "--db", database, "--port", "0"]
        with _process(command) as (number, url):
            yield number, f"{url}/graphql"


@contextmanager
def written_by_hand(database: str, statements: Sequence[Sequence[str]]) -> Iterator[tuple[int, str]]:
    """The limit: see ``sql_server``."""
    command = [sys.executable, str(Path(__file__).with_name("sql_server.py")), database]
    with _process(command, json.dumps(statements)) as found:
        yield found


def asked(url: str, body: Callable[[int], object], seconds: float) -> tuple[int, float]:
    """How many requests were answered, and in how many seconds."""
    parts = urlsplit(url)
    counts, stop = [0] * CLIENTS, time.perf_counter() + seconds

    def ask(client: int) -> None:
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        while time.perf_counter() < stop:
            content = json.dumps(body(client + CLIENTS * counts[client]))
            connection.request("POST", parts.path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status == 200, data[:300]
            assert b'"errors"' not in data[:200], data[:300]
            counts[client] += 1
        connection.close()

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(CLIENTS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.perf_counter() - start
