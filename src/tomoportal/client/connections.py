"""HTTP connections to one origin that are kept between requests, through the proxy that the environment names."""

from __future__ import annotations

import base64
import os
import weakref
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["Connections", "Reply"]

_KEPT = 32


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered; the body as it came, compressed if the headers say so."""

    status: int
    headers: Message
    body: bytes


class Connections:
    """Requests to the origin of ``url`` (http or https) from any thread; ``timeout`` in seconds, for each wait."""

    def __init__(self, url: str, timeout: float) -> None:
        self._origin = urlsplit(url)
        self._timeout = timeout
        self._free: list[HTTPConnection] = []
        weakref.finalize(self, _close, self._free)
        self._owner = os.getpid()
        self._proxy = _proxy_of(self._origin)

    def send(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        """One request. Raises ``OSError`` or ``HTTPException`` as the standard library does."""
        if self._proxy is not None and self._origin.scheme == "http":
            target = f"http://{self._origin.netloc}{target}"
            headers = {**headers, **_authorization(self._proxy, "Proxy-Authorization")}
        if self._owner != os.getpid():  # a forked process would answer its parent's requests
            self.close()
            self._owner = os.getpid()
        try:
            connection, kept = self._free.pop(), True
        except IndexError:
            connection, kept = self._connect(), False
        try:
            try:
                reply = _exchange(connection, method, target, body, headers)
            except (HTTPException, ConnectionError):
                if not kept:
                    raise
                connection.close()  # the server had closed it in the meantime
                connection = self._connect()
                reply = _exchange(connection, method, target, body, headers)
        except BaseException:
            connection.close()
            raise
        if len(self._free) < _KEPT:
            self._free.append(connection)
        else:
            connection.close()
        return reply

    def close(self) -> None:
        """Close the connections that are kept; the next request opens one again."""
        _close(self._free)

    def _connect(self) -> HTTPConnection:
        secure = self._origin.scheme == "https"
        kind = HTTPSConnection if secure else HTTPConnection
        place = self._proxy or self._origin
        connection = kind(place.hostname or "", place.port, timeout=self._timeout)
        if secure and self._proxy is not None:
            headers = _authorization(self._proxy, "Proxy-Authorization")
            connection.set_tunnel(self._origin.hostname or "", self._origin.port, headers)
        return connection


def _close(connections: list[HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


def _exchange(
    connection: HTTPConnection, method: str, target: str, body: bytes | None, headers: dict[str, str]
) -> Reply:
    connection.request(method, target, body, headers)
    response = connection.getresponse()
    return Reply(response.status, response.headers, response.read())


def _proxy_of(origin: SplitResult) -> SplitResult | None:
    named = getproxies().get(origin.scheme)
    if not named or proxy_bypass(origin.hostname or ""):
        return None
    return urlsplit(named if "://" in named else f"http://{named}")


def _authorization(proxy: SplitResult, header: str) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {header: f"Basic {base64.b64encode(pair.encode()).decode()}"}
