"""Options that say who makes the items of an ingestion: processes of this machine, a Dask cluster, SLURM jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from tomoportal.ingest import Cluster

__all__ = ["cluster_from", "workforce_options"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: number of cores]"),
    click.option(
        "--dask", metavar="ADDRESS", help="Make the items on a running Dask cluster: its scheduler's address."
    ),
    click.option(
        "--slurm",
        metavar="SETTINGS",
        help="Make the items on SLURM jobs: workers=10,cores=8,memory=32GB,walltime=04:00:00,queue=…,account=…",
    ),
)


def workforce_options(command: _Command) -> _Command:
    """Give a command the parameters ``jobs``, ``dask`` and ``slurm``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def cluster_from(dask: str | None, slurm: str | None) -> Cluster | None:
    """The cluster that the options ask for, if any. Raises `SettingsError` for both at once and for bad settings."""
    from tomoportal.ingest import Cluster, Slurm

    return Cluster(dask, Slurm.parse(slurm) if slurm else None) if dask or slurm else None
