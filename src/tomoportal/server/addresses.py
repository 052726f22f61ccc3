"""Under which addresses this portal is reached: from settings, else from the request itself.

Nothing absolute is stored; hosts are put in when a request is answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.types import Scope

from tomoportal.server.settings import Settings

__all__ = ["Addresses", "BadHostError", "addresses_of", "client_of"]

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\])(?::\d{1,5})?")

_CLIENT = re.compile(r"[0-9A-Za-z.:_\[\]-]{1,64}")


class BadHostError(ValueError):
    """The request's host is not a host name: status 400."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """``portal`` is the origin of the pages, ``files`` the base of file addresses; neither ends in a slash."""

    portal: str
    files: str


def addresses_of(scope: Scope, settings: Settings) -> Addresses:
    """The addresses to write into the answer of one request (an ASGI ``http`` scope)."""
    portal = settings.public_url or _from_request(scope, settings)
    return Addresses(portal, settings.files_url or f"{portal}/files")


def client_of(scope: Scope, settings: Settings) -> str:
    """The address of the one who asks, for the log: what a trusted proxy says, else the other end of the connection."""
    client = scope.get("client")
    address = str(client[0]) if client is not None else "-"
    if _is_trusted(scope, settings):
        said = next((value for name, value in scope["headers"] if name == b"x-forwarded-for"), b"")
        first = bytes(said).decode("latin-1").split(",")[0].strip()
        return first if _CLIENT.fullmatch(first) else address
    return address


def _is_trusted(scope: Scope, settings: Settings) -> bool:
    client = scope.get("client")
    return "*" in settings.trusted_proxies or (client is not None and client[0] in settings.trusted_proxies)


def _from_request(scope: Scope, settings: Settings) -> str:
    headers = {bytes(name): bytes(value).decode("latin-1") for name, value in scope["headers"]}
    scheme = str(scope.get("scheme") or "http")
    server = scope.get("server") or ("localhost", None)
    host = headers.get(b"host") or (server[0] if server[1] is None else f"{server[0]}:{server[1]}")
    if _is_trusted(scope, settings):
        # Of a chain of proxies the first entry is the one that the visitor saw.
        scheme = headers.get(b"x-forwarded-proto", scheme).split(",")[0].strip().lower()
        host = headers.get(b"x-forwarded-host", host).split(",")[0].strip()
    if scheme not in {"http", "https"} or not _HOST.fullmatch(host):
        raise BadHostError(f"{scheme}://{host} is not an address")
    return f"{scheme}://{host}"
