"""``tomoportal copick validate``: everything that is skipped or doubtful in a project."""

from __future__ import annotations

import click

from tomoportal.cli.copick.options import config_option, json_option, open_project

__all__ = ["command"]


@click.command(name="validate")
@click.option("--contents/--names-only", default=True, show_default=True, help="Also read every document.")
@config_option
@json_option
def command(contents: bool, config: str, as_json: bool) -> int:
    """Report what is wrong with a project: foreign files, names, labels, units, broken documents, unfinished volumes.

    The exit code is 1 if there is anything.
    """
    from tomoportal.cli.console import counted, print_json, waiting

    with waiting("looking at the project"):
        problems = open_project(config).report(contents=contents)
    if as_json:
        print_json([{"where": each.where, "what": each.what, "fix": each.fix} for each in problems])
    else:
        for each in problems:
            click.echo(str(each))
        click.echo(counted(len(problems), "problem"), err=True)
    return 1 if problems else 0
