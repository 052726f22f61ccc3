"""Our commands under the names that modules of upstream's command line give them: ``verb`` or ``verb/subcommand``."""

from __future__ import annotations

import click

from tomoportal.cli.copick.plugins.program import core_command

__all__ = ["command"]


def command(path: str) -> click.Command:
    """The command of a path such as ``add/object``. Raises ``LookupError`` if there is none."""
    verb, _, name = path.partition("/")
    found = core_command(verb)
    if not name:
        return found
    below = found.get_command(click.Context(found), name) if isinstance(found, click.Group) else None
    if below is None:
        raise LookupError(f"there is no command {path}")
    return below


def __getattr__(name: str) -> click.Command:
    try:
        return command(name)
    except LookupError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
