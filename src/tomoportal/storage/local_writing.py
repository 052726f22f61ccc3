"""Files on their way into a folder: written under temporary names, flushed, renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from tomoportal.storage.base import Prepared, Writer
from tomoportal.storage.keys import parent_of
from tomoportal.storage.local_listing import TEMPORARY
from tomoportal.storage.os_errors import explained
from tomoportal.storage.owners import new_token

if TYPE_CHECKING:
    from tomoportal.storage.local import LocalStore

__all__ = ["LocalPrepared", "LocalWriter", "common_folders", "second_name"]

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV, errno.EEXIST})


def common_folders(files: dict[str, str]) -> list[tuple[str, str, list[str]]]:
    """The topmost folders that keep their inner order in a move: source, target and keys of the files of each."""
    found: dict[tuple[str, str], list[str]] = {}
    for source, target in files.items():
        if source.rpartition("/")[2] == target.rpartition("/")[2]:
            start, end = parent_of(source), parent_of(target)
            while start and end and start.rpartition("/")[2] == end.rpartition("/")[2]:
                start, end = parent_of(start), parent_of(end)
            if start and end and not f"{end}/".startswith(f"{start}/"):
                found.setdefault((start, end), []).append(source)
    return [(start, end, keys) for (start, end), keys in sorted(found.items())]


def second_name(path: str, other: str) -> None:
    """Give a file another name as well; where the disk cannot, a copy gets it."""
    try:
        os.link(path, other)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        temporary = f"{os.path.dirname(other)}/{TEMPORARY}{new_token()}"
        shutil.copy2(path, temporary)
        os.replace(temporary, other)


class LocalWriter(Writer):
    def __init__(self, store: LocalStore, key: str, path: str, temporary: str, file: BinaryIO, durable: bool) -> None:
        super().__init__(key)
        self._store, self._path, self._temporary, self._file, self._durable = store, path, temporary, file, durable

    def _write(self, view: memoryview) -> None:
        with explained(self.key):
            self._file.write(view)

    def _commit(self) -> None:
        with explained(self.key):
            try:
                with self._file:
                    self._file.flush()
                    if self._durable:
                        os.fsync(self._file.fileno())
                self._store._rename(self._temporary, self._path)
            except BaseException:
                self._store._forget(self._temporary)
                raise
            if self._durable:
                self._store._flusher.paths([os.path.dirname(self._path)])

    def _abort(self) -> None:
        with suppress(OSError):  # a full disk refuses the rest of the buffer, too
            self._file.close()
        self._store._forget(self._temporary)


class LocalPrepared(Prepared):
    """Temporary files, flushed together by :meth:`LocalStore.prepare`."""

    def __init__(self, store: LocalStore, files: Mapping[str, bytes]) -> None:
        super().__init__(store, files)
        self._local = store
        self._paths: dict[str, tuple[str, str]] = {}

    @property
    def temporaries(self) -> list[str]:
        """Paths of the files that have no name yet."""
        return [temporary for temporary, _ in self._paths.values()]

    def write(self, key: str, path: str, data: bytes, folder: str | None) -> None:
        """Write the file that becomes ``path``, in ``folder`` (its own without one)."""
        with explained(key):
            temporary, file = self._local._create_beside(path, folder)
            self._paths[key] = temporary, path
            with file:
                file.write(data)

    def place(
        self,
        keys: Sequence[str],
        *,
        moves: Sequence[tuple[str, str]] = (),
        check: Callable[[], None] = lambda: None,
    ) -> None:
        changed = {os.path.dirname(path) for path in self._local._move_all(moves)} if moves else set()
        check()
        for key in keys:
            temporary, path = self._paths[key]
            with explained(key):
                try:
                    self._local._in_folder(os.path.dirname(path), partial(self._local._rename, temporary, path))
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    self._local.put(key, self._files[key])  # its folder is on another file system
                    continue
            del self._paths[key]
            changed.add(os.path.dirname(path))
        with explained(keys[-1] if keys else "."):
            self._local._flusher.paths(changed)

    def discard(self) -> None:
        super().discard()
        for temporary in self.temporaries:
            self._local._forget(temporary)
        self._paths.clear()
