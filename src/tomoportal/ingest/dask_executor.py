"""Items made by the workers of a Dask cluster. A worker that dies gives its items to the others.

Workers get stores by address, so they must see the same file system (or object store) under the same name, and hold
the same version of Tomoportal; both are checked before the first item. Ids are given by the process that plans, so the
archive has the same bytes as one made in one process.
"""

from __future__ import annotations

import pickle
import secrets
import shutil
import sys
import tempfile
import threading
from asyncio import CancelledError as TaskCancelled
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from distributed import Client, Worker, WorkerPlugin, as_completed, get_worker
from distributed.scheduler import KilledWorker

from tomoportal import __version__
from tomoportal.archive import Archive
from tomoportal.errors import MissingPartError, SettingsError, StorageError
from tomoportal.ingest.cluster import Cluster, Slurm
from tomoportal.ingest.making import Maker
from tomoportal.ingest.plan import Item, Options
from tomoportal.ingest.report import Result
from tomoportal.storage import Store
from tomoportal.storage.owners import new_token

__all__ = ["DaskExecutor", "job_script"]

_CONNECT = 10.0  # seconds
_QUEUED = 2  # items per thread handed over at a time, so that no worker waits for the next one


class DaskExecutor:
    """The `Executor` of a cluster; use it as a context manager."""

    def __init__(self, cluster: Cluster, archive: Archive, source: Store, options: Options) -> None:
        self._cluster = cluster
        self._makers = _Makers(archive.store, source, options, name=f"tomoportal-{new_token()}")
        self._started: Any = None
        self._client: Any = None
        self._done: Any = None
        self._items: dict[str, tuple[Item, Any]] = {}
        self.capacity = 1

    def submit(self, item: Item) -> None:
        """Hand the item to the scheduler; what comes first in the plan is made first."""
        future = self._client.submit(
            _make, item, self._makers.name, key=f"{self._makers.name}-{item.label}", pure=False, retries=0
        )
        self._items[future.key] = (item, future)
        self._done.add(future)

    def next(self) -> tuple[Item, Result]:
        """Wait for the first item that is done."""
        future = next(self._done)
        item, _ = self._items.pop(future.key)
        try:
            return item, future.result()
        except KilledWorker:
            why = "every worker that tried it died; is there enough memory for one item per worker thread?"
            return item, Result.of(item, "failed", why)
        except (CancelledError, TaskCancelled):
            why = "the Dask scheduler is gone; run the same command again to go on"
            return item, Result.of(item, "failed", why, stop=True)
        except (ImportError, OSError, RuntimeError) as error:  # the worker could not even begin
            return item, Result.of(item, "failed", f"the Dask worker failed: {error}")

    def __enter__(self) -> DaskExecutor:
        try:
            self._open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._items:
            self._client.cancel([future for _, future in self._items.values()], force=True)
            self._items.clear()
        elif self._client.status == "running":
            self._client.unregister_worker_plugin(self._makers.name)  # workers write down what they learned
        self._close()

    def _open(self) -> None:
        try:
            pickle.dumps(self._makers)
        except StorageError as error:
            raise SettingsError(error.what, where=error.where, fix="use a folder or an object store") from error
        if self._cluster.slurm is not None:
            self._started = _start(self._cluster.slurm)
            target: Any = self._started
        else:
            target = self._cluster.address
        try:
            self._client = Client(target, timeout=_CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"there is no Dask scheduler at {self._cluster.address}: {error}",
                where="--dask",
                fix="start one with `dask scheduler`, and give the address that it prints, such as tcp://host:8786",
            ) from error
        if self._cluster.slurm is not None:
            self._client.wait_for_workers(1)  # the queue decides how long
            self.capacity = _QUEUED * self._cluster.slurm.workers * self._cluster.slurm.cores
        else:
            self.capacity = _QUEUED * sum(self._client.nthreads().values())
        if not self.capacity:
            raise SettingsError(
                f"the Dask scheduler at {self._cluster.address} has no workers",
                where="--dask",
                fix="start some with `dask worker ADDRESS`",
            )
        self._check_workers()
        self._client.register_plugin(self._makers, name=self._makers.name)
        self._done = as_completed(loop=self._client.loop)

    def _check_workers(self) -> None:
        """Every worker runs this version and sees this archive and these sources."""
        archive = self._makers.archive
        token = new_token()
        probe = f".tomoportal/staging/{token}/probe"
        archive.put(probe, token.encode())
        try:
            answers = self._client.run(_look, archive, self._makers.source, probe, on_error="return")
        finally:
            archive.delete_tree(probe.rpartition("/")[0])
        ours = _look(None, self._makers.source, probe)
        for worker, answer in sorted(answers.items()):
            if isinstance(answer, BaseException):
                why, fix = f"failed: {answer}", "install tomoportal there, with the same Python"
            elif answer.version != ours.version:
                why = f"has Tomoportal {answer.version}, not {ours.version}"
                fix = "install the same version everywhere"
            elif answer.probe != token:
                why, fix = f"does not see the archive {archive.url}", "use a shared file system, or an object store"
            elif answer.sources != ours.sources:
                why = f"does not see the sources {self._makers.source.url}"
                fix = "mount them there under the same path, or use an object store"
            else:
                continue
            raise SettingsError(f"the Dask worker {worker} {why}", where="--dask", fix=fix)

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._started is not None:
            self._started.close()


