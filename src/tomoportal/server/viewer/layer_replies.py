"""How the routes of layers answer that are made from one file of an annotation: caching, compression, failures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tomoportal import __version__
from tomoportal.errors import FormatError, NotFoundError
from tomoportal.server.conditional import is_unchanged
from tomoportal.server.encoding import compress
from tomoportal.server.files import DATA_CORS

__all__ = ["OCTETS", "Find", "layer_reply"]

OCTETS = "application/octet-stream"

Find: TypeAlias = Callable[[], tuple[object, Callable[[str], bytes]]]
"""What an answer depends on, and how its body is made; the latter is given a digest of the former."""


def layer_reply(request: Request, find: Find, media_type: str) -> Response:
    """The answer to a request for a part of a layer.

    404 for what raises :class:`NotFoundError`, 422 for a file that cannot be read (:class:`FormatError`).
    """
    try:
        depends, make = find()
        digest = hashlib.sha256(repr((__version__, depends)).encode()).hexdigest()
        etag = f'W/"{digest[:32]}"'
        headers = {**DATA_CORS, "ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if is_unchanged(request.headers, etag):
            return Response(status_code=304, headers=headers)
        body = make(digest)
    except NotFoundError as error:
        return PlainTextResponse(f"{error.what}\n", 404, DATA_CORS)
    except FormatError as error:
        return PlainTextResponse(f"The annotation file cannot be read: {error}\n", 422, DATA_CORS)
    body, compressed = compress(body, request.headers.get("accept-encoding"))
    if compressed:
        headers["Content-Encoding"] = "gzip"
    return Response(body, 200, headers, media_type)
