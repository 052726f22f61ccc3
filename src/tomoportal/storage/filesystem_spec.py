"""Stores on any protocol that fsspec knows: SSH, SMB, HTTP, S3 with arguments of s3fs, …

fsspec is not a dependency of the package; ``tomoportal[copick]`` brings it. A connection that broke is opened again. On
SSH and SMB a write that has a condition holds a lock on its key: a hidden file that a new name is given to, which one
of several processes can do. S3 servers keep conditions themselves. On other protocols a condition is looked at before
the write, which detects changes by others but not two writes in the same moment.
"""

from __future__ import annotations

import builtins
import io
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from tomoportal.errors import (
    ConflictError,
    LockedError,
    NotFoundError,
    StorageError,
)
from tomoportal.storage.base import LOCK_TIMEOUT, Lock, Stat, Store, Writer
from tomoportal.storage.keys import check_key, check_prefix, join, name_of, parent_of
from tomoportal.storage.leases import lease
from tomoportal.storage.owners import is_abandoned, new_token
from tomoportal.storage.protocols import Info, Protocol, is_broken, is_missing
from tomoportal.storage.server_connection import ServerConnection, file_system

__all__ = ["FsspecStore", "file_system", "open_fsspec"]

_TEMPORARY: Final = ".tomoportal-tmp-"
_LOCK: Final = f"{_TEMPORARY}lock-"
_LOCK_ENDS: Final = 30.0
"""Seconds after which the lock on a key counts as left behind; it is held for a few requests."""
_LOCK_HOLDS: Final = _LOCK_ENDS / 2
"""Seconds after which its holder does not rely on it."""
_PATIENCE: Final = 20
_OWN: Final = ".tomoportal"

_T = TypeVar("_T")


def open_fsspec(url: str, arguments: Mapping[str, Any] | None = None, *, read_only: bool = False) -> FsspecStore:
    """The store of an fsspec URL, chained ones included. Raises :class:`MissingPartError` without its package."""
    return FsspecStore(url, dict(arguments or {}), read_only=read_only)


