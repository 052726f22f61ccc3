"""A proxy before a web server or an S3 server that lets every n-th request fail, in the ways in which networks fail.

with FailingProxy("http://127.0.0.1:9000", every=3, fault="lost") as proxy:
    ...                          # proxy.url in the place of the server's
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

__all__ = ["FailingProxy", "Fault"]

Fault: TypeAlias = Literal["busy", "denied", "half", "hang", "lost", "none", "reset"]
"""``busy``: 503. ``denied``: 403. ``reset``: the connection breaks before the request is heard. ``lost``: it is heard,
and the connection breaks before the answer. ``half``: half of the body arrives. ``hang``: no answer for a while."""

_OWN = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class FailingProxy:
    """Passes requests on to ``target``; of those for which ``counted(method, path)`` is true, every n-th fails."""

    def __init__(
        self,
        target: str,
        *,
        every: int = 1,
        fault: Fault = "none",
        counted: Callable[[str, str], bool] = lambda method, path: True,
        delay: float = 0.0,
        hang: float = 1.0,
    ) -> None:
        parts = urlsplit(target)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self.every, self.fault, self.counted, self.delay, self.hang = every, fault, counted, delay, hang
        self.requests = self.failed = 0
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy._answer(self)

            do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

            def log_message(self, format: str, *arguments: Any) -> None:
                """Nothing on stderr."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that left: nothing on stderr."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _fault_now(self, method: str, path: str) -> Fault:
        with self._lock:
            if not self.counted(method, path):
                return "none"
            self.requests += 1
            if self.fault == "none" or self.requests % self.every:
                return "none"
            self.failed += 1
            return self.fault

    def _answer(self, asked: BaseHTTPRequestHandler) -> None:
        body = asked.rfile.read(int(asked.headers.get("Content-Length", 0)))
        fault = self._fault_now(asked.command, asked.path)
        time.sleep(self.hang if fault == "hang" else self.delay)
        if fault in ("busy", "denied"):
            _send(asked, *((503, _BUSY) if fault == "busy" else (403, _DENIED)))
            return
        if fault in ("reset", "hang"):
            _break(asked)
            return
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        try:
            connection.request(asked.command, asked.path, body or None, dict(asked.headers))
            reply = connection.getresponse()
            data = reply.read()
        finally:
            connection.close()
        if fault == "lost":
            _break(asked)
            return
        asked.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in _OWN:
                asked.send_header(name, value)
        size = reply.getheader("Content-Length") if asked.command == "HEAD" else str(len(data))
        asked.send_header("Content-Length", size or "0")
        asked.end_headers()
        if asked.command != "HEAD":
            asked.wfile.write(data[: len(data) // 2] if fault == "half" else data)
        if fault == "half":
            asked.wfile.flush()
            _break(asked)

    def close(self) -> None:
        """Stop; the address answers no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> FailingProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _send(asked: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    asked.send_response(status)
    asked.send_header("Content-Type", "application/xml")
    asked.send_header("Content-Length", str(len(body)))
    asked.end_headers()
    if asked.command != "HEAD":
        asked.wfile.write(body)


def _break(asked: BaseHTTPRequestHandler) -> None:
    """Reset the connection instead of closing it in order."""
    asked.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    asked.close_connection = True
