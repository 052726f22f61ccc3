"""``tomoportal copick add tomogram``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import (
    chunk_shape,
    file_options,
    pyramid_options,
    volume_options,
    write_options,
)
from tomoportal.cli.copick.options import open_project, perform_tasks

__all__ = ["command"]


@click.command(name="tomogram")
@file_options
@click.option("--tomo-type", default="wbp", show_default=True, metavar="NAME", help="How the tomogram was made.")
@write_options
@volume_options
@pyramid_options
def command(
    path: str,
    run: str,
    run_regex: str,
    run_name_prefix: str,
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
    """Add tomograms from MRC, OME-Zarr, TIFF or EM files, one per run."""
    from tomoportal.copick.exchange.importing_volumes import Pyramid, VolumeOptions, plan_tomograms

    tasks = plan_tomograms(
        open_project(config),
        path,
        tomo_type,
        run=run,
        run_regex=run_regex,
        run_name_prefix=run_name_prefix,
        options=VolumeOptions(file_type, voxel_size, transpose, flip, overwrite, create),
        pyramid=Pyramid(pyramid_levels if create_pyramid else 1, chunk_shape(chunk_size)),
    )
    return perform_tasks(tasks, "tomograms", workers=workers, dry_run=dry_run, as_json=as_json)
