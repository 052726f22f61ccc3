"""Files of an item before it is published: written below ``.tomoportal/``, known by the keys that they will have."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from tomoportal.archive.layout import OWN, Container, owner, staged, staging_prefix
from tomoportal.archive.layout import journal as journal_key
from tomoportal.archive.manifest import ItemRecord
from tomoportal.errors import ArchiveError, NotFoundError
from tomoportal.storage import FileRecord, Folder, Lock, Stat, Store, Writer
from tomoportal.storage.base import LOCK_TIMEOUT
from tomoportal.storage.keys import check_key, check_prefix
from tomoportal.storage.owners import is_abandoned, new_token
from tomoportal.storage.sub_store import SubStore

__all__ = ["Staging", "sweep"]


class Staging:
    """Collects the files of one item; made by :meth:`Archive.stage`.

    Write through ``store``, whose keys are those of the archive. ``records`` has what was written, with digests.
    Use it as a context manager, or call :meth:`discard`, so that nothing stays behind when a step fails.
    """

    def __init__(self, store: Store, container: Container, current: ItemRecord | None) -> None:
        self.container = container
        self.token = new_token()
        self._root = store
        self._current = {record.key: record for record in current.files} if current else {}
        self._kept: dict[str, FileRecord] = {}
        self._handed_over = False
        self._finished = False
        self._store = _StagingStore(store, self.prefix, container)
        self.store: Store = self._store

    @property
    def prefix(self) -> str:
        """The folder below which the files lie; see :func:`tomoportal.archive.layout.staged`."""
        return staging_prefix(self.token)

    @property
    def records(self) -> list[FileRecord]:
        """Every file of the item so far, staged or kept, sorted by key."""
        return sorted({**self._kept, **self._store.records}.values())

    @property
    def staged(self) -> dict[str, FileRecord]:
        """The files that were written here, by key."""
        return self._store.records

    @property
    def kept(self) -> dict[str, FileRecord]:
        return self._kept

    def keep(self, *keys: str) -> list[FileRecord]:
        """Take over files of the item as it is published now, unchanged: a key, or the folder of several.

        Returns their records. Raises :class:`ArchiveError` if the item has no such file.
        """
        taken = []
        for key in keys:
            found = [record for each, record in self._current.items() if each == key or each.startswith(f"{key}/")]
            if not found:
                raise ArchiveError("the published item has no such file to keep", where=key, fix="make the file anew")
            taken.extend(found)
        self._kept.update({record.key: record for record in taken})
        return taken

    def add(self, records: Iterable[FileRecord]) -> None:
        """Note files that another process wrote through a copy of ``store``."""
        for record in records:
            self._store.note(record)

    def hand_over(self) -> None:
        """From now on a journal says what becomes of the files, also if this process fails."""
        self._handed_over = True

    def finish(self) -> None:
        """The files are published; nothing is left here."""
        self._finished = True

    def discard(self) -> None:
        """Remove what was staged, unless it is being published."""
        if self._finished or (self._handed_over and self._root.exists(journal_key(self.container))):
            return
        self._root.delete_tree(self.prefix)
        self._store.records.clear()

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


class _StagingStore(SubStore):
    """A view whose writes are recorded with their digests; they are flushed together when the item is published.

    Where a file lies follows from its key; which files there are, the records say.
    """

    def __init__(self, parent: Store, prefix: str, container: Container) -> None:
        super().__init__(parent, prefix)
        self._container = container
        self.records: dict[str, FileRecord] = {}

    def _up(self, key: str) -> str:
        return staged(self._prefix, check_key(key))

    def _below(self, prefix: str) -> builtins.list[str]:
        prefix = check_prefix(prefix)
        return sorted(key for key in self.records if not prefix or key.startswith(f"{prefix}/"))

    def local_path(self, key: str) -> Path | None:
        return self._parent.local_path(self._up(key) if key else self._prefix)

    def stat(self, key: str) -> Stat:
        return replace(self._parent.stat(self._up(key)), key=key)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        return map(self.stat, self._below(prefix))

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        start = len(prefix) + 1 if prefix else 0
        keys = self._below(prefix)
        folders = {key[start:].partition("/")[0] for key in keys if "/" in key[start:]}
        return sorted(folders), [self.stat(key) for key in keys if "/" not in key[start:]]

    def scan(self, prefix: str = "", *, after: str = "", by_folder: bool = False) -> Iterator[Stat | Folder]:
        return Store.scan(self, prefix, after=after, by_folder=by_folder)

    def is_folder(self, prefix: str) -> bool:
        return bool(self._below(prefix))

    def sync(self, prefix: str = "") -> None:
        self._parent.sync(self._prefix)

    def note(self, record: FileRecord) -> None:
        self._check(record.key)
        self.records[record.key] = record

    def _check(self, key: str) -> None:
        if owner(key) != self._container:
            raise ArchiveError(
                f"this file does not belong to {self._container}", where=key, fix="stage it in its own container"
            )

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = False,
    ) -> str:
        self._check(key)
        etag = super().put(key, data, if_match=if_match, if_absent=if_absent, durable=False)
        size = data.nbytes if isinstance(data, memoryview) else len(data)
        self.records[key] = FileRecord(key, size, hashlib.sha256(data).hexdigest())
        return etag

    def put_files(self, files: Iterable[tuple[str, bytes]]) -> None:
        for key, data in files:
            self.put(key, data)

    def open_writer(self, key: str, *, durable: bool = False) -> Writer:
        self._check(key)
        writer = super().open_writer(key, durable=False)
        # A view below this one gives the writer a shorter key; on record is the archive's.
        writer.on_close = lambda record: self.note(replace(record, key=key))
        return writer

    def delete(self, key: str) -> None:
        super().delete(key)
        self.records.pop(key, None)

    def delete_files(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.delete(key)

    def delete_tree(self, prefix: str) -> None:
        self.delete_files(self._below(prefix))

    def move(self, source: str, target: str) -> None:
        keys = [source] if source in self.records else self._below(source)
        if not keys:
            raise NotFoundError("there is no such file", where=source)
        for key in keys:
            self._move_file(key, target + key[len(source) :])

    def move_files(self, pairs: Iterable[tuple[str, str]]) -> None:
        for source, target in pairs:
            self.move(source, target)

    def _move_file(self, source: str, target: str) -> None:
        self._check(target)
        super().move(source, target)
        self.note(replace(self.records.pop(source), key=target))

    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[Lock]:
        return self._parent.lock(f"staging/{name}", timeout=timeout)


def sweep(store: Store, in_use: Iterable[str]) -> list[str]:
    """Remove staging folders of dead processes, except those that a journal needs; return their tokens."""
    needed = set(in_use)
    removed = []
    for token in store.children(f"{OWN}/staging")[0]:
        folder = f"{OWN}/staging/{token}"
        if token in needed:
            continue
        newest = max((stat.modified for stat in store.list(folder)), default=0.0)
        if is_abandoned(token, newest):
            store.delete_tree(folder)
            removed.append(token)
    return removed
