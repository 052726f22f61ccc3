"""``tomoportal copick add picks-relion``."""

from __future__ import annotations

from typing import Literal

import click

from tomoportal.cli.copick.adding.options import id_options, write_options
from tomoportal.cli.copick.options import open_project, perform_tasks

__all__ = ["command"]


@click.command(name="picks-relion")
@click.argument("path")
@click.option("--object-name", required=True, metavar="NAME", help="The object that was picked.")
@click.option("--voxel-size", type=float, metavar="Å", help="If coordinates are pixels of the tomogram.")
@click.option("--tomograms-star", type=click.Path(exists=True, dir_okay=False), help="RELION's list of tomograms.")
@click.option("--tilt-series-pixel-size", type=float, metavar="Å", help="Of RELION's pixel coordinates.")
@click.option(
    "--relion-version",
    type=click.Choice(["auto", "relion4", "relion5"]),
    default="auto",
    show_default=True,
    help="Which coordinates count.",
)
@id_options
@write_options
def command(
    path: str,
    object_name: str,
    voxel_size: float | None,
    tomograms_star: str | None,
    tilt_series_pixel_size: float | None,
    relion_version: Literal["auto", "relion4", "relion5"],
    user_id: str,
    session_id: str,
    config: str,
    overwrite: bool,
    create: bool,
    workers: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Add picks of many tomograms from RELION 4 or 5 particle files. The run is rlnTomoName."""
    from tomoportal.copick.exchange.importing import PicksTarget, plan_picks_of_many_runs
    from tomoportal.copick.exchange.index_maps import read_relion_tomograms
    from tomoportal.copick.exchange.particle_files import ReadOptions

    tasks = plan_picks_of_many_runs(
        open_project(config),
        path,
        PicksTarget(object_name, user_id, session_id, overwrite, create),
        file_type="star",
        options=ReadOptions(
            voxel_size,
            tilt_series_pixel_size,
            read_relion_tomograms(tomograms_star) if tomograms_star else {},
            relion_version=relion_version,
        ),
    )
    return perform_tasks(tasks, "picks", workers=workers, dry_run=dry_run, as_json=as_json)
