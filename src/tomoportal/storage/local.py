"""A store in a folder of the local file system (or of a network file system that is mounted).

A write goes to a temporary name in the folder of its target and is renamed; the temporary name carries the process,
so that what a killed process left behind is recognised, hidden and swept.
"""

from __future__ import annotations

import builtins
import errno
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, TypeVar

from tomoportal.errors import ConflictError, NotFoundError, StorageError
from tomoportal.storage.base import LOCK_TIMEOUT, Folder, Lock, Prepared, Stat, Store, Writer
from tomoportal.storage.file_locks import file_lock
from tomoportal.storage.flush import Flusher
from tomoportal.storage.keys import check_key, check_prefix, join, parent_of
from tomoportal.storage.local_listing import TEMPORARY, Listing, is_settled, made_newer, stat_of, version_tag
from tomoportal.storage.local_writing import LocalPrepared, LocalWriter, common_folders, second_name
from tomoportal.storage.os_errors import explained, file_in_the_way, reading
from tomoportal.storage.owners import is_abandoned, new_token

__all__ = ["LocalStore"]

_OWN = ".tomoportal"
_PATIENCE = 100
"""How often a folder is made again that others remove at the same time."""

_MOMENT = 0.1
"""Seconds that a folder counts as no symbolic link after it was looked at."""

_MOST_SWEPT = 64
"""How many folders are remembered that hold no files of dead processes."""

_T = TypeVar("_T")


