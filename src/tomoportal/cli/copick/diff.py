"""``tomoportal copick diff``: how two lists of picks differ."""

from __future__ import annotations

import click

from tomoportal.cli.copick.options import config_option, json_option, open_project

__all__ = ["command"]


@click.command(name="diff")
@click.argument("uri")
@click.argument("other", required=False)
@click.option("--version", type=int, metavar="N", help="Compare with this previous version instead of OTHER.")
@click.option("-r", "--run", "run_name", metavar="NAME", help="Only this run.")
@config_option
@json_option
def command(uri: str, other: str | None, version: int | None, run_name: str | None, config: str, as_json: bool) -> int:
    """Show how picks differ from other picks of the same run, or from a previous version of themselves.

    Both URIs name one list per run. The exit code is 1 if anything differs.
    """
    from tomoportal.cli.console import print_json, table
    from tomoportal.copick.transfers.by_uri import picks_differences

    if (other is None) == (version is None):
        raise click.UsageError("give exactly one of OTHER and --version")
    theirs: str | int = other if other is not None else version or 0
    found = picks_differences(open_project(config), uri, theirs, run_name)
    rows = [(run, len(each.removed), len(each.added), each.changed) for run, each in found.items()]
    names = ("run", "only_here", "only_there", "changed")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        table([name.replace("_", " ") for name in names], rows)
    return 1 if any(any(row[1:]) for row in rows) else 0
