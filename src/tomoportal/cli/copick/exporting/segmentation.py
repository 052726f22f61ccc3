"""``tomoportal copick export segmentation``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tomoportal.cli.copick.bundles import Work
from tomoportal.cli.copick.exporting.options import export_options
from tomoportal.cli.copick.exporting.volumes import Levels, level_options
from tomoportal.cli.copick.options import chosen_runs

if TYPE_CHECKING:
    from tomoportal.copick.exchange.run_names import RunNames

__all__ = ["command"]


@click.command(name="segmentation")
@export_options("segmentation", "membrane:seg/0@10?multilabel=true", ["mrc", "tiff", "zarr", "em"])
@level_options
@click.option("--channel", type=click.Choice(["label", "instance"]), help="Panoptic: this one [default: each].")
def command(
    uri: str,
    output_dir: str,
    output_format: str,
    levels: Levels,
    channel: Literal["label", "instance"] | None,
    run_names: tuple[str, ...],
    names: RunNames,
    work: Work,
) -> int:
    """Write segmentations as MRC, TIFF, OME-Zarr or EM files."""
    from tomoportal.copick.exchange.exporting_volumes import VolumeExport, plan_segmentations_export
    from tomoportal.copick.exchange.run_names import written_names

    root = work.project()
    export = VolumeExport(
        uri,
        output_format,
        levels.level,
        levels.copy_all_levels,
        levels.compression,
        chosen_runs(run_names),
        channel,
        names=written_names(root, names),
    )
    return work.perform(plan_segmentations_export(root, export, Path(output_dir)), "export")