@dataclass
class _Makers(WorkerPlugin):  # type: ignore[misc]
    """What a worker keeps between items: one `Maker` per thread, each with its memory of digests."""

    archive: Store
    source: Store
    options: Options
    name: str
    folder: str = field(default_factory=lambda: f"tomoportal-{secrets.token_hex(16)}")
    """By which the workers of one machine share what they read; nobody else can know its name beforehand."""
    _own: Any = field(default=None, init=False)
    _all: list[Maker] = field(default_factory=list, init=False)

    def setup(self, worker: Worker) -> None:
        """Called when the worker gets the plug-in."""
        self._own = threading.local()
        self._together.mkdir(mode=0o700, exist_ok=True)

    def teardown(self, worker: Worker) -> None:
        """Called when the ingestion is over."""
        for maker in self._all:
            maker.close()
        shutil.rmtree(self._together, ignore_errors=True)

    @property
    def _together(self) -> Path:
        return Path(tempfile.gettempdir(), self.folder)

    def make(self, item: Item) -> Result:
        """Make an item in the calling thread."""
        maker: Maker | None = getattr(self._own, "maker", None)
        if maker is None:
            maker = self._own.maker = Maker(Archive(self.archive), self.source, self.options, together=self._together)
            self._all.append(maker)
        return maker.make(item)


def _make(item: Item, name: str) -> Result:
    makers = get_worker().plugins[name]
    assert isinstance(makers, _Makers)
    return makers.make(item)


@dataclass(frozen=True)
class _Seen:
    version: str
    probe: str | None
    sources: tuple[str, ...] | None


def _look(archive: Store | None, source: Store, probe: str) -> _Seen:
    """What this process has and sees."""
    found: str | None = None
    names: tuple[str, ...] | None = None
    try:
        found = archive.get(probe).decode() if archive is not None else None
    except StorageError:  # reported by the process that asked
        found = None
    try:
        folders, files = source.children("")
        names = (*folders, *(file.key for file in files))
    except StorageError:
        names = None
    return _Seen(__version__, found, names)


def _start(slurm: Slurm) -> Any:
    """A scheduler in this process whose workers are SLURM jobs."""
    from dask_jobqueue import SLURMCluster

    if shutil.which("sbatch") is None:
        raise MissingPartError(
            "sbatch is not on the path: this machine cannot hand jobs to SLURM",
            where="--slurm",
            fix="run the command on a login node of the cluster, or use --dask ADDRESS",
        )
    cluster = SLURMCluster(**_arguments(slurm), scheduler_options={"dashboard_address": None})
    cluster.scale(jobs=slurm.workers)
    return cluster


def job_script(slurm: Slurm) -> str:
    """See `cluster.slurm_script`."""
    from dask_jobqueue.slurm import SLURMJob

    text = SLURMJob("tcp://SCHEDULER:PORT", name="tomoportal-worker", **_arguments(slurm)).job_script()
    assert isinstance(text, str)
    return text


def _arguments(slurm: Slurm) -> dict[str, Any]:
    """The settings as dask-jobqueue names them; each core is a process, since a worker that dies takes all its own."""
    return {
        "cores": slurm.cores,
        "processes": slurm.cores,
        "memory": slurm.memory,
        "walltime": slurm.walltime,
        "queue": slurm.queue,
        "account": slurm.account,
        "interface": slurm.interface,
        "log_directory": slurm.logs,
        "job_extra_directives": list(slurm.directives),
        "job_name": "tomoportal",
        "python": sys.executable,
        "config_name": "slurm",
    }
