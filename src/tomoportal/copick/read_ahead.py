"""Documents of a remote store, fetched before they are asked for.

A script that reads the picks of one run after the other waits for one request each. The second document that is read
soon after the first makes the ones that follow it in the listing come along, many at a time (C59). What was fetched
ahead answers the first reading of a document only, and for half a minute only.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from tomoportal.errors import StorageError
from tomoportal.storage import Store

__all__ = ["ReadAhead"]

_AHEAD: Final = 64  # documents
_AT_A_TIME: Final = 32
_IN_A_ROW: Final = 2.0  # seconds between two readings that make a loop
_GOOD_FOR: Final = 30.0


class ReadAhead:
    """Reads documents of one store; ``following`` gives the keys that come after the documents of one kind."""

    def __init__(self, store: Store, following: Callable[[str], list[str]]) -> None:
        self._store, self._following = store, following
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[float, Future[tuple[bytes, str]]]] = {}
        self._last = 0.0
        self._pool: ThreadPoolExecutor | None = None

    def read(self, key: str) -> tuple[bytes, str]:
        """The bytes of a document and their version tag. Raises :class:`NotFoundError`."""
        now = time.monotonic()
        with self._lock:
            when, future = self._waiting.pop(key, (0.0, None))
            is_loop, self._last = now - self._last < _IN_A_ROW, now
            if is_loop:
                self._fetch_after(key, now)
        if future is not None and now - when < _GOOD_FOR:
            try:
                return future.result()
            except StorageError:
                pass  # asked again below, for an error that is of now
        return self._store.get_version(key)

    def _fetch_after(self, key: str, now: float) -> None:
        keys = self._following(key)
        start = bisect_right(keys, key)
        if len(self._waiting) > _AHEAD // 2 and start < len(keys) and keys[start] in self._waiting:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_AT_A_TIME, "read-ahead")
        wanted = keys[start : start + _AHEAD]
        self._waiting = {name: each for name, each in self._waiting.items() if name in wanted}
        for name in wanted:
            if name not in self._waiting:
                self._waiting[name] = (now, self._pool.submit(self._store.get_version, name))
