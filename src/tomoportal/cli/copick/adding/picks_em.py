"""``tomoportal copick add picks-em``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import id_options, write_options
from tomoportal.cli.copick.options import open_project, perform_tasks

__all__ = ["command"]


@click.command(name="picks-em")
@click.argument("path")
@click.option("--object-name", required=True, metavar="NAME", help="The object that was picked.")
@click.option("--voxel-size", required=True, type=float, metavar="Å", help="Of the voxels that the file counts.")
@click.option(
    "--index-map", required=True, type=click.Path(exists=True, dir_okay=False), help="Lines of number and run."
)
@click.option("--tomo-index-row", type=int, default=4, show_default=True, help="Row of the tomogram, from 0.")
@id_options
@write_options
def command(
    path: str,
    object_name: str,
    voxel_size: float,
    index_map: str,
    tomo_index_row: int,
    user_id: str,
    session_id: str,
    config: str,
    overwrite: bool,
    create: bool,
    workers: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Add picks of many tomograms from EM motivelists."""
    from tomoportal.copick.exchange.importing import PicksTarget, plan_picks_of_many_runs
    from tomoportal.copick.exchange.index_maps import read_index_map
    from tomoportal.copick.exchange.particle_files import ReadOptions

    tasks = plan_picks_of_many_runs(
        open_project(config),
        path,
        PicksTarget(object_name, user_id, session_id, overwrite, create),
        file_type="em",
        options=ReadOptions(voxel_size, tomogram_row=tomo_index_row),
        index_map=read_index_map(index_map),
    )
    return perform_tasks(tasks, "picks", workers=workers, dry_run=dry_run, as_json=as_json)