class LocalStore(Store):
    """Objects are files below ``root``; symbolic links that lead out of it are refused unless ``follow_links``."""

    def __init__(
        self, root: str | os.PathLike[str], *, create: bool = False, read_only: bool = False, follow_links: bool = False
    ) -> None:
        path = Path(root).expanduser()
        if create and not read_only:
            with explained(str(path)):
                path.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            what = "is not a folder" if path.exists() else "does not exist"
            raise NotFoundError(f"the folder {what}", where=str(path), fix="create it, or correct the path")
        self.root = os.path.realpath(path)
        self.url = self.root
        self._own = f"{self.root}/{_OWN}/"
        self.read_only = read_only
        self.follow_links = follow_links
        self._listing = Listing(self.root, follow_links=follow_links)
        self._flusher = Flusher()
        self._swept: set[str] = set()
        self._looked_at: set[str] = set()
        self._looked_until = 0.0

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.root, self.read_only, self.follow_links)

    # --- paths

    def _path(self, key: str) -> str:
        """The absolute path of a key, after a look at every symbolic link on the way."""
        path = f"{self.root}/{check_key(key)}"
        if not self.follow_links and self._has_link(path) and not os.path.realpath(path).startswith(self.root + "/"):
            raise StorageError(
                "a symbolic link leads out of the store",
                where=path,
                fix="put the files themselves here, or open the folder that holds them as a store of its own",
            )
        return path

    def _has_link(self, path: str) -> bool:
        """Whether a part of the path below the root is a symbolic link; cheaper than to resolve the whole path.

        Folders that were looked at a moment ago are not looked at again: who makes a link in this moment could as well
        make it between this look and the use of the path.
        """
        now = time.monotonic()
        if now > self._looked_until:
            self._looked_at, self._looked_until = {self.root}, now + _MOMENT
        looked_at = self._looked_at
        end = path.rfind("/")
        while path[:end] not in looked_at:
            end = path.rfind("/", 0, end)
        try:
            while end < len(path):
                end = path.find("/", end + 1)
                if end < 0:
                    return stat.S_ISLNK(os.lstat(path).st_mode)
                part = path[:end]
                if stat.S_ISLNK(os.lstat(part).st_mode):
                    return True
                looked_at.add(part)
        except (FileNotFoundError, NotADirectoryError):
            return False  # nothing is there, and what is not there is no link
        except OSError:
            return True
        return False

    def _folder(self, prefix: str) -> str:
        prefix = check_prefix(prefix)
        return self._path(prefix) if prefix else self.root

    def _writable(self, key: str) -> str:
        if self.read_only:
            raise StorageError("the store was opened read-only", where=key, fix="open it without read_only")
        return self._path(key)

    def local_path(self, key: str) -> Path | None:
        return Path(self._folder(key))

    # --- reading

    def get(self, key: str) -> bytes:
        with reading(key), open(self._path(key), "rb", opener=_file_only) as file:
            return file.read()

    def get_version(self, key: str) -> tuple[bytes, str]:
        with reading(key), open(self._path(key), "rb", buffering=0, opener=_file_only) as file:
            before = os.fstat(file.fileno())
            data = file.read()
            after = os.fstat(file.fileno())
        if version_tag(before) == version_tag(after) and len(data) == after.st_size:
            return data, version_tag(after)
        return super().get_version(key)  # somebody writes into the file itself

    def is_settled(self, etag: str) -> bool:
        return is_settled(etag)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        with reading(key), open(self._path(key), "rb", buffering=0, opener=_file_only) as file:
            file.seek(start)
            return _read_exactly(file, length)

    def chunks(self, key: str, size: int = 4 * 1024 * 1024) -> Iterator[bytes]:
        with reading(key), open(self._path(key), "rb", buffering=0, opener=_file_only) as file:
            while piece := file.read(size):
                yield piece

    def stat(self, key: str) -> Stat:
        path = self._path(key)
        with explained(key):
            status = os.stat(path)
        if not _is_file(status):
            raise NotFoundError("this is a folder, not a file", where=key)
        return stat_of(key, status)

    def is_folder(self, prefix: str) -> bool:
        return os.path.isdir(self._folder(prefix))

    def list(self, prefix: str = "") -> Iterator[Stat]:
        prefix = check_prefix(prefix)
        return self._listing.walk(prefix, self._folder(prefix))

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        prefix = check_prefix(prefix)
        return self._listing.children(prefix, self._folder(prefix))

    def scan(self, prefix: str = "", *, after: str = "", by_folder: bool = False) -> Iterator[Stat | Folder]:
        try:
            folder = check_prefix(parent_of(prefix))
            path = self._folder(folder)
        except StorageError:  # no key begins like this
            return iter(())
        return self._listing.scan(folder, path, prefix, after, by_folder)

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
        with explained(key):
            temporary, file = self._create_beside(path)
            try:
                with file:
                    file.write(data)
                    file.flush()
                    if durable:
                        os.fsync(file.fileno())
                    etag = version_tag(os.fstat(file.fileno()))
                if if_absent:
                    self._link(temporary, path, key)
                elif if_match is not None:
                    with self.lock("conditional-put"):
                        etag = made_newer(temporary, self._check_match(path, key, if_match))
                        self._rename(temporary, path)
                else:
                    self._rename(temporary, path)
            except BaseException:
                self._forget(temporary)
                raise
            if durable:
                self._flusher.paths([os.path.dirname(path)])
            return etag

    def put_files(self, files: Iterable[tuple[str, bytes]]) -> None:
        pairs = list(files)
        with self.prepare(dict(pairs)) as prepared:
            prepared.place(list(dict(pairs)))

    def prepare(self, files: Mapping[str, bytes], *, near: str | None = None) -> Prepared:
        aside = self._folder(near) if near is not None and self.is_folder(near) else None
        prepared = LocalPrepared(self, files)
        try:
            for key, data in files.items():
                prepared.write(key, self._writable(key), data, aside)
            with explained(near or "."):
                if aside is not None:
                    self._flusher.tree(aside)
                else:
                    self._flusher.paths(prepared.temporaries)
        except BaseException:
            prepared.discard()
            raise
        return prepared

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        path = self._writable(key)
        with explained(key):
            temporary, file = self._create_beside(path)
        return LocalWriter(self, key, path, temporary, file, durable)

    def _create_beside(self, path: str, folder: str | None = None) -> tuple[str, BinaryIO]:
        """A file that is to become ``path``, in its folder or another one of the same file system."""
        folder = folder or os.path.dirname(path)
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, "is a folder", path)
        temporary = f"{folder}/{TEMPORARY}{new_token()}"

        def create() -> BinaryIO:
            if folder not in self._swept:
                self._sweep(folder)
            return open(temporary, "xb")

        try:
            return temporary, self._in_folder(folder, create)
        except NotADirectoryError as error:
            raise file_in_the_way(path) from error

    def _in_folder(self, folder: str, action: Callable[[], _T]) -> _T:
        """Do what needs a folder; make the folder if it is not there, or was removed again by who found it empty."""
        for _ in range(_PATIENCE):
            try:
                return action()
            except FileNotFoundError:
                with suppress(FileNotFoundError):
                    try:
                        os.makedirs(folder, exist_ok=True)
                    except (FileExistsError, NotADirectoryError) as error:
                        if isinstance(error, NotADirectoryError) or os.path.isfile(folder):
                            raise file_in_the_way(folder) from error
        return action()

    def _sweep(self, folder: str) -> None:
        """Remove temporary files of dead processes, once per folder."""
        if len(self._swept) >= _MOST_SWEPT:
            self._swept.clear()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(TEMPORARY):
                    with suppress(FileNotFoundError):
                        if is_abandoned(entry.name.removeprefix(TEMPORARY), entry.stat().st_mtime):
                            os.unlink(entry.path)
        self._swept.add(folder)

    def _rename(self, source: str, target: str) -> None:
        os.replace(source, target)

    def _link(self, temporary: str, path: str, key: str) -> None:
        """Give the file its name only if that name is free."""
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise ConflictError("the object exists already", where=key, fix="read it, and decide again") from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK):
                raise
            with self.lock("conditional-put"):  # a file system without hard links
                if os.path.lexists(path):
                    raise ConflictError(
                        "the object exists already", where=key, fix="read it, and decide again"
                    ) from None
                self._rename(temporary, path)
            return
        os.unlink(temporary)

    def _check_match(self, path: str, key: str, if_match: str) -> int:
        """The time of the file in ns, if it is still at this version."""
        with suppress(FileNotFoundError):
            status = os.stat(path)
            if version_tag(status) == if_match:
                return status.st_mtime_ns
        raise ConflictError("the object was changed by somebody else", where=key, fix="read it again, and retry")

    def delete(self, key: str) -> None:
        path = self._writable(key)
        with explained(key):
            self._delete_file(path)

    def _delete_file(self, path: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)
            self._prune(os.path.dirname(path))

    def delete_version(self, key: str, etag: str) -> None:
        path = self._writable(key)
        with explained(key), self.lock("conditional-put"):
            if os.path.lexists(path):
                self._check_match(path, key, etag)
                self._delete_file(path)

    def delete_tree(self, prefix: str) -> None:
        prefix = check_prefix(prefix)
        if not prefix:
            for folder in self.children("")[0]:
                self.delete_tree(folder)
            self.delete_files([stat.key for stat in self.children("")[1]])
            return
        path = self._writable(prefix)
        with explained(prefix):
            if os.path.islink(path):
                os.unlink(path)
            elif os.path.isdir(path):
                with suppress(FileNotFoundError):
                    shutil.rmtree(path)
            else:
                return
            self._forget_sweeps(path)
            self._prune(os.path.dirname(path))

    def _prune(self, folder: str) -> None:
        """Remove folders that became empty, up to the root; but those of locks and the like are needed again soon."""
        while folder != self.root and folder.startswith(self.root + "/") and not folder.startswith(self._own):
            try:
                os.rmdir(folder)
            except OSError:
                return
            self._swept.discard(folder)
            folder = os.path.dirname(folder)

    def _forget_sweeps(self, path: str) -> None:
        self._swept = {folder for folder in tuple(self._swept) if not (folder + "/").startswith(path + "/")}

    def _forget(self, temporary: str) -> None:
        with suppress(OSError):
            os.unlink(temporary)
            self._prune(os.path.dirname(temporary))

    def move(self, source: str, target: str) -> None:
        start = self._writable(source)
        if os.path.isdir(start) and not os.path.islink(start):
            end = self._writable(target)
            if not os.path.lexists(end) and self._move_folder(start, end, target):
                return
            keys = [stat.key for stat in self.list(source)]
            for key in keys:
                self._move_file(key, join(target, key[len(source) + 1 :]))
        else:
            self._move_file(source, target)

    def _move_folder(self, start: str, end: str, target: str) -> bool:
        """Rename a folder; false if the two places are on different file systems."""
        with explained(target):
            try:
                self._in_folder(os.path.dirname(end), lambda: os.rename(start, end))
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                return False
        self._forget_sweeps(start)
        self._prune(os.path.dirname(start))
        return True

    def move_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        targets = self._move_all(pairs)
        with explained(parent_of(targets[-1]) if targets else "."):
            self._flusher.paths({os.path.dirname(path) for path in targets})

    def _move_all(self, pairs: Iterable[tuple[str, str]]) -> builtins.list[str]:
        """Move files; returns the paths of what has a new place, whose folders are to be flushed."""
        files = dict(pairs)
        targets: list[str] = []
        for start, end, keys in common_folders(files):
            for key in self._move_tree(start, end, keys, targets):
                del files[key]
        targets.extend(self._move_file(source, target) for source, target in files.items())
        return targets

    def _move_tree(
        self, start: str, end: str, keys: builtins.list[str], targets: builtins.list[str]
    ) -> builtins.list[str]:
        """Rename the folder ``start``, or those in it, if all its files are to be moved and its new name is free.

        ``keys`` are the files below ``start`` that go below ``end``; returns those that are there now. Their places
        are added to ``targets``.
        """
        path = self._writable(end)
        if not os.path.lexists(path):
            source = self._writable(start)
            there = {f"{start}{folder[len(source) :]}/{name}" for folder, _, names in os.walk(source) for name in names}
            if there != set(keys) or not self._move_folder(source, path, end):  # nobody's temporary file goes along
                return []
            targets.append(path)
            return keys
        below: dict[str, builtins.list[str]] = {}
        for key in keys:
            name, slash, _ = key[len(start) + 1 :].partition("/")
            if slash:
                below.setdefault(name, []).append(key)
        return [
            key
            for name in sorted(below)
            for key in self._move_tree(f"{start}/{name}", f"{end}/{name}", below[name], targets)
        ]

    def _move_file(self, source: str, target: str) -> str:
        start, end = self._writable(source), self._writable(target)
        with explained(source):
            if not os.path.lexists(start):
                raise NotFoundError("there is no such file", where=source)
            try:
                self._in_folder(os.path.dirname(end), lambda: os.replace(start, end))
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy_over(source, target)
        self._prune(os.path.dirname(start))
        return end

    def copy_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        for source, target in pairs:
            end = self._writable(target)
            with explained(source):
                self._in_folder(os.path.dirname(end), partial(second_name, self._path(source), end))

    def _copy_over(self, source: str, target: str) -> None:
        """Move between two file systems that are mounted below the root."""
        with self.open_writer(target) as writer:
            for piece in self.chunks(source):
                writer.write(piece)
        self.delete(source)

    def sync(self, prefix: str = "") -> None:
        path = self._folder(prefix)
        with explained(prefix or path):
            if os.path.isdir(path):
                self._flusher.tree(path)

    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[Lock]:
        if self.read_only:
            raise StorageError("the store was opened read-only", where=name, fix="open it without read_only")
        return file_lock(self._path(f"{_OWN}/locks/{check_key(name)}.lock"), name, timeout)


def _reopen(root: str, read_only: bool, follow_links: bool) -> LocalStore:
    return LocalStore(root, read_only=read_only, follow_links=follow_links)


def _read_exactly(file: RawIOBase, length: int) -> bytes:
    parts = []
    while length > 0 and (piece := file.read(length)):
        parts.append(piece)
        length -= len(piece)
    return b"".join(parts)


def _file_only(path: str, flags: int) -> int:
    """Opens a file; a pipe would be waited for, for ever."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # of a folder Python says so itself
        return descriptor
    os.close(descriptor)
    raise FileNotFoundError(errno.ENOENT, "neither a file nor a folder", path)


def _is_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode)
