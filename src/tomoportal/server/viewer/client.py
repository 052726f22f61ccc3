"""Neuroglancer's prebuilt client, served from the files of its PyPI package on our own origin.

The package is never imported: only its folder of static files is used. Its page is the "Python" build, which asks for
an event stream of a Python server; a small script of ours stands in for it (reference ``viewer.md`` section 2).
"""

from __future__ import annotations

import gzip
import hashlib
import html
import importlib.util
import re
import threading
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tomoportal.errors import MissingPartError
from tomoportal.server.conditional import is_unchanged
from tomoportal.server.context import Context
from tomoportal.server.encoding import accepts_gzip

__all__ = ["ViewerClient", "find_client_folder"]

STUB = "portal-viewer.js"
_FIX = "pip install 'neuroglancer>=2.41.2,<2.42' on the server (for linux aarch64 that needs Node.js 22 or newer)"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".html": "text/html"}
_HASHED = re.compile(r"[0-9a-f]{16}")
_FIRST_SCRIPT = re.compile(r"<script\b")
_FOREVER = "public, max-age=31536000, immutable"


def find_client_folder() -> Path:
    """The folder with the viewer's ``index.html``; raises :class:`MissingPartError` if the package is not there."""
    found = importlib.util.find_spec("neuroglancer")
    for root in (found.submodule_search_locations or []) if found is not None else []:
        folder = Path(root, "static", "client")
        if (folder / "index.html").is_file():
            return folder
    raise MissingPartError("The files of the viewer (Python package neuroglancer) are not installed.", fix=_FIX)


class ViewerClient:
    """The ASGI application below ``/viewer/v/portal/``: the viewer's document and its static files.

    Compressed forms are made once per file and kept; the files are few (5 MB) and do not change while we run.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._bodies: dict[str, tuple[bytes, bytes | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method not in {"GET", "HEAD"}:
            response = Response("The viewer is read with GET.\n", 405, {"Allow": "GET, HEAD"}, "text/plain")
        else:
            response = await self._context.run(self._respond, request)
        await response(scope, receive, send)

    def _respond(self, request: Request) -> Response:
        name = request.path_params["name"] or "index.html"
        try:
            body, compressed = self._body(name)
        except MissingPartError as error:
            return _missing_page(error) if name == "index.html" else _no_such_file()
        except FileNotFoundError:
            return _no_such_file()
        headers = {"Vary": "Accept-Encoding", "ETag": f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'}
        headers["Cache-Control"] = _FOREVER if _HASHED.search(name) else "no-cache"
        headers["Content-Security-Policy"] = self._policy(request)  # of the document and of its workers' scripts
        if is_unchanged(request.headers, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if compressed is not None and accepts_gzip(request.headers.get("accept-encoding")):
            headers["Content-Encoding"] = "gzip"
            body = compressed
        return Response(body, headers=headers, media_type=_TYPES[Path(name).suffix])

    def _body(self, name: str) -> tuple[bytes, bytes | None]:
        with self._lock:
            if name not in self._bodies:
                body = self._stub() if name == STUB else self._read(find_client_folder(), name)
                small = gzip.compress(body, 6, mtime=0)
                self._bodies[name] = (body, small if len(small) < len(body) else None)
            return self._bodies[name]

    def _read(self, folder: Path, name: str) -> bytes:
        # Only names that lie in the folder itself are files of the client; source maps are of no use to visitors.
        if Path(name).suffix not in _TYPES or name not in {entry.name for entry in folder.iterdir()}:
            raise FileNotFoundError(name)
        body = (folder / name).read_bytes()
        if name != "index.html":
            return body
        # Our script has to run before the client's first one.
        page, scripts = _FIRST_SCRIPT.subn(f'<script src="{STUB}"></script><script', body.decode(), count=1)
        if not scripts:
            raise MissingPartError("The viewer's page is not of a version that is known to work.", fix=_FIX)
        return page.encode()

    @staticmethod
    def _stub() -> bytes:
        return resources.files("tomoportal.server").joinpath("static", STUB).read_bytes()

    def _policy(self, request: Request) -> str:
        """The document's own content-security policy: the client compiles shader code with ``Function``."""
        addresses = self._context.addresses(request.scope)
        files = urlsplit(addresses.files)
        data = f"{addresses.portal} {files.scheme}://{files.netloc}"
        return (
            "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
            f"img-src 'self' data: blob:; connect-src 'self' data: blob: {data}; worker-src 'self' blob:; "
            "frame-ancestors 'self'; base-uri 'none'; object-src 'none'; form-action 'none'"
        )


def _no_such_file() -> Response:
    return Response("There is no such file of the viewer.\n", 404, media_type="text/plain")


def _missing_page(error: MissingPartError) -> Response:
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Viewer not installed</title></head><body>'
        f"<h1>The viewer is not installed</h1><p>{html.escape(error.what)}</p>"
        f"<p>To get it: <code>{html.escape(error.fix or '')}</code>, then restart the portal.</p>"
        "<p>Everything else of the portal works without it.</p></body></html>"
    )
    return Response(page, 503, {"Cache-Control": "no-store"}, "text/html")
