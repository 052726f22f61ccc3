"""``tomoportal copick add picks``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import Files, Target, file_options, target_options
from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]

_TYPES = (
    *("em", "star", "dynamo", "csv", "stopgap", "imod", "csv_plain", "tsv", "ndjson", "copick", "tardis", "warp"),
    *("cbox", "coords", "box", "eman2", "pytom", "deepfinder", "relion3", "tomoman", "tloc"),
)
_SHAPES = click.Choice(["Point", "OrientedPoint", "InstanceSegmentation"])


@click.command(name="picks")
@file_options
@click.option("--object-name", required=True, metavar="NAME", help="The object that was picked.")
@click.option("--file-type", type=click.Choice(_TYPES), help="[default: by ending and content]")
@click.option("--voxel-size", type=float, metavar="Å", help="Of the voxels that the file counts.")
@click.option("--tilt-series-pixel-size", "pixel_size", type=float, metavar="Å", help="Of RELION's pixel coordinates.")
@click.option("--tomograms-star", type=click.Path(exists=True, dir_okay=False), help="RELION's list of tomograms.")
@click.option("--shape", type=_SHAPES, help="What to take [default: all that the file has].")
@target_options
@work_options("--max-workers", default=4)
def command(
    files: Files,
    object_name: str,
    file_type: str | None,
    voxel_size: float | None,
    pixel_size: float | None,
    tomograms_star: str | None,
    shape: str | None,
    target: Target,
    work: Work,
) -> int:
    """Add picks, one file per run, in any format that is read.

    Tables with a column run_name (csv) go to the runs that they name. Points without orientation are marked so.
    """
    from tomoportal.copick.exchange.importing import plan_picks
    from tomoportal.copick.particles.files import ReadOptions
    from tomoportal.copick.particles.index_maps import read_relion_tomograms

    tomograms = read_relion_tomograms(tomograms_star) if tomograms_star else {}
    tasks = plan_picks(
        work.project(),
        files.path,
        target.picks(object_name),
        file_type=file_type,
        options=ReadOptions(voxel_size, pixel_size, tomograms, shape=shape),
        **files.naming(),
    )
    return work.perform(tasks, "picks")