class FsspecStore(Store):
    """Objects below an fsspec URL; ``arguments`` are those of its file system."""

    def __init__(self, url: str, arguments: dict[str, Any], *, read_only: bool = False) -> None:
        self.url = url
        self.read_only = read_only
        self._arguments = arguments
        self._one_at_a_time = threading.Lock()
        self._swept: set[str] = set()
        self._server = ServerConnection(url, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.url, self._arguments, self.read_only)

    @property
    def _protocol(self) -> Protocol:
        return self._server.protocol

    @property
    def moves_folders(self) -> bool:
        return self._protocol.is_exclusive

    def _path(self, key: str) -> str:
        return self._protocol.path(key)

    def _writable(self, key: str) -> str:
        if self.read_only:
            raise StorageError("the store was opened read-only", where=key, fix="open it without read_only")
        return self._path(check_key(key))

    def _do(self, key: str, action: Callable[[Protocol], _T]) -> _T:
        return self._server.do(key, action)

    # --- reading

    def get(self, key: str) -> bytes:
        return self._read(key, lambda protocol: protocol.read(self._path(check_key(key))))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        size = self.stat(key).size
        end = min(start + length, size)
        if start >= end:
            return b""
        return self._read(key, lambda protocol: protocol.read(self._path(key), start, end))

    def _read(self, key: str, action: Callable[[Protocol], bytes]) -> bytes:
        try:
            return self._do(key, action)
        except NotFoundError:
            raise
        except StorageError as error:
            if not is_broken(error.__cause__ or error) and self.is_folder(key):  # servers do not say why
                raise NotFoundError("this is a folder, not a file", where=key) from error
            raise

    def stat(self, key: str) -> Stat:
        found = self._do(key, lambda protocol: protocol.info(self._path(check_key(key))))
        if found["type"] != "file":
            raise NotFoundError("this is a folder, not a file", where=key)
        return _stat(key, found)

    def is_folder(self, prefix: str) -> bool:
        return self._do(prefix, lambda protocol: protocol.is_folder(self._path(check_prefix(prefix))))

    def list(self, prefix: str = "") -> Iterator[Stat]:
        folders, files = self.children(prefix)
        entries: builtins.list[tuple[str, Stat | None]] = [(f"{name}/", None) for name in folders]
        entries += [(name_of(stat.key), stat) for stat in files]
        for name, stat in sorted(entries, key=lambda entry: entry[0]):
            if stat is None:
                yield from self.list(join(check_prefix(prefix), name[:-1]))
            else:
                yield stat

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        prefix = check_prefix(prefix)
        folders, files = [], []
        for name, info in self._entries(prefix):
            if name.startswith(_TEMPORARY):
                continue
            if info["type"] == "directory":
                folders.append(name)
            elif info["type"] == "file":
                files.append(_stat(join(prefix, name), info))
        return sorted(folders), sorted(files, key=lambda stat: stat.key)

    def _entries(self, prefix: str) -> builtins.list[tuple[str, Info]]:
        try:
            return self._do(prefix, lambda protocol: list(protocol.ls(self._path(prefix))))
        except NotFoundError:
            return []

    def local_path(self, key: str) -> Path | None:
        check_prefix(key)
        return None

    # --- writing

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = True,
    ) -> str:
        path = self._writable(key)
        content = bytes(data)
        if durable:
            self._sweep(parent_of(key))
        with nullcontext() if self._protocol.is_exclusive else self._one_at_a_time:
            if self._protocol.is_whole:
                return self._put_whole(key, path, content, if_match, if_absent)
            if if_match is None:
                return self._place(key, path, content, None, claim=if_absent)
            with self._only_writer(key) as end:
                found = self._expect(key, if_match)
                return self._place(key, path, content, found, claim=False, end=end)

    def _expect(self, key: str, tag: str | None) -> Stat | None:
        """What is there. Raises :class:`ConflictError` unless it is the version ``tag``."""
        try:
            found = self.stat(key)
        except NotFoundError:
            found = None
        if (found.etag if found is not None else None) != tag:
            raise ConflictError("the object was changed by somebody else", where=key, fix="read it again, and retry")
        return found

    def _put_whole(self, key: str, path: str, content: bytes, if_match: str | None, if_absent: bool) -> str:
        if not if_absent and if_match is None:
            self._in_folder(key, path, lambda protocol: protocol.write(path, content))
            return self.stat(key).etag
        self._expect(key, if_match)
        try:
            written = self._in_folder(key, path, lambda protocol: protocol.write_if(path, content, if_match))
        except StorageError as error:
            if not isinstance(error.__cause__, FileExistsError):
                raise
            raise ConflictError(
                "the object was changed by somebody else", where=key, fix="read it again, and retry"
            ) from error
        return written or self.stat(key).etag

    def _place(
        self, key: str, path: str, content: bytes, old: Stat | None, *, claim: bool, end: float = math.inf
    ) -> str:
        """Write a file beside the object and give it its name; return the version.

        Where times are whole seconds, the new file gets a later one than the ``old`` object, so that every write
        makes another version. Nothing is replaced after ``end``, when the lock on the key is no longer ours.
        """
        beside = f"{parent_of(path)}/{_TEMPORARY}{new_token()}"
        tried = False

        def write(protocol: Protocol) -> Stat:
            nonlocal tried
            try:
                protocol.write(beside, content)
                info = protocol.info(beside)
                if not protocol.is_exact and not claim:
                    before = old or self._seen(protocol, key, path)
                    made = _stat(key, info)
                    if before is not None and made.modified <= before.modified:
                        protocol.set_time(beside, int(before.modified) + 1)
                        info = protocol.info(beside)
                again, tried = tried, True
                if claim:
                    self._claim(protocol, beside, path, content, again)
                elif time.monotonic() > end:
                    raise LockedError("the server took too long", where=key, fix="try again")
                else:
                    protocol.replace(beside, path)
            except BaseException as error:
                if not (is_broken(error) or is_missing(error)):
                    with suppress(Exception):  # the first failure is the one that is told
                        protocol.remove(beside)
                raise
            return _stat(key, info)

        return self._in_folder(key, path, write).etag

    def _claim(self, protocol: Protocol, beside: str, path: str, content: bytes, again: bool) -> None:
        try:
            protocol.claim(beside, path)
        except FileExistsError as error:
            # The answer to a first attempt may have been lost with the connection.
            if not (again and protocol.read(path) == content):
                raise ConflictError("the object exists already", where=path, fix="read it, and decide again") from error
            protocol.remove(beside)

    def _seen(self, protocol: Protocol, key: str, path: str) -> Stat | None:
        try:
            return _stat(key, protocol.info(path))
        except Exception as error:
            if is_missing(error):
                return None
            raise

    def _in_folder(self, key: str, path: str, write: Callable[[Protocol], _T]) -> _T:
        """Write; make the folder if it is not there, or was removed again by somebody who found it empty."""
        for _ in range(_PATIENCE):
            with suppress(NotFoundError):
                return self._do(key, write)
            self._do(key, lambda protocol: protocol.make_folder(parent_of(path)))
        return self._do(key, write)

    @contextmanager
    def _only_writer(self, key: str) -> Iterator[float]:
        """Hold the lock on a key, among all processes where the protocol can do that, until the time that is given.

        Raises :class:`LockedError` if others hold it all the time.
        """
        if not self._protocol.is_exclusive:
            yield math.inf
            return
        lock = join(parent_of(key), f"{_LOCK}{name_of(key)}")
        self._acquire(lock)
        end = time.monotonic() + _LOCK_HOLDS
        try:
            yield end
        finally:
            if time.monotonic() < end:  # else it may be another's already
                with suppress(StorageError):  # whoever comes next removes it
                    self._remove(lock)

    def _acquire(self, lock: str) -> None:
        path, token = self._path(lock), new_token().encode()
        end, pause, seen = time.monotonic() + LOCK_TIMEOUT, 0.005, (b"", 0.0)
        while True:
            try:
                self._place(lock, path, token, None, claim=True)
                return
            except ConflictError:
                seen = self._look_at_lock(lock, path, seen)
            if time.monotonic() > end:
                raise LockedError("other processes save this document all the time", where=lock, fix="try again")
            time.sleep(pause)
            pause = min(2 * pause, 0.2)

    def _look_at_lock(self, lock: str, path: str, seen: tuple[bytes, float]) -> tuple[bytes, float]:
        """Who holds a lock, and since when we know; one that is left behind is taken away.

        Of several who see that, one can rename it. Clocks of two machines are not compared.
        """
        with suppress(NotFoundError):
            holder, now = self.get(lock), time.monotonic()
            since = seen[1] if holder == seen[0] else now
            if not is_abandoned(holder.decode(errors="replace"), math.inf) and now - since < _LOCK_ENDS:
                return holder, since
            aside = join(parent_of(lock), f"{_TEMPORARY}{new_token()}")
            self._do(lock, lambda protocol: protocol.claim(path, self._path(aside)))
            if self.get(aside) == holder:
                self._remove(aside)
            else:  # it was released and taken meanwhile
                self._do(lock, lambda protocol: protocol.claim(self._path(aside), path))
        return b"", 0.0

    def _sweep(self, folder: str) -> None:
        """Remove temporary files of dead processes, once per folder."""
        if self._protocol.is_whole or folder in self._swept:
            return
        self._swept.add(folder)
        for name, info in self._entries(folder):
            token = name.removeprefix(_TEMPORARY)
            if token == name or name.startswith(_LOCK) or not is_abandoned(token, _stat(name, info).modified):
                continue
            with suppress(StorageError):
                self._remove(join(folder, name))

    def _remove(self, key: str) -> None:
        path = self._path(key)
        self._do(key, lambda protocol: protocol.remove(path))

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        self._writable(key)
        return _BufferedWriter(self, key)

    def delete(self, key: str) -> None:
        self._writable(key)
        with suppress(NotFoundError):
            if self.is_folder(key):
                return
            self._remove(key)
            self._prune(parent_of(key))

    def delete_version(self, key: str, etag: str) -> None:
        self._writable(key)
        with self._only_writer(key):
            super().delete_version(key, etag)
        self._prune(parent_of(key))

    def _prune(self, folder: str) -> None:
        """Remove folders that became empty, but those of locks, which are needed again soon."""
        while folder and self._protocol.has_folders and not folder.startswith(_OWN):
            try:
                self._do(folder, lambda protocol, path=self._path(folder): protocol.remove_folder(path))  # type: ignore[misc]
            except StorageError:  # somebody else put something in, or took it away
                return
            folder = parent_of(folder)

    def delete_tree(self, prefix: str) -> None:
        if not check_prefix(prefix):
            for folder in self.children()[0]:
                self.delete_tree(folder)
            self.delete_files([stat.key for stat in self.children()[1]])
            return
        path = self._writable(prefix)
        if self.is_folder(prefix):
            with suppress(NotFoundError):
                self._do(prefix, lambda protocol: protocol.remove_tree(path))
            self._prune(parent_of(prefix))

    def move(self, source: str, target: str) -> None:
        start, end = self._writable(source), self._writable(target)
        is_file = self.exists(source)
        if is_file or (self.moves_folders and self.is_folder(source) and not self._is_there(target)):
            self._do(source, lambda protocol: protocol.make_folder(parent_of(end)))
            self._do(source, lambda protocol: protocol.replace(start, end))
            self._prune(parent_of(source))
            return
        keys = [stat.key for stat in self.list(source)]
        if not keys:
            raise NotFoundError("there is no such file or folder", where=source)
        for key in keys:
            self.move(key, join(target, key[len(source) + 1 :]))
        self.delete_tree(source)

    def _is_there(self, key: str) -> bool:
        return self.exists(key) or self.is_folder(key)

    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[Lock]:
        key = f".tomoportal/locks/{check_key(name)}.json"
        self._writable(key)
        # Conditions hold among the threads of this process; between processes they are looked at before the write.
        return lease(self, key, name, timeout, conditional=True)


class _BufferedWriter(Writer):
    """Keeps what is written until the end, as conditional and renamed writes need it whole."""

    def __init__(self, store: FsspecStore, key: str) -> None:
        super().__init__(key)
        self._store, self._target, self._buffer = store, key, io.BytesIO()

    def _write(self, view: memoryview) -> None:
        self._buffer.write(view)

    def _commit(self) -> None:
        self._store.put(self._target, self._buffer.getvalue())

    def _abort(self) -> None:
        self._buffer = io.BytesIO()


def _reopen(url: str, arguments: dict[str, Any], read_only: bool) -> FsspecStore:
    return FsspecStore(url, arguments, read_only=read_only)


def _stat(key: str, info: Mapping[str, Any]) -> Stat:
    modified = next((info[name] for name in ("mtime", "LastModified", "last_modified", "created") if info.get(name)), 0)
    seconds = modified.timestamp() if hasattr(modified, "timestamp") else float(modified)
    size = int(info.get("size") or 0)
    tag = info.get("ETag") or info.get("etag") or f"{info.get('ino', 0):x}-{round(seconds * 1e6):x}-{size:x}"
    return Stat(key, size, seconds, str(tag))
