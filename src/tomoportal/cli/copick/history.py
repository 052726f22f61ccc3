"""``tomoportal copick history``: the previous versions of picks, meshes and filaments."""

from __future__ import annotations

import click

from tomoportal.cli.copick.options import config_option, json_option, open_project

__all__ = ["command"]


@click.command(name="history")
@click.argument("object_type", type=click.Choice(["picks", "mesh", "filaments"]))
@click.argument("uri")
@click.option("-r", "--run", "run_name", metavar="NAME", help="Only in this run.")
@config_option
@json_option
def command(object_type: str, uri: str, run_name: str | None, config: str, as_json: bool) -> int:
    """List the previous versions of picks, meshes or filaments; `tomoportal copick restore` brings one back."""
    from datetime import UTC, datetime

    from tomoportal.cli.console import print_json, table
    from tomoportal.copick import resolve_copick_objects, serialize_copick_uri

    rows = [
        (
            each.run.name,
            serialize_copick_uri(each),
            version.number,
            version.size,
            datetime.fromtimestamp(version.replaced, UTC).isoformat(timespec="seconds"),
        )
        for each in resolve_copick_objects(uri, open_project(config), object_type, run_name)
        for version in each.history()
    ]
    names = ("run", "uri", "version", "bytes", "replaced")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        table(names, rows)
    return 0
