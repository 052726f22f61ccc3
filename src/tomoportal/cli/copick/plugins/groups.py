"""Groups of commands that plug-ins fill; these are loaded when the group is used (C70)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from tomoportal.cli.copick.plugins.loading import load_plugin_commands

__all__ = [
    "COMMAND_CATEGORIES",
    "GROUPS",
    "GroupedCommandGroup",
    "PluginGroup",
    "convert",
    "create_grouped_cli",
    "download",
    "evaluation",
    "inference",
    "logical",
    "process",
    "setup",
    "training",
]

COMMAND_CATEGORIES: Final = {
    "Data Management": ["add", "cp", "export", "mv", "new", "rm", "sync"],
    "Data Processing": ["convert", "inference", "logical", "process", "training", "evaluation"],
    "Utilities": ["browse", "cache", "config", "deposit", "info", "setup", "stats", "download"],
}


class PluginGroup(click.Group):
    """A group whose commands are those of the entry points of its name, loaded once when they are asked for."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._own: dict[str, click.Command] = {}
        self._is_loaded = False
        super().__init__(*arguments, **settings)

    @property
    def commands(self) -> dict[str, click.Command]:
        if not self._is_loaded and self.name:
            self._is_loaded = True
            for command, _ in load_plugin_commands(self.name):
                self._own.setdefault(command.name or "", command)
        return self._own

    @commands.setter
    def commands(self, value: Mapping[str, click.Command]) -> None:
        self._own = dict(value)


class GroupedCommandGroup(click.Group):
    """A group whose help lists commands under headings: heading → names."""

    def __init__(self, *args: Any, command_categories: Mapping[str, list[str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.command_categories = dict(command_categories or {})

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings, those without one last; empty groups are left out."""
        listed = {name for names in self.command_categories.values() for name in names}
        rest = [name for name in self.list_commands(ctx) if name not in listed]
        for heading, names in [*self.command_categories.items(), ("Commands", rest)]:
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                if command is None or command.hidden or (isinstance(command, PluginGroup) and not command.commands):
                    continue
                rows.append((name, command.get_short_help_str(80)))
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


def create_grouped_cli(
    name: str | None = None, command_categories: Mapping[str, list[str]] | None = None, **kwargs: Any
) -> GroupedCommandGroup:
    """A group with headings."""
    return GroupedCommandGroup(name=name, command_categories=command_categories, **kwargs)


def _group(name: str, what: str) -> PluginGroup:
    return PluginGroup(name, help=f"{what} Commands come from installed plug-ins.", no_args_is_help=True)


inference: Final = _group("inference", "Run models on tomograms.")
training: Final = _group("training", "Train models on annotations.")
evaluation: Final = _group("evaluation", "Compare predictions with the truth.")
process: Final = _group("process", "Process tomograms and segmentations.")
convert: Final = _group("convert", "Convert one kind of annotation into another.")
logical: Final = _group("logical", "Combine and select annotations.")
setup: Final = _group("setup", "Set up other programs.")
download: Final = _group("download", "Fetch data.")
GROUPS: Final[dict[str, PluginGroup]] = {
    each.name or "": each for each in (inference, training, evaluation, process, convert, logical, setup, download)
}
