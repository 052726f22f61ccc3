"""``tomoportal serve``: the portal of an archive on one port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tomoportal.server.settings import SettingRow, settings_table

__all__ = ["command"]


def _option(row: SettingRow) -> Callable[[Any], Any]:
    text = row.meaning.replace("`", "") + (f"  [default: {row.default}]" if row.default else "")
    if row.kind == "bool":
        return click.option(f"{row.option}/--no-{row.option[2:]}", row.name, default=None, help=text)
    kind = click.INT if row.kind == "int" else click.STRING
    metavar = {"int": "N", "tuple[str, ...]": "A,B,…"}.get(row.kind, "URL" if row.is_address else "TEXT")
    return click.option(row.option, row.name, type=kind, metavar=metavar, help=text)


def _settings(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command one option per setting, so that there is one list of them."""
    for row in reversed(settings_table()):
        function = _option(row)(function)
    return function


@click.command("serve")
@_settings
@click.option("--config", type=click.Path(dir_okay=False), help="The settings file.  [default: tomoportal.toml]")
def command(config: str | None, **options: Any) -> None:
    """Serve the web site, GraphQL, files and viewer of an archive.

    Every option can also stand in the environment (TOMOPORTAL_ARCHIVE, TOMOPORTAL_PORT, …) or in tomoportal.toml.
    An archive without a catalog is indexed first. Ctrl-C stops the server after running downloads have ended.
    """
    from tomoportal.server import load_settings, run

    settings = load_settings(options, file=config)
    run(
        settings,
        on_ready=lambda address: click.echo(f"Serving {settings.archive} at {address}"),
        tell=lambda text: click.echo(text, err=True),
    )
