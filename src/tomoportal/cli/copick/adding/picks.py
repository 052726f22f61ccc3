"""``tomoportal copick add picks``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import file_options, id_options, write_options
from tomoportal.cli.copick.options import open_project, perform_tasks

__all__ = ["command"]

_TYPES = (
    *("em", "star", "dynamo", "csv", "stopgap", "imod", "csv_plain", "tsv", "ndjson", "copick", "tardis", "warp"),
    *("cbox", "coords", "box", "eman2", "pytom", "deepfinder", "relion3", "tomoman", "tloc"),
)


@click.command(name="picks")
@file_options
@click.option("--object-name", required=True, metavar="NAME", help="The object that was picked.")
@click.option("--file-type", type=click.Choice(_TYPES), help="[default: by ending and content]")
@click.option("--voxel-size", type=float, metavar="Å", help="Of the voxels that the file counts.")
@click.option("--tilt-series-pixel-size", type=float, metavar="Å", help="Of RELION's pixel coordinates.")
@click.option("--tomograms-star", type=click.Path(exists=True, dir_okay=False), help="RELION's list of tomograms.")
@click.option(
    "--shape",
    type=click.Choice(["Point", "OrientedPoint", "InstanceSegmentation"]),
    help="What to take [default: all that the file has].",
)
@id_options
@write_options
def command(
    path: str,
    run: str,
    run_regex: str,
    run_name_prefix: str,
    object_name: str,
    file_type: str | None,
    voxel_size: float | None,
    tilt_series_pixel_size: float | None,
    tomograms_star: str | None,
    shape: str | None,
    user_id: str,
    session_id: str,
    config: str,
    overwrite: bool,
    create: bool,
    workers: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Add picks, one file per run, in any format that is read.

    Tables with a column run_name (csv) go to the runs that they name. Points without orientation are marked so.
    """
    from tomoportal.copick.exchange.importing import PicksTarget, plan_picks
    from tomoportal.copick.exchange.index_maps import read_relion_tomograms
    from tomoportal.copick.exchange.particle_files import ReadOptions

    tasks = plan_picks(
        open_project(config),
        path,
        PicksTarget(object_name, user_id, session_id, overwrite, create),
        file_type=file_type,
        run=run,
        run_regex=run_regex,
        run_name_prefix=run_name_prefix,
        options=ReadOptions(
            voxel_size,
            tilt_series_pixel_size,
            read_relion_tomograms(tomograms_star) if tomograms_star else {},
            shape=shape,
        ),
    )
    return perform_tasks(tasks, "picks", workers=workers, dry_run=dry_run, as_json=as_json)
