"""``tomoportal copick add segmentation``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import file_options, id_options, volume_options, write_options
from tomoportal.cli.copick.options import open_project, perform_tasks

__all__ = ["command"]


@click.command(name="segmentation")
@file_options
@click.option("--name", required=True, metavar="NAME", help="Of the object, or of a multilabel segmentation.")
@click.option(
    "--segmentation-type",
    type=click.Choice(["multilabel", "binary", "instance", "panoptic"]),
    default="multilabel",
    show_default=True,
    help="What its values mean.",
)
@id_options
@write_options
@volume_options
def command(
    path: str,
    run: str,
    run_regex: str,
    run_name_prefix: str,
    name: str,
    segmentation_type: str,
    user_id: str,
    session_id: str,
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
) -> int:
    """Add label volumes from MRC, OME-Zarr, TIFF or EM files, one per run."""
    from tomoportal.copick.exchange.importing_volumes import VolumeOptions, plan_segmentations

    tasks = plan_segmentations(
        open_project(config),
        path,
        name,
        kind=segmentation_type,
        user_id=user_id,
        session_id=session_id,
        run=run,
        run_regex=run_regex,
        run_name_prefix=run_name_prefix,
        options=VolumeOptions(file_type, voxel_size, transpose, flip, overwrite, create),
    )
    return perform_tasks(tasks, "segmentations", workers=workers, dry_run=dry_run, as_json=as_json)
