"""``tomoportal copick add tomograms-relion``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import chunk_shape, pyramid_options, volume_options, write_options
from tomoportal.cli.copick.options import open_project, perform_tasks

__all__ = ["command"]


@click.command(name="tomograms-relion")
@click.option("--tomograms-star", required=True, type=click.Path(exists=True, dir_okay=False), help="RELION's list.")
@click.option(
    "--base-dir", required=True, type=click.Path(exists=True, file_okay=False), help="Root of the RELION project."
)
@click.option("--half", type=click.Choice(["half1", "half2"]), default="half1", show_default=True, help="Which half.")
@click.option("--tomo-type", default="wbp", show_default=True, metavar="NAME", help="How the tomograms were made.")
@write_options
@volume_options
@pyramid_options
def command(
    tomograms_star: str,
    base_dir: str,
    half: str,
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
    """Add the reconstructed tomograms of a RELION 5 project.

    The run is rlnTomoName, the voxel size that of the tilt series times the binning.
    """
    from tomoportal.copick.exchange.importing_volumes import Pyramid, VolumeOptions, plan_tomograms_of
    from tomoportal.copick.exchange.tomogram_lists import relion_files

    files, sizes = relion_files(tomograms_star, base_dir, half)
    tasks = plan_tomograms_of(
        open_project(config),
        files,
        tomo_type,
        options=VolumeOptions(file_type, voxel_size, transpose, flip, overwrite, create),
        pyramid=Pyramid(pyramid_levels if create_pyramid else 1, chunk_shape(chunk_size)),
        voxel_sizes=sizes,
    )
    return perform_tasks(tasks, "tomograms", workers=workers, dry_run=dry_run, as_json=as_json)
