"""The connection of a store to a server behind fsspec: opened, opened again when it broke, given up in the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from tomoportal.errors import MissingPartError, NotFoundError, ReadOnlyError, StorageError, TomoportalError
from tomoportal.storage.protocols import Protocol, is_broken, is_busy, is_denied, is_missing, protocol_of

__all__ = ["ServerConnection", "file_system"]

_PAUSES: Final = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, *[2.0] * 6)
"""Seconds before a request is made again over a new connection: a file server that restarts is away for so long."""
_BUSY_ATTEMPTS: Final = 6
"""Attempts at a server that does answer, by saying that it has too much to do."""
_SURE_ATTEMPTS: Final = 4
_LONGEST: Final = 60.0
"""Seconds after which no more than the sure attempts are made, where each of them takes long."""

_EXTRAS: Final = {"smb": "smb", "ssh": "ssh", "sftp": "ssh", "http": "http", "https": "http"}

_T = TypeVar("_T")


def file_system(url: str, arguments: Mapping[str, Any]) -> Any:
    """The fsspec file system of a URL, for callers that read by themselves. Raises :class:`MissingPartError`."""
    return _fsspec(url).core.url_to_fs(url, **arguments)[0]


class ServerConnection:
    """A connection to the server of an fsspec URL; several threads use it, each process has its own."""

    def __init__(self, url: str, arguments: Mapping[str, Any]) -> None:
        self._url, self._arguments = url, arguments
        self._open()

    def _open(self) -> None:
        self._process, self._one_at_a_time = os.getpid(), threading.Lock()
        try:
            self.protocol = self._connected()
        except TomoportalError:
            raise
        except ImportError as error:
            extra = _EXTRAS.get(self._scheme)
            fix = f"pip install 'tomoportal[{extra}]'" if extra else "install the package that fsspec names"
            raise MissingPartError(f"its package is not installed: {error}", where=self._url, fix=fix) from error
        except Exception as error:
            if is_broken(error):
                raise _no_answer(error, self._url) from error
            raise StorageError(
                f"fsspec cannot open it: {_said(error)}", where=self._url, fix="check the *_fs_args"
            ) from error

    def _connected(self) -> Protocol:
        # Folders are made by the store; most file systems do not know the word.
        arguments = {name: value for name, value in self._arguments.items() if name != "auto_mkdir"}
        if self._scheme == "smb":
            arguments["register_session_retries"] = -1  # its connection, of all threads, is not used: see smb.py
        fs, root = _fsspec(self._url).core.url_to_fs(self._url, skip_instance_cache=True, **arguments)
        return protocol_of(fs, str(root).rstrip("/"))

    @property
    def _scheme(self) -> str:
        return self._url.partition("://")[0]

    def do(self, key: str, action: Callable[[Protocol], _T]) -> _T:
        """Talk to the server, with patience; explain what fails. An action that broke off is done again."""
        if self._process != os.getpid():  # the threads of a connection do not survive a fork
            self._open()
        try:
            return self._patiently(action)
        except TomoportalError:
            raise
        except Exception as error:
            if is_missing(error):
                raise NotFoundError("there is no such file", where=key) from error
            if is_denied(error):
                raise ReadOnlyError(
                    f"the server refuses access: {_said(error)}",
                    where=key,
                    fix="ask for the right to write there, or use it as the static_root of a project",
                ) from error
            if isinstance(error, NotImplementedError):
                raise ReadOnlyError(
                    "stores of this kind cannot be written to", where=key, fix="use it as static_root, not as overlay"
                ) from error
            if is_broken(error):
                raise _no_answer(error, key) from error
            raise StorageError(f"the file system failed: {_said(error)}", where=key) from error

    def _patiently(self, action: Callable[[Protocol], _T]) -> _T:
        started, broken = time.monotonic(), None
        for attempt, pause in enumerate((*_PAUSES, None)):
            protocol = None
            try:
                protocol = self._instead_of(broken)
                return action(protocol)
            except Exception as error:
                is_long = attempt >= _SURE_ATTEMPTS and time.monotonic() - started > _LONGEST
                is_too_busy = attempt >= _BUSY_ATTEMPTS and is_busy(error)
                is_sure = protocol is not None and not is_broken(error)  # a server that starts refuses logins, too
                if pause is None or is_long or is_too_busy or is_sure:
                    raise
            broken = protocol or broken
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _instead_of(self, broken: Protocol | None) -> Protocol:
        """The connection; one that broke is replaced, by one of the threads that met it."""
        if self.protocol is broken and not broken.reconnects:
            with self._one_at_a_time:
                if self.protocol is broken:
                    self.protocol = self._connected()
        return self.protocol


def _fsspec(url: str) -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise MissingPartError(
            "the package fsspec is not installed", where=url, fix="pip install 'tomoportal[copick]'"
        ) from error
    return fsspec


def _no_answer(error: Exception, where: str) -> StorageError:
    return StorageError(
        f"no answer from the server: {_said(error)}",
        where=where,
        fix="check that the server runs and can be reached (host, port, network), and do the same again",
    )


def _said(error: BaseException) -> str:
    """What a library says of a failure, in one line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
