"""``tomoportal copick add picks-dynamo``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.numbered import add_numbered
from tomoportal.cli.copick.adding.options import Target, path_argument, target_options
from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]

_FILE = click.Path(exists=True, dir_okay=False)


@click.command(name="picks-dynamo")
@path_argument
@click.option("--object-name", required=True, metavar="NAME", help="The object that was picked.")
@click.option("--voxel-size", required=True, type=float, metavar="Å", help="Of the voxels that the file counts.")
@click.option("--index-map", type=_FILE, help="Lines of number and run.")
@click.option("--tomolist", type=_FILE, help="Dynamo's list of tomograms.")
@target_options
@work_options("--max-workers", default=4)
def command(
    path: str,
    object_name: str,
    voxel_size: float,
    index_map: str | None,
    tomolist: str | None,
    target: Target,
    work: Work,
) -> int:
    """Add picks of many tomograms from Dynamo tables."""
    from tomoportal.copick.particles.index_maps import read_index_map, read_tomolist, tomolist_runs

    if (index_map is None) == (tomolist is None):
        raise click.UsageError("give exactly one of --index-map and --tomolist")
    numbers = read_index_map(index_map) if index_map else tomolist_runs(read_tomolist(str(tomolist)))
    return add_numbered(path, "dynamo", object_name, voxel_size, numbers, target, work)
