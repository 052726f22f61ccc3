"""A folder behind a plain web server: no ranges, no writing, and lists only if it shows them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["web_folder"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing on stderr."""


class _WithoutLists(_Quiet):
    def list_directory(self, path: Any) -> None:
        self.send_error(404, "No permission to list directory")


@contextmanager
def web_folder(folder: Path, *, lists: bool = True) -> Iterator[str]:
    """The address of the folder, while the block runs."""
    handler = partial(_Quiet if lists else _WithoutLists, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
