"""A view of a store below a folder, with keys relative to it."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from tomoportal.storage.base import LOCK_TIMEOUT, Folder, Lock, Reading, Stat, Store, Writer
from tomoportal.storage.keys import check_key, check_prefix, join

__all__ = ["SubStore"]


class SubStore(Store):
    """A view of the store below a folder."""

    def __init__(self, parent: Store, prefix: str) -> None:
        self._parent = parent
        self._prefix = prefix
        base, question, query = parent.url.partition("?")
        self.url = f"{base.rstrip('/')}/{prefix}{question}{query}"
        self.read_only = parent.read_only

    def _up(self, key: str) -> str:
        return f"{self._prefix}/{check_key(key)}"

    def _under(self, prefix: str) -> str:
        return join(self._prefix, check_prefix(prefix))

    def _down(self, stat: Stat) -> Stat:
        return Stat(stat.key[len(self._prefix) + 1 :], stat.size, stat.modified, stat.etag)

    @property
    def lists_keys(self) -> bool:
        return self._parent.lists_keys

    @property
    def moves_folders(self) -> bool:
        return self._parent.moves_folders

    def get(self, key: str) -> bytes:
        return self._parent.get(self._up(key))

    def get_version(self, key: str) -> tuple[bytes, str]:
        return self._parent.get_version(self._up(key))

    def is_settled(self, etag: str) -> bool:
        return self._parent.is_settled(etag)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._parent.get_range(self._up(key), start, length)

    def stat(self, key: str) -> Stat:
        return self._down(self._parent.stat(self._up(key)))

    def list(self, prefix: str = "") -> Iterator[Stat]:
        return map(self._down, self._parent.list(self._under(prefix)))

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        folders, stats = self._parent.children(self._under(prefix))
        return folders, [self._down(stat) for stat in stats]

    def scan(self, prefix: str = "", *, after: str = "", by_folder: bool = False) -> Iterator[Stat | Folder]:
        base = f"{self._prefix}/"
        for found in self._parent.scan(base + prefix, after=base + after, by_folder=by_folder):
            yield Folder(found.key[len(base) :]) if isinstance(found, Folder) else self._down(found)

    def open_reader(self, key: str, start: int = 0, stop: int | None = None) -> Reading:
        found = self._parent.open_reader(self._up(key), start, stop)
        return Reading(self._down(found.stat), found.start, found.pieces)

    def local_path(self, key: str) -> Path | None:
        return self._parent.local_path(self._under(key))

    def exists(self, key: str) -> bool:
        return self._parent.exists(self._up(key))

    def is_folder(self, prefix: str) -> bool:
        return self._parent.is_folder(self._under(prefix))

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = True,
    ) -> str:
        return self._parent.put(self._up(key), data, if_match=if_match, if_absent=if_absent, durable=durable)

    def put_files(self, files: Iterable[tuple[str, bytes]]) -> None:
        self._parent.put_files([(self._up(key), data) for key, data in files])

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        writer = self._parent.open_writer(self._up(key), durable=durable)
        writer.key = key
        return writer

    def delete(self, key: str) -> None:
        self._parent.delete(self._up(key))

    def delete_version(self, key: str, etag: str) -> None:
        self._parent.delete_version(self._up(key), etag)

    def delete_tree(self, prefix: str) -> None:
        self._parent.delete_tree(self._under(prefix))

    def move(self, source: str, target: str) -> None:
        self._parent.move(self._up(source), self._up(target))

    def move_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._parent.move_files([(self._up(source), self._up(target)) for source, target in pairs])

    def copy_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._parent.copy_files([(self._up(source), self._up(target)) for source, target in pairs])

    def delete_files(self, keys: Iterable[str]) -> None:
        self._parent.delete_files([self._up(key) for key in keys])

    def sync(self, prefix: str = "") -> None:
        self._parent.sync(self._under(prefix))

    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[Lock]:
        return self._parent.lock(self._up(name), timeout=timeout)

    def sub(self, prefix: str) -> Store:
        prefix = check_prefix(prefix)
        if not prefix:
            return self
        if type(self) is SubStore:
            return SubStore(self._parent, join(self._prefix, prefix))
        return SubStore(self, prefix)  # a view with manners of its own keeps them
