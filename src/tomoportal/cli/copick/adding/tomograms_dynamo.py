"""``tomoportal copick add tomograms-dynamo``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import Pyramids, Volumes, pyramid_options, volume_options
from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]

_FILE = click.Path(exists=True, dir_okay=False)


@click.command(name="tomograms-dynamo")
@click.option("--tomolist", required=True, type=_FILE, help="Lines of number and file.")
@click.option("--index-map", type=_FILE, help="Lines of number and run [default: the files' names].")
@pyramid_options
@volume_options
@work_options("--max-workers", default=4)
def command(tomolist: str, index_map: str | None, pyramids: Pyramids, volumes: Volumes, work: Work) -> int:
    """Add the tomograms of Dynamo's list of tomograms."""
    from tomoportal.copick.exchange.importing_volumes import plan_tomograms_of
    from tomoportal.copick.exchange.tomogram_lists import dynamo_files

    tasks = plan_tomograms_of(
        work.project(),
        dynamo_files(tomolist, index_map),
        pyramids.tomo_type,
        options=volumes.options(pyramids),
        pyramid=pyramids.made(),
    )
    return work.perform(tasks, "tomograms")
