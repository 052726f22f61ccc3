"""``tomoportal copick add object``."""

from __future__ import annotations

from pathlib import Path

import click

from tomoportal.cli.copick.bundles import Work, one_work_option

__all__ = ["command"]


@click.command(name="object")
@click.option("--name", required=True, metavar="NAME", help="Without '_', blanks and <>:\"/\\|?*.")
@click.option(
    "--object-type",
    type=click.Choice(["particle", "segmentation", "filament"]),
    default="particle",
    show_default=True,
    help="Particles and filaments may be points.",
)
@click.option("--label", type=click.IntRange(min=1), help="Its value in multilabel segmentations [default: next free].")
@click.option("--color", metavar="R,G,B,A", help="From 0 to 255.")
@click.option("--emdb-id", metavar="ID", help="Of its map in the EMDB.")
@click.option("--pdb-id", metavar="ID", help="Of its model in the PDB.")
@click.option("--identifier", metavar="ID", help="Of an ontology or database, such as GO:0005840.")
@click.option("--map-threshold", type=float, help="Level of the surface of its density map.")
@click.option("--radius", type=float, default=50.0, show_default=True, metavar="Å", help="To draw it as a sphere.")
@click.option("--polar/--apolar", default=None, help="Whether filaments have a direction.")
@click.option("--helical-rise", type=float, metavar="Å", help="Of filaments.")
@click.option("--helical-twist", type=float, metavar="DEGREES", help="Of filaments.")
@click.option("--metadata", metavar="JSON", help="Anything else, as a JSON object.")
@click.option("--volume", type=click.Path(exists=True), metavar="FILE", help="Its density map.")
@click.option("--volume-format", type=click.Choice(["mrc", "zarr", "map"]), help="[default: by what it holds]")
@click.option("--voxel-size", type=float, metavar="Å", help="Of the density map.")
@click.option("--exist-ok/--no-exist-ok", default=False, help="Change an object that is there already.")
@one_work_option
def command(
    name: str,
    object_type: str,
    label: int | None,
    color: str | None,
    emdb_id: str | None,
    pdb_id: str | None,
    identifier: str | None,
    map_threshold: float | None,
    radius: float,
    polar: bool | None,
    helical_rise: float | None,
    helical_twist: float | None,
    metadata: str | None,
    volume: str | None,
    volume_format: str | None,
    voxel_size: float | None,
    exist_ok: bool,
    work: Work,
) -> int:
    """Add an object that can be annotated to the config."""
    from tomoportal.copick.exchange.importing_objects import parse_color, parse_metadata, plan_object

    filament = {"polar": polar, "helical_rise_a": helical_rise, "helical_twist_deg": helical_twist}
    filament = {key: value for key, value in filament.items() if value is not None}
    if filament and object_type != "filament":
        raise click.UsageError("--polar, --helical-rise and --helical-twist need --object-type filament")
    tasks = plan_object(
        work.project(),
        work.config,
        name,
        object_type != "segmentation",
        fields={
            "label": label,
            "color": parse_color(color) if color else None,
            "emdb_id": emdb_id,
            "pdb_id": pdb_id,
            "identifier": identifier,
            "map_threshold": map_threshold,
            "radius": radius,
            "metadata": parse_metadata(metadata) if metadata else None,
            "filament": filament if object_type == "filament" else None,
        },
        volume=Path(volume) if volume else None,
        volume_format=volume_format,
        voxel_size=voxel_size,
        exist_ok=exist_ok,
    )
    return work.perform(tasks, "object")
