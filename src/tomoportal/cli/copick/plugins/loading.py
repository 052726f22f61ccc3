"""Commands that installed packages offer through entry points (``copick.cli.ext``).

``copick.commands`` are commands of their own; ``copick.<group>.commands`` those of one of eight groups.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib import metadata
from typing import Final

import click

__all__ = [
    "PLUGIN_GROUPS",
    "get_installed_plugin_packages",
    "get_plugin_command_sources",
    "load_plugin_commands",
    "plugin_points",
]

PLUGIN_GROUPS: Final = [
    "main",
    "inference",
    "training",
    "evaluation",
    "process",
    "convert",
    "logical",
    "setup",
    "download",
]


def plugin_points(entry_point: str) -> Iterator[metadata.EntryPoint]:
    """What packages offer in a group, without loading it."""
    if entry_point in PLUGIN_GROUPS:
        name = "copick.commands" if entry_point == "main" else f"copick.{entry_point}.commands"
        yield from metadata.entry_points(group=name)


def load_plugin_commands(entry_point: str = "main") -> list[tuple[click.Command, str]]:
    """The commands of a group, each with the package it is from. One that cannot be loaded is logged and left out."""
    found = []
    for point in plugin_points(entry_point):
        try:
            command = point.load()
        except Exception as error:  # noqa: BLE001 - whatever a package of others does when it is imported
            logging.getLogger(__name__).error("The plug-in %s cannot be loaded: %s", point.value, error)
            continue
        if not isinstance(command, click.Command):
            logging.getLogger(__name__).error("The plug-in %s is no click command.", point.value)
            continue
        found.append((command, point.dist.name if point.dist is not None else "unknown"))
    return found


def get_plugin_command_sources() -> dict[tuple[str, ...], str]:
    """The path of each command, such as ``("convert", "picks2seg")``, and the package it is from."""
    return {
        (*(() if group == "main" else (group,)), command.name or ""): package
        for group in PLUGIN_GROUPS
        for command, package in load_plugin_commands(group)
    }


def get_installed_plugin_packages() -> set[str]:
    """Names of the packages that offer commands; none of them is loaded."""
    points = (point for group in PLUGIN_GROUPS for point in plugin_points(group))
    return {point.dist.name for point in points if point.dist is not None}
