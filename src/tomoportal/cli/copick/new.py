"""``tomoportal copick new``: empty runs, voxel spacings and picks."""

from __future__ import annotations

import click

from tomoportal.cli.copick.bundles import Work, one_work_option

__all__ = ["command"]


@click.group(name="new", help="Make empty runs, voxel spacings or picks.")
def command() -> None:
    """The group; its help is the line of the overview."""


_overwrite = click.option("--overwrite/--no-overwrite", default=False, help="Accept one that is there already.")
_create = click.option("--create/--no-create", default=True, show_default=True, help="Make what is missing above it.")


@command.command(name="run")
@click.argument("name")
@_overwrite
@_create
@one_work_option
def run(name: str, overwrite: bool, create: bool, work: Work) -> int:
    """Make the run NAME."""
    from tomoportal.copick.creation import plan_run

    tasks = plan_run(work.project(), name, exist_ok=overwrite)
    return work.perform(tasks, "new")


@command.command(name="voxelspacing")
@click.argument("voxel_spacing", type=float)
@click.option("--run", "run_name", required=True, metavar="NAME", help="The run that it belongs to.")
@_overwrite
@_create
@one_work_option
def voxelspacing(voxel_spacing: float, run_name: str, overwrite: bool, create: bool, work: Work) -> int:
    """Make the voxel spacing VOXEL_SPACING (Å) of a run."""
    from tomoportal.copick.creation import plan_voxel_spacing

    tasks = plan_voxel_spacing(work.project(), run_name, voxel_spacing, exist_ok=overwrite, create=create)
    return work.perform(tasks, "new")


@command.command(name="picks")
@click.option("--particle-name", required=True, metavar="NAME", help="The object.")
@click.option("--out-user", default="copick", show_default=True, metavar="NAME", help="The user or tool.")
@click.option("--out-session", default="0", show_default=True, metavar="NAME", help="The session.")
@click.option("--overwrite/--no-overwrite", default=False, help="Empty picks that are there already.")
@one_work_option
def picks(
    particle_name: str,
    out_user: str,
    out_session: str,
    overwrite: bool,
    work: Work,
) -> int:
    """Make empty picks of one object in every run; picks that are there stay as they are."""
    from tomoportal.copick.creation import plan_empty_picks

    tasks = plan_empty_picks(work.project(), particle_name, out_user, out_session, overwrite=overwrite)
    return work.perform(tasks, "new picks")
