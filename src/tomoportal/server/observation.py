"""What is seen of every request: counters for ``/metrics``, and a line in the access log."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tomoportal.server.metrics import Metrics

__all__ = ["ACCESS", "JsonLines", "Observation"]

ACCESS = "tomoportal.access"
"""The logger of the access log; its records carry the fields of :data:`_FIELDS`."""

_FIELDS = ("client", "method", "path", "route", "status", "bytes", "seconds", "user_agent", "end")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_LONGEST = 2000  # characters of one text in the log

_access = logging.getLogger(ACCESS)


class Observation:
    """ASGI middleware around everything else.

    An answer has one of three ends: ``whole``; ``broken``, if it began and its last piece was never sent, so that its
    status says nothing; ``left``, if that was because its reader had gone.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, client_of: Callable[[Scope], str]) -> None:
        self._app, self._metrics, self._client_of = app, metrics, client_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, size, end = time.perf_counter(), 500, 0, "whole"

        async def watched(message: Message) -> None:
            nonlocal status, size, end
            if message["type"] == "http.response.start":
                status, end = message["status"], "broken"
            else:
                size += len(message.get("body", b""))
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                end = "whole"

        async def heard() -> Message:
            nonlocal end
            message = await receive()
            if message["type"] == "http.disconnect" and end == "broken":
                end = "left"
            return message

        self._metrics.in_progress += 1
        try:
            await self._app(scope, heard, watched)
        finally:
            self._metrics.in_progress -= 1
            seconds = time.perf_counter() - started
            size = 0 if scope["method"] == "HEAD" else size
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.record(route, method, status, seconds, size, end)
            if _access.isEnabledFor(logging.INFO):
                self._log(scope, route, status, size, seconds, end)

    def _log(self, scope: Scope, route: str, status: int, size: int, seconds: float, end: str) -> None:
        query = scope["query_string"]
        # As it came over the wire: percent-encoded, so no line of the log can be forged.
        raw = bytes(scope["raw_path"]) + (b"?" + query if query else b"")
        path = raw.decode("latin-1")[:_LONGEST]
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"").decode("latin-1")
        client, method = self._client_of(scope), scope["method"]
        fields = (client, method, path, route, status, size, round(seconds, 6), agent[:_LONGEST], end)
        _access.info(
            '%s "%s %s" %d %d bytes %.1f ms%s',
            *(client, method, path, status, size, seconds * 1000, "" if end == "whole" else f", {end}"),
            extra={"access": dict(zip(_FIELDS, fields, strict=True))},
        )


class JsonLines(logging.Formatter):
    """Every record of the log as one JSON object in one line; those of the access log have its fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
        }
        access = getattr(record, "access", None)
        if access is not None:
            line |= access
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
