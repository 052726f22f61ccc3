"""``/files/<key>``: the archive over plain HTTP, for browsers, viewers, Zarr readers and ``curl``.

GET and HEAD, one byte range per request, validators, CORS for everybody. A key that ends in ``/`` (or nothing) lists
the folder. Wire facts: reference ``viewer.md`` section 3.
"""

from __future__ import annotations

import asyncio
import html
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tomoportal.errors import NotFoundError
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
from tomoportal.server.encoding import JSON, accepts, compress, content_type
from tomoportal.server.file_sources import FileSource, open_source

__all__ = ["DATA_CORS", "Files", "preflight"]

DATA_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Last-Modified"
    ),
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_PREFLIGHT = {
    **DATA_CORS,
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": (
        "Accept, Cache-Control, If-Match, If-Modified-Since, If-None-Match, If-Range, Range"
    ),
    "Access-Control-Max-Age": "86400",
}
# The files share the origin of the pages, so nothing in them may run there.
_SANDBOX = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
_NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'"}  # a sandboxed page could not start downloads
_OURS = ".tomoportal"  # the folder of locks, ids and caches, and the beginning of temporary names
_SHOWN_OF_OURS = ".tomoportal/manifest/"

_log = logging.getLogger("tomoportal.server")


def preflight() -> Response:
    """The answer to a browser that asks whether a page of another origin may read data."""
    return Response(status_code=204, headers=_PREFLIGHT)


@dataclass(slots=True)
class _Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    source: FileSource | None = None  # what is left to send from ``position`` to ``stop``
    position: int = 0
    stop: int = 0


class Files:
    """The ASGI application below ``/files``."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method == "OPTIONS":
            await preflight()(scope, receive, send)
            return
        if method not in {"GET", "HEAD"}:
            await _text(405, "Files are read with GET and HEAD.", {"Allow": "GET, HEAD, OPTIONS"})(scope, receive, send)
            return
        key = scope["path_params"]["key"]
        headers = Headers(scope=scope)
        if key == "" or key.endswith("/"):
            listed = b"list" in scope["query_string"].split(b"&")
            response = await self._context.run_file(self._folder, scope, key.rstrip("/"), headers, listed)
            await response(scope, receive, send)
            return
        reply = await self._context.run_file(self._reply, scope, key, headers, method)
        await self._send(reply, receive, send)

    def _readable(self, scope: Scope, key: str) -> bool:
        if not _is_plain(key):
            return False
        if not f"{key}/".startswith(_SHOWN_OF_OURS) and any(part.startswith(_OURS) for part in key.split("/")):
            return False
        return self._context.may_read(key, self._context.viewer(scope))

    def _reply(self, scope: Scope, key: str, headers: Mapping[str, str], method: str) -> _Reply:
        """Open, compare, decide, and read the first piece: all that blocks, in one visit to a thread."""
        if not self._readable(scope, key):
            return _message(404, "There is no such file in the archive.")
        try:
            source = open_source(self._context.archive.store, key)
        except NotFoundError:
            return _message(404, "There is no such file in the archive. A folder is listed with a / at the end.")
        except PermissionError as error:
            _log.warning("%s is not served: %s", key, error)
            return _message(403, "The server may not read this file.")
        reply = None
        try:
            reply = _answer(source, key, headers, method)
            return reply
        finally:
            if reply is None or reply.source is None:
                source.close()

    async def _send(self, reply: _Reply, receive: Receive, send: Send) -> None:
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
        source = reply.source
        try:
            await send({"type": "http.response.start", "status": reply.status, "headers": raw})
            await send({"type": "http.response.body", "body": reply.body, "more_body": source is not None})
            if source is not None:
                await self._send_rest(reply, source, receive, send)
        finally:
            if source is not None:
                await self._context.run_file(source.close)

    async def _send_rest(self, reply: _Reply, source: FileSource, receive: Receive, send: Send) -> None:
        """Send piece after piece; the server's flow control keeps at most one piece waiting per reader."""
        gone = asyncio.create_task(_disconnected(receive))
        try:
            while reply.position < reply.stop and not gone.done():
                length = min(source.piece, reply.stop - reply.position)
                piece = await self._context.run_file(source.read, reply.position, length)
                reply.position += length
                last = reply.position >= reply.stop
                if last:
                    await self._context.run_file(source.finish)
                await send({"type": "http.response.body", "body": piece, "more_body": not last})
        finally:
            gone.cancel()

    def _folder(self, scope: Scope, prefix: str, headers: Mapping[str, str], listed: bool) -> Response:
        if prefix and not self._readable(scope, prefix):
            return _text(404, "There is no such folder in the archive.")
        try:
            folders, files = self._context.archive.store.children(prefix)
        except NotFoundError:
            folders, files = [], []
        base = f"{prefix}/" if prefix else ""
        folders = [name for name in folders if self._readable(scope, base + name)]
        rows = [
            {
                "name": found.key.rpartition("/")[2],
                "key": found.key,
                "size": found.size,
                "modified": http_date(found.modified),
            }
            for found in files
            if self._readable(scope, found.key)
        ]
        if prefix and not folders and not rows:
            return _text(404, "There is no such folder in the archive.")
        common = {**DATA_CORS, **_NO_SCRIPTS, "Vary": "Accept", "Cache-Control": "no-cache"}
        if listed or accepts(headers.get("accept"), JSON):
            body = json.dumps({"prefix": base, "folders": folders, "files": rows}).encode()
            return Response(body, headers=common, media_type=JSON)
        return Response(_listing(base, folders, rows), headers=common, media_type="text/html")


