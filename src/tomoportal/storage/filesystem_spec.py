"""Stores on any protocol that fsspec knows: SSH, SMB, HTTP, S3 with arguments of s3fs, …

fsspec is not a dependency of the package; ``tomoportal[copick]`` brings it. A connection that broke is opened again
once. fsspec has no conditional writes: a condition is looked at before the write, which detects changes by others
but not two writes in the same moment.
"""

from __future__ import annotations

import builtins
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from tomoportal.errors import ConflictError, MissingPartError, NotFoundError, StorageError
from tomoportal.storage.base import LOCK_TIMEOUT, Lock, Stat, Store, Writer
from tomoportal.storage.keys import check_key, check_prefix, join, name_of, parent_of
from tomoportal.storage.leases import lease
from tomoportal.storage.owners import new_token

__all__ = ["FsspecStore", "file_system", "open_fsspec"]

_TEMPORARY: Final = ".tomoportal-tmp-"
_PATIENCE: Final = 5
_WHOLE_PUTS: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "memory"})
_BROKEN: Final = frozenset(
    {"ConnectionLost", "SFTPConnectionLost", "SFTPNoConnection", "BrokenPipeError", "DisconnectError"}
)
_BROKEN_NUMBERS: Final = frozenset({32, 104})

_T = TypeVar("_T")


def open_fsspec(url: str, arguments: Mapping[str, Any] | None = None, *, read_only: bool = False) -> FsspecStore:
    """The store of an fsspec URL, chained ones included. Raises :class:`MissingPartError` without its package."""
    return FsspecStore(url, dict(arguments or {}), read_only=read_only)


def file_system(url: str, arguments: Mapping[str, Any]) -> Any:
    """The fsspec file system of a URL, for callers that read by themselves. Raises :class:`MissingPartError`."""
    try:
        import fsspec
    except ImportError as error:
        raise MissingPartError(
            "the package fsspec is not installed", where=url, fix="pip install 'tomoportal[copick]'"
        ) from error
    return fsspec.core.url_to_fs(url, **arguments)[0]


