"""What every store can do."""

from __future__ import annotations

import builtins
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tomoportal.errors import ConflictError, NotFoundError, StorageError
from tomoportal.storage.keys import check_prefix, parent_of

__all__ = ["FileRecord", "Folder", "Lock", "Prepared", "Reading", "Stat", "Store", "Writer", "sha256_of"]

LOCK_TIMEOUT = 60.0
"""Seconds that :meth:`Store.lock` waits for another holder by default."""

_READ_SIZE = 4 * 1024 * 1024
_READINGS = 50  # how often one reads an object that others keep replacing


@dataclass(frozen=True, slots=True)
class Stat:
    """One object: its key, size in bytes, time of last change (seconds since the epoch) and version tag."""

    key: str
    size: int
    modified: float
    etag: str

    @property
    def is_folder(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a glob matched or a scan met; the key has no ``/`` at its end."""

    key: str

    @property
    def is_folder(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Reading:
    """One version of an object that is being read: its facts, and its bytes from ``start`` on as they arrive."""

    stat: Stat
    start: int
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True, order=True)
class FileRecord:
    """What is on record about a file: key, size in bytes, SHA-256 in hexadecimal."""

    key: str
    size: int
    sha256: str


class Lock(Protocol):
    """A lock that is held."""

    def check(self) -> None:
        """Raise :class:`~tomoportal.errors.LockedError` if the lock was lost (its lease ran out) since it was taken."""


class Writer(ABC):
    """A new object that appears under its key, whole, when the ``with`` block ends without an exception.

    ``size`` counts bytes so far; ``sha256`` and ``record`` may be read after the block.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.size = 0
        self._hash = hashlib.sha256()
        self._closed = False
        self.on_close: Callable[[FileRecord], None] | None = None
        """Called with the record once the object is visible."""

    def write(self, buffer: bytes | bytearray | memoryview) -> int:
        """Append ``buffer`` (any contiguous buffer, also a NumPy array's memoryview); return its size in bytes."""
        if self._closed:
            raise StorageError("the writer is closed", where=self.key)
        view = memoryview(buffer)
        view = view if view.format == "B" and view.ndim == 1 else view.cast("B")
        if view.nbytes:
            self._write(view)
            self._hash.update(view)
            self.size += view.nbytes
        return view.nbytes

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def record(self) -> FileRecord:
        return FileRecord(self.key, self.size, self.sha256)

    def close(self) -> None:
        """Make the object visible."""
        if not self._closed:
            self._closed = True
            self._commit()
            if self.on_close:
                self.on_close(self.record)

    def abort(self) -> None:
        """Forget what was written."""
        if not self._closed:
            self._closed = True
            self._abort()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    @abstractmethod
    def _write(self, view: memoryview) -> None: ...

    @abstractmethod
    def _commit(self) -> None: ...

    @abstractmethod
    def _abort(self) -> None: ...


class Prepared:
    """Small objects on their way; use it as a context manager, so that nothing stays of those that get no name."""

    def __init__(self, store: Store, files: Mapping[str, bytes]) -> None:
        self._store = store
        self._files = dict(files)

    def place(
        self,
        keys: Sequence[str],
        *,
        moves: Sequence[tuple[str, str]] = (),
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Move objects, call ``check``, then give these keys their content, in this order.

        All of it survives a power cut when this returns.
        """
        if moves:
            self._store.move_files(moves)
        check()
        self._store.put_files([(key, self._files.pop(key)) for key in keys])

    def discard(self) -> None:
        """Forget what got no name."""
        self._files.clear()

    def __enter__(self) -> Prepared:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


class Store(ABC):
    """A tree of objects under keys.

    A folder exists as long as an object lies below it. Every change of one object is atomic. With ``durable=False``
    a write survives the end of the process but not a power cut until :meth:`sync` was called: thousands of chunk
    files then cost one flush instead of one each.
    """

    url: str
    read_only: bool

    @property
    def lists_keys(self) -> bool:
        """Whether :meth:`scan` costs a request per thousand keys wherever it begins, and not one per folder."""
        return False

    @property
    def moves_folders(self) -> bool:
        """Whether :meth:`move` gives a folder another name in one step if nothing has that name."""
        return self.local_path("") is not None

    # --- reading

    @abstractmethod
    def get(self, key: str) -> bytes:
        """All bytes of an object. Raises :class:`NotFoundError`."""

    def get_version(self, key: str) -> tuple[bytes, str]:
        """All bytes of an object, and the version tag that belongs to them. Raises :class:`NotFoundError`."""
        etag = self.stat(key).etag
        for _ in range(_READINGS):
            data = self.get(key)
            now = self.stat(key).etag
            if now == etag:
                break
            etag = now
        return data, etag

    def is_settled(self, etag: str) -> bool:
        """Whether every later version has another tag: no for a time of the clock's present tick."""
        return True

    @abstractmethod
    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Bytes ``start … start + length``, fewer at the end of the object. Raises :class:`NotFoundError`."""

    @abstractmethod
    def stat(self, key: str) -> Stat:
        """Size, time and version of an object. Raises :class:`NotFoundError`, also for a folder."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[Stat]:
        """All objects below a folder, at any depth, sorted by key."""

    @abstractmethod
    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        """One level below a folder: names of sub-folders, and objects; both sorted."""

    def scan(self, prefix: str = "", *, after: str = "", by_folder: bool = False) -> Iterator[Stat | Folder]:
        """Objects whose key begins with the text ``prefix`` and comes after ``after``, sorted by key, as S3 lists them.

        With ``by_folder``, keys that have a ``/`` behind the prefix stand together as one :class:`Folder`, at the
        place of its name with a ``/``, if one of them comes after ``after``. Unlike :meth:`list`, the prefix may end
        within a name, and what lies before ``after`` is not read: page after page costs what the pages hold.
        ``after=behind("name/")`` continues behind a folder.
        """
        try:
            found = self.list(check_prefix(parent_of(prefix)))
        except StorageError:  # no key begins like this
            return
        last = None
        for stat in found:
            if stat.key <= after or not stat.key.startswith(prefix):
                continue
            name, slash, _ = stat.key[len(prefix) :].partition("/")
            if not (by_folder and slash):
                yield stat
            elif last != name:
                last = name
                yield Folder(prefix + name)

    @abstractmethod
    def local_path(self, key: str) -> Path | None:
        """Where the object or folder lies on the local disk, if it does (for memory mapping)."""

    def exists(self, key: str) -> bool:
        """Whether there is an object under this key (false for a folder)."""
        try:
            self.stat(key)
        except NotFoundError:
            return False
        return True

    def is_folder(self, prefix: str) -> bool:
        """Whether an object lies below this prefix."""
        return next(iter(self.list(prefix)), None) is not None

    def chunks(self, key: str, size: int = _READ_SIZE) -> Iterator[bytes]:
        """The bytes of an object in pieces of at most ``size``, for reading in bounded memory."""
        start = 0
        while piece := self.get_range(key, start, size):
            yield piece
            start += len(piece)
            if len(piece) < size:
                return

    def open_reader(self, key: str, start: int = 0, stop: int | None = None) -> Reading:
        """An object's facts and its bytes ``start … stop``, on object stores by one request for both.

        A negative ``start`` counts from the end. Raises :class:`NotFoundError`, and :class:`StorageError` for a range
        that begins behind the end.
        """
        stat = self.stat(key)
        first = max(stat.size + start, 0) if start < 0 else start
        last = stat.size if stop is None else min(stop, stat.size)
        if first > last:
            raise StorageError(f"the object has only {stat.size} bytes", where=key)

        def pieces() -> Iterator[bytes]:
            for begin in range(first, last, _READ_SIZE):
                yield self.get_range(key, begin, min(_READ_SIZE, last - begin))

        return Reading(stat, first, pieces())

    def glob(self, pattern: str) -> builtins.list[Stat | Folder]:
        """Objects and folders that match a pattern, sorted by key.

        ``*``, ``?`` and ``[…]`` match within a name and never a leading dot, ``**`` any number of folders; case
        matters; a trailing ``/`` asks for folders only. A folder ``*.zarr`` is one match: patterns look into it only
        where they name it by a part of their own. Only folders that can match are listed.
        """
        from tomoportal.storage.globbing import glob

        return glob(self, pattern)

    # --- writing

    @abstractmethod
    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = True,
    ) -> str:
        """Write an object; return its new version tag.

        ``if_match`` (a version tag) and ``if_absent`` refuse with :class:`~tomoportal.errors.ConflictError` when
        somebody else wrote first.
        """

    def put_files(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Write small objects, ``(key, data)`` each, in this order; all survive a power cut when it returns."""
        for key, data in files:
            self.put(key, data)

    def prepare(self, files: Mapping[str, bytes], *, near: str | None = None) -> Prepared:
        """Write small objects that get their names later, so that all of them are flushed at once.

        What lies below the folder ``near`` survives a power cut as well when this returns.
        """
        if near is not None:
            self.sync(near)
        return Prepared(self, files)

    @abstractmethod
    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        """A writer for a large object; see :class:`Writer`."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    def delete_version(self, key: str, etag: str) -> None:
        """Remove an object if it is still at this version. Raises :class:`ConflictError` if it is not.

        Only a local disk holds others off between the look and the removal: no object store deletes on a condition.
        """
        try:
            if self.stat(key).etag != etag:
                raise ConflictError(
                    "the object was changed by somebody else", where=key, fix="read it again, and retry"
                )
        except NotFoundError:
            return
        self.delete(key)

    @abstractmethod
    def delete_tree(self, prefix: str) -> None:
        """Remove everything below a folder."""

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Give an object, or all objects below a folder, another key. Raises :class:`NotFoundError`.

        An object under ``target`` is replaced; a folder there is merged, file by file.
        """

    def move_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Move many objects at once, ``(source, target)`` each, and make the result durable."""
        for source, target in pairs:
            self.move(source, target)

    def copy_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Give many objects a second key, ``(source, target)`` each, by what costs the store least.

        On a disk both are one file: a write to either key makes a new one, but who writes into it changes both.
        """
        for source, target in pairs:
            with self.open_writer(target, durable=False) as writer:
                for piece in self.chunks(source):
                    writer.write(piece)

    def delete_files(self, keys: Iterable[str]) -> None:
        """Remove many objects at once."""
        for key in keys:
            self.delete(key)

    def sync(self, prefix: str = "") -> None:
        """Make everything below ``prefix`` survive a power cut."""
        check_prefix(prefix)

    @abstractmethod
    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[Lock]:
        """Be the only holder of ``name`` (a key) among all processes and threads; ends with its process.

        Raises :class:`~tomoportal.errors.LockedError` after ``timeout`` seconds. Not re-entrant.
        """

    # --- views

    def sub(self, prefix: str) -> Store:
        """The store below a folder, with keys relative to it."""
        from tomoportal.storage.sub_store import SubStore

        prefix = check_prefix(prefix)
        return SubStore(self, prefix) if prefix else self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


def sha256_of(store: Store, key: str) -> FileRecord:
    """Read an object in pieces and return its record."""
    digest = hashlib.sha256()
    size = 0
    for piece in store.chunks(key):
        digest.update(piece)
        size += len(piece)
    return FileRecord(key, size, digest.hexdigest())
