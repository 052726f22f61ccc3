"""How a store talks to an SSH server, through the package sshfs or through fsspec's own client (paramiko)."""

from __future__ import annotations

import errno
import os
from typing import Any, Final

from tomoportal.errors import StorageError
from tomoportal.storage.protocols import Protocol, is_broken, is_denied, is_missing

__all__ = ["AsyncSsh", "Paramiko", "Sftp"]

_CLAIMS: Final = 5


class Sftp(Protocol):
    """SSH. Its times are whole seconds; plain renaming fails where the name is taken."""

    is_exclusive = True
    is_exact = False

    def _channel(self, method: str, *arguments: Any) -> Any:
        raise StorageError(f"no SFTP client offers {method}")

    def replace(self, start: str, end: str) -> None:
        self._channel("posix_rename", start, end)

    def claim(self, start: str, end: str) -> None:
        for attempt in range(_CLAIMS):
            try:
                self._channel("rename", start, end)
                return
            except Exception as error:  # a server says no more than that it failed
                if is_broken(error) or is_missing(error) or is_denied(error):
                    raise
                if self.fs.exists(end):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), end) from error
                if attempt == _CLAIMS - 1:  # else it was there a moment ago
                    raise

    def set_time(self, path: str, seconds: int) -> None:
        self._channel("utime", path, (seconds, seconds))

    def remove_folder(self, path: str) -> None:
        self._channel("rmdir", path)

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        if start is None or end is None:
            return super().read(path)
        with self.fs.open(path, "rb") as file:  # its ``cat_file`` knows no ranges
            file.seek(start)
            return bytes(file.read(end - start))


class AsyncSsh(Sftp):
    """The package sshfs."""

    def _channel(self, method: str, *arguments: Any) -> Any:
        from fsspec.asyn import sync

        async def call() -> Any:
            async with self.fs._pool.get() as channel:
                return await getattr(channel, method)(*arguments)

        try:
            return sync(self.fs.loop, call)
        except Exception as error:
            if type(error).__name__ == "SFTPNoSuchFile":
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), arguments[0]) from error
            raise

    def write(self, path: str, data: bytes) -> None:
        from fsspec.asyn import sync

        async def call() -> None:
            async with self.fs._pool.get() as channel, channel.open(path, "wb") as file:
                await file.write(data)

        try:
            sync(self.fs.loop, call)
        except Exception as error:
            if type(error).__name__ == "SFTPNoSuchFile":
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
            raise


class Paramiko(Sftp):
    """fsspec's own SFTP."""

    def _channel(self, method: str, *arguments: Any) -> Any:
        return getattr(self.fs.ftp, method)(*arguments)
