"""How long one request may keep the database busy, and whether anybody still waits for its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Deadline"]

_AGAIN = 0.1  # seconds between two interruptions


class Deadline:
    """Begins when it is made; :meth:`stop` may be called from any thread."""

    def __init__(self, seconds: float | None = None) -> None:
        """``seconds`` until statements are given up; None never."""
        self.seconds = seconds
        self.stopped = False
        self._end = None if seconds is None else time.monotonic() + seconds
        self._lock = threading.Lock()
        self._interrupt: Callable[[], object] | None = None

    @property
    def over(self) -> bool:
        """Whether statements are to be given up now."""
        return self.stopped or (self._end is not None and time.monotonic() > self._end)

    def stop(self) -> None:
        """Nobody waits any more: what runs is interrupted until it has ended, nothing is begun."""
        self.stopped = True
        while self._interrupted():
            time.sleep(_AGAIN)  # an interruption that comes just before the statement has no effect

    def _interrupted(self) -> bool:
        with self._lock:
            if self._interrupt is not None:
                self._interrupt()
            return self._interrupt is not None

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """While the block runs, :meth:`stop` calls ``interrupt``; never afterwards."""
        with self._lock:
            self._interrupt = interrupt
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None
