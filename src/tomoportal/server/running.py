"""Listening: one process or several, an address that is printed when it answers, a stop that finishes what it began."""

from __future__ import annotations

import contextlib
import errno
import functools
import signal
import socket
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from tomoportal.errors import SettingsError
from tomoportal.server.app import create_app, prepare
from tomoportal.server.connections import Connection
from tomoportal.server.observation import ACCESS, JsonLines
from tomoportal.server.settings import Settings

__all__ = ["LiveServer", "run"]

_START_PATIENCE = 60.0  # seconds
_STOP_PATIENCE = 10  # seconds that running downloads get when the server is told to stop
_SILENCE = 120  # seconds after which a worker process that says nothing, perhaps as it is busy, is replaced

Told = Callable[[str], None]


def run(settings: Settings, *, on_ready: Told = lambda address: None, tell: Told = lambda text: None) -> None:
    """Serve until SIGINT or SIGTERM.

    ``on_ready`` is called with the address as soon as connections are accepted; ``tell`` hears of slow steps before.
    Raises :class:`SettingsError` when the address cannot be listened on.
    """
    with contextlib.closing(_bind(settings.host, settings.port)) as listener:
        prepare(settings, tell=tell)
        _listen(listener, settings)
        ready = functools.partial(on_ready, _address(settings, listener))
        if settings.workers == 1:
            _Server(_config(settings, _logging(settings)), ready).run([listener])
        else:
            _Workers(_config(settings, _logging(settings)), [listener], ready).run()


class LiveServer:
    """A real server on a free port for the length of a ``with`` block, in a thread of this process (for tests).

    with LiveServer(Settings(archive=str(folder))) as server:
        httpx.get(f"{server.url}/healthz")
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, port=0, workers=1)
        self.url = ""
        self._failure: BaseException | None = None

    def __enter__(self) -> LiveServer:
        prepare(self.settings)
        self._listener = _bind(self.settings.host, 0)
        _listen(self._listener, self.settings)
        self.url = _address(self.settings, self._listener)
        ready = threading.Event()
        self._server = _Server(_config(self.settings), ready.set)
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="tomoportal-server", daemon=True)
        self._thread.start()
        if not ready.wait(_START_PATIENCE) or self._failure is not None:
            self.__exit__(None, None, None)
            raise SettingsError("The server did not start.", where=self.url) from self._failure
        return self

    def _serve(self, ready: threading.Event) -> None:
        try:
            self._server.run([self._listener])
        except BaseException as error:  # noqa: BLE001 (handed to the thread that waits for the server)
            self._failure = error
        finally:
            ready.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_STOP_PATIENCE + 5)
        self._listener.close()


class _Server(uvicorn.Server):
    """uvicorn's server, with a call when it accepts connections, and a stop by signal that is a success."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn raises the signal again after its shutdown; for us a stop that was asked for ends with exit code 0.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT
        self.should_exit = True


class _Workers(Multiprocess):
    """uvicorn's supervisor of several processes, with a call when all of them accept connections."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._ready = ready
        self._is_ready = False

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        if not self._is_ready and all(process.is_ready(_SILENCE) for process in self.processes):
            self._is_ready = True
            self._ready()


def _logging(settings: Settings) -> dict[str, Any]:
    """Everything to stderr: stdout belongs to the command that was called."""
    level = {"level": "WARNING", "handlers": ["stderr"], "propagate": False}
    line: dict[str, Any] = {"format": "%(asctime)s %(levelname)s %(message)s"}
    if settings.log_json:
        line = {"()": JsonLines}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {
            "uvicorn": level,
            "tomoportal": level,
            ACCESS: {**level, "level": "INFO" if settings.access_log else "WARNING"},
        },
    }


def _config(settings: Settings, log_config: dict[str, Any] | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        functools.partial(create_app, settings),
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=Connection,
        loop="auto",
        ws="none",
        lifespan="on",
        access_log=False,  # observation.py writes it
        log_config=log_config,
        proxy_headers=False,  # addresses.py decides whom to believe
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_STOP_PATIENCE,
        timeout_worker_healthcheck=_SILENCE,
    )


def _bind(host: str, port: int) -> socket.socket:
    """A socket with the address; that it is taken is found out here, before anything slow begins."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.set_inheritable(True)
    except OSError as error:
        listener.close()
        raise _refused(error, host, port) from error
    return listener


def _listen(listener: socket.socket, settings: Settings) -> None:
    try:
        listener.listen(2048)
    except OSError as error:
        raise _refused(error, settings.host, settings.port) from error


def _refused(error: OSError, host: str, port: int) -> SettingsError:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        fix = f"stop the program that uses it, or give another port: --port {port + 1}, or --port 0 for a free one"
        return SettingsError(f"Port {port} is already in use.", where=where, fix=fix)
    if error.errno == errno.EACCES:
        fix = "ports below 1024 need rights: give a port such as --port 8000"
        return SettingsError(f"Listening on port {port} is not allowed.", where=where, fix=fix)
    fix = "give an address of this machine: --host 127.0.0.1, or --host 0.0.0.0 for all"
    return SettingsError(f"This address cannot be listened on: {error.strerror or error}.", where=where, fix=fix)


def _address(settings: Settings, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    host = settings.host
    if host in {"0.0.0.0", "::"}:  # reachable under every name of this machine; this one always works here
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
