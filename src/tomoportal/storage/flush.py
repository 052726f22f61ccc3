"""Make files survive a power cut.

Files are flushed by several threads, so that the file system writes one journal commit for many of them. (One flush of
the whole file system would be quicker still on an idle machine, but it waits for what all others are writing.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock

__all__ = ["Flusher"]

_FEW = 8
_THREADS = 8


class Flusher:
    """Flushes files and folders; its threads are started when many are to be flushed at once, and kept."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0
        self._guard = Lock()

    def tree(self, path: str) -> None:
        """Flush every file and folder below ``path``, and ``path``."""
        paths: list[str] = []
        folders: list[str] = []
        for folder, _, names in os.walk(path):
            paths.extend(f"{folder}/{name}" for name in names)
            folders.append(folder)
        self._all(paths)
        self._all(folders)

    def paths(self, paths: Iterable[str]) -> None:
        """Flush files; of folders the names that were made, renamed or removed in them."""
        self._all(sorted(paths))

    def _all(self, paths: list[str]) -> None:
        if len(paths) <= _FEW:
            for path in paths:
                _flush(path)
            return
        for _ in self._threads().map(_flush, paths):
            pass

    def _threads(self) -> ThreadPoolExecutor:
        with self._guard:
            if self._pool is None or self._process != os.getpid():  # threads do not survive a fork
                self._pool, self._process = ThreadPoolExecutor(_THREADS, "flush"), os.getpid()
            return self._pool


def _flush(path: str) -> None:
    with suppress(FileNotFoundError):  # a concurrent writer may have moved it; it flushes it itself
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
