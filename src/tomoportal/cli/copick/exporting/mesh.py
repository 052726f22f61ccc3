"""``tomoportal copick export mesh``."""

from __future__ import annotations

from pathlib import Path

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


@click.command(name="mesh")
@click.option("--mesh-uri", "uri", required=True, metavar="URI", help="Such as membrane:ada/1.")
@click.option("--output-dir", required=True, type=click.Path(file_okay=False), metavar="FOLDER", help="For the files.")
@click.option("--output-format", required=True, type=click.Choice(["glb", "obj", "stl", "ply"]), help="Of the files.")
@workers_option("--max-workers", default=4)
@run_names_option
@config_option
@dry_run_option
@json_option
def command(
    uri: str,
    output_dir: str,
    output_format: str,
    workers: int,
    run_names: tuple[str, ...],
    config: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Write meshes as GLB, OBJ, STL or PLY files."""
    from tomoportal.copick.exchange.exporting_volumes import VolumeExport, plan_meshes_export

    export = VolumeExport(uri, output_format, run_names=chosen_runs(run_names))
    tasks = plan_meshes_export(open_project(config), export, Path(output_dir))
    return perform_tasks(tasks, "export", workers=workers, dry_run=dry_run, as_json=as_json)
