"""Files behind a web server, or in a public bucket, as a store that is only read.

Plain HTTP instead of :mod:`tomoportal.storage.objects`: the library there hangs in a process that was forked after it
had been used, and data loaders fork their workers.
"""

from __future__ import annotations

import builtins
import random
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote, urlsplit

from tomoportal.client.connections import Connections, Reply
from tomoportal.errors import NotFoundError, ReadOnlyError, StorageError
from tomoportal.storage import Lock, Stat, Store, Writer

__all__ = ["WebStore", "bucket_address"]

_PASSING: Final = frozenset({429, 500, 502, 503, 504})
_DELAYS: Final = (0.2, 0.4, 0.8)  # seconds before the second, third and fourth attempt, each up to as much again
_TIMEOUT: Final = 60.0
_FIX: Final = "check the network, or read the files in another way: portal_access"


def bucket_address(bucket: str, endpoint: str | None) -> str:
    """The web address of a public bucket: at an S3 service of one's own, or at Amazon's."""
    if endpoint:
        return f"{endpoint.rstrip('/')}/{bucket}"
    return f"https://{bucket}.s3.amazonaws.com" if "." not in bucket else f"https://s3.amazonaws.com/{bucket}"


class WebStore(Store):
    """What lies below an http or https address. Most web servers do not list, so this does not either."""

    read_only = True

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._path = quote(urlsplit(self.url).path, safe="/%")
        self._connections = Connections(self.url, _TIMEOUT)

    def __reduce__(self) -> tuple[object, ...]:
        return WebStore, (self.url,)

    # --- reading

    def get(self, key: str) -> bytes:
        return self._ask("GET", key, {}).body

    def get_if_changed(self, key: str, etag: str) -> tuple[bytes | None, str]:
        """The bytes and their version tag; None for the bytes if they are still those of ``etag``."""
        reply = self._ask("GET", key, {"If-None-Match": etag} if etag else {})
        return (None if reply.status == 304 else reply.body), reply.headers.get("ETag") or ""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        reply = self._ask("GET", key, {"Range": f"bytes={start}-{start + length - 1}"})
        if reply.status == 416:
            return b""
        return reply.body if reply.status == 206 else reply.body[start : start + length]

    def stat(self, key: str) -> Stat:
        headers = self._ask("HEAD", key, {}).headers
        changed = headers.get("Last-Modified")
        try:
            modified = parsedate_to_datetime(changed).timestamp() if changed else 0.0
        except ValueError:
            modified = 0.0
        return Stat(key, int(headers.get("Content-Length") or 0), modified, headers.get("ETag") or "")

    def local_path(self, key: str) -> Path | None:
        return None

    def list(self, prefix: str = "") -> Iterator[Stat]:
        self._refuse_listing(prefix)

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        self._refuse_listing(prefix)

    def _refuse_listing(self, prefix: str) -> NoReturn:
        raise StorageError("the files of a portal cannot be listed", where=f"{self.url}/{prefix}", fix=_FIX)

    def _ask(self, method: str, key: str, headers: dict[str, str]) -> Reply:
        where = f"{self.url}/{key}"
        target = f"{self._path}/{quote(key)}"
        for delay in (*_DELAYS, None):
            try:
                reply = self._connections.send(method, target, None, headers)
            except (OSError, HTTPException) as error:
                if delay is None:
                    raise StorageError(
                        f"cannot be read: {error or type(error).__name__}", where=where, fix=_FIX
                    ) from error
            else:
                if reply.status in (200, 206, 304, 416):
                    return reply
                if reply.status == 404:
                    raise NotFoundError("there is no such file", where=where)
                if reply.status not in _PASSING or delay is None:
                    raise StorageError(f"cannot be read: HTTP status {reply.status}", where=where, fix=_FIX)
            time.sleep(delay * random.uniform(1, 2))
        raise AssertionError  # the last attempt returns or raises

    # --- writing

    def _refuse(self, key: str) -> NoReturn:
        raise ReadOnlyError("the files of a portal are only read", where=f"{self.url}/{key}", fix="use the overlay")

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = True,
    ) -> str:
        self._refuse(key)

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        self._refuse(key)

    def delete(self, key: str) -> None:
        self._refuse(key)

    def delete_tree(self, prefix: str) -> None:
        self._refuse(prefix)

    def move(self, source: str, target: str) -> None:
        self._refuse(source)

    def lock(self, name: str, *, timeout: float = 0.0) -> AbstractContextManager[Lock]:
        self._refuse(name)
