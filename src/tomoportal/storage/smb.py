"""How a store talks to a Windows share, through the package smbprotocol."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, TypeVar

from tomoportal.errors import StorageError
from tomoportal.storage.protocols import SMB_DENIED, Info, Protocol, is_missing

__all__ = ["Smb"]

_T = TypeVar("_T")
_SMB_REFUSED: Final = frozenset('\\:*?"<>|')
_SMB_BUSY: Final = frozenset(
    {
        *(0xC0000043, 0xC0000056),  # sharing violation, delete pending
        *(0xC0000017, 0xC000009A),  # no memory, no resources: of a server that starts or has much to do
    }
)
_SMB_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


class Smb(Protocol):
    """Windows shares: other names than elsewhere, and no replacing of a file while others have it open."""

    is_exclusive = True

    def forget(self) -> None:
        from smbclient import _pool

        _pool._SMB_CONNECTIONS.clear()  # closing them would end those of the parent

    def path(self, key: str) -> str:
        for name in key.split("/"):
            if _SMB_REFUSED.intersection(name) or name[-1:] in (".", " ") or any(sign < " " for sign in name):
                raise StorageError(
                    f"an SMB share cannot hold the name {name!r}",
                    where=key,
                    fix='use names without \\ : * ? " < > |, control characters, and a dot or blank at the end',
                )
        return super().path(key)

    def _call(self, name: str, *paths: str, **options: Any) -> Any:
        """A function of the library on paths; patient with what others have open at this moment."""
        import smbclient

        places = [f"\\\\{self.fs.host}" + path.replace("/", "\\") for path in paths]
        login = {  # a connection that broke is opened again by the library, which remembers nobody's password
            "port": self.fs._port,
            "username": self.fs.username,
            "password": self.fs.password,
            "encrypt": self.fs.encrypt,
            "connection_timeout": self.fs.timeout,
        }
        return self._patient(lambda: getattr(smbclient, name)(*places, **login, **options))

    def _patient(self, action: Callable[[], _T], busy: frozenset[int] = _SMB_BUSY) -> _T:
        for pause in _SMB_PAUSES:
            try:
                return action()
            except OSError as error:
                if getattr(error, "ntstatus", None) not in busy:
                    raise
                time.sleep(pause)
        return action()

    def info(self, path: str) -> Info:
        status = self._call("stat", path)
        folder = status.st_file_attributes & 0x10
        return {
            "type": "directory" if folder else "file",
            "size": status.st_size,
            "mtime": status.st_mtime_ns // 1000 / 1e6,
            "ino": status.st_ino,
        }

    def is_folder(self, path: str) -> bool:
        try:
            return bool(self.info(path)["type"] == "directory")
        except OSError as error:
            if is_missing(error):
                return False
            raise

    def ls(self, path: str) -> Iterator[tuple[str, Info]]:
        for entry in self._patient(lambda: list(self._call("scandir", path))):
            known = entry.smb_info
            if known.file_attributes & 0x400:  # a link
                with suppress(OSError):
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
        def read() -> bytes:
            with self._call("open_file", path, mode="rb", share_access="rwd", buffering=0) as file:
                if start is not None:
                    file.seek(start)
                pieces = bytearray()
                while end is None or len(pieces) < end - (start or 0):
                    piece = file.read(-1 if end is None else end - (start or 0) - len(pieces))
                    if not piece:
                        break
                    pieces += piece
                return bytes(pieces)

        return self._patient(read)

    def write(self, path: str, data: bytes) -> None:
        with self._call("open_file", path, mode="wb", share_access="r") as file:
            file.write(data)

    def make_folder(self, path: str) -> None:
        if path.strip("/").count("/"):  # a share itself cannot be made
            self._call("makedirs", path, exist_ok=True)

    def replace(self, start: str, end: str) -> None:
        """A file that is open in this moment cannot be replaced, which a server calls a denied access."""
        self._patient(lambda: self._call("replace", start, end), _SMB_BUSY | {SMB_DENIED})

    def claim(self, start: str, end: str) -> None:
        try:
            self._call("rename", start, end)
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), end) from error
            raise

    def remove(self, path: str) -> None:
        self._call("remove", path)

    def remove_folder(self, path: str) -> None:
        if path.strip("/").count("/"):
            self._call("rmdir", path)
