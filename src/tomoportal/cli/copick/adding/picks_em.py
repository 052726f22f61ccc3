"""``tomoportal copick add picks-em``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.numbered import add_numbered
from tomoportal.cli.copick.adding.options import Target, path_argument, target_options
from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]

_FILE = click.Path(exists=True, dir_okay=False)


@click.command(name="picks-em")
@path_argument
@click.option("--object-name", required=True, metavar="NAME", help="The object that was picked.")
@click.option("--voxel-size", required=True, type=float, metavar="Å", help="Of the voxels that the file counts.")
@click.option("--index-map", required=True, type=_FILE, help="Lines of number and run.")
@click.option("--tomo-index-row", type=int, default=4, show_default=True, help="Row of the tomogram, from 0.")
@target_options
@work_options("--max-workers", default=4)
def command(
    path: str,
    object_name: str,
    voxel_size: float,
    index_map: str,
    tomo_index_row: int,
    target: Target,
    work: Work,
) -> int:
    """Add picks of many tomograms from EM motivelists."""
    from tomoportal.copick.particles.index_maps import read_index_map

    numbers = read_index_map(index_map)
    return add_numbered(path, "em", object_name, voxel_size, numbers, target, work, tomogram_row=tomo_index_row)
