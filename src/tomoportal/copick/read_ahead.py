"""Documents of a remote store, fetched before they are asked for.

A script that reads the picks of one run after the other waits for one request each. The second document that is read
soon after the first makes the ones come along that such a loop will want next, many at a time (C59): those of the same
objects, in the order of the listing. What was fetched ahead answers the first reading of a document only, and for half
a minute only.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final

from tomoportal.errors import StorageError
from tomoportal.storage import Stat, Store
from tomoportal.storage.keys import name_of

__all__ = ["ReadAhead"]

_FIRST: Final = 16  # documents ahead: twice as many where the reader had to wait, a quarter where it wanted another
_MOST: Final = 128
_LOOKED_AT: Final = 64  # documents of which one is chosen, at most
_MOST_BYTES: Final = 64 * 1024 * 1024
_AT_A_TIME: Final = 64
_IN_A_ROW: Final = 2.0  # seconds between two readings that make a loop
_GOOD_FOR: Final = 30.0

_Fetched = tuple[float, Future[tuple[bytes, str]]]


class ReadAhead:
    """Reads documents of one store; ``alike`` gives all documents of the kind of a key, sorted by key."""

    def __init__(self, store: Store, alike: Callable[[str], list[Stat]]) -> None:
        self._store, self._alike = store, alike
        self._lock = threading.Lock()
        self._waiting: dict[str, _Fetched] = {}
        self._depth = _FIRST
        self._next: str | None = None
        """What would show, after nothing was guessed right, that documents are read in order again."""
        self._last = 0.0
        self._wanted = _Wanted()
        self._pool: ThreadPoolExecutor | None = None

    def read(self, key: str) -> tuple[bytes, str]:
        """The bytes of a document and their version tag. Raises :class:`NotFoundError`."""
        now = time.monotonic()
        with self._lock:
            when, future = self._waiting.pop(key, (0.0, None))
            is_loop, self._last = now - self._last < _IN_A_ROW, now
            self._wanted.learn(key)
            if future is not None and not future.done():
                self._depth = min(2 * self._depth, _MOST)
            elif future is None and self._waiting:
                self._depth //= 4
            elif key == self._next:
                self._depth = _FIRST
            if is_loop and (future is None or len(self._waiting) <= self._depth // 2):
                self._fetch_after(key, now)
        if future is not None and now - when < _GOOD_FOR:
            try:
                return future.result()
            except StorageError:
                pass  # asked again below, for an error that is of now
        return self._store.get_version(key)

    def _fetch_after(self, key: str, now: float) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_AT_A_TIME, "read-ahead")
        former, self._waiting = self._waiting, {}
        ahead = self._ahead_of(key)
        self._next = next(ahead, None) if self._depth == 0 else None
        for name in ahead if self._depth else ():
            known = former.pop(name, None)
            fresh = known is not None and now - known[0] < _GOOD_FOR / 2
            self._waiting[name] = known if known and fresh else (now, self._pool.submit(self._store.get_version, name))
        for _, future in former.values():
            future.cancel()

    def _ahead_of(self, key: str) -> Iterator[str]:
        """What is wanted next: so many documents, and not more than a limit of bytes beyond the first."""
        stats = self._alike(key)
        size = 0
        start = bisect_right(stats, key, key=lambda stat: stat.key)
        depth = max(self._depth, 1)
        near = islice(stats, start, start + _LOOKED_AT * depth)
        chosen = (stat for stat in near if self._wanted.holds(stat.key))
        for number, stat in enumerate(islice(chosen, depth)):
            size += stat.size
            if number and size > _MOST_BYTES:
                return
            yield stat.key


class _Wanted:
    """Which documents of the runs to come a loop will want: those of the objects that it read in the last two runs."""

    def __init__(self) -> None:
        self._folder = ""
        self._before: set[str] = set()
        self._now: set[str] = set()

    def learn(self, key: str) -> None:
        folder = key.rpartition("/")[0]
        if folder != self._folder:
            self._folder, self._before, self._now = folder, self._now, set()
        self._now.add(_object_of(key))

    def holds(self, key: str) -> bool:
        """In the first run nobody knows yet: everything."""
        name = _object_of(key)
        return not self._before or name in self._before or name in self._now


def _object_of(key: str) -> str:
    """The end of the name, behind user and session."""
    return name_of(key).split("_", 2)[-1]
