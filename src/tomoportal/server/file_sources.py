"""Bytes of one file of the archive, on a local disk or in an object store, read piece by piece.

Memory stays bounded by the size of a piece, whatever the size of the file.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from tomoportal.errors import ConflictError, NotFoundError, StorageError
from tomoportal.server.conditional import requested_range
from tomoportal.storage import Stat, Store, version_tag

__all__ = ["FileSource", "entity_tag", "open_source"]

# Without O_NONBLOCK a named pipe in the archive would hold a thread for ever.
_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)

_log = logging.getLogger("tomoportal.server")


def entity_tag(version: str) -> str:
    """A store's version tag as a strong ``ETag``: the same for a file and for its line in a listing."""
    tag = version.removeprefix("W/").strip('"')
    return f'"{tag}"'


class FileSource(Protocol):
    """One version of a file: its validators and its bytes. All methods block."""

    size: int
    modified: float
    etag: str
    piece: int

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start`` on; raises :class:`ConflictError` when the file is not what it was."""
        ...

    def finish(self) -> None:
        """Check that all pieces came from one version; raises :class:`ConflictError`."""
        ...

    def close(self) -> None:
        """Give back what the source holds open."""
        ...


def open_source(store: Store, key: str, headers: Mapping[str, str], method: str) -> FileSource:
    """Open a file for reading; raises :class:`NotFoundError` for folders and for keys that do not exist.

    ``headers`` and ``method`` of the request say which bytes will be wanted, so that one request to an object store
    is enough. Raises ``PermissionError`` for what the server may not read: a link that leads out of the archive.
    """
    try:
        path = store.local_path(key)
    except StorageError as error:
        raise PermissionError(str(error)) from error
    if path is not None:
        return _LocalFile(path, key)
    # A client that may have the file already gets 304 without its bytes being asked for.
    known = "if-none-match" in headers or "if-modified-since" in headers
    return _StoredFile(store, key, None if known or method != "GET" else requested_range(headers.get("range")))


class _LocalFile:
    """An open file keeps its bytes even while a new version is renamed over it."""

    piece = 1 << 20

    def __init__(self, path: Path, key: str) -> None:
        try:
            self._descriptor = os.open(path, _READING)
        except PermissionError:
            raise
        except OSError as error:  # missing, a folder, a part of the path that is a file, a name that is too long
            raise NotFoundError("There is no such file in the archive.", where=key) from error
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._descriptor)
            raise NotFoundError("This is not a file.", where=key)
        self._key = key
        self.size = status.st_size
        self.modified = status.st_mtime
        self.etag = entity_tag(version_tag(status))

    def read(self, start: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, start)
        if len(data) < length:  # a disk may answer in parts; nothing at all means that the file shrank
            parts = [data]
            while (missing := length - sum(map(len, parts))) > 0:
                more = os.pread(self._descriptor, missing, start + length - missing)
                if not more:
                    raise ConflictError("The file became shorter while it was read.", where=self._key)
                parts.append(more)
            data = b"".join(parts)
        return data

    def finish(self) -> None:
        """Nothing to check: the descriptor belongs to one version."""

    def close(self) -> None:
        os.close(self._descriptor)


class _StoredFile:
    """A file of an object store: the bytes of one request as they arrive, and range requests for any others."""

    piece = 1 << 20

    def __init__(self, store: Store, key: str, wanted: tuple[int, int | None] | None) -> None:
        self._store, self._key = store, key
        self._arriving: Iterator[bytes] | None = None
        self._position, self._rest = 0, b""
        found = None if wanted is None else self._begin(*wanted)
        if found is None:
            found = store.stat(key)
        self.size = found.size
        self.modified = found.modified
        self.etag = entity_tag(found.etag)
        self._version = found.etag
        self._requests = 0 if self._arriving is None else 1

    def _begin(self, start: int, stop: int | None) -> Stat | None:
        try:
            reading = self._store.open_reader(self._key, start, stop)
        except NotFoundError:
            raise
        except StorageError as error:  # most often a range behind the end
            _log.debug("%s: %s", self._key, error)
            return None
        self._arriving, self._position = reading.pieces, reading.start
        return reading.stat

    def read(self, start: int, length: int) -> bytes:
        if self._arriving is not None and start == self._position:
            try:
                return self._next(length)
            except StorageError as error:
                _log.warning("%s: the store broke off and is asked again: %s", self._key, error)
        self.close()
        self._requests += 1
        data = self._store.get_range(self._key, start, length)
        if len(data) != length:
            raise ConflictError("The object became shorter while it was read.", where=self._key)
        return bytes(data)

    def _next(self, length: int) -> bytes:
        """The next bytes of those that arrive."""
        assert self._arriving is not None
        parts, size = [self._rest], len(self._rest)
        while size < length:
            piece = next(self._arriving, None)
            if piece is None:
                raise StorageError("there are fewer bytes than were promised", where=self._key)
            parts.append(piece)
            size += len(piece)
        data = b"".join(parts)
        self._rest = data[length:]
        self._position += length
        return data[:length]

    def finish(self) -> None:
        if self._requests > 1 and self._store.stat(self._key).etag != self._version:
            raise ConflictError("The object changed while it was read.", where=self._key)

    def close(self) -> None:
        """Ask for no more of the bytes that arrive."""
        self._arriving, self._rest = None, b""
