"""The whole program ``copick``: our commands under upstream's names, and those of plug-ins (``copick.cli.cli``)."""

from __future__ import annotations

from typing import Final

import click

from tomoportal.cli.copick.plugins.groups import COMMAND_CATEGORIES, GROUPS, GroupedCommandGroup
from tomoportal.cli.copick.plugins.loading import load_plugin_commands

__all__ = ["add_core_commands", "add_plugin_commands", "cli", "core_command", "main"]

_EXCLUDED: Final = frozenset(GROUPS)


def core_command(name: str) -> click.Command:
    """Our command of this name. Raises ``LookupError`` if there is none."""
    from tomoportal.cli.copick import command

    found = command.get_command(click.Context(command), name)
    if found is None:
        raise LookupError(f"there is no command {name}")
    return found


def add_core_commands(cmd: click.Group) -> click.Group:
    """Give a group all our commands; returns it."""
    from tomoportal.cli.copick import command

    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and name not in _EXCLUDED:
            cmd.add_command(found, name)
    return cmd


def add_plugin_commands(cmd: click.Group) -> click.Group:
    """Give a group the eight groups of plug-ins, and the commands that plug-ins have at the top; returns it."""
    for name, group in GROUPS.items():
        cmd.add_command(group, name)
    for found, _ in load_plugin_commands("main"):
        cmd.add_command(found)
    return cmd


def _program() -> click.Group:
    from tomoportal import __version__

    group = GroupedCommandGroup(
        name="copick",
        command_categories=COMMAND_CATEGORIES,
        help="Make, fill, convert and compare copick projects of annotations (tomoportal).",
        no_args_is_help=True,
    )
    group = click.version_option(__version__, message="copick (tomoportal) %(version)s")(group)
    return add_plugin_commands(add_core_commands(group))


cli: Final = _program()


def main() -> None:
    """Run the program."""
    from tomoportal.cli import main as run

    run(program=cli)


def __getattr__(name: str) -> click.Command:
    try:
        return core_command(name)
    except LookupError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
