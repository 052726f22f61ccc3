"""``tomoportal copick export mesh``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tomoportal.cli.copick.bundles import Work
from tomoportal.cli.copick.exporting.options import export_options
from tomoportal.cli.copick.options import chosen_runs

if TYPE_CHECKING:
    from tomoportal.copick.exchange.run_names import RunNames

__all__ = ["command"]


@click.command(name="mesh")
@export_options("mesh", "membrane:ada/1", ["glb", "obj", "stl", "ply"])
def command(
    uri: str,
    output_dir: str,
    output_format: str,
    run_names: tuple[str, ...],
    names: RunNames,
    work: Work,
) -> int:
    """Write meshes as GLB, OBJ, STL or PLY files."""
    from tomoportal.copick.exchange.exporting_volumes import VolumeExport, plan_meshes_export
    from tomoportal.copick.exchange.run_names import written_names

    root = work.project()
    export = VolumeExport(uri, output_format, run_names=chosen_runs(run_names), names=written_names(root, names))
    return work.perform(plan_meshes_export(root, export, Path(output_dir)), "export")
