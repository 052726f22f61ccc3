"""``tomoportal config``: ingestion configs checked, brought to the current version, and described for editors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tomoportal.errors import Problem
    from tomoportal.ingest import Config

__all__ = ["command"]

_SCHEMA_FILE = "ingestion_config.schema.json"


@click.group(name="config", help="Check and upgrade ingestion configs, or print their JSON Schema for editors.")
def command() -> None:
    """The group; its help is the line of the overview."""


@command.command(name="validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE…")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option(
    "--network", "--network-validation", is_flag=True, help="Also ask ORCID, Crossref, EMDB, ontologies, … (slow)."
)
@click.option(
    "--service",
    "services",
    multiple=True,
    envvar="TOMOPORTAL_SERVICES",
    metavar="NAME=URL",
    help="With --network: another address of a service, such as ols=https://…; may be repeated.",
)
@click.option(
    "--exclusions",
    "--validation-exclusions-file",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="With --network: JSON {class: {field: [values]}} of values that are right all the same.",
)
def validate(
    files: tuple[str, ...], as_json: bool, network: bool, services: tuple[str, ...], exclusions: str | None
) -> int:
    """Check ingestion configs: form, values and every rule that needs no data. The exit code is 1 if one is wrong.

    Configs of older versions are checked as `tomoportal ingest` reads them: migrated to the current version.
    """
    from tomoportal.cli.console import console, print_json

    online = _online(services, exclusions) if network else None
    found = {path: _check(path, online) for path in files}
    wrong = sum(bool(errors) for errors, _ in found.values())
    if as_json:
        print_json(
            [
                {"file": path, "ok": not errors, "errors": _to_json(errors), "warnings": _to_json(warnings)}
                for path, (errors, warnings) in found.items()
            ]
        )
        return 1 if wrong else 0
    for errors, warnings in found.values():
        for severity, problems in (("error", errors), ("warning", warnings)):
            for problem in problems:
                click.echo(f"{severity:<7} {problem.where}\n        {problem.what}")
                if problem.fix:
                    click.echo(f"        fix: {problem.fix}")
    fine = len(files) - wrong
    console().print(f"[bold]{fine} of {len(files)} config{'s' if len(files) > 1 else ''} can be used[/]")
    return 1 if wrong else 0


@command.command(name="upgrade")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--output", type=click.Path(dir_okay=False), metavar="FILE", help="File to write [default: FILE.VERSION.yaml]."
)
@click.option("--in-place", is_flag=True, help="Replace FILE itself.")
@click.option("--force", is_flag=True, help="Overwrite the output if it exists.")
def upgrade(file: str, output: str | None, in_place: bool, force: bool) -> int:
    """Write a config of an older version anew in the current one; comments, quotes and anchors stay."""
    from pathlib import Path

    from tomoportal.cli.console import console
    from tomoportal.errors import SettingsError
    from tomoportal.ingest import CURRENT_VERSION, upgrade_config
    from tomoportal.storage import open_store

    if output and in_place:
        raise click.UsageError("--output and --in-place exclude each other")
    source = Path(file)
    upgraded = upgrade_config(source.read_bytes(), source.name)
    if upgraded.version == CURRENT_VERSION and not output:
        console().print(f"{file} is of version {CURRENT_VERSION} already; nothing was written", soft_wrap=True)
        return 0
    target = source if in_place else Path(output) if output else source.with_suffix(f".{CURRENT_VERSION}.yaml")
    if target.exists() and not in_place and not force:
        raise SettingsError("the file exists already", where=str(target), fix="give another --output, or --force")
    open_store(target.parent, create=True).put(target.name, upgraded.text.encode())
    for change in upgraded.changes:
        console().print(f"- {change}", markup=False, soft_wrap=True)
    console().print(
        f"{file}: {upgraded.version} → {CURRENT_VERSION}, written to {target}", markup=False, soft_wrap=True
    )
    return 0


@command.command(name="schema")
@click.option("--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write it to a file instead.")
def schema(output: str | None) -> int:
    """Print the JSON Schema of ingestion configs, with which editors complete and check while you type.

    The line that goes to the top of a config is printed on stderr.
    """
    from importlib.resources import files
    from pathlib import Path

    text = files("tomoportal.model.generated").joinpath("json_schema/ingestion_config.json").read_text("utf-8")
    if output:
        Path(output).write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=not text.endswith("\n"))
    name = Path(output).name if output else _SCHEMA_FILE
    hint = "" if output else f"; save this as {name} beside the config"
    click.echo(f"first line of the config: # yaml-language-server: $schema=./{name}{hint}", err=True)
    return 0


_Online = Callable[["Config"], tuple[list["Problem"], list["Problem"]]]
"""Asks the services about a config: errors and warnings."""


def _check(path: str, online: _Online | None) -> tuple[list[Problem], list[Problem]]:
    """Errors and warnings of one file."""
    from tomoportal.errors import ConfigError
    from tomoportal.ingest import load_config

    try:
        config = load_config(path)
    except ConfigError as error:
        return list(error.problems), []
    errors, warnings = online(config) if online else ([], [])
    return errors, [*config.warnings, *warnings]


def _online(services: tuple[str, ...], exclusions: str | None) -> _Online:
    """One client for all files, so that each thing is asked once."""
    from pathlib import Path

    from tomoportal.ingest.lookups import Client, check_online, read_exclusions

    client = Client({name: address for name, _, address in (text.partition("=") for text in services)})
    left_out = read_exclusions(Path(exclusions).read_bytes(), exclusions) if exclusions else None
    return lambda config: check_online(config, client, left_out)


def _to_json(problems: list[Problem]) -> list[dict[str, Any]]:
    return [{"where": one.where, "what": one.what, "fix": one.fix} for one in problems]
