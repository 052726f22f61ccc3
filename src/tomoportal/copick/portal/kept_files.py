"""Files of points and meshes that were read, kept in the user's cache folder so that the next program need not (C81).

A document is a line of JSON (address, version tag, SHA-256, when the server last said that it holds) and the bytes.
What does not have its digest is read again. The folder is bounded; what was written first goes first.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import orjson

from tomoportal.copick.portal.web import WebStore
from tomoportal.errors import StorageError
from tomoportal.storage import Store, open_store

__all__ = ["KeptFiles"]

_LOOKS: Final = 16  # into the folder's size while it is filled once


@dataclass(frozen=True)
class _Head:
    address: str
    etag: str
    sha256: str
    checked: float


class KeptFiles:
    """At most ``limit`` bytes below ``folder``; used without a question for ``seconds`` (0 or less: for ever)."""

    def __init__(self, folder: Path, *, limit: int, seconds: int) -> None:
        self._folder, self._limit, self._seconds = folder, limit, seconds
        self._since_look = limit  # another program may have left more than is allowed
        self._lock = threading.Lock()
        self._opened: Store | None = None
        self.revalidate = False
        """Ask the server whether what is kept still holds, however young it is."""

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self._folder, self._limit, self._seconds, self.revalidate)

    def read(self, web: WebStore, key: str) -> bytes:
        """The bytes of a file, from the disk if they are young enough. Raises as :meth:`WebStore.get` does."""
        address = f"{web.url}/{key}"
        name = hashlib.sha256(address.encode()).hexdigest()
        store = self._store()
        kept = _look(store, name, address) if store is not None else None
        if kept is not None and not self.revalidate and self._is_young(kept[0]):
            return kept[1]
        data, etag = web.get_if_changed(key, kept[0].etag if kept is not None else "")
        if data is None:
            assert kept is not None  # only then was the question conditional
            head, data = replace(kept[0], checked=time.time()), kept[1]
        else:
            head = _Head(address, etag, hashlib.sha256(data).hexdigest(), time.time())
        if store is not None and len(data) <= self._limit // _LOOKS:
            self._keep(store, name, orjson.dumps(asdict(head)) + b"\n" + data)
        return data

    def _is_young(self, head: _Head) -> bool:
        return self._seconds <= 0 or time.time() - head.checked <= self._seconds

    def _store(self) -> Store | None:
        if self._opened is None:
            try:
                self._opened = open_store(self._folder, create=True)
            except (StorageError, OSError):
                return None
        return self._opened

    def _keep(self, store: Store, name: str, document: bytes) -> None:
        """That it cannot be kept is no error: the next program asks the portal."""
        try:
            store.put(name, document, durable=False)
            with self._lock:
                self._since_look += len(document)
                if self._since_look < self._limit // _LOOKS:
                    return
                self._since_look = 0
            files = sorted(store.children()[1], key=lambda stat: stat.modified)
            surplus = sum(stat.size for stat in files) - self._limit
            for stat in files:
                if surplus <= 0:
                    break
                store.delete(stat.key)
                surplus -= stat.size
        except (StorageError, OSError):
            return


def _look(store: Store, name: str, address: str) -> tuple[_Head, bytes] | None:
    try:
        line, _, data = store.get(name).partition(b"\n")
        head = _Head(**orjson.loads(line))
    except (StorageError, OSError, orjson.JSONDecodeError, TypeError):
        return None
    is_whole = head.address == address and hashlib.sha256(data).hexdigest() == head.sha256
    return (head, data) if is_whole else None


def _again(folder: Path, limit: int, seconds: int, revalidate: bool) -> KeptFiles:
    found = KeptFiles(folder, limit=limit, seconds=seconds)
    found.revalidate = revalidate
    return found
