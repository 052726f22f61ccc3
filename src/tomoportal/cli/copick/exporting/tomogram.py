"""``tomoportal copick export tomogram``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tomoportal.cli.copick.bundles import Work
from tomoportal.cli.copick.exporting.options import export_options
from tomoportal.cli.copick.exporting.volumes import Levels, level_options
from tomoportal.cli.copick.options import chosen_runs

if TYPE_CHECKING:
    from tomoportal.copick.exchange.run_names import RunNames

__all__ = ["command"]


@click.command(name="tomogram")
@export_options("tomogram", "wbp@10", ["mrc", "tiff", "zarr", "em"])
@level_options
def command(
    uri: str,
    output_dir: str,
    output_format: str,
    levels: Levels,
    run_names: tuple[str, ...],
    names: RunNames,
    work: Work,
) -> int:
    """Write tomograms as MRC, TIFF, OME-Zarr or EM files."""
    from tomoportal.copick.exchange.exporting_volumes import VolumeExport, plan_tomograms_export
    from tomoportal.copick.exchange.run_names import written_names

    root = work.project()
    export = VolumeExport(
        uri,
        output_format,
        levels.level,
        levels.copy_all_levels,
        levels.compression,
        chosen_runs(run_names),
        names=written_names(root, names),
    )
    return work.perform(plan_tomograms_export(root, export, Path(output_dir)), "export")
