"""``tomoportal copick add``: files into a project. Its commands stand in modules of their own, by what they add."""

from __future__ import annotations

import click

from tomoportal.cli.groups import LazyGroup

__all__ = ["command"]

LINES = {
    "object": "Add an object that can be annotated to the config.",
    "object-volume": "Give an object its density map.",
    "tomogram": "Add tomograms from MRC, OME-Zarr, TIFF or EM files, one per run.",
    "tomograms-dynamo": "Add the tomograms of Dynamo's list of tomograms.",
    "tomograms-relion": "Add the reconstructed tomograms of a RELION 5 project.",
    "segmentation": "Add label volumes from MRC, OME-Zarr, TIFF or EM files, one per run.",
    "picks": "Add picks, one file per run, in any format that is read.",
    "picks-em": "Add picks of many tomograms from EM motivelists.",
    "picks-dynamo": "Add picks of many tomograms from Dynamo tables.",
    "picks-stopgap": "Add picks of many tomograms from STOPGAP motivelists.",
    "picks-relion": "Add picks of many tomograms from RELION 4 or 5 particle files.",
    "mesh": "Add surfaces from GLB, OBJ, STL, PLY, VTK or EMDB-SFF files, one per run.",
}


@click.group(name="add", cls=LazyGroup, lines=LINES, package="tomoportal.cli.copick.adding")
def command() -> None:
    """Bring tomograms, segmentations, picks, meshes and objects from files into a project.

    PATH may be a pattern in quotes: 'picks/*.star'. The run is --run, or the file's name without its ending, of which
    --run-regex takes the first group. Every file is looked at before anything is written.
    """
