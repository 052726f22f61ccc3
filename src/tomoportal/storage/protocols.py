"""What the file systems of fsspec do each in its own way: naming, listing, renaming, and how they say that they cannot.

A :class:`Protocol` wraps the file system of one connection. Paths are those of the file system, without a protocol.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ClassVar, Final, TypeAlias, TypeVar
from urllib.parse import quote, unquote

from tomoportal.errors import MissingPartError, StorageError
from tomoportal.storage.keys import name_of

__all__ = ["SMB_DENIED", "Info", "Protocol", "is_broken", "is_busy", "is_denied", "is_missing", "protocol_of"]

Info: TypeAlias = dict[str, Any]
_T = TypeVar("_T")

_WHOLE_PUTS: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "adl", "memory"})
_AT_A_TIME: Final = 16

_BROKEN: Final = frozenset(
    {
        # of any library
        *("BrokenPipeError", "ConnectionAbortedError", "ConnectionRefusedError", "ConnectionResetError", "EOFError"),
        # SSH
        *("ConnectionLost", "DisconnectError", "SFTPConnectionLost", "SFTPNoConnection", "SSHException"),
        # HTTP
        *("ClientConnectionError", "ClientPayloadError", "FSTimeoutError", "TimeoutError"),
    }
)
_BROKEN_NUMBERS: Final = frozenset(
    {
        *(errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN, errno.ENETRESET),
        *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH),
        errno.ETIMEDOUT,
    }
)
_BUSY_ANSWERS: Final = frozenset({429, 500, 502, 503, 504})
SMB_DENIED: Final = 0xC0000022
_SMB_REFUSALS: Final = frozenset({SMB_DENIED, 0xC00000A2})  # media write protected
_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})


def is_broken(error: BaseException) -> bool:
    """Whether the connection broke, or the server was busy, rather than the request being wrong."""
    if any(clazz.__name__ in _BROKEN for clazz in type(error).__mro__):
        return True
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        return is_broken(error.__cause__)  # fsspec takes a web server that does not answer for one without the file
    if isinstance(error, OSError):
        return error.errno in _BROKEN_NUMBERS
    # What sshfs says of a connection that was lost before its first channel was opened.
    return is_busy(error) or (isinstance(error, ValueError) and "create any SFTP connections" in str(error))


def is_busy(error: BaseException) -> bool:
    """Whether a web server says that it cannot do it now."""
    return getattr(error, "status", None) in _BUSY_ANSWERS


def is_missing(error: BaseException) -> bool:
    """Whether nothing of this kind is there: no such file, or a folder in the place of a file."""
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return not is_broken(error)
    return isinstance(error, OSError) and error.errno in _MISSING


def is_denied(error: BaseException) -> bool:
    """Whether the server knows the request and refuses it."""
    if isinstance(error, PermissionError) or type(error).__name__ == "SFTPPermissionDenied":
        return True
    if getattr(error, "ntstatus", None) in _SMB_REFUSALS:
        return True
    return getattr(error, "errno", None) in (errno.EACCES, errno.EPERM, errno.EROFS) or (
        getattr(error, "status", None) in (401, 403, 405)
    )


class Protocol:
    """What holds of any file system that has folders, and of whose renaming nothing is known."""

    is_whole: ClassVar[bool] = False
    """Whether an object appears whole when it is written under its name."""
    is_exclusive: ClassVar[bool] = False
    """Whether :meth:`claim` lets one of several processes win, and :meth:`replace` is one step also for folders."""
    has_folders: bool = True
    is_exact: ClassVar[bool] = True
    """Whether times tell two writes of the same second apart."""
    reconnects: ClassVar[bool] = False
    """Whether it opens a connection that broke again by itself, at the next request."""

    def __init__(self, fs: Any, root: str) -> None:
        self.fs, self.root = fs, root

    def path(self, key: str) -> str:
        """The path of a key. Raises :class:`StorageError` for names that the protocol cannot carry."""
        return f"{self.root}/{key}" if key else self.root

    def info(self, path: str) -> Info:
        """Size, type, time, links followed."""
        self.fs.invalidate_cache()
        found: Info = self.fs.info(path)
        return found

    def ls(self, path: str) -> Iterator[tuple[str, Info]]:
        """Names in a folder, with what :meth:`info` says of each."""
        self.fs.invalidate_cache()  # a colleague's new file must be seen (C60)
        for found in self.fs.ls(path, detail=True):
            place = str(found["name"]).rstrip("/")
            name = name_of(place)
            if name and place != path:
                yield name, self._followed(f"{path}/{name}", found)

    def _followed(self, path: str, found: Info) -> Info:
        if found["type"] in ("file", "directory"):
            return found
        try:
            return self.info(path)
        except OSError:  # a link that leads nowhere
            return found

    def is_folder(self, path: str) -> bool:
        try:  # fsspec's own way takes a lost connection for a folder that is not there
            return bool(self.info(path)["type"] == "directory")
        except Exception as error:
            if is_missing(error):
                return False
            raise

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of an object, or of a range that lies in it."""
        if start is None:
            return bytes(self.fs.cat_file(path))
        return bytes(self.fs.cat_file(path, start=start, end=end))

    def write(self, path: str, data: bytes) -> None:
        self.fs.pipe_file(path, data)

    def write_if(self, path: str, data: bytes, tag: str | None) -> str | None:
        """Write an object that is still at the version ``tag`` (None: not there), and return the new one.

        Here the condition is left to the caller, who is told nothing. Raises :class:`FileExistsError`.
        """
        self.write(path, data)
        return None

    def make_folder(self, path: str) -> None:
        self.fs.makedirs(path, exist_ok=True)

    def replace(self, start: str, end: str) -> None:
        """Give an object or folder another name; an object of that name is replaced."""
        from fsspec import AbstractFileSystem
        from fsspec.asyn import AsyncFileSystem

        if type(self.fs).mv in (AbstractFileSystem.mv, AsyncFileSystem.mv):  # takes names for patterns
            self.fs.cp_file(start, end)
            self.fs.rm_file(start)
        else:
            self.fs.mv(start, end)

    def claim(self, start: str, end: str) -> None:
        """Give an object a name that is free. Raises :class:`FileExistsError`."""
        if self.fs.exists(end):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), end)
        self.replace(start, end)

    def set_time(self, path: str, seconds: int) -> None:
        """Only asked of those that are not :attr:`is_exact`."""

    def remove(self, path: str) -> None:
        self.fs.rm_file(path)

    def remove_folder(self, path: str) -> None:
        """Remove a folder. Raises an :class:`OSError` if it is not empty."""
        if self.fs.ls(path, detail=False):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        self.fs.rmdir(path)

    def remove_tree(self, path: str) -> None:
        """Remove a folder with all that is in it. The file systems' own ways take names for patterns."""
        files = []
        for name, found in self.ls(path):
            if found["type"] == "directory":
                self.remove_tree(f"{path}/{name}")
            else:
                files.append(f"{path}/{name}")
        for file in files:
            with suppress(FileNotFoundError):
                self.remove(file)
        if self.has_folders:
            with suppress(FileNotFoundError):  # some drop a folder with what was in it
                self.remove_folder(path)


