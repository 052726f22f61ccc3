"""``tomoportal copick add tomogram``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import (
    Files,
    Pyramids,
    Volumes,
    file_options,
    pyramid_options,
    volume_options,
)
from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]


@click.command(name="tomogram")
@file_options
@pyramid_options
@volume_options
@work_options("--max-workers", default=4)
def command(files: Files, pyramids: Pyramids, volumes: Volumes, work: Work) -> int:
    """Add tomograms from MRC, OME-Zarr, TIFF or EM files, one per run."""
    from tomoportal.copick.exchange.importing_volumes import plan_tomograms

    made = {"options": volumes.options(pyramids), "pyramid": pyramids.made()}
    tasks = plan_tomograms(work.project(), files.path, pyramids.tomo_type, **files.naming(), **made)  # type: ignore[arg-type]
    return work.perform(tasks, "tomograms")
