"""Options that the commands of ``export`` have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from tomoportal.cli.copick.bundles import work_options
from tomoportal.cli.copick.options import run_names_option

__all__ = ["export_options", "names_option"]

names_option = click.option(
    "--names",
    type=click.Choice(["portal", "id"]),
    default="portal",
    show_default=True,
    help="What runs of a portal are called in files: as there (TS_001), or by their ids, as in the project.",
)


def export_options(kind: str, example: str, formats: Sequence[str]) -> Callable[[Any], Any]:
    """``--KIND-uri``, where the files go, their format, which runs; and the project as ``work``."""

    options: list[Callable[[Any], Any]] = [
        click.option(f"--{kind}-uri", "uri", required=True, metavar="URI", help=f"Such as {example}."),
        click.option(
            "--output-dir", required=True, type=click.Path(file_okay=False), metavar="FOLDER", help="For the files."
        ),
        click.option("--output-format", required=True, type=click.Choice(formats), help="Of the files."),
        names_option,
        work_options("--max-workers", default=4),
        run_names_option,
    ]

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
