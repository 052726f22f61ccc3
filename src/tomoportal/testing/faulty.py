"""A store that counts, is slow, and fails or dies at the n-th operation."""

from __future__ import annotations

import builtins
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tomoportal.errors import StorageError
from tomoportal.storage import FileRecord, Folder, Lock, Stat, Store, Writer
from tomoportal.storage.base import LOCK_TIMEOUT

__all__ = ["FaultyStore", "Killed"]

READS = frozenset({"get", "get_range", "stat", "list", "children", "scan"})


class Killed(BaseException):
    """The process died here. Nothing that runs afterwards reaches the store, as if it had not run."""


class FaultyStore(Store):
    """Passes everything on to ``inner``; compound operations are taken apart, so that each file is one operation.

    ``counts`` has the operations by name. ``fail_at`` is the number (from 0) of the operation that fails instead of
    being done, with a :class:`StorageError`, or with :class:`Killed` if ``kill``; only operations for which
    ``counted`` is true are numbered (default: all). ``delay`` is slept before each, in seconds.
    """

    def __init__(
        self,
        inner: Store,
        *,
        fail_at: int | None = None,
        kill: bool = False,
        counted: Callable[[str, str], bool] = lambda operation, key: True,
        delay: float = 0.0,
    ) -> None:
        self.inner = inner
        self.url = inner.url
        self.read_only = inner.read_only
        self.counts: Counter[str] = Counter()
        self.fail_at = fail_at
        self.kill = kill
        self.counted = counted
        self.delay = delay
        self.operations = 0
        self.dead = False

    @classmethod
    def only_writes(cls, inner: Store, *, fail_at: int | None = None, kill: bool = False) -> FaultyStore:
        """Number only the operations that change something."""
        return cls(inner, fail_at=fail_at, kill=kill, counted=lambda operation, key: operation not in READS)

    @property
    def lists_keys(self) -> bool:
        return self.inner.lists_keys

    def step(self, operation: str, key: str) -> None:
        """One operation is about to be done."""
        if self.dead:
            raise Killed(f"{operation} {key} after the end of the process")
        self.counts[operation] += 1
        if self.delay:
            time.sleep(self.delay)
        if not self.counted(operation, key):
            return
        number, self.operations = self.operations, self.operations + 1
        if number == self.fail_at:
            if self.kill:
                self.dead = True
                raise Killed(f"{operation} {key}")
            raise StorageError(f"injected fault in {operation}", where=key)

    @property
    def moves_folders(self) -> bool:
        return self.inner.moves_folders

    def get(self, key: str) -> bytes:
        self.step("get", key)
        return self.inner.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        self.step("get_range", key)
        return self.inner.get_range(key, start, length)

    def stat(self, key: str) -> Stat:
        self.step("stat", key)
        return self.inner.stat(key)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        self.step("list", prefix)
        return self.inner.list(prefix)

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        self.step("children", prefix)
        return self.inner.children(prefix)

    def scan(self, prefix: str = "", *, after: str = "", by_folder: bool = False) -> Iterator[Stat | Folder]:
        self.step("scan", prefix)
        return self.inner.scan(prefix, after=after, by_folder=by_folder)

    def local_path(self, key: str) -> Path | None:
        return self.inner.local_path(key)

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = True,
    ) -> str:
        self.step("put", key)
        return self.inner.put(key, data, if_match=if_match, if_absent=if_absent, durable=durable)

    def put_files(self, files: Iterable[tuple[str, bytes]]) -> None:
        for key, data in files:
            self.put(key, data)

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        self.step("open_writer", key)
        return _FaultyWriter(self, self.inner.open_writer(key, durable=durable))

    def delete(self, key: str) -> None:
        self.step("delete", key)
        self.inner.delete(key)

    def delete_tree(self, prefix: str) -> None:
        for stat in builtins.list(self.inner.list(prefix)):
            self.delete(stat.key)
        self.step("delete_tree", prefix)
        self.inner.delete_tree(prefix)

    def move(self, source: str, target: str) -> None:
        self.step("move", source)
        self.inner.move(source, target)

    def move_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        for source, target in pairs:
            self.move(source, target)

    def copy_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        for source, target in pairs:
            self.step("copy", source)
            self.inner.copy_files([(source, target)])

    def sync(self, prefix: str = "") -> None:
        self.step("sync", prefix)
        self.inner.sync(prefix)

    @contextmanager
    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> Iterator[Lock]:
        self.step("lock", name)
        with self.inner.lock(name, timeout=timeout) as lock:  # released also by a death, as a real lock is
            yield lock


class _FaultyWriter(Writer):
    def __init__(self, store: FaultyStore, inner: Writer) -> None:
        super().__init__(inner.key)
        self._store, self._inner = store, inner

    def _write(self, view: memoryview) -> None:
        self._store.step("write", self.key)
        self._inner.write(view)

    def _commit(self) -> None:
        try:
            self._store.step("commit", self.key)
        except BaseException:
            self._inner.abort()
            raise
        self._inner.close()

    def _abort(self) -> None:
        self._inner.abort()

    @property
    def record(self) -> FileRecord:
        return FileRecord(self.key, self.size, self.sha256)