def _answer(source: FileSource, key: str, headers: Mapping[str, str], method: str) -> _Reply:
    kind = content_type(key)
    common = {
        "ETag": source.etag,
        "Last-Modified": http_date(source.modified),
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        **DATA_CORS,
    }
    if kind == JSON:
        common["Vary"] = "Accept-Encoding"
    if not precondition_holds(headers, source.etag):
        return _message(412, "The file has changed.", common)
    if is_unchanged(headers, source.etag, source.modified):
        return _Reply(304, common)
    try:
        part = parse_range(headers.get("range"), source.size) if method == "GET" else None
    except UnsatisfiableRangeError:
        part = None
        if range_applies(headers, source.etag, source.modified):
            size = {"Content-Range": f"bytes */{source.size}"}
            return _message(416, f"The file has {source.size} bytes.", {**common, **size})
    if part is not None and not range_applies(headers, source.etag, source.modified):
        part = None
    start, stop = part or (0, source.size)
    common |= {
        **_SANDBOX,
        "Content-Type": kind,
        "Content-Length": str(stop - start),
    }
    if part is not None:
        common["Content-Range"] = f"bytes {start}-{stop - 1}/{source.size}"
    reply = _Reply(200 if part is None else 206, common)
    if method == "HEAD":
        return reply
    first = min(stop - start, source.piece)
    reply.body = source.read(start, first) if first else b""
    if start + first < stop:
        reply.source, reply.position, reply.stop = source, start + first, stop
    elif kind == JSON and part is None:
        reply.body, compressed = compress(reply.body, headers.get("accept-encoding"))
        if compressed:
            reply.headers |= {
                "Content-Encoding": "gzip",
                "Content-Length": str(len(reply.body)),
                "ETag": compressed_etag(source.etag),
            }
    return reply


def _is_plain(key: str) -> bool:
    """Whether a key has the archive's form: relative, no empty part, no ``.`` or ``..``, no control character."""
    parts = key.split("/")
    return not any(part in {"", ".", ".."} for part in parts) and not any(ord(letter) < 32 for letter in key)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _message(status: int, text: str, headers: Mapping[str, str] = DATA_CORS) -> _Reply:
    body = f"{text}\n".encode()
    kind = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
    return _Reply(status, {**headers, **kind}, body)


def _text(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(f"{text}\n", status, {**DATA_CORS, **(headers or {})}, "text/plain")


def _listing(base: str, folders: list[str], files: list[dict[str, Any]]) -> str:
    """A folder as links relative to it, for people, ``wget -r`` and clients that list over HTTP."""
    title = html.escape(f"/{base}")
    lines = ['<li><a href="../">../</a></li>'] if base else []
    lines += [f'<li><a href="{_href(name)}/">{html.escape(name)}/</a></li>' for name in folders]
    lines += [
        f'<li><a href="{_href(row["name"])}">{html.escape(row["name"])}</a> {row["size"]:,} bytes</li>' for row in files
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Files of {title}</title></head>\n'
        f"<body><h1>{title}</h1>\n<ul>\n" + "\n".join(lines) + "\n</ul></body></html>\n"
    )


def _href(name: str) -> str:
    return f"./{quote(name, safe='')}"
