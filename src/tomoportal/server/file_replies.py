"""One file of the archive as an answer: validators, one byte range, pieces. Used by ``/files`` and by ``/s3``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import Receive, Send

from tomoportal.server.conditional import (
    UnsatisfiableRangeError,
    compressed_etag,
    http_date,
    is_unchanged,
    parse_range,
    precondition_holds,
    range_applies,
)
from tomoportal.server.context import Context
from tomoportal.server.encoding import JSON, compress, content_type
from tomoportal.server.file_sources import FileSource
from tomoportal.server.large_answers import disconnected

__all__ = ["DATA_CORS", "FileReply", "Refusal", "file_reply", "send_reply"]

DATA_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Last-Modified"
    ),
    "Cross-Origin-Resource-Policy": "cross-origin",
}
# The files share the origin of the pages, so nothing in them may run there.
_SANDBOX = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}


@dataclass(slots=True)
class FileReply:
    """Status, headers, first bytes, and the source of the bytes from ``position`` to ``stop`` that follow."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    source: FileSource | None = None
    position: int = 0
    stop: int = 0


Refusal = Callable[[int, str, Mapping[str, str]], FileReply]
"""``refuse(status, text, headers)``: how a surface says 412 (the file has changed) and 416 (no such bytes)."""


def file_reply(
    source: FileSource, key: str, headers: Mapping[str, str], method: str, refuse: Refusal, *, compressing: bool
) -> FileReply:
    """Compare, decide, and read the first piece. The caller closes the source unless the reply holds it."""
    kind = content_type(key)
    common = {
        "ETag": source.etag,
        "Last-Modified": http_date(source.modified),
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        **DATA_CORS,
    }
    compressing = compressing and kind == JSON
    if compressing:
        common["Vary"] = "Accept-Encoding"
    if not precondition_holds(headers, source.etag, source.modified):
        return refuse(412, "The file has changed.", common)
    if is_unchanged(headers, source.etag, source.modified):
        return FileReply(304, common)
    try:
        part = parse_range(headers.get("range"), source.size) if method == "GET" else None
    except UnsatisfiableRangeError:
        part = None
        if range_applies(headers, source.etag, source.modified):
            size = {"Content-Range": f"bytes */{source.size}"}
            return refuse(416, f"The file has {source.size} bytes.", {**common, **size})
    if part is not None and not range_applies(headers, source.etag, source.modified):
        part = None
    start, stop = part or (0, source.size)
    common |= {**_SANDBOX, "Content-Type": kind, "Content-Length": str(stop - start)}
    if part is not None:
        common["Content-Range"] = f"bytes {start}-{stop - 1}/{source.size}"
    reply = FileReply(200 if part is None else 206, common)
    if method == "HEAD":
        return reply
    first = min(stop - start, source.piece)
    reply.body = source.read(start, first) if first else b""
    if start + first < stop:
        reply.source, reply.position, reply.stop = source, start + first, stop
    elif compressing and part is None:
        reply.body, compressed = compress(reply.body, headers.get("accept-encoding"))
        if compressed:
            reply.headers |= {
                "Content-Encoding": "gzip",
                "Content-Length": str(len(reply.body)),
                "ETag": compressed_etag(source.etag),
            }
    return reply


async def send_reply(context: Context, reply: FileReply, receive: Receive, send: Send) -> None:
    """Send a reply and, piece after piece, what is left in its source; close the source."""
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    source = reply.source
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        await send({"type": "http.response.body", "body": reply.body, "more_body": source is not None})
        if source is not None:
            await _send_rest(context, reply, source, receive, send)
    finally:
        if source is not None:
            await context.run_file(source.close)


async def _send_rest(context: Context, reply: FileReply, source: FileSource, receive: Receive, send: Send) -> None:
    """The server's flow control keeps at most one piece waiting per reader."""
    gone = asyncio.create_task(disconnected(receive))
    try:
        while reply.position < reply.stop and not gone.done():
            length = min(source.piece, reply.stop - reply.position)
            piece = await context.run_file(source.read, reply.position, length)
            reply.position += length
            last = reply.position >= reply.stop
            if last:
                await context.run_file(source.finish)
            await send({"type": "http.response.body", "body": piece, "more_body": not last})
    finally:
        gone.cancel()
