"""Where items are made when one machine is not enough: a running Dask cluster, or one that SLURM starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

from tomoportal.archive import Archive
from tomoportal.errors import MissingPartError, SettingsError
from tomoportal.ingest.plan import Options
from tomoportal.ingest.workers import Executor
from tomoportal.storage import Store

__all__ = ["Cluster", "Slurm", "cluster_executor", "slurm_script"]


@dataclass(frozen=True)
class Slurm:
    """What is asked of SLURM: ``workers`` jobs, each with ``cores`` cores and ``memory``."""

    workers: int = 1
    cores: int = 1
    memory: str = "16GB"
    walltime: str = "04:00:00"
    queue: str | None = None
    account: str | None = None
    interface: str | None = None
    """Network interface by which workers and scheduler reach each other, such as ``ib0``."""
    logs: str | None = None
    """Folder for what the jobs print."""
    directives: tuple[str, ...] = field(default=())
    """Further ``#SBATCH`` options, such as ``--gres=gpu:1``."""

    @classmethod
    def parse(cls, text: str) -> Slurm:
        """``workers=10,cores=8,memory=32GB,walltime=04:00:00,queue=cpu`` → settings.

        ``directive=--exclusive`` may be repeated. Raises `SettingsError` for what is unknown or no number.
        """
        values: dict[str, str] = {}
        directives: list[str] = []
        known = [one.name for one in fields(cls) if one.name != "directives"]
        for part in text.split(","):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if key == "directive" and value:
                directives.append(value)
            elif key in known and value and equals:
                values[key] = value
            else:
                raise SettingsError(
                    f"{part!r} is no setting for SLURM",
                    where="--slurm",
                    fix=f"write KEY=VALUE, separated by commas; keys are {', '.join((*known, 'directive'))}",
                )
        numbers = {key: _count(key, values.pop(key)) for key in ("workers", "cores") if key in values}
        return cls(directives=tuple(directives), **numbers, **values)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Cluster:
    """The address of a Dask scheduler, or what to ask SLURM for; exactly one of the two."""

    address: str | None = None
    slurm: Slurm | None = None

    def __post_init__(self) -> None:
        if (self.address is None) == (self.slurm is None):
            raise SettingsError(
                "give either the address of a Dask scheduler or settings for SLURM",
                where="--dask, --slurm",
                fix="remove one of them",
            )


def cluster_executor(cluster: Cluster, archive: Archive, source: Store, options: Options) -> Executor:
    """An executor on the cluster.

    Raises `MissingPartError` without the extra ``cluster``, `SettingsError` if the cluster cannot be reached, has
    another version of Tomoportal, or does not see the archive or the sources.
    """
    with _extra():
        from tomoportal.ingest.dask_executor import DaskExecutor

        return DaskExecutor(cluster, archive, source, options)


def slurm_script(slurm: Slurm) -> str:
    """The job script that is handed to ``sbatch`` for each worker."""
    with _extra():
        from tomoportal.ingest.dask_executor import job_script

        return job_script(slurm)


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except MissingPartError:
        raise
    except ImportError as error:
        raise MissingPartError(
            f"ingestion on a cluster needs {error.name or 'Dask'}", fix="pip install 'tomoportal[cluster]'"
        ) from error


def _count(key: str, value: str) -> int:
    if not value.isdigit() or int(value) < 1:
        raise SettingsError(f"{key} must be a whole number of at least 1; found {value!r}", where="--slurm")
    return int(value)
