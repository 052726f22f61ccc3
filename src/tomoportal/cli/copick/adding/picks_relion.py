"""``tomoportal copick add picks-relion``."""

from __future__ import annotations

from typing import Literal

import click

from tomoportal.cli.copick.adding.options import Target, path_argument, target_options
from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]

_VERSIONS = click.Choice(["auto", "relion4", "relion5"])


@click.command(name="picks-relion")
@path_argument
@click.option("--object-name", required=True, metavar="NAME", help="The object that was picked.")
@click.option("--voxel-size", type=float, metavar="Å", help="If coordinates are pixels of the tomogram.")
@click.option("--tomograms-star", type=click.Path(exists=True, dir_okay=False), help="RELION's list of tomograms.")
@click.option("--tilt-series-pixel-size", "pixel_size", type=float, metavar="Å", help="Of RELION's pixel coordinates.")
@click.option(
    "--relion-version", "version", type=_VERSIONS, default="auto", show_default=True, help="Which coordinates count."
)
@target_options
@work_options("--max-workers", default=4)
def command(
    path: str,
    object_name: str,
    voxel_size: float | None,
    tomograms_star: str | None,
    pixel_size: float | None,
    version: Literal["auto", "relion4", "relion5"],
    target: Target,
    work: Work,
) -> int:
    """Add picks of many tomograms from RELION 4 or 5 particle files. The run is rlnTomoName."""
    from tomoportal.copick.exchange.importing import plan_picks_of_many_runs
    from tomoportal.copick.particles.files import ReadOptions
    from tomoportal.copick.particles.index_maps import read_relion_tomograms

    tomograms = read_relion_tomograms(tomograms_star) if tomograms_star else {}
    tasks = plan_picks_of_many_runs(
        work.project(),
        path,
        target.picks(object_name),
        file_type="star",
        options=ReadOptions(voxel_size, pixel_size, tomograms, relion_version=version),
    )
    return work.perform(tasks, "picks")