class FsspecStore(Store):
    """Objects below an fsspec URL; ``arguments`` are those of its file system."""

    def __init__(self, url: str, arguments: dict[str, Any], *, read_only: bool = False) -> None:
        self.url = url
        self.read_only = read_only
        self._arguments = arguments
        self._one_at_a_time = threading.Lock()
        self._fs, self._root = self._connect()

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.url, self._arguments, self.read_only)

    def _connect(self) -> tuple[Any, str]:
        try:
            import fsspec
        except ImportError as error:
            raise MissingPartError(
                "the package fsspec is not installed", where=self.url, fix="pip install 'tomoportal[copick]'"
            ) from error
        try:
            fs, root = fsspec.core.url_to_fs(self.url, skip_instance_cache=True, **self._arguments)
        except ImportError as error:
            raise MissingPartError(f"its package is not installed: {error}", where=self.url) from error
        except (ValueError, TypeError, OSError) as error:
            raise StorageError(f"fsspec cannot open it: {error}", where=self.url, fix="check the *_fs_args") from error
        return fs, str(root).rstrip("/")

    @property
    def _is_whole(self) -> bool:
        protocol = self._fs.protocol
        return bool(_WHOLE_PUTS.intersection([protocol] if isinstance(protocol, str) else protocol))

    @property
    def _has_folders(self) -> bool:
        return not self._is_whole or "memory" in self._fs.protocol

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    def _key(self, path: str) -> str:
        return path[len(self._root) + 1 :] if path.startswith(self._root + "/") else path.lstrip("/")

    def _writable(self, key: str) -> str:
        if self.read_only:
            raise StorageError("the store was opened read-only", where=key, fix="open it without read_only")
        return self._path(check_key(key))

    def _do(self, key: str, action: Callable[[Any], _T]) -> _T:
        """Call the file system; connect again once if the connection broke; explain what fails."""
        try:
            try:
                return action(self._fs)
            except Exception as error:
                if not _is_broken(error):
                    raise
                self._fs, self._root = self._connect()
                return action(self._fs)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFoundError("there is no such file", where=key) from error
        except (OSError, NotImplementedError) as error:
            raise StorageError(f"the file system failed: {error or type(error).__name__}", where=key) from error

    # --- reading

    def get(self, key: str) -> bytes:
        return bytes(self._do(key, lambda fs: fs.cat_file(self._path(check_key(key)))))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        size = self.stat(key).size
        end = min(start + length, size)
        if start >= end:
            return b""
        return bytes(self._do(key, lambda fs: fs.cat_file(self._path(key), start=start, end=end)))

    def stat(self, key: str) -> Stat:
        def info(fs: Any) -> dict[str, Any]:
            fs.invalidate_cache()
            found: dict[str, Any] = fs.info(self._path(check_key(key)))
            return found

        found = self._do(key, info)
        if found["type"] != "file":
            raise NotFoundError("this is a folder, not a file", where=key)
        return _stat(key, found)

    def is_folder(self, prefix: str) -> bool:
        return bool(self._do(prefix, lambda fs: fs.isdir(self._path(check_prefix(prefix)))))

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

        def ls(fs: Any) -> builtins.list[dict[str, Any]]:
            fs.invalidate_cache()  # a colleague's new file must be seen (C60)
            return list(fs.ls(self._path(prefix), detail=True))

        try:
            found = self._do(prefix, ls)
        except NotFoundError:
            return [], []
        folders, files = [], []
        for each in found:
            name = name_of(str(each["name"]).rstrip("/"))
            if not name or name.startswith(_TEMPORARY) or str(each["name"]).rstrip("/") == self._path(prefix):
                continue
            if each["type"] == "directory":
                folders.append(name)
            elif each["type"] == "file":
                files.append(_stat(join(prefix, name), each))
        return sorted(folders), sorted(files, key=lambda stat: stat.key)

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

        def write(fs: Any) -> None:
            fs.makedirs(parent_of(path), exist_ok=True)
            if self._is_whole:
                fs.pipe_file(path, content)
                return
            beside = f"{parent_of(path)}/{_TEMPORARY}{new_token()}"
            try:
                fs.pipe_file(beside, content)
                _rename(fs, beside, path)
            except BaseException:
                with suppress(OSError):
                    fs.rm_file(beside)
                raise

        if not if_absent and if_match is None:
            self._write_in_folder(key, write)
            return self.stat(key).etag
        with self._one_at_a_time:
            try:
                found = self.stat(key).etag
            except NotFoundError:
                found = None
            if found != if_match:
                raise ConflictError(
                    "the object was changed by somebody else", where=key, fix="read it again, and retry"
                )
            self._write_in_folder(key, write)
            return self.stat(key).etag

    def _write_in_folder(self, key: str, write: Callable[[Any], None]) -> None:
        """Write; again if somebody who found the folder empty removed it between its making and the write."""
        for _ in range(_PATIENCE):
            with suppress(NotFoundError):
                return self._do(key, write)
        return self._do(key, write)

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        self._writable(key)
        return _BufferedWriter(self, key)

    def delete(self, key: str) -> None:
        path = self._writable(key)
        with suppress(NotFoundError):
            self._do(key, lambda fs: fs.rm_file(path))
            self._prune(parent_of(key))

    def _prune(self, folder: str) -> None:
        """Remove folders that became empty, where folders are things of their own."""
        while folder and self._has_folders:
            try:
                if self._do(folder, lambda fs, path=self._path(folder): fs.ls(path, detail=False)):  # type: ignore[misc]
                    return
                self._do(folder, lambda fs, path=self._path(folder): fs.rmdir(path))  # type: ignore[misc]
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
                self._do(prefix, lambda fs: fs.rm(path, recursive=True))
            self._prune(parent_of(prefix))

    def move(self, source: str, target: str) -> None:
        start, end = self._writable(source), self._writable(target)
        if self.exists(source):
            self._do(source, lambda fs: fs.makedirs(parent_of(end), exist_ok=True))
            self._do(source, lambda fs: _rename(fs, start, end))
            self._prune(parent_of(source))
            return
        keys = [stat.key for stat in self.list(source)]
        if not keys:
            raise NotFoundError("there is no such file or folder", where=source)
        for key in keys:
            self.move(key, join(target, key[len(source) + 1 :]))
        self.delete_tree(source)

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


def _rename(fs: Any, start: str, end: str) -> None:
    """Rename where the protocol can, else copy and remove; the general ``mv`` takes names for patterns."""
    from fsspec import AbstractFileSystem
    from fsspec.asyn import AsyncFileSystem, sync

    if hasattr(type(fs), "_mv") and not hasattr(AsyncFileSystem, "_mv"):  # SSH: its ``mv`` is the general one
        sync(fs.loop, fs._mv, start, end)
    elif type(fs).mv in (AbstractFileSystem.mv, AsyncFileSystem.mv):
        fs.cp_file(start, end)
        fs.rm_file(start)
    else:
        fs.mv(start, end)


def _is_broken(error: Exception) -> bool:
    return type(error).__name__ in _BROKEN or getattr(error, "errno", None) in _BROKEN_NUMBERS


def _stat(key: str, info: Mapping[str, Any]) -> Stat:
    modified = next((info[name] for name in ("mtime", "LastModified", "last_modified", "created") if info.get(name)), 0)
    seconds = modified.timestamp() if hasattr(modified, "timestamp") else float(modified)
    size = int(info.get("size") or 0)
    tag = info.get("ETag") or info.get("etag") or f"{info.get('ino', 0):x}-{seconds!r}-{size:x}"
    return Stat(key, size, seconds, str(tag))
