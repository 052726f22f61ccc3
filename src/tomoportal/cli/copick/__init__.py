"""``tomoportal copick``: the verbs and options of upstream's command ``copick``, one module per verb.

Each module holds ``command``; what it does is a function of :mod:`tomoportal.copick`, so that Python can call it too.
"""

from __future__ import annotations

import warnings

import click

from tomoportal.cli.groups import LazyGroup

__all__ = ["COMMANDS", "command"]

# Verb -> its line in `tomoportal copick --help`; a test compares these lines with the commands' own help.
COMMANDS = {
    "config": "Write the config of a new project.",
    "from-portal": "Write the config of a project on datasets of a portal.",
    "info": "Say what a project holds, and which plug-ins are installed.",
    "cache": "Show or clear what a project on a portal keeps of the portal's answers.",
    "browse": "Show a project as a tree with a panel of details.",
    "stats": "Count picks, meshes and segmentations; as tables, JSON or figures.",
    "new": "Make empty runs, voxel spacings or picks.",
    "add": "Bring tomograms, segmentations, picks, meshes and objects from files into a project.",
    "export": "Write picks, volumes and meshes of a project in the formats of other programs.",
    "cp": "Copy picks, meshes, filaments or segmentations to other names, run by run.",
    "mv": "Move picks, meshes, filaments or segmentations to other names, run by run.",
    "rm": "Remove picks, meshes, segmentations, tomograms or feature maps by URI.",
    "diff": "Show how picks differ from other picks of the same run, or from a previous version of themselves.",
    "history": "List the previous versions of picks, meshes or filaments.",
    "restore": "Bring a previous version of picks or a mesh back.",
    "validate": "Report what is wrong with a project.",
    "sync": "Copy picks, meshes, segmentations and tomograms from one project to another.",
    "deposit": "Put links to chosen parts of a project into a folder, in copick's layout.",
}


@click.group(name="copick", cls=LazyGroup, lines=COMMANDS, package="tomoportal.cli.copick")
@click.pass_context
def command(context: click.Context) -> None:
    """Make, fill, browse, exchange and compare copick projects of annotations.

    Every command takes the project's config as -c/--config, or from COPICK_CONFIG.
    """
    context.with_resource(warnings.catch_warnings())
    warnings.showwarning = _say
    warnings.simplefilter("default")


def _say(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
    """A warning as the reader of a terminal needs it: without the line of code that gave it."""
    if issubclass(category, (UserWarning, DeprecationWarning)) and "tomoportal" in str(where[:1]):
        click.echo(f"warning: {message}", err=True)
