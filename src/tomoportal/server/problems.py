"""Errors as answers: a page for browsers, JSON for programs that ask for it, a line of text for everybody else."""

from __future__ import annotations

import html
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tomoportal.errors import CatalogError, LockedError, NotFoundError, StorageError, TomoportalError
from tomoportal.server.addresses import BadHostError
from tomoportal.server.encoding import JSON, accepts, prefers_html

__all__ = ["ErrorPage", "error_response", "exception_handlers"]

ErrorPage = Callable[[Request, int, str], Response]
"""``error_page(request, status, text)`` of the web room: an error in the site's own frame."""

_log = logging.getLogger("tomoportal.server")
_Handler = Callable[[Request, Exception], Awaitable[Response]]


def error_response(request: Request, status: int, text: str, page: ErrorPage | None = None) -> Response:
    """One error in the form that the client asks for."""
    accept = request.headers.get("accept")
    headers = {"Vary": "Accept", "Cache-Control": "no-store"}
    if prefers_html(accept):
        response = page(request, status, text) if page is not None else _plain_page(status, text)
    elif accepts(accept, JSON):
        response = JSONResponse({"error": {"status": status, "message": text}}, status)
    else:
        response = PlainTextResponse(f"{text}\n", status)
    response.headers.update(headers)
    return response


def exception_handlers(page: ErrorPage | None) -> MutableMapping[Any, _Handler]:
    """How the application answers when a route raises."""

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = error.detail
        if error.status_code == 404 and text == HTTPStatus.NOT_FOUND.phrase:
            text = f"There is nothing at {request.url.path}."
        response = error_response(request, error.status_code, text, page)
        response.headers.update(error.headers or {})
        return response

    async def not_found(request: Request, error: Exception) -> Response:
        return error_response(request, 404, _told(error), page)

    async def bad_host(request: Request, error: Exception) -> Response:
        return PlainTextResponse(f"Bad host: {error}\n", 400)

    async def gone(request: Request, error: Exception) -> Response:
        return PlainTextResponse("The request did not arrive.\n", 400)  # nobody reads it; the log stays quiet

    async def unavailable(request: Request, error: Exception) -> Response:
        # What the operator has to mend stands in the log; visitors learn only that it is not their fault.
        _log.error("%s %s: %s", request.method, request.url.path, error)
        text = "The portal cannot reach its archive or catalog at the moment. Try again later."
        return error_response(request, 503, text, page)

    async def unexpected(request: Request, error: Exception) -> Response:
        return error_response(request, 500, "The portal made a mistake. Its log has the details.", page)

    return {
        HTTPException: http_error,
        NotFoundError: not_found,
        BadHostError: bad_host,
        ClientDisconnect: gone,
        StorageError: unavailable,
        CatalogError: unavailable,
        LockedError: unavailable,
        Exception: unexpected,
    }


def _told(error: Exception) -> str:
    return error.what if isinstance(error, TomoportalError) else str(error)


def _plain_page(status: int, text: str) -> Response:
    title = f"{status} {HTTPStatus(status).phrase}"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body>'
        f'<h1>{title}</h1><p>{html.escape(text)}</p><p><a href="/">To the start page</a></p></body></html>'
    )
    return Response(page, status, media_type="text/html")
