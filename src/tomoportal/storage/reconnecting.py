"""A file system of fsspec that opens a broken connection again, once per call; needs the package fsspec."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any, Final

from fsspec import AbstractFileSystem

from tomoportal.storage.filesystem_spec import file_system

__all__ = ["ReconnectingFileSystem", "is_connection_error"]

_BROKEN: Final = frozenset(
    {
        "BrokenPipeError",
        "ConnectionAbortedError",
        "ConnectionLost",
        "ConnectionRefusedError",
        "ConnectionResetError",
        "DisconnectError",
        "SFTPConnectionLost",
        "SFTPError",
        "SFTPNoConnection",
    }
)
_BROKEN_NUMBERS: Final = frozenset({32, 104})  # EPIPE, ECONNRESET
_METHODS: Final = (
    *("cat", "cat_file", "du", "exists", "find", "get_mapper", "glob", "info", "isdir", "isfile", "ls", "makedirs"),
    *("mkdir", "mkdirs", "open", "pipe", "pipe_file", "rm", "rm_file", "rmdir", "touch"),
)


def is_connection_error(error: BaseException) -> bool:
    """Whether the connection broke, rather than the request being wrong."""
    names = {clazz.__name__ for clazz in type(error).__mro__}
    return bool(names & _BROKEN) or (isinstance(error, OSError) and error.errno in _BROKEN_NUMBERS)


class ReconnectingFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The file system of ``url`` with the arguments ``fs_args``; every instance has a connection of its own (C62).

    ``_root_ref`` is a weak reference to whoever lists through it; it forgets its lists after a reconnection.
    """

    cachable = False

    def __init__(self, url: str, fs_args: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._url, self._fs_args = url, dict(fs_args or {})
        self._root_ref: weakref.ref[Any] | None = None
        self._fs = self._connected()

    def _connected(self) -> Any:
        return file_system(self._url, {**self._fs_args, "skip_instance_cache": True})

    def _reconnect(self) -> None:
        """A new connection; the project that uses it forgets what it listed through the old one."""
        self._fs = self._connected()
        root = self._root_ref() if self._root_ref is not None else None
        if root is not None:
            root._invalidate_all_caches()

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        try:
            return getattr(self._fs, name)(*arguments, **named)
        except Exception as error:
            if not is_connection_error(error):
                raise
            logging.getLogger("tomoportal.copick").warning("%s: %s, connecting again", self._url, error)
            self._reconnect()
            return getattr(self._fs, name)(*arguments, **named)

    @property
    def protocol(self) -> Any:
        return self._fs.protocol

    def _strip_protocol(self, path: str) -> Any:
        return self._fs._strip_protocol(path)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget the listing of a folder, or all."""
        self._fs.invalidate_cache(path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_fs":
            raise AttributeError(name)
        found = getattr(self._fs, name)
        return _retried(name).__get__(self) if callable(found) else found


def _retried(name: str) -> Callable[..., Any]:
    def method(self: ReconnectingFileSystem, *args: Any, **kwargs: Any) -> Any:
        return self._call(name, *args, **kwargs)

    method.__name__ = name
    return method


for _name in _METHODS:
    setattr(ReconnectingFileSystem, _name, _retried(_name))
