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
    """uvicorn's HTTP connection, with limits. Times are in seconds, sizes in bytes.

    Time is counted in looks, between which the loop reads what has arrived: a server that was suspended, or whose
    machine was busy, does not cut off those whose requests wait for it.
    """

    head_patience = 30.0
    """For the headers of a request, from its first byte; on a new connection from the beginning."""
    body_patience = 300.0
    """For the body of a request."""
    reader_patience = 300.0
    """For a client that takes one piece of an answer; those have 4 MB at most."""
    largest_head = 128 * 1024

    _looks = 0
    _reading_since: int | None = None
    _writing_since: int | None = None
    _in_head = True
    _head_size = 0
    _watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._reading_since = self._looks
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
            self._reading_since = self._looks
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._head_size = False, 0
        self._reading_since = self._looks
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._reading_since = True, None
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._writing_since = self._looks
        super().pause_writing()

    def resume_writing(self) -> None:
        self._writing_since = None
        super().resume_writing()

    def _look_again(self) -> None:
        self._watch = cast(Any, self.loop).call_later(self._pause(), self._look)

    def _pause(self) -> float:
        return min(self.head_patience, self.body_patience, self.reader_patience) / 3

    def _look(self) -> None:
        self._looks += 1
        reading = self.head_patience if self._in_head else self.body_patience
        if self._is_over(self._reading_since, reading) or self._is_over(self._writing_since, self.reader_patience):
            self.transport.abort()  # closing would first wait for the reader
        else:
            self._look_again()

    def _is_over(self, since: int | None, patience: float) -> bool:
        return since is not None and (self._looks - since) * self._pause() > patience
