"""Connections that do not wait for ever: readers and writers who stall are cut off, endless headers are refused.

uvicorn waits without limit for the rest of a request and for a client that does not read; a few hundred idle sockets
would hold the memory and the descriptors of a server.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Connection"]


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP connection, with limits. Times are in seconds, sizes in bytes."""

    head_patience = 30.0
    """For the headers of a request, from its first byte; on a new connection from the beginning."""
    body_patience = 300.0
    """For the body of a request."""
    reader_patience = 300.0
    """For a client that takes one piece of an answer; those have 4 MB at most."""
    largest_head = 128 * 1024

    _reading_since: float | None = None
    _writing_since: float | None = None
    _in_head = True
    _head_size = 0
    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading_since = self.loop.time()
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            if self._head_size > self.largest_head:
                self.send_400_response("The headers of the request are too large.")
                return
            self._head_size += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        if self._reading_since is None:
            self._reading_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._head_size = False, 0
        self._reading_since = self.loop.time()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._reading_since = True, None
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._writing_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._writing_since = None
        super().resume_writing()

    def _look_again(self) -> None:
        shortest = min(self.head_patience, self.body_patience, self.reader_patience)
        self._watch = cast(Any, self.loop).call_later(shortest / 3, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        reading = self.head_patience if self._in_head else self.body_patience
        if (self._reading_since is not None and now - self._reading_since > reading) or (
            self._writing_since is not None and now - self._writing_since > self.reader_patience
        ):
            self.transport.abort()  # closing would first wait for the reader
        else:
            self._look_again()
