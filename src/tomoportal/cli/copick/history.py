"""``tomoportal copick history``: the previous versions of picks, meshes, filaments and segmentations."""

from __future__ import annotations

import click

from tomoportal.cli.copick.options import config_option, json_option, open_project

__all__ = ["command"]


@click.command(name="history")
@click.argument("object_type", type=click.Choice(["picks", "mesh", "filaments", "segmentation"]))
@click.argument("uri")
@click.option("-r", "--run", "run_name", metavar="NAME", help="Only in this run.")
@config_option
@json_option
def command(object_type: str, uri: str, run_name: str | None, config: str, as_json: bool) -> int:
    """List the previous versions of picks, meshes, filaments or segmentations.

    `tomoportal copick restore` brings one back.

    Those of what was removed are listed as well.
    """
    from datetime import UTC, datetime

    from tomoportal.cli.console import console, print_json, table
    from tomoportal.copick import resolve_copick_objects, serialize_copick_uri
    from tomoportal.copick.removed import removed_documents

    root = open_project(config)
    there = resolve_copick_objects(uri, root, object_type, run_name)
    removed = removed_documents(uri, root, object_type, run_name)
    rows = [
        (
            each.run.name,
            serialize_copick_uri(each),
            version.number,
            version.size,
            datetime.fromtimestamp(version.replaced, UTC).isoformat(timespec="seconds"),
            is_removed,
        )
        for documents, is_removed in ((there, False), (removed, True))
        for each in documents
        for version in each.history()
    ]
    names = ("run", "uri", "version", "bytes", "replaced", "removed")
    if as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif rows:
        table(names, [(*row[:-1], "yes" if row[-1] else "") for row in rows])
    else:
        console().print("no previous versions")
    return 0
