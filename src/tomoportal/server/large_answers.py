"""Answers too large to be held in memory: sent as they are made, at the pace of the one who reads.

The database is not made to wait for a slow reader: a thread writes what it makes (compressed, if the reader accepts
that) into a nameless file on the disk, and the file is sent from its beginning while it grows. So the statement, its
snapshot and its connection are held as long as the database works and no longer.

An answer that fails half-way ends with a broken connection: it must not look like a whole one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import threading
import time
import zlib
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, BinaryIO

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tomoportal.catalog import Answer
from tomoportal.catalog.deadline import Deadline
from tomoportal.errors import TomoportalError
from tomoportal.server.context import Context

__all__ = ["LargeAnswer", "disconnected"]

_PIECE = 1 << 18
_MOST_WAITING = 64  # answers that wait for their readers on the disk, in one process
_SLOWEST, _GRACE = 10_000, 60.0  # bytes per second that a reader must take on average, after so many seconds

_log = logging.getLogger("tomoportal.server")


class LargeAnswer:
    """ASGI response with the ``rest`` of an answer; to be called once."""

    waiting = 0
    """Large answers that are being sent by this process."""

    def __init__(
        self, context: Context, answer: Answer, headers: Mapping[str, str], deadline: Deadline, *, compressed: bool
    ) -> None:
        assert answer.rest is not None
        self._context, self._deadline = context, deadline
        self._first, self._rest = answer.body, answer.rest
        self._headers = {**headers, "Content-Type": answer.content_type}
        if compressed:
            self._headers["Content-Encoding"] = "gzip"
        # Fast rather than well: beyond level 1 the time exceeds that of a local network.
        self._packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS) if compressed else None
        self._written, self._started = 0, False
        self._more = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if LargeAnswer.waiting >= _MOST_WAITING:
            await self._context.run_file(self._rest.close)
            await _unavailable("Too many large answers are waiting for their readers.")(scope, receive, send)
            return
        LargeAnswer.waiting += 1
        gone = asyncio.create_task(disconnected(receive))
        try:
            await self._make_and_send(scope, send, gone)
        except (TomoportalError, OSError) as error:
            _log.error("%s: a large answer broke off after %d bytes: %s", scope["path"], self._written, error)
            if not self._started:
                await _unavailable("The portal cannot make this answer at the moment.")(scope, receive, send)
            # Otherwise the answer stays without its end, at which the connection is closed.
        finally:
            LargeAnswer.waiting -= 1
            gone.cancel()

    async def _make_and_send(self, scope: Scope, send: Send, gone: asyncio.Task[None]) -> None:
        try:
            file = tempfile.TemporaryFile(prefix="tomoportal-", buffering=0)  # noqa: SIM115 (closed below)
        except OSError:
            await self._context.run_file(self._rest.close)
            raise
        # A thread of its own: the statement runs already, and must not wait for threads that wait for its connection.
        thread = ThreadPoolExecutor(1, thread_name_prefix="large-answer")
        loop = asyncio.get_running_loop()
        maker = loop.run_in_executor(thread, self._make, file, loop)
        thread.shutdown(wait=False)
        with file:
            try:
                await self._send(scope, send, file, maker, gone)
            finally:
                await self._end(maker)

    async def _send(
        self, scope: Scope, send: Send, file: BinaryIO, maker: asyncio.Future[None], gone: asyncio.Task[None]
    ) -> None:
        if scope["http_version"] == "1.0":  # whose end is that of the connection, so that a broken one looks whole
            await _one_of(maker, gone)
            if not maker.done():
                return
            await maker
            self._headers["Content-Length"] = str(self._written)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self._headers.items()]
        self._started = True
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        position, start = 0, time.monotonic()
        while not gone.done() and time.monotonic() - start < _GRACE + position / _SLOWEST:
            if position < self._written:
                length = min(_PIECE, self._written - position)
                piece = await self._context.run_file(os.pread, file.fileno(), length, position)
                position += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            elif maker.done():
                await maker
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            else:
                more = asyncio.ensure_future(self._more.wait())
                await _one_of(maker, gone, more)
                more.cancel()
                self._more.clear()
        if not gone.done():
            _log.warning("%s: the reader of a large answer was too slow, after %d bytes", scope["path"], position)

    async def _end(self, maker: asyncio.Future[None]) -> None:
        """Nothing is made any more when this returns, so that the file can be closed."""
        if not maker.done():
            # A thread, since a server is told to give up its statement; one of its own, since all others may be busy.
            threading.Thread(target=self._deadline.stop, name="left").start()
            await asyncio.wait({maker})
        if not maker.cancelled():
            maker.exception()  # was told already, or nobody is there to be told

    def _make(self, file: BinaryIO, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: everything that the database has to say, into the file."""
        with closing(self._rest):
            for piece in self._pieces():
                if self._deadline.stopped:
                    return
                left = memoryview(piece)
                while left:
                    left = left[file.write(left) :]
                self._written += len(piece)
                loop.call_soon_threadsafe(self._more.set)

    def _pieces(self) -> Generator[bytes, None, None]:
        packer = self._packer
        first, self._first = self._first, b""
        if packer is None:
            yield first
            yield from self._rest
            return
        yield packer.compress(first)
        for piece in self._rest:
            yield packer.compress(piece)
        yield packer.flush()


def _unavailable(text: str) -> PlainTextResponse:
    return PlainTextResponse(text, 503, {"Retry-After": "10"})


async def _one_of(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def disconnected(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
