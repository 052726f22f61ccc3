"""How a store talks to a Windows share, through the package smbprotocol."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from tomoportal.errors import StorageError
from tomoportal.storage.protocols import SMB_DENIED, Info, Protocol, is_broken

__all__ = ["Smb"]

_SMB_REFUSED: Final = frozenset('\\:*?"<>|')
_SMB_BUSY: Final = frozenset(
    {
        *(0xC0000043, 0xC0000056),  # sharing violation, delete pending
        *(0xC0000017, 0xC000009A),  # no memory, no resources: of a server that starts or has much to do
    }
)
_SMB_GONE: Final = frozenset(
    {
        *(0xC00000C9, 0xC0000203, 0xC000035C),  # share, session deleted; session expired
        *(0xC0000128, 0xC00000B5, 0xC000013C),  # file closed, timeout, remote disconnect
        *(0xC000020C, 0xC000020D, 0xC0000241),  # connection disconnected, reset, aborted
    }
)
_SMB_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
_CONNECTIONS: Final = 4
"""Connections of a store at most, as many as threads can talk to the server at once."""

_Connections: TypeAlias = dict[str, Any]
_Ask: TypeAlias = Callable[..., Any]
_T = TypeVar("_T")


class Smb(Protocol):
    """Windows shares: other names than elsewhere, and no replacing of a file while others have it open.

    Threads that share a connection of the library's make it lose count of what it may send, and use a session that
    is still being opened. So each connection, a cache of the library's, belongs to one thread at a time.
    """

    is_exclusive = True
    reconnects = True

    def __init__(self, fs: Any, root: str) -> None:
        super().__init__(fs, root)
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        self._all: list[_Connections] = []
        self._idle: list[_Connections] = []
        weakref.finalize(self, _hang_up, self._all, os.getpid())
        with self._connected() as connections:  # a wrong password is told at once
            self._call(connections, "register_session")

    def path(self, key: str) -> str:
        for name in key.split("/"):
            if _SMB_REFUSED.intersection(name) or name[-1:] in (".", " ") or any(sign < " " for sign in name):
                raise StorageError(
                    f"an SMB share cannot hold the name {name!r}",
                    where=key,
                    fix='use names without \\ : * ? " < > |, control characters, and a dot or blank at the end',
                )
        return super().path(key)

    @contextmanager
    def _connected(self) -> Iterator[_Connections]:
        """A connection for this thread alone; whatever fails because it broke is a :class:`ConnectionResetError`."""
        with self._free:
            try:
                connections = self._idle.pop()
            except IndexError:
                self._all.append(connections := {})
            try:
                yield connections
            except Exception as error:
                status = _status(error)
                if status is not None and status not in _SMB_GONE:
                    raise
                is_lost = status is not None or _is_loss(error, connections)
                _hang_up([connections], os.getpid())
                connections.clear()
                if not is_lost:
                    raise
                raise ConnectionResetError(errno.ECONNRESET, str(error) or type(error).__name__) from error
            finally:
                self._idle.append(connections)

    def _call(self, connections: _Connections, name: str, *paths: str, **options: Any) -> Any:
        """A function of the library on paths, or on the server."""
        import smbclient

        self._connect(connections)
        places = [f"\\\\{self.fs.host}" + path.replace("/", "\\") for path in paths] or [self.fs.host]
        login = {  # a connection that broke is opened again by the library, which remembers nobody's password
            "port": self.fs._port,
            "username": self.fs.username,
            "password": self.fs.password,
            "encrypt": self.fs.encrypt,
            "connection_timeout": self.fs.timeout,
        }
        return getattr(smbclient, name)(*places, **login, connection_cache=connections, **options)

    def _connect(self, connections: _Connections) -> None:
        """Open the connection unless it is; as another client each, since a server may wait for one to answer for two.

        A server that says nothing for ``timeout`` seconds is asked whether it is there, and given up after as many.
        """
        from smbprotocol.connection import Connection

        server = f"{self.fs.host.lower()}:{self.fs._port}"
        if server not in connections or not connections[server].transport.connected:
            connection = Connection(uuid.uuid4(), self.fs.host, self.fs._port)
            connection._receive_timeout = self.fs.timeout
            connection.connect(timeout=self.fs.timeout)
            connections[server] = connection

    def _do(self, action: Callable[[_Ask], _T], busy: frozenset[int] = _SMB_BUSY) -> _T:
        """Do something on a connection; patient with what others have open at this moment."""
        for pause in (*_SMB_PAUSES, None):
            try:
                with self._connected() as connections:
                    return action(partial(self._call, connections))
            except Exception as error:
                if pause is None or _status(error) not in busy:
                    raise
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def info(self, path: str) -> Info:
        status = self._do(lambda ask: ask("stat", path))
        folder = status.st_file_attributes & 0x10
        return {
            "type": "directory" if folder else "file",
            "size": status.st_size,
            "mtime": status.st_mtime_ns // 1000 / 1e6,
            "ino": status.st_ino,
        }

    def ls(self, path: str) -> Iterator[tuple[str, Info]]:
        for entry in self._do(lambda ask: list(ask("scandir", path))):
            known = entry.smb_info
            if known.file_attributes & 0x400:  # a link
                with suppress(FileNotFoundError):
                    yield entry.name, self.info(f"{path}/{entry.name}")
                continue
            yield (
                entry.name,
                {
                    "type": "directory" if known.file_attributes & 0x10 else "file",
                    "size": known.end_of_file,
                    "mtime": known.last_write_time.timestamp(),
                    "ino": known.file_id,
                },
            )

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        def read(ask: _Ask) -> bytes:
            with ask("open_file", path, mode="rb", share_access="rwd", buffering=0) as file:
                if start is not None:
                    file.seek(start)
                pieces = bytearray()
                while end is None or len(pieces) < end - (start or 0):
                    piece = file.read(-1 if end is None else end - (start or 0) - len(pieces))
                    if not piece:
                        break
                    pieces += piece
                return bytes(pieces)

        return self._do(read)

    def write(self, path: str, data: bytes) -> None:
        def write(ask: _Ask) -> None:
            with ask("open_file", path, mode="wb", share_access="r") as file:
                file.write(data)

        self._do(write)

    def make_folder(self, path: str) -> None:
        if path.strip("/").count("/"):  # a share itself cannot be made
            self._do(lambda ask: ask("makedirs", path, exist_ok=True))

    def replace(self, start: str, end: str) -> None:
        """A file that is open in this moment cannot be replaced, which a server calls a denied access."""
        self._do(lambda ask: ask("replace", start, end), _SMB_BUSY | {SMB_DENIED})

    def claim(self, start: str, end: str) -> None:
        try:
            self._do(lambda ask: ask("rename", start, end))
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), end) from error
            raise

    def remove(self, path: str) -> None:
        self._do(lambda ask: ask("remove", path))

    def remove_folder(self, path: str) -> None:
        if path.strip("/").count("/"):
            self._do(lambda ask: ask("rmdir", path))


def _status(error: BaseException) -> int | None:
    """What the server answered; None if the failure is none of its answers."""
    found = getattr(error, "ntstatus", None)  # of SMBOSError, else of SMBResponseException
    return found if found is not None else getattr(error, "status", None)


def _is_loss(error: Exception, connections: _Connections) -> bool:
    """Whether a request failed with its connection: the thread that reads ends it at any moment of the others'."""
    if any(each._t_exc is not None or not each.transport.connected for each in connections.values()):
        return True
    if isinstance(error, ValueError):
        return "Failed to connect" in str(error)
    if type(error).__name__ == "SMBException":  # no answer in time, or the library's books are wrong
        return "encrypt" not in str(error)
    return is_broken(error) or type(error).__name__ == "SMBConnectionClosed"


def _hang_up(connections: list[_Connections], process: int) -> None:
    """Break connections, but not those of a parent process. The threads that read then close them."""
    if os.getpid() == process:
        for each in [one for some in connections for one in some.values()]:
            with suppress(OSError):
                each.transport._sock.shutdown(socket.SHUT_RDWR)
