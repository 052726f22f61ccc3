"""What this process takes between two moments. Standard library only: it runs in the peers' environments, too."""

from __future__ import annotations

import json
import resource
import sys
import threading
import time


class Measure:
    """CPU seconds (all threads, child processes too), wall seconds and memory in MB, from :meth:`begin` to :meth:`end`.

    ``peak`` is the largest anonymous memory above what there was at the beginning, looked at every 5 ms: what the
    operation itself takes, without imports and without pages of mapped files. ``resident`` is the largest resident set
    of the process' whole life, which holds both.
    """

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._watched = threading.Lock()
        self._looking = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.begin()
        self._thread.start()

    def begin(self) -> None:
        """Begin, or begin anew: what was done before is preparation."""
        with self._watched:
            self._before = self._peak = _memory("RssAnon")
            self._cpu, self._wall = _cpu_seconds() - self._looking, time.perf_counter()

    def end(self) -> dict[str, float]:
        wall, cpu = time.perf_counter() - self._wall, _cpu_seconds()
        self._ended.set()
        self._thread.join()
        cpu -= self._cpu + self._looking
        self._peak = max(self._peak, _memory("RssAnon"))
        return {"cpu": cpu, "wall": wall, "peak": self._peak - self._before, "resident": _memory("VmHWM")}

    def _watch(self) -> None:
        while not self._ended.wait(0.005):
            with self._watched:
                self._peak = max(self._peak, _memory("RssAnon"))
                self._looking = time.thread_time()


def printed(found: dict[str, float | str | None]) -> None:
    """As the last line of the output, on which the process that started this one waits."""
    sys.stdout.write("\n" + json.dumps(found) + "\n")


def _memory(kind: str) -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(kind)) / 1024


def _cpu_seconds() -> float:
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
