"""``tomoportal copick add tomograms-dynamo``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import chunk_shape, pyramid_options, volume_options, write_options
from tomoportal.cli.copick.options import open_project, perform_tasks

__all__ = ["command"]


@click.command(name="tomograms-dynamo")
@click.option("--tomolist", required=True, type=click.Path(exists=True, dir_okay=False), help="Number and file.")
@click.option(
    "--index-map", type=click.Path(exists=True, dir_okay=False), help="Number and run [default: the files' names]."
)
@click.option("--tomo-type", default="wbp", show_default=True, metavar="NAME", help="How the tomograms were made.")
@write_options
@volume_options
@pyramid_options
def command(
    tomolist: str,
    index_map: str | None,
    tomo_type: str,
    config: str,
    overwrite: bool,
    create: bool,
    workers: int,
    dry_run: bool,
    as_json: bool,
    file_type: str | None,
    voxel_size: float | None,
    transpose: str | None,
    flip: str | None,
    chunk_size: str,
    pyramid_levels: int,
    create_pyramid: bool,
) -> int:
    """Add the tomograms of Dynamo's list of tomograms."""
    from tomoportal.copick.exchange.importing_volumes import Pyramid, VolumeOptions, plan_tomograms_of
    from tomoportal.copick.exchange.tomogram_lists import dynamo_files

    tasks = plan_tomograms_of(
        open_project(config),
        dynamo_files(tomolist, index_map),
        tomo_type,
        options=VolumeOptions(file_type, voxel_size, transpose, flip, overwrite, create),
        pyramid=Pyramid(pyramid_levels if create_pyramid else 1, chunk_shape(chunk_size)),
    )
    return perform_tasks(tasks, "tomograms", workers=workers, dry_run=dry_run, as_json=as_json)
