"""Pages travel compressed, and not at all if the browser has them (F119)."""

from __future__ import annotations

import hashlib

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tomoportal.server.conditional import is_unchanged
from tomoportal.server.encoding import compress

__all__ = ["PageDelivery"]

_TEXTS = ("text/html", "text/css", "text/javascript", "image/svg+xml")
_SMALL = 16_384  # compressing less takes less time than to change the thread


class PageDelivery:
    """ASGI middleware for the site's texts: validators where there are none, 304, gzip.

    A page is a function of the catalog, its address and the host, so the tag is made of what it says: it stays the same
    as long as the page does, whatever else was indexed. Answers in pieces, and those compressed already, pass.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        held: Message | None = None

        async def deliver(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and _is_text(message):
                held = message
                return
            if held is not None:
                start, held = held, None
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    message = await _delivered(asked, start, message)
                await send(start)
            await send(message)

        await self._app(scope, receive, deliver)


def _is_text(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0]
    return start["status"] == 200 and kind in _TEXTS and "content-encoding" not in headers


async def _delivered(asked: Headers, start: Message, message: Message) -> Message:
    """The message to send; changes status and headers of the start."""
    body: bytes = message.get("body", b"")
    headers = MutableHeaders(scope=start)
    etag = headers.get("etag") or f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers["ETag"] = etag if etag.startswith("W/") else f"W/{etag}"  # both forms are the same page
    headers.setdefault("Cache-Control", "no-cache")
    headers.add_vary_header("Accept-Encoding")
    if is_unchanged(asked, headers["ETag"]):
        start["status"] = 304
        del headers["content-length"]
        return {**message, "body": b""}
    accepted = asked.get("accept-encoding")
    packed, compressed = (
        compress(body, accepted) if len(body) < _SMALL else await run_in_threadpool(compress, body, accepted)
    )
    if compressed:
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(packed))
    return {**message, "body": packed}
