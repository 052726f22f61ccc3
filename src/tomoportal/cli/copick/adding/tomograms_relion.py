"""``tomoportal copick add tomograms-relion``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import Pyramids, Volumes, pyramid_options, volume_options
from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]

_HALVES = click.Choice(["half1", "half2"])


@click.command(name="tomograms-relion")
@click.option("--tomograms-star", required=True, type=click.Path(exists=True, dir_okay=False), help="RELION's list.")
@click.option(
    "--base-dir", required=True, type=click.Path(exists=True, file_okay=False), help="Root of the RELION project."
)
@click.option("--half", type=_HALVES, default="half1", show_default=True, help="Which half.")
@pyramid_options
@volume_options
@work_options("--max-workers", default=4)
def command(tomograms_star: str, base_dir: str, half: str, pyramids: Pyramids, volumes: Volumes, work: Work) -> int:
    """Add the reconstructed tomograms of a RELION 5 project.

    The run is rlnTomoName, the voxel size that of the tilt series times the binning.
    """
    from tomoportal.copick.exchange.importing_volumes import plan_tomograms_of
    from tomoportal.copick.exchange.tomogram_lists import relion_files

    files, sizes = relion_files(tomograms_star, base_dir, half)
    tasks = plan_tomograms_of(
        work.project(),
        files,
        pyramids.tomo_type,
        options=volumes.options(pyramids),
        pyramid=pyramids.made(),
        voxel_sizes=sizes,
    )
    return work.perform(tasks, "tomograms")
