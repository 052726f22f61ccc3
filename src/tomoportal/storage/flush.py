"""Make files survive a power cut, with as few waits as possible."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress

__all__ = ["flush_files", "flush_folders"]

_ONE_BY_ONE = 32
"""Up to so many files or folders are flushed one by one; for more, one flush of the whole file system is cheaper."""


def flush_files(path: str) -> None:
    """Flush every file and folder below ``path``, and ``path``."""
    paths: list[str] = []
    for folder, _, names in os.walk(path):
        paths.extend(f"{folder}/{name}" for name in names)
        paths.append(folder)
        if len(paths) > _ONE_BY_ONE and _flush_file_system(path):
            return
    for each in paths:
        _flush(each)


def flush_folders(paths: Iterable[str]) -> None:
    """Flush the entries of folders: names that were made, renamed or removed."""
    ordered = sorted(paths)
    if len(ordered) > _ONE_BY_ONE and _flush_file_system(ordered[0]):
        return
    for path in ordered:
        _flush(path)


def _flush(path: str) -> None:
    with suppress(FileNotFoundError):  # a concurrent writer may have moved it; it flushes it itself
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush_file_system(path: str) -> bool:
    """Flush the file system that holds ``path`` in one call; false where there is no such call (it is Linux's)."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return bool(syncfs(descriptor) == 0)
    finally:
        os.close(descriptor)
