"""Locks between processes of one machine (and of machines that share a file system with working flock)."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tomoportal.errors import LockedError, StorageError
from tomoportal.storage.base import Lock
from tomoportal.storage.os_errors import explain

__all__ = ["file_lock"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1


class _Held:
    def check(self) -> None:
        """The kernel keeps this lock until its process ends; it cannot be lost."""


@contextmanager
def file_lock(path: str, name: str, timeout: float) -> Iterator[Lock]:
    """Hold the lock file ``path``; it is removed on release.

    The file may vanish between opening and locking it, when its holder ends; then the lock that we got is on a file
    without a name, and we start again.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"another process works on {name!r}",
                    where=path,
                    fix="wait until it has finished, and run the command again",
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            continue
        except OSError as error:
            os.close(descriptor)
            raise StorageError(
                f"this file system cannot lock files ({error.strerror})",
                where=path,
                fix="keep the archive on a local disk, or on a network file system with flock",
            ) from error
        if _names(path, descriptor):
            break
        os.close(descriptor)
    try:
        yield _Held()
    finally:
        with suppress(OSError):
            os.unlink(path)
        os.close(descriptor)


def _open(path: str) -> int:
    for _ in range(100):
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise explain(error, path) from error
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except FileNotFoundError:
            continue  # a holder that ends removes folders that it leaves empty
        except OSError as error:
            if isinstance(error, FileExistsError) and not os.path.isfile(os.path.dirname(path)):
                continue  # it was there and is gone again
            raise explain(error, path) from error
    raise StorageError("no lock file can be made: its folder vanishes again and again", where=path)


def _names(path: str, descriptor: int) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
