"""``tomoportal copick new``: empty runs, voxel spacings and picks."""

from __future__ import annotations

import click

from tomoportal.cli.copick.options import config_option, dry_run_option, json_option, open_project, perform_tasks

__all__ = ["command"]


@click.group(name="new", help="Make empty runs, voxel spacings or picks.")
def command() -> None:
    """The group; its help is the line of the overview."""


_overwrite = click.option("--overwrite/--no-overwrite", default=False, help="Accept one that is there already.")
_create = click.option("--create/--no-create", default=True, help="Make what is missing above it.")


@command.command(name="run")
@click.argument("name")
@_overwrite
@_create
@config_option
@dry_run_option
@json_option
def run(name: str, overwrite: bool, create: bool, config: str, dry_run: bool, as_json: bool) -> int:
    """Make the run NAME."""
    from tomoportal.copick.creation import plan_run

    tasks = plan_run(open_project(config), name, exist_ok=overwrite)
    return perform_tasks(tasks, "new", workers=1, dry_run=dry_run, as_json=as_json)


@command.command(name="voxelspacing")
@click.argument("voxel_spacing", type=float)
@click.option("--run", "run_name", required=True, metavar="NAME", help="The run that it belongs to.")
@_overwrite
@_create
@config_option
@dry_run_option
@json_option
def voxelspacing(
    voxel_spacing: float, run_name: str, overwrite: bool, create: bool, config: str, dry_run: bool, as_json: bool
) -> int:
    """Make the voxel spacing VOXEL_SPACING (Å) of a run."""
    from tomoportal.copick.creation import plan_voxel_spacing

    tasks = plan_voxel_spacing(open_project(config), run_name, voxel_spacing, exist_ok=overwrite, create=create)
    return perform_tasks(tasks, "new", workers=1, dry_run=dry_run, as_json=as_json)


@command.command(name="picks")
@click.option("--particle-name", required=True, metavar="NAME", help="The object.")
@click.option("--out-user", default="copick", show_default=True, metavar="NAME", help="The user or tool.")
@click.option("--out-session", default="0", show_default=True, metavar="NAME", help="The session.")
@click.option("--overwrite/--no-overwrite", default=False, help="Empty picks that are there already.")
@config_option
@dry_run_option
@json_option
def picks(
    particle_name: str,
    out_user: str,
    out_session: str,
    overwrite: bool,
    config: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make empty picks of one object in every run; picks that are there stay as they are."""
    from tomoportal.copick.creation import plan_empty_picks

    tasks = plan_empty_picks(open_project(config), particle_name, out_user, out_session, overwrite=overwrite)
    return perform_tasks(tasks, "new picks", workers=4, dry_run=dry_run, as_json=as_json)
