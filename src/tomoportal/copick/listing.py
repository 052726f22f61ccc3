"""What is in the folders of a project, at the cost of few requests.

A local folder is scanned when somebody asks for it. On an object store every request costs its latency: the first run
that is asked about is listed alone, the second one makes the whole project be listed at once (C59, C64).
"""

from __future__ import annotations

import math
import threading
import time
from typing import Final

from tomoportal.copick.folders import RUNS, Folder, folders_of_runs
from tomoportal.storage import Stat, Store

__all__ = ["Folder", "Listing"]

_IN_A_ROW: Final = 5.0  # seconds within which two runs must be asked about to make a loop over runs
_GOOD_FOR: Final = 30.0  # seconds that a listing of everything answers for folders that nobody has asked about yet


class Listing:
    """Folders of one store. An answer is at most half a minute old, and never older than the last :meth:`forget`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_remote = store.local_path("") is None
        self._asked: tuple[str, float, float] = ("", -math.inf, -math.inf)
        """The run that was asked about last, when, and when the one before it was."""
        self._lock = threading.Lock()
        self._known: dict[str, Folder] = {}
        self._answered: set[tuple[str, str]] = set()
        self._since: float | None = None
        self._sorted: tuple[float | None, str, list[Stat]] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return Listing, (self._store,)

    def folder(self, key: str, asker: str = "") -> Folder:
        """What is in a folder; listed again if the same ``asker`` has asked about it before."""
        parts = key.split("/")
        if not self._is_remote or parts[0] != RUNS or len(parts) < 2:
            return Folder.read(self._store, key)
        run, now = "/".join(parts[:2]), time.monotonic()
        if self._is_loop(run, now) and not self._is_fresh(now):
            with self._lock:
                if not self._is_fresh(now):
                    self._known = folders_of_runs(self._store)
                    self._answered.clear()
                    self._since = now
        if run not in self._known or not self._is_fresh(now) or (key, asker) in self._answered:
            return Folder.read(self._store, key)
        self._answered.add((key, asker))
        if (found := self._known.get(key)) is not None:
            return found
        parent, _, name = key.rpartition("/")
        above = self._known.get(parent)
        return Folder() if above is not None and name not in above.folders else Folder.read(self._store, key)

    def _is_loop(self, run: str, now: float) -> bool:
        """Whether another run was asked about just before this one."""
        last, when, other = self._asked
        if run != last:
            other = when
        self._asked = run, now, other
        return now - other < _IN_A_ROW

    def _is_fresh(self, now: float) -> bool:
        return self._since is not None and now - self._since <= _GOOD_FOR

    @property
    def is_remote(self) -> bool:
        """Whether every request costs its latency."""
        return self._is_remote

    def documents_like(self, key: str) -> list[Stat]:
        """All documents of the same kind that the last listing of everything found, sorted by key."""
        kind, ending = key.split("/")[-2], key[key.rfind(".") :]
        if self._sorted is None or self._sorted[:2] != (self._since, kind):
            found = [
                stat
                for folder, held in self._known.items()
                if folder.endswith(f"/{kind}")
                for name, stat in held.files.items()
                if name.endswith(ending) and not name.startswith(".")
            ]
            self._sorted = (self._since, kind, sorted(found, key=lambda stat: stat.key))
        return self._sorted[2]

    def forget(self, key: str = "") -> None:
        """Ask the store the next time, for the run that this folder belongs to or for everything (C60)."""
        if not key:
            self._known.clear()
            self._answered.clear()
            self._since = None
        else:
            self._known.pop("/".join(key.split("/")[:2]), None)