class _Objects(Protocol):
    """Object stores, and memory."""

    is_whole = True

    def __init__(self, fs: Any, root: str) -> None:
        super().__init__(fs, root)
        self.has_folders = "memory" in fs.protocol

    def is_folder(self, path: str) -> bool:
        return bool(self.fs.isdir(path))

    def remove_tree(self, path: str) -> None:
        if self.has_folders:
            super().remove_tree(path)
            return
        self.fs.invalidate_cache()
        with ThreadPoolExecutor(_AT_A_TIME, "remove") as pool:
            for _ in pool.map(self.fs.rm_file, self.fs.find(path)):
                pass


class _S3(_Objects):
    """S3 by s3fs, which a config with ``key``, ``secret`` or ``profile`` asks for."""

    def write_if(self, path: str, data: bytes, tag: str | None) -> str | None:
        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        try:
            answer = self.fs.pipe_file(path, data, chunksize=len(data) + 1, **condition)
        except OSError as error:
            code = (getattr(error.__cause__, "response", None) or {}).get("Error", {}).get("Code")
            if code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from error
            raise
        return str(answer["ETag"]) if isinstance(answer, dict) and "ETag" in answer else None


class _Http(Protocol):
    """Web servers: read-only, percent-escapes, and a list of a folder only where the server makes a page of links."""

    def __init__(self, fs: Any, root: str) -> None:
        super().__init__(fs, root)
        self._makes_lists = False

    def path(self, key: str) -> str:
        return f"{self.root}/{quote(key)}" if key else self.root

    def is_folder(self, path: str) -> bool:
        try:
            return next(iter(self.ls(path)), None) is not None
        except FileNotFoundError:
            return False

    def ls(self, path: str) -> Iterator[tuple[str, Info]]:
        """Raises :class:`StorageError` where the server makes no lists, so that a project does not look empty."""
        try:
            found = self._links(path)
        except FileNotFoundError:
            if path == self.root or not self._lists_root():
                raise self._no_list(path) from None
            raise
        except OSError:
            raise
        except Exception as error:
            if getattr(error, "status", None) in (401, 403):
                raise self._no_list(path) from error
            raise
        if path == self.root and not found:
            raise self._no_list(path)
        self._makes_lists = True
        return iter(found)

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        data = super().read(path, start, end)
        if start is not None and end is not None and len(data) > end - start:  # a server that knows no ranges
            return data[start:end]
        return data

    def write(self, path: str, data: bytes) -> None:
        raise NotImplementedError("a web server that takes files cannot take them whole")

    def _lists_root(self) -> bool:
        if not self._makes_lists:
            with suppress(FileNotFoundError):
                self._makes_lists = bool(self._links(self.root))
        return self._makes_lists

    def _links(self, path: str) -> list[tuple[str, Info]]:
        self.fs.invalidate_cache()
        found = []
        for each in self.fs.ls(f"{path}/", detail=True):
            place = str(each["name"])
            name = place.removeprefix(f"{path}/").rstrip("/")
            if place.startswith(f"{path}/") and name and "/" not in name and name[0] not in "?#":
                found.append((unquote(name), {**each, "type": "directory" if place.endswith("/") else "file"}))
        return found

    def _no_list(self, path: str) -> StorageError:
        return StorageError(
            "the web server shows no list of this folder, so that nobody can say what is in it",
            where=path,
            fix="switch on its directory index, or describe the project by a Croissant manifest",
        )


def protocol_of(fs: Any, root: str) -> Protocol:
    """How a file system is to be talked to."""
    names = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if type(fs).__module__.partition(".")[0] == "s3fs":
        return _S3(fs, root)
    if names & _WHOLE_PUTS:
        return _Objects(fs, root)
    if type(fs).__module__.partition(".")[0] == "sshfs":
        from tomoportal.storage.sftp import Sftp

        return Sftp(fs, root)
    if names & {"sftp", "ssh"}:
        raise MissingPartError("the package sshfs is not installed", where=root, fix="pip install 'tomoportal[ssh]'")
    if "smb" in names:
        from tomoportal.storage.smb import Smb

        return Smb(fs, root)
    if names & {"http", "https"}:
        return _Http(fs, root)
    return Protocol(fs, root)
