"""Worker processes: items out, results back. A worker that dies takes one item with it, not the run.

Workers are spawned, not forked, so that they share no locks and no open files with the process that starts them, and
they end with it: a watcher in each ends the process as soon as its parent is gone, even if the parent was killed.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Protocol

from tomoportal.archive import Archive
from tomoportal.ingest.making import Maker
from tomoportal.ingest.plan import Item, Options
from tomoportal.ingest.report import Result
from tomoportal.storage import Store

__all__ = ["Executor", "InProcess", "Workers", "nameless_locks", "uninterrupted"]


class Executor(Protocol):
    """Makes items, perhaps several at a time."""

    capacity: int

    def submit(self, item: Item) -> None:
        """Hand over an item; at most ``capacity`` may be under way."""

    def next(self) -> tuple[Item, Result]:
        """Wait for a result."""

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class InProcess:
    """One item at a time, in this process."""

    capacity = 1

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._item: Item | None = None

    def submit(self, item: Item) -> None:
        """Keep the item until `next` makes it."""
        self._item = item

    def next(self) -> tuple[Item, Result]:
        """Make the item."""
        assert self._item is not None
        item, self._item = self._item, None
        return item, self._maker.make(item)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._maker.close()


@dataclass(frozen=True)
class _Setup:
    archive: Store
    source: Store
    options: Options
    threads: int
    together: Path | None = None
    """Folder by which the workers share what they read."""


@dataclass
class _Worker:
    process: multiprocessing.process.BaseProcess
    connection: Connection
    item: Item | None = None


class Workers:
    """A pool of processes; stores are sent to them by URL."""

    def __init__(self, count: int, archive: Archive, source: Store, options: Options, threads: int = 1) -> None:
        self.capacity = count
        self._setup = _Setup(archive.store, source, options, threads)
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def submit(self, item: Item) -> None:
        """Send the item to an idle worker; workers are started as they are needed."""
        worker = next((worker for worker in self._workers if worker.item is None), None) or self._start()
        worker.item = item
        with suppress(BrokenPipeError, ConnectionResetError):  # it died idle: `next` says so
            worker.connection.send(item)

    def next(self) -> tuple[Item, Result]:
        """Wait for the first worker that is done, or dead."""
        busy = {worker.connection: worker for worker in self._workers if worker.item is not None}
        connection = next(iter(wait(list(busy))))
        assert isinstance(connection, Connection)
        worker = busy[connection]
        item = worker.item
        assert item is not None
        try:
            result: Result = connection.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            self._workers.remove(worker)
            connection.close()
            code = worker.process.exitcode
            how = f"killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
            result = Result.of(
                item, "failed", f"the worker process was {how}; is there enough memory for --jobs {self.capacity}?"
            )
        worker.item = None
        return item, result

    def __enter__(self) -> Workers:
        self._setup = replace(self._setup, together=Path(tempfile.mkdtemp(prefix="tomoportal-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._workers:
            if kind is None and worker.item is None:
                with suppress(BrokenPipeError, ConnectionResetError):  # it died idle
                    worker.connection.send(None)
            else:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()
        if self._setup.together is not None:
            shutil.rmtree(self._setup.together, ignore_errors=True)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._setup), name="tomoportal-worker", daemon=True)
        with uninterrupted():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Processes that are started in the block do not hear Ctrl-C while they import; this one hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would lift the block when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def nameless_locks() -> None:
    """Nothing is to be left of this process when it is killed.

    Locks that libraries make for themselves (numcodecs has one) get names in processes that were spawned, and names
    that nobody takes away are told to the user as leaked semaphores.
    """
    if "fork" in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("fork", force=True)


def _work(connection: Connection, setup: _Setup) -> None:
    """The main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    nameless_locks()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel, setup.together), daemon=True).start()
    maker = Maker(Archive(setup.archive), setup.source, setup.options, setup.threads, setup.together)
    while True:
        try:
            item = connection.recv()
        except (EOFError, ConnectionResetError):
            break
        if item is None:
            break
        connection.send(maker.make(item))
    maker.close()


def _end_with(sentinel: int, together: Path | None) -> None:
    wait([sentinel])
    if together is not None:
        _remove(together)  # the parent was killed and cannot
    os._exit(1)


def _remove(folder: Path) -> None:
    """Remove a folder in which this and other processes may still be writing, until they notice what we have."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
