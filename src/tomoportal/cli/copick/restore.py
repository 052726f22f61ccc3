"""``tomoportal copick restore``: bring a previous version back."""

from __future__ import annotations

import click

from tomoportal.cli.copick.bundles import Work, one_work_option

__all__ = ["command"]


@click.command(name="restore")
@click.argument("object_type", type=click.Choice(["picks", "mesh", "filaments", "segmentation"]))
@click.argument("uri")
@click.option("-r", "--run", "run_name", required=True, metavar="NAME", help="The run.")
@click.option("--version", required=True, type=int, metavar="N", help="As `tomoportal copick history` lists it.")
@one_work_option
def command(object_type: str, uri: str, run_name: str, version: int, work: Work) -> int:
    """Bring a previous version of picks, a mesh, filaments or a segmentation back, also of what was removed.

    What is there now goes to the history.
    """
    from tomoportal.copick.transfers.by_uri import plan_restore

    tasks = plan_restore(work.project(), object_type, uri, run_name, version)
    return work.perform(tasks, "restore")
