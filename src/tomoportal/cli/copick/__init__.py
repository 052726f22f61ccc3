"""``tomoportal copick``: the verbs and options of upstream's command ``copick``, one module per verb.

Each module holds ``command``; what it does is a function of :mod:`tomoportal.copick`, so that Python can call it too.
"""

from __future__ import annotations

import click

from tomoportal.cli.groups import LazyGroup

__all__ = ["COMMANDS", "command"]

# Verb -> its line in `tomoportal copick --help`; a test compares these lines with the commands' own help.
COMMANDS = {
    "config": "Write the config of a new project.",
    "from-portal": "Write the config of a project on datasets of a portal.",
    "info": "Say what a project holds, and which plug-ins are installed.",
    "browse": "Show a project as a tree with a panel of details.",
    "stats": "Count picks, meshes and segmentations; as tables, JSON or figures.",
    "new": "Make empty runs, voxel spacings or picks.",
    "add": "Bring tomograms, segmentations, picks, meshes and objects from files into a project.",
    "export": "Write picks, volumes and meshes of a project in the formats of other programs.",
    "cp": "Copy picks, meshes, filaments or segmentations to other names, run by run.",
    "mv": "Move picks, meshes, filaments or segmentations to other names, run by run.",
    "rm": "Remove picks, meshes, segmentations, tomograms or feature maps by URI.",
    "sync": "Copy picks, meshes, segmentations and tomograms from one project to another.",
    "deposit": "Put links to chosen parts of a project into a folder, in copick's layout.",
}


@click.group(name="copick", cls=LazyGroup, lines=COMMANDS, package="tomoportal.cli.copick")
def command() -> None:
    """Make, fill, browse, exchange and compare copick projects of annotations.

    Every command takes the project's config as -c/--config, or from COPICK_CONFIG.
    """
