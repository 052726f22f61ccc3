"""A web server whose every answer a test writes.

with ScriptedServer(lambda number, request: (200, {"ETag": '"a"'}, b"bytes")) as server:
    ...                          # server.url; server.seen holds what was asked
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

__all__ = ["Asked", "ScriptedServer"]

Reply = tuple[int, dict[str, str], bytes]
Script = Callable[[int, BaseHTTPRequestHandler], Reply]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


class _Server(ThreadingHTTPServer):
    # By default five may wait; of those who come at once, others would be dropped and try again seconds later.
    request_queue_size = 128


class ScriptedServer:
    """``script`` gets the number of the request, from 1, and its handler, and returns status, headers and body."""

    def __init__(self, script: Script) -> None:
        seen: list[Asked] = []
        connections: set[tuple[str, int]] = set()
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    seen.append(Asked(self.command, self.path, body, dict(self.headers)))
                    number = len(seen)
                connections.add((self.client_address[0], self.client_address[1]))
                status, headers, body = script(number, self)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_POST = do_HEAD = do_GET

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing on stderr."""

        self.seen, self.connections = seen, connections
        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; the address answers no more. A second call does nothing."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
