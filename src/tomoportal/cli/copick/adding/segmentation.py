"""``tomoportal copick add segmentation``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import (
    Files,
    Target,
    Volumes,
    file_options,
    target_options,
    volume_options,
)
from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]


@click.command(name="segmentation")
@file_options
@click.option("--name", required=True, metavar="NAME", help="Of the object, or of a multilabel segmentation.")
@click.option(
    "--segmentation-type",
    "kind",
    type=click.Choice(["multilabel", "binary", "instance", "panoptic"]),
    default="multilabel",
    show_default=True,
    help="What its values mean.",
)
@target_options
@volume_options
@work_options("--max-workers", default=4)
def command(files: Files, name: str, kind: str, target: Target, volumes: Volumes, work: Work) -> int:
    """Add label volumes from MRC, OME-Zarr, TIFF or EM files, one per run."""
    from tomoportal.copick.exchange.importing_volumes import plan_segmentations

    tasks = plan_segmentations(
        work.project(),
        files.path,
        name,
        kind=kind,
        user_id=target.user_id,
        session_id=target.session_id,
        options=volumes.options(target),
        **files.naming(),
    )
    return work.perform(tasks, "segmentations")
