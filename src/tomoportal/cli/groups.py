"""A group of commands whose modules are imported when one of them runs, so that ``--help`` costs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import click

__all__ = ["LazyGroup"]


class _Commands(MutableMapping[str, click.Command]):
    """Commands by name: ``command`` in the module of that name, imported when it is first looked up."""

    def __init__(self, names: Mapping[str, str], package: str) -> None:
        self._known: dict[str, click.Command | None] = dict.fromkeys(names)
        self._package = package

    def __getitem__(self, name: str) -> click.Command:
        found = self._known[name]
        if found is None:
            found = importlib.import_module(f"{self._package}.{name.replace('-', '_')}").command
            assert isinstance(found, click.Command)
            self._known[name] = found
        return found

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._known[name] = command

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class LazyGroup(click.Group):
    """``lines`` maps each command to its line of help; the command is ``command`` in the module of that name.

    ``a-b`` is the module ``a_b``. Commands stand in the order of ``lines``. Programs that look into ``commands``, as
    those do that draw forms or describe the commands to a language model, find all of them there.
    """

    def __init__(self, *arguments: Any, lines: Mapping[str, str], package: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._lines = lines
        self.commands = _Commands(lines, package)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self._lines.get(name) or self.commands[name].get_short_help_str()) for name in self.commands]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
