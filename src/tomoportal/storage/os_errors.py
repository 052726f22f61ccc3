"""What the operating system refuses, as errors of ours that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from tomoportal.errors import NotFoundError, ReadOnlyError, StorageError

__all__ = ["explain", "explained", "file_in_the_way", "reading"]

_FIXES = {
    errno.ENOSPC: ("the disk is full", "free some space and run the command again; it continues where it stopped"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or ask for a larger quota, and run the command again"),
    errno.EACCES: ("permission denied", "give the user who runs tomoportal access to this path"),
    errno.EPERM: ("permission denied", "give the user who runs tomoportal access to this path"),
    errno.EROFS: ("the file system is read-only", "write to another place, or mount it writable"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "shorten it (most allow 255 bytes)"),
    errno.EISDIR: ("this is a folder, not a file", "remove the folder or choose another key"),
    errno.ELOOP: ("the link leads to itself", "remove it, or let it lead to a file"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "remove that file or choose another key"),
}


def explain(error: OSError, where: str) -> StorageError:
    """The error of ours for one of the operating system."""
    if error.errno == errno.ENOENT or (error.errno == errno.ENOTDIR):
        return NotFoundError("there is no such file", where=where)
    what, fix = _FIXES.get(error.errno or 0, (error.strerror or str(error), None))
    kind = ReadOnlyError if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else StorageError
    return kind(what, where=where, fix=fix)


def file_in_the_way(where: str) -> StorageError:
    """A folder is needed where a file is."""
    what, fix = _FIXES[errno.ENOTDIR]
    return StorageError(what, where=where, fix=fix)


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Whatever fails inside is raised as an error of ours about ``where``."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise explain(error, where) from error


@contextmanager
def reading(key: str) -> Iterator[None]:
    """Like :func:`explained` for reading: a folder is not found."""
    with explained(key):
        try:
            yield
        except IsADirectoryError as error:
            raise NotFoundError("this is a folder, not a file", where=key) from error
