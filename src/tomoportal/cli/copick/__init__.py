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
    "diff": "Show how picks or segmentations differ from others of the run, or from a previous version of themselves.",
    "history": "List the previous versions of picks, meshes, filaments or segmentations.",
    "restore": "Bring a previous version of picks, a mesh, filaments or a segmentation back, also of what was removed.",
    "validate": "Report what is wrong with a project.",
    "sync": "Synchronize data between Copick projects: picks, meshes, volumes.",
    "deposit": "Put links to chosen parts of a project into a folder, in copick's layout.",
}


_PLUGIN_GROUPS = ("inference", "training", "evaluation", "process", "convert", "logical", "setup", "download")


class _WithPlugins(LazyGroup):
    """Our verbs, and the groups that installed plug-ins fill; a plug-in is loaded when its group is used (C70)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_filled_groups()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _PLUGIN_GROUPS:
            return super().get_command(ctx, cmd_name)
        from tomoportal.cli.copick.plugins.groups import GROUPS
        from tomoportal.copick.drop_in import install

        install()
        return GROUPS[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        if groups := _filled_groups():
            with formatter.section("Commands of plug-ins"):
                formatter.write_dl([(name, ", ".join(names)) for name, names in groups.items()])


def _filled_groups() -> dict[str, list[str]]:
    """The names of what plug-ins offer in each group; none of them is loaded."""
    from importlib.metadata import entry_points

    found = {name: sorted(entry_points(group=f"copick.{name}.commands").names) for name in _PLUGIN_GROUPS}
    return {name: names for name, names in found.items() if names}


@click.group(name="copick", cls=_WithPlugins, lines=COMMANDS, package="tomoportal.cli.copick")
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
