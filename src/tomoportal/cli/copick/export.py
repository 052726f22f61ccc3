"""``tomoportal copick export``: a project's content into files of other programs."""

from __future__ import annotations

import click

from tomoportal.cli.groups import LazyGroup

__all__ = ["command"]

LINES = {
    "picks": "Write picks as RELION, Dynamo, STOPGAP, EM, IMOD, CSV or ndjson files.",
    "segmentation": "Write segmentations as MRC, TIFF, OME-Zarr or EM files.",
    "tomogram": "Write tomograms as MRC, TIFF, OME-Zarr or EM files.",
    "mesh": "Write meshes as GLB, OBJ, STL or PLY files.",
}


@click.group(name="export", cls=LazyGroup, lines=LINES, package="tomoportal.cli.copick.exporting")
def command() -> None:
    """Write picks, volumes and meshes of a project in the formats of other programs."""
