"""A portal's GraphQL endpoint: ask it, try again what may pass, explain what does not."""

from __future__ import annotations

import random
import socket
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from tomoportal import __version__
from tomoportal.client.connections import Connections, Reply
from tomoportal.errors import PortalError, SettingsError

__all__ = ["PUBLIC_PORTAL", "Answer", "Endpoint"]

PUBLIC_PORTAL: Final = "https://graphql.cryoetdataportal.czscience.com/graphql"

_PASSING = frozenset({429, 500, 502, 503, 504})
_DELAYS = (0.3, 0.6, 1.2)  # seconds before the second, third and fourth attempt, each up to as much again
_LONGEST_DELAY = 30.0
_LONGEST_ADDRESS = 6000  # of a GET, which can be asked again conditionally; longer questions are posted
_PORTS = {"http": 80, "https": 443}
_COMPRESSED = 47  # zlib or gzip, told apart by the header


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` of a GraphQL answer, and its version tag if the server gave one."""

    data: dict[str, Any]
    etag: str | None


class Endpoint:
    """The GraphQL endpoint of a portal; the public one without an address. ``timeout`` in seconds, for each wait.

    An address without a path is that of a portal's pages, whose endpoint is ``/graphql``. May be used by many threads
    and sent to other processes. Raises :class:`SettingsError` for what is no http or https address.
    """

    def __init__(self, url: str | None = None, *, timeout: float = 120.0) -> None:
        self.url = _normal(url or PUBLIC_PORTAL)
        self.timeout = timeout
        self.requests = 0
        """How many requests were sent, attempts included."""
        self._connections = Connections(self.url, timeout)

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.url, self.timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def ask(self, query: str) -> dict[str, Any]:
        """``data`` of the answer to a query. Raises :class:`PortalError`, also for errors beside data."""
        answer = self.fetch(query)
        assert answer is not None  # only a conditional question is answered with "unchanged"
        return answer.data

    def fetch(self, query: str, *, etag: str | None = None) -> Answer | None:
        """The answer to a query; None if it is still the one with ``etag``. Raises :class:`PortalError`."""
        reply = self._patiently(query, etag)
        if reply.status == 304:
            return None
        return Answer(self._data(reply), reply.headers.get("ETag"))

    def close(self) -> None:
        """Close the connections that are kept; the next question opens one again."""
        self._connections.close()

    # --- HTTP

    def _patiently(self, query: str, etag: str | None) -> Reply:
        """The reply, after further attempts where one may help: what fails for good, GraphQL errors above all, is not
        tried again."""
        for delay in (*_DELAYS, None):
            wait = delay
            try:
                reply = self._send(query, etag)
            except (OSError, HTTPException) as error:
                lasting = isinstance(error, (socket.gaierror, ssl.SSLError)) and not isinstance(error, TimeoutError)
                if delay is None or lasting:
                    raise self._unreachable(error) from error
            else:
                if reply.status not in _PASSING or delay is None:
                    return reply
                asked = reply.headers.get("Retry-After", "")
                wait = min(float(asked), _LONGEST_DELAY) if asked.isdecimal() else delay
            assert wait is not None
            time.sleep(wait * random.uniform(1, 2))
        raise AssertionError  # the last attempt returns or raises

    def _send(self, query: str, etag: str | None) -> Reply:
        path = urlsplit(self.url).path
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Cache-Control": "no-cache",
            "User-Agent": f"tomoportal/{__version__}",
        }
        self.requests += 1
        target = f"{path}?query={quote(query, safe='')}"
        if len(target) <= _LONGEST_ADDRESS:
            if etag is not None:
                headers["If-None-Match"] = etag
            return self._connections.send("GET", target, None, headers)
        headers["Content-Type"] = "application/json"
        return self._connections.send("POST", path, orjson.dumps({"query": query}), headers)

    # --- what came back

    def _data(self, reply: Reply) -> dict[str, Any]:
        body = _body(reply)
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, dict) and found.get("errors"):
            raise self._refused(found["errors"])
        if reply.status != 200 or not isinstance(found, dict) or not isinstance(found.get("data"), Mapping):
            raise self._strange(reply, body)
        data: dict[str, Any] = found["data"]
        return data

    def _unreachable(self, error: Exception) -> PortalError:
        reason = str(error) or type(error).__name__
        found = PortalError(
            f"the portal cannot be reached: {reason}",
            where=self.url,
            fix="check the address and the network; HTTPS_PROXY and HTTP_PROXY name a proxy if one is needed",
        )
        found.passing = not isinstance(error, ssl.SSLCertVerificationError)
        return found

    def _refused(self, errors: Any) -> PortalError:
        each = errors if isinstance(errors, list) else [errors]
        said = "; ".join(str(one.get("message", one)) if isinstance(one, dict) else str(one) for one in each[:3])
        fix = "the portal is older or newer than this program expects: update whichever is the older one"
        return PortalError(f"the portal answers with an error: {said}", where=self.url, fix=fix)

    def _strange(self, reply: Reply, body: bytes) -> PortalError:
        if reply.status in _PASSING:
            found = PortalError(
                f"the portal fails (HTTP status {reply.status})",
                where=self.url,
                fix="try again later; it is overloaded",
            )
            found.passing = True
            return found
        if 300 <= reply.status < 400:
            moved = reply.headers.get("Location", "another address")
            return PortalError(f"the endpoint has moved to {moved}", where=self.url, fix="use that address")
        if reply.status in (401, 403):
            what = f"the portal refuses access (HTTP status {reply.status})"
            return PortalError(what, where=self.url, fix="ask its keepers, or check the proxy")
        begin = " ".join(body[:200].decode("utf-8", "replace").split())[:80]
        what = f"this is no GraphQL endpoint: HTTP status {reply.status}, {begin or 'no text'}"
        return PortalError(what, where=self.url, fix="give the address of the portal's GraphQL API, mostly …/graphql")


def _normal(url: str) -> str:
    """One text for one endpoint: it is part of what answers are kept under."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme.lower() not in _PORTS or not parts.hostname or port == -1:
        raise SettingsError(
            f"{url!r} is not the address of a portal",
            where="portal_url",
            fix="write https://host or https://host/graphql",
        )
    scheme = parts.scheme.lower()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port in (None, _PORTS[scheme]) else f"{host}:{port}"
    return urlunsplit((scheme, place, parts.path.rstrip("/") or "/graphql", "", ""))


def _body(reply: Reply) -> bytes:
    if reply.headers.get("Content-Encoding", "").lower() != "gzip":
        return reply.body
    try:
        return zlib.decompress(reply.body, _COMPRESSED)
    except zlib.error:
        return b""


def _reopen(url: str, timeout: float) -> Endpoint:
    return Endpoint(url, timeout=timeout)
