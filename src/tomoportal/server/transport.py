"""``/graphql`` over HTTP: what is a request, what is refused, and how an answer is cached and compressed.

Wire facts: reference ``graphql-api.md`` section 2. Bad input is answered with 400 and a text, never with 5xx: the
public Python client retries those.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tomoportal import __version__
from tomoportal.catalog import Answer, Bases
from tomoportal.catalog.deadline import Deadline
from tomoportal.server.conditional import is_unchanged
from tomoportal.server.context import Context
from tomoportal.server.encoding import JSON, accepts_gzip, compress, prefers_html
from tomoportal.server.large_answers import LargeAnswer, disconnected

__all__ = ["SCHEMA_HEADER", "GraphQLTransport", "explorer_asset"]

SCHEMA_HEADER = "X-Tomoportal-Schema"
"""``extended`` asks for the schema with our additions, as ``?extended`` in the address does."""

_YES, _NO = {"", "1", "true"}, {"0", "false"}

_WATCHED_AFTER = 0.2  # seconds
_MOST_DIGITS = 400  # of a whole number; a double has 309 at most
_EXPLORER_FILES = {"explorer.js": "text/javascript", "explorer.css": "text/css"}


@dataclass(frozen=True, slots=True)
class _Question:
    query: str
    variables: dict[str, Any] | None
    operation: str | None
    extended: bool


class _RefusedError(Exception):
    """A request that is not a GraphQL request: a status and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class GraphQLTransport:
    """The ASGI application at ``/graphql``."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request, receive)
        except _RefusedError as refused:
            response = PlainTextResponse(refused.text, refused.status)
        await response(scope, receive, send)

    async def _respond(self, request: Request, receive: Receive) -> Response | LargeAnswer:
        if request.method == "GET":
            if prefers_html(request.headers.get("accept")):
                return _explorer_file("explorer.html", "text/html")
            body = None
        elif request.method == "POST":
            body = await _body(request, self._context.settings.max_body_mb)
        else:
            return PlainTextResponse("GraphQL is asked with GET or POST.", 405, {"Allow": "GET, POST, OPTIONS"})
        deadline = self._context.graphql.deadline()
        with _watched(receive, deadline):
            return await self._context.run(self._answer, request, body, deadline)

    def _answer(self, request: Request, body: bytes | None, deadline: Deadline) -> Response | LargeAnswer:
        """All that takes time, in a thread: parse, compile, one statement per root field, compress."""
        question = _from_address(request) if body is None else _from_body(request, body)
        bases, viewer = self._context.bases(request.scope), self._context.viewer(request.scope)
        reading = request.method == "GET"
        headers = {"Vary": f"Accept, Accept-Encoding, {SCHEMA_HEADER}", "Cache-Control": "no-cache"}
        etag = _etag(question, bases, self._context.catalog.version) if reading else None
        if etag is not None and is_unchanged(request.headers, etag):
            return Response(status_code=304, headers={**headers, "ETag": etag})
        answer: Answer = self._context.graphql.execute(
            question.query,
            question.variables,
            question.operation,
            bases,
            viewer,
            extended=question.extended,
            queries_only=reading,
            in_pieces=True,
            deadline=deadline,
        )
        if answer.status != 200:
            return Response(answer.body, answer.status, media_type=answer.content_type)
        if etag is not None and answer.complete:
            headers["ETag"] = etag
        if answer.rest is not None:
            compressed = accepts_gzip(request.headers.get("accept-encoding"))
            return LargeAnswer(self._context, answer, headers, deadline, compressed=compressed)
        packed, compressed = compress(answer.body, request.headers.get("accept-encoding"))
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return Response(packed, 200, headers, answer.content_type)


@contextmanager
def _watched(receive: Receive, deadline: Deadline) -> Iterator[None]:
    """Stop the statements of a client who leaves while it waits; most do not wait long enough to be watched."""
    watcher: asyncio.Task[None] | None = None

    async def watch() -> None:
        await disconnected(receive)
        await asyncio.to_thread(deadline.stop)

    def begin() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(watch())

    timer = asyncio.get_running_loop().call_later(_WATCHED_AFTER, begin)
    try:
        yield
    finally:
        timer.cancel()
        if watcher is not None:
            watcher.cancel()


def explorer_asset(request: Request) -> Response:
    """The explorer page's own script and style sheet."""
    name = request.path_params["name"]
    if name not in _EXPLORER_FILES:
        return PlainTextResponse("There is no such file.", 404)
    return _explorer_file(name, _EXPLORER_FILES[name])


def _explorer_file(name: str, media_type: str) -> Response:
    body = resources.files("tomoportal.server").joinpath("static", name).read_bytes()
    return Response(body, 200, {"Cache-Control": "no-cache", "Vary": "Accept"}, media_type)


def _etag(question: _Question, bases: Bases, version: str) -> str:
    parts = [__version__, version, asdict(question), bases.s3, bases.https]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return f'W/"{digest[:32]}"'


async def _body(request: Request, limit_mb: int) -> bytes:
    limit = limit_mb * 1_000_000
    too_large = _RefusedError(413, f"The request body is larger than {limit_mb} MB.")
    if (
        request.headers.get("content-length", "0").isdecimal()
        and int(request.headers.get("content-length", "0")) > limit
    ):
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _from_address(request: Request) -> _Question:
    fields: dict[str, Any] = dict(request.query_params)
    if fields.get("variables"):
        fields["variables"] = _parsed(fields["variables"].encode(), "variables")
    else:
        fields.pop("variables", None)
    return _question(request, fields)


def _from_body(request: Request, body: bytes) -> _Question:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != JSON:
        raise _RefusedError(400, f"Unsupported content type {content_type!r}: send {JSON}")
    fields = _parsed(body, "request body")
    if isinstance(fields, list):
        raise _RefusedError(400, "Batching is not enabled")
    if not isinstance(fields, dict):
        raise _RefusedError(400, "The request body is not a JSON object")
    return _question(request, fields)


def _number(digits: str) -> float:
    """A number that is too large for a double is infinite, as ``1e400`` is; Python would refuse its digits."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _parsed(text: bytes, what: str) -> Any:
    try:
        return json.loads(text, parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise _RefusedError(400, f"Unable to parse {what} as JSON: {error}") from error


def _question(request: Request, fields: dict[str, Any]) -> _Question:
    query, variables, operation = fields.get("query"), fields.get("variables"), fields.get("operationName")
    if query is None or query == "":
        raise _RefusedError(400, "No GraphQL query found in the request")
    if not isinstance(query, str):
        raise _RefusedError(400, "The GraphQL query is not a text")
    if variables is not None and not isinstance(variables, dict):
        raise _RefusedError(400, "The variables are not a JSON object")
    if operation is not None and not isinstance(operation, str):
        raise _RefusedError(400, "The operationName is not a text")
    return _Question(query, variables, operation or None, _is_extended(request))


def _is_extended(request: Request) -> bool:
    """Whether the request asks for the extended schema: in its address or by a header."""
    said = request.headers.get(SCHEMA_HEADER, "default").strip().lower()
    if said not in {"default", "extended"}:
        raise _RefusedError(400, f"There is no schema {said!r}: {SCHEMA_HEADER} is default or extended")
    asked = request.query_params.get("extended", "false").strip().lower()
    if asked not in _YES | _NO:
        raise _RefusedError(400, f"extended={asked!r} is neither true nor false: write ?extended or leave it out")
    return said == "extended" or asked in _YES
