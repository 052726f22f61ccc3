"""What is in the folders of a project, at the cost of few requests.

A local folder is scanned when somebody asks for it. On an object store every request costs its latency: the first run
that is asked about is listed alone, the second one makes the whole project be listed at once (C59, C64), in one
recursive listing, or, where the keys of chunks would dominate that, folder by folder with many requests at a time.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from tomoportal.storage import Stat, Store

__all__ = ["Folder", "Listing"]

RUNS: Final = "ExperimentRuns"

_MOST_KEYS: Final = 50_000  # of a recursive listing: fifty requests; beyond, folder by folder is faster
_AT_A_TIME: Final = 32
_IN_A_ROW: Final = 5.0  # seconds within which two runs must be asked about to make a loop over runs
_GOOD_FOR: Final = 30.0  # seconds that a listing of everything answers for folders that nobody has asked about yet


@dataclass(slots=True)
class Folder:
    """One folder: names of folders in it, and files by name. Both in the order of names."""

    folders: list[str] = field(default_factory=list)
    files: dict[str, Stat] = field(default_factory=dict)


class Listing:
    """Folders of one store. An answer is at most half a minute old, and never older than the last :meth:`forget`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_remote = store.local_path("") is None
        self._recent: dict[str, float] = {}
        self._known: dict[str, Folder] = {}
        self._answered: set[tuple[str, str]] = set()
        self._since: float | None = None
        self._sorted: tuple[float | None, str, list[str]] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return Listing, (self._store,)

    def folder(self, key: str, asker: str = "") -> Folder:
        """What is in a folder; listed again if the same ``asker`` has asked about it before."""
        parts = key.split("/")
        if not self._is_remote or parts[0] != RUNS or len(parts) < 2:
            return self._read(key)
        run, now = "/".join(parts[:2]), time.monotonic()
        self._recent = {name: when for name, when in self._recent.items() if now - when < _IN_A_ROW}
        self._recent[run] = now
        if len(self._recent) > 1 and (self._since is None or now - self._since > _GOOD_FOR):
            self._read_all(now)
        is_known = run in self._known and self._since is not None and now - self._since <= _GOOD_FOR
        if not is_known or (key, asker) in self._answered:
            return self._read(key)
        self._answered.add((key, asker))
        return self._known.get(key) or Folder()

    @property
    def is_remote(self) -> bool:
        """Whether every request costs its latency."""
        return self._is_remote

    def documents_like(self, key: str) -> list[str]:
        """Keys of all documents of the same kind that the last listing of everything found, sorted."""
        kind, ending = key.split("/")[-2], key[key.rfind(".") :]
        if self._sorted is None or self._sorted[:2] != (self._since, kind):
            found = [
                stat.key
                for folder, held in self._known.items()
                if folder.endswith(f"/{kind}")
                for name, stat in held.files.items()
                if name.endswith(ending) and not name.startswith(".")
            ]
            self._sorted = (self._since, kind, sorted(found))
        return self._sorted[2]

    def forget(self, key: str = "") -> None:
        """Ask the store the next time, for the run that this folder belongs to or for everything (C60)."""
        if not key:
            self._known.clear()
            self._answered.clear()
            self._since = None
        else:
            self._known.pop("/".join(key.split("/")[:2]), None)

    def _read(self, key: str) -> Folder:
        folders, files = self._store.children(key)
        return Folder(folders, {stat.key.rpartition("/")[2]: stat for stat in files})

    def _read_all(self, now: float) -> None:
        found = self._recursively()
        self._known = found if found is not None else self._by_folder()
        self._answered.clear()
        self._since = now

    def _recursively(self) -> dict[str, Folder] | None:
        """All folders of all runs that are no Zarr stores; None if there are too many keys."""
        found: dict[str, Folder] = {}
        seen: dict[str, set[str]] = {}
        for number, stat in enumerate(self._store.list(RUNS)):
            if number >= _MOST_KEYS:
                return None
            parts = stat.key.split("/")
            for depth in range(1, len(parts) - 1):
                parent = "/".join(parts[:depth])
                names = seen.setdefault(parent, set())
                if parts[depth] not in names:
                    names.add(parts[depth])
                    found.setdefault(parent, Folder()).folders.append(parts[depth])
                if parts[depth].endswith(".zarr"):
                    break
            else:
                found.setdefault("/".join(parts[:-1]), Folder()).files[parts[-1]] = stat
        for folder in found.values():
            folder.folders.sort()
        return found

    def _by_folder(self) -> dict[str, Folder]:
        """Runs, what is in them, and what is in that, but nothing inside of Zarr stores."""
        found: dict[str, Folder] = {}
        level = [f"{RUNS}/{name}" for name in self._read(RUNS).folders]
        with ThreadPoolExecutor(_AT_A_TIME, "listing") as pool:
            while level:
                found.update(zip(level, pool.map(self._read, level), strict=True))
                level = [
                    f"{parent}/{name}"
                    for parent in level
                    for name in found[parent].folders
                    if not name.endswith(".zarr") and not name.startswith(".") and parent.count("/") < 2
                ]
        return found
