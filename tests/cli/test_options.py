"""Messages name only options that some command has."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import click

import tomoportal
from tomoportal.cli import COMMANDS

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-])")


def _messages(module: Path) -> list[str]:
    """The texts of a module without its documentation."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documentation]
    return [node.value for node in constants if isinstance(node.value, str)]


def _options(command: click.Command) -> set[str]:
    own = {flag for one in command.params for flag in (*one.opts, *one.secondary_opts)}
    if not isinstance(command, click.Group):
        return own
    context = click.Context(command)
    below = [command.get_command(context, name) for name in command.list_commands(context)]
    return own.union(*(_options(one) for one in below if one is not None))


def test_every_option_that_a_message_names_exists() -> None:
    known = set().union(*(_options(importlib.import_module(f"tomoportal.cli.{name}").command) for name in COMMANDS))
    package = Path(tomoportal.__file__).parent
    named = {
        (flag, str(module.relative_to(package)))
        for module in sorted(package.rglob("*.py"))
        if not {"generate", "plugins"} & set(module.parts)  # calls ruff; speaks of options of plug-ins
        for text in _messages(module)
        if not text.startswith("--") and "{ --" not in text  # names of options; properties of a style sheet
        for flag in _OPTION.findall(text)
    }
    assert {(flag, where) for flag, where in named if flag not in known} == set()
