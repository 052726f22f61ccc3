"""A store over another one: everything is read through, every change stays above, the store below is never touched."""

from __future__ import annotations

import builtins
import heapq
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tomoportal.errors import ConflictError, NotFoundError
from tomoportal.storage.base import LOCK_TIMEOUT, Lock, Stat, Store, Writer

__all__ = ["OverlayStore"]


class OverlayStore(Store):
    """What ``lower`` would be after the changes that ``upper`` holds.

    One process may use it at a time: what is deleted is known to this object only.
    """

    read_only = False

    def __init__(self, lower: Store, upper: Store) -> None:
        self._lower, self._upper = lower, upper
        self._gone: set[str] = set()
        self.url = lower.url

    def _home(self, key: str) -> Store:
        """Where an object lies; the upper store for one that does not exist, which says so itself."""
        return self._upper if key in self._gone or self._upper.exists(key) else self._lower

    def get(self, key: str) -> bytes:
        return self._home(key).get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._home(key).get_range(key, start, length)

    def stat(self, key: str) -> Stat:
        return self._home(key).stat(key)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        last = None
        below = (stat for stat in self._lower.list(prefix) if stat.key not in self._gone)
        for stat in heapq.merge(self._upper.list(prefix), below, key=lambda stat: stat.key):  # stable: upper first
            if stat.key != last:
                last = stat.key
                yield stat

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        folders, stats = self._upper.children(prefix)
        more, below = self._lower.children(prefix)
        base = f"{prefix}/" if prefix else ""
        emptied = {key[len(base) :].partition("/")[0] for key in self._gone if key.startswith(base)}
        more = [name for name in more if name not in emptied or self.is_folder(base + name)]
        found = {stat.key: stat for stat in below if stat.key not in self._gone} | {stat.key: stat for stat in stats}
        return sorted({*folders, *more}), [found[key] for key in sorted(found)]

    def local_path(self, key: str) -> Path | None:
        if not key:
            return None
        if self._upper.exists(key):
            return self._upper.local_path(key)
        return self._lower.local_path(key) if key not in self._gone and self._lower.exists(key) else None

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = True,
    ) -> str:
        below = key not in self._gone and not self._upper.exists(key) and self._lower.exists(key)
        if below and if_absent:
            raise ConflictError("somebody else wrote this object first", where=key)
        if below and if_match is not None:
            if self._lower.stat(key).etag != if_match:
                raise ConflictError("somebody else changed this object", where=key)
            if_match, if_absent = None, True  # the first change of it: of several threads one wins
        return self._upper.put(key, data, if_match=if_match, if_absent=if_absent, durable=False)

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        return self._upper.open_writer(key, durable=False)

    def delete(self, key: str) -> None:
        self._hide(key)  # first: else another thread would see the old version below again for a moment
        self._upper.delete(key)

    def _hide(self, key: str) -> None:
        if key not in self._gone and self._lower.exists(key):
            self._gone.add(key)

    def delete_tree(self, prefix: str) -> None:
        for stat in builtins.list(self.list(prefix)):
            self.delete(stat.key)

    def move(self, source: str, target: str) -> None:
        if self.exists(source):
            self._move(source, target)
            return
        found = builtins.list(self.list(source))
        if not found:
            raise NotFoundError("there is no such object or folder", where=source)
        for stat in found:
            self._move(stat.key, target + stat.key[len(source) :])

    def _move(self, source: str, target: str) -> None:
        if self._upper.exists(source):
            self._hide(source)
            self._upper.move(source, target)
        else:
            with self._upper.open_writer(target, durable=False) as writer:
                for piece in self._lower.chunks(source):
                    writer.write(piece)
            self._hide(source)

    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[Lock]:
        return self._upper.lock(name, timeout=timeout)
