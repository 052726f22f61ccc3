"""Digests of source files, remembered, so that a run that changes nothing reads no data file."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from tomoportal.archive.archive import Archive
from tomoportal.archive.layout import OWN
from tomoportal.errors import LockedError, NotFoundError, StorageError
from tomoportal.storage import Stat, Store, sha256_of
from tomoportal.storage.file_locks import file_lock

__all__ = ["SourceDigests"]

_KEY = f"{OWN}/cache/source-digests.json"
_LOCK = "source-digests"
_SETTLED_AFTER = 2.0  # seconds; a younger file may still change without a change of its time stamp
_READERS = 8
_LONGEST = 24 * 3600.0  # seconds that another process may take to read a file


@dataclass(frozen=True, slots=True)
class _Entry:
    size: int
    version: str
    sha256: str


class SourceDigests:
    """SHA-256 of source files and folders, by size and time of last change (or version tag on object stores).

        with SourceDigests(archive) as digests:
            digests.digest(source, "raw/TS_1.mrc")      # reads the file only if it is new or changed
            digests.digest(source, "raw/TS_1.zarr")     # a folder: digest of all names and contents in it

    The cache lies in the archive below ``.tomoportal/cache/``; it may be deleted at any time. Threads may share one
    object; several processes merge what they found when they close. Processes of one machine that are given the same
    ``folder``, an empty one, tell each other at once: what one is reading no other reads too.
    """

    def __init__(self, archive: Archive, folder: Path | None = None) -> None:
        self._folder = folder
        self._store = archive.store
        self._entries = self._load()
        self._new: dict[str, _Entry] = {}
        self._guard = threading.Lock()

    def digest(self, source: Store, key: str) -> str:
        """SHA-256 in hexadecimal of a file or of a folder. Raises :class:`NotFoundError`.

        The digest of a folder is that of the lines ``sha256␣␣name␊`` of all files below it, sorted by name.
        """
        if self._folder is None:
            return self._digest(source, key)
        name = _name(source, key)
        path = self._folder / f"digest-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
        with file_lock(f"{path}.lock", key, _LONGEST):
            with suppress(FileNotFoundError):
                told = msgspec.json.decode(path.read_bytes(), type=dict[str, _Entry])
                with self._guard:
                    self._entries |= told
            before = len(self._new)
            found = self._digest(source, key)
            if len(self._new) > before:
                with self._guard:
                    own = {one: entry for one, entry in self._new.items() if one == name or one.startswith(f"{name}/")}
                path.write_bytes(msgspec.json.encode(own))
        return found

    def _digest(self, source: Store, key: str) -> str:
        try:
            return self._file(source, source.stat(key))
        except NotFoundError:
            pass
        stats = list(source.list(key))
        if not stats:
            raise NotFoundError("there is no such file or folder", where=key)
        with ThreadPoolExecutor(_READERS, "digest") as pool:
            found = list(pool.map(lambda stat: self._file(source, stat), stats))
        total = hashlib.sha256()
        for stat, digest in zip(stats, found, strict=True):
            total.update(f"{digest}  {stat.key[len(key) + 1 :]}\n".encode("utf-8", "surrogateescape"))
        return total.hexdigest()

    def learn(self, source: Store, before: Stat, sha256: str) -> None:
        """Remember the digest of a file that was read in full since ``before``, unless it changed meanwhile."""
        self._remember(source, before, sha256)

    def flush(self) -> None:
        """Write what was found. A cache that cannot be written is no error: the next run reads the sources again."""
        if not self._new or self._store.read_only:
            return
        with suppress(LockedError, StorageError), self._store.lock(_LOCK, timeout=10):
            with self._guard:
                self._entries = {**self._load(), **self._new}
                self._new = {}
            self._store.put(_KEY, msgspec.json.encode(self._entries, order="sorted"), durable=False)

    def __enter__(self) -> SourceDigests:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.flush()

    def _file(self, source: Store, stat: Stat) -> str:
        name = _name(source, stat.key)
        known = self._new.get(name) or self._entries.get(name)
        if known and (known.size, known.version) == (stat.size, _version(stat)):
            return known.sha256
        sha256 = sha256_of(source, stat.key).sha256
        self._remember(source, stat, sha256)
        return sha256

    def _remember(self, source: Store, stat: Stat, sha256: str) -> None:
        # A file that changed while it was read, or may change within the tick of its time stamp, is not remembered.
        if abs(time.time() - stat.modified) > _SETTLED_AFTER and source.stat(stat.key) == stat:
            with self._guard:
                self._new[_name(source, stat.key)] = _Entry(stat.size, _version(stat), sha256)

    def _load(self) -> dict[str, _Entry]:
        try:
            return msgspec.json.decode(self._store.get(_KEY), type=dict[str, _Entry])
        except (NotFoundError, msgspec.DecodeError):
            return {}


def _name(source: Store, key: str) -> str:
    return f"{source.url.partition('?')[0].rstrip('/')}/{key}"


def _version(stat: Stat) -> str:
    return stat.etag or f"{stat.modified!r}"
