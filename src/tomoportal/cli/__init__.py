"""The command ``tomoportal``: one module per noun, each thin: parse, call, show.

A module is imported only when its command runs, so that ``tomoportal --help`` costs no numpy and no database.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from tomoportal import __version__
from tomoportal.cli.groups import LazyGroup
from tomoportal.cli.reporting import as_reported
from tomoportal.errors import TomoportalError

__all__ = ["main"]

# Command -> its line in `tomoportal --help`, in the order of the main job. The command itself is `command` in the
# module of the same name; a test compares these lines with the commands' own help.
COMMANDS = {
    "demo": "Make an in-silico deposition, ingest it, index it and serve it.",
    "up": "Ingest (or reuse), index and serve an archive: the main job in one command.",
    "init": "Look at a folder of raw files and write an ingestion config for it.",
    "config": "Check and upgrade ingestion configs, or print their JSON Schema for editors.",
    "ingest": "Turn raw files into an archive as an ingestion config says.",
    "diff": "Show what an ingestion would change in an archive.",
    "index": "Bring the catalog up to date with the archive.",
    "serve": "Serve the web site, GraphQL, files and viewer of an archive.",
    "verify": "Re-read an archive and report everything that is wrong with it.",
    "migrate": "Make an archive in today's layout from one in an older layout.",
    "copick": "Make, fill, browse, exchange and compare copick projects of annotations.",
}


@click.group(
    cls=LazyGroup,
    lines=COMMANDS,
    package="tomoportal.cli",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="tomoportal")
def cli() -> None:
    """A self-hostable home for cryo-electron tomography data."""


def main(arguments: Sequence[str] | None = None, program: click.Group = cli) -> None:
    """Run the command line, or another program.

    Exit code 0 is success, 1 a reported failure, 2 a wrong call, 130 an interrupt.
    """
    code: Any = 0
    try:
        code = program.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except (TomoportalError, OSError) as error:
        report = as_reported(error)
        if report is None:
            raise
        report.show()
        code = report.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command again to finish", err=True)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
