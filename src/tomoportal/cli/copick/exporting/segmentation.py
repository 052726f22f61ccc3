"""``tomoportal copick export segmentation``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from tomoportal.cli.copick.options import (
    chosen_runs,
    config_option,
    dry_run_option,
    json_option,
    open_project,
    perform_tasks,
    run_names_option,
    workers_option,
)

__all__ = ["command"]


@click.command(name="segmentation")
@click.option(
    "--segmentation-uri", "uri", required=True, metavar="URI", help="Such as membrane:seg/0@10?multilabel=true."
)
@click.option("--output-dir", required=True, type=click.Path(file_okay=False), metavar="FOLDER", help="For the files.")
@click.option("--output-format", required=True, type=click.Choice(["mrc", "tiff", "zarr", "em"]), help="Of the files.")
@click.option("--level", type=click.IntRange(min=0), default=0, show_default=True, help="Of the pyramid; 0 is finest.")
@click.option("--copy-all-levels/--level-only", default=True, help="Zarr: all levels, or --level alone.")
@click.option(
    "--compression", type=click.Choice(["lzw", "zlib", "jpeg", "none"]), default="none", show_default=True,
    help="TIFF: how pages are compressed.",
)  # fmt: skip
@click.option(
    "--channel", type=click.Choice(["label", "instance"]), help="Panoptic: this one [default: one file each]."
)
@workers_option("--max-workers", default=4)
@run_names_option
@config_option
@dry_run_option
@json_option
def command(
    uri: str,
    output_dir: str,
    output_format: str,
    level: int,
    copy_all_levels: bool,
    compression: Literal["lzw", "zlib", "jpeg", "none"],
    channel: Literal["label", "instance"] | None,
    workers: int,
    run_names: tuple[str, ...],
    config: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Write segmentations as MRC, TIFF, OME-Zarr or EM files."""
    from tomoportal.copick.exchange.exporting_volumes import VolumeExport, plan_segmentations_export

    export = VolumeExport(uri, output_format, level, copy_all_levels, compression, chosen_runs(run_names), channel)
    tasks = plan_segmentations_export(open_project(config), export, Path(output_dir))
    return perform_tasks(tasks, "export", workers=workers, dry_run=dry_run, as_json=as_json)
