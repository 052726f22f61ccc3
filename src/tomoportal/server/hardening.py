"""What every answer gets, whichever route made it: headers, and the end of a connection that cannot be gone on with."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Hardening"]


class Hardening:
    """ASGI middleware: content-security policy and sniffing rules for all answers that set none themselves."""

    def __init__(self, app: ASGIApp, files_url: str | None) -> None:
        self._app = app
        # Thumbnails are files of the archive, which may lie on another host.
        files = urlsplit(files_url) if files_url else None
        images = f" {files.scheme}://{files.netloc}" if files is not None else ""
        self._defaults = {
            "Content-Security-Policy": (
                f"default-src 'self'; img-src 'self' data:{images}; connect-src 'self'{images}; object-src 'none'; "
                "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
            ),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        expected = any(name == b"expect" for name, _ in scope["headers"])
        asked = False

        async def asking() -> Message:
            nonlocal asked
            asked = True
            return await receive()

        def unread() -> bool:
            return expected and not asked

        await self._app(scope, asking, self._guarded(send, unread))

    def _guarded(self, send: Send, unread: Callable[[], bool]) -> Send:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if unread():  # the client keeps its body, so what comes next on this connection is not known
                    headers["Connection"] = "close"
                for name, value in self._defaults.items():
                    headers.setdefault(name, value)
            await send(message)

        return guarded
