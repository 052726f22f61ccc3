"""Make files survive a power cut.

Files are flushed by several threads, so that the file system writes one journal commit for many of them. (One flush of
the whole file system would be quicker still on an idle machine, but it waits for what all others are writing.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

__all__ = ["flush_files", "flush_paths"]

_FEW = 8
_THREADS = 8


def flush_files(path: str) -> None:
    """Flush every file and folder below ``path``, and ``path``."""
    paths: list[str] = []
    folders: list[str] = []
    for folder, _, names in os.walk(path):
        paths.extend(f"{folder}/{name}" for name in names)
        folders.append(folder)
    _flush_all(paths)
    _flush_all(folders)


def flush_paths(paths: Iterable[str]) -> None:
    """Flush files; of folders the names that were made, renamed or removed in them."""
    _flush_all(sorted(paths))


def _flush_all(paths: list[str]) -> None:
    if len(paths) <= _FEW:
        for path in paths:
            _flush(path)
        return
    with ThreadPoolExecutor(_THREADS, "flush") as pool:
        for _ in pool.map(_flush, paths):
            pass


def _flush(path: str) -> None:
    with suppress(FileNotFoundError):  # a concurrent writer may have moved it; it flushes it itself
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
