"""How a store talks to an SSH server, through the package sshfs."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tomoportal.errors import StorageError
from tomoportal.storage.protocols import Protocol, is_broken, is_denied, is_missing

__all__ = ["Sftp"]

_CLAIMS: Final = 5


class Sftp(Protocol):
    """Its times are whole seconds; plain renaming fails where the name is taken."""

    is_exclusive = True
    is_exact = False

    def _ask(self, path: str, action: Callable[[Any], Awaitable[Any]]) -> Any:
        """Do something with a channel to the server."""
        from fsspec.asyn import sync

        async def ask() -> Any:
            async with self.fs._pool.get() as channel:
                return await action(channel)

        try:
            return sync(self.fs.loop, ask)
        except Exception as error:
            if type(error).__name__ == "SFTPNoSuchFile":
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
            if type(error).__name__ == "SFTPOpUnsupported":
                raise StorageError(
                    "this SSH server cannot replace a file in one step (posix-rename)",
                    where=path,
                    fix="use OpenSSH's server, or another store",
                ) from error
            raise

    def write(self, path: str, data: bytes) -> None:
        async def write(channel: Any) -> None:
            async with channel.open(path, "wb") as file:
                await file.write(data)

        self._ask(path, write)

    def replace(self, start: str, end: str) -> None:
        self._ask(start, lambda channel: channel.posix_rename(start, end))

    def claim(self, start: str, end: str) -> None:
        for attempt in range(_CLAIMS):
            try:
                self._ask(start, lambda channel: channel.rename(start, end))
                return
            except Exception as error:  # a server says no more than that it failed
                if is_broken(error) or is_missing(error) or is_denied(error):
                    raise
                if self.fs.exists(end):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), end) from error
                if attempt == _CLAIMS - 1:  # else it was there a moment ago
                    raise

    def set_time(self, path: str, seconds: int) -> None:
        self._ask(path, lambda channel: channel.utime(path, (seconds, seconds)))

    def remove_folder(self, path: str) -> None:
        self._ask(path, lambda channel: channel.rmdir(path))

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        if start is None or end is None:
            return super().read(path)
        with self.fs.open(path, "rb") as file:  # its ``cat_file`` knows no ranges
            file.seek(start)
            return bytes(file.read(end - start))
