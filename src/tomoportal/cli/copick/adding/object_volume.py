"""``tomoportal copick add object-volume``."""

from __future__ import annotations

from pathlib import Path

import click

from tomoportal.cli.copick.bundles import Work, one_work_option

__all__ = ["command"]


@click.command(name="object-volume")
@click.option("--object-name", required=True, metavar="NAME", help="A particle of the config.")
@click.option("--volume-path", required=True, type=click.Path(exists=True), metavar="FILE", help="The density map.")
@click.option("--volume-format", type=click.Choice(["mrc", "zarr"]), help="[default: by what it holds]")
@click.option("--voxel-size", type=float, metavar="Å", help="Instead of the one in the header.")
@one_work_option
def command(
    object_name: str,
    volume_path: str,
    volume_format: str | None,
    voxel_size: float | None,
    work: Work,
) -> int:
    """Give an object its density map."""
    from tomoportal.copick.exchange.importing_objects import plan_object_volume

    tasks = plan_object_volume(
        work.project(), object_name, Path(volume_path), volume_format=volume_format, voxel_size=voxel_size
    )
    return work.perform(tasks, "map")
