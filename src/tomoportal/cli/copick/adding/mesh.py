"""``tomoportal copick add mesh``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.adding.options import Files, Target, file_options, target_options
from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]

_TYPES = click.Choice(["glb", "obj", "stl", "ply", "vtk", "hff"])


@click.command(name="mesh")
@file_options
@click.option("--object-name", required=True, metavar="NAME", help="The object whose surface it is.")
@click.option("--file-type", type=_TYPES, help="[default: by what it holds]")
@click.option(
    "--voxel-size",
    type=float,
    default=1.0,
    show_default=True,
    metavar="Å",
    help="If coordinates are voxels of this size.",
)
@target_options
@work_options("--max-workers", default=4)
def command(
    files: Files, object_name: str, file_type: str | None, voxel_size: float, target: Target, work: Work
) -> int:
    """Add surfaces from GLB, OBJ, STL, PLY, VTK or EMDB-SFF files, one per run. Coordinates are Å, x, y, z."""
    from tomoportal.copick.exchange.importing_objects import plan_meshes

    tasks = plan_meshes(
        work.project(),
        files.path,
        object_name,
        user_id=target.user_id,
        session_id=target.session_id,
        file_type=file_type,
        scale=voxel_size,
        overwrite=target.overwrite,
        create=target.create,
        **files.naming(),
    )
    return work.perform(tasks, "meshes")
