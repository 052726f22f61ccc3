"""``tomoportal copick add mesh``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import file_options, id_options, write_options
from tomoportal.cli.copick.options import open_project, perform_tasks

__all__ = ["command"]


@click.command(name="mesh")
@file_options
@click.option("--object-name", required=True, metavar="NAME", help="The object whose surface it is.")
@click.option(
    "--file-type", type=click.Choice(["glb", "obj", "stl", "ply", "vtk", "hff"]), help="[default: by what it holds]"
)
@click.option("--voxel-size", type=float, default=1.0, metavar="Å", help="If coordinates are voxels of this size.")
@id_options
@write_options
def command(
    path: str,
    run: str,
    run_regex: str,
    run_name_prefix: str,
    object_name: str,
    file_type: str | None,
    voxel_size: float,
    user_id: str,
    session_id: str,
    config: str,
    overwrite: bool,
    create: bool,
    workers: int,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Add surfaces from GLB, OBJ, STL, PLY, VTK or EMDB-SFF files, one per run. Coordinates are Å, x, y, z."""
    from tomoportal.copick.exchange.importing_objects import plan_meshes

    tasks = plan_meshes(
        open_project(config),
        path,
        object_name,
        user_id=user_id,
        session_id=session_id,
        run=run,
        run_regex=run_regex,
        run_name_prefix=run_name_prefix,
        file_type=file_type,
        scale=voxel_size,
        overwrite=overwrite,
        create=create,
    )
    return perform_tasks(tasks, "meshes", workers=workers, dry_run=dry_run, as_json=as_json)
