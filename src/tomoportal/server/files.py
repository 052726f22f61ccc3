"""``/files/<key>``: the archive over plain HTTP, for browsers, viewers, Zarr readers and ``curl``.

GET and HEAD, one byte range per request, validators, CORS for everybody. A key that ends in ``/`` (or nothing) lists
the folder. Wire facts: reference ``viewer.md`` section 3.
"""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tomoportal.errors import NotFoundError
from tomoportal.server.conditional import http_date
from tomoportal.server.context import Context
from tomoportal.server.encoding import JSON, accepts
from tomoportal.server.file_replies import DATA_CORS, FileReply, file_reply, send_reply
from tomoportal.server.file_sources import open_source
from tomoportal.server.served_keys import is_ours, is_plain

__all__ = ["DATA_CORS", "Files", "preflight"]

_PREFLIGHT = {
    **DATA_CORS,
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": (
        "Accept, Cache-Control, If-Match, If-Modified-Since, If-None-Match, If-Range, Range"
    ),
    "Access-Control-Max-Age": "86400",
}
_NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'"}  # a sandboxed page could not start downloads
_SHOWN_OF_OURS = ".tomoportal/manifest/"

_log = logging.getLogger("tomoportal.server")


def preflight() -> Response:
    """The answer to a browser that asks whether a page of another origin may read data."""
    return Response(status_code=204, headers=_PREFLIGHT)


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
        await send_reply(self._context, reply, receive, send)

    def _readable(self, scope: Scope, key: str) -> bool:
        if not is_plain(key) or (is_ours(key) and not f"{key}/".startswith(_SHOWN_OF_OURS)):
            return False
        return self._context.may_read(key, self._context.viewer(scope))

    def _reply(self, scope: Scope, key: str, headers: Mapping[str, str], method: str) -> FileReply:
        """Open, compare, decide, and read the first piece: all that blocks, in one visit to a thread."""
        if not self._readable(scope, key):
            return _message(404, "There is no such file in the archive.")
        try:
            source = open_source(self._context.archive.store, key, headers, method)
        except NotFoundError:
            return _message(404, "There is no such file in the archive. A folder is listed with a / at the end.")
        except PermissionError as error:
            _log.warning("%s is not served: %s", key, error)
            return _message(403, "The server may not read this file.")
        reply = None
        try:
            reply = file_reply(source, key, headers, method, _message, compressing=True)
            return reply
        finally:
            if reply is None or reply.source is None:
                source.close()

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


def _message(status: int, text: str, headers: Mapping[str, str] = DATA_CORS) -> FileReply:
    body = f"{text}\n".encode()
    kind = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
    return FileReply(status, {**headers, **kind}, body)


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
        f"<body><main><h1>{title}</h1>\n<ul>\n" + "\n".join(lines) + "\n</ul></main></body></html>\n"
    )


def _href(name: str) -> str:
    return f"./{quote(name, safe='')}"
