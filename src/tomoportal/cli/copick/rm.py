"""``tomoportal copick rm``: remove what a URI names."""

from __future__ import annotations

import click

from tomoportal.cli.copick.options import (
    config_option,
    dry_run_option,
    json_option,
    open_project,
    perform_tasks,
    workers_option,
)

__all__ = ["command"]


@click.command(name="rm")
@click.argument("object_type", type=click.Choice(["picks", "filaments", "mesh", "segmentation", "tomogram", "feature"]))
@click.argument("uri")
@click.option("-r", "--run", "run_name", metavar="NAME", help="Only in this run.")
@click.option("--force", is_flag=True, help="Also for URIs that are patterns.")
@workers_option("--workers", "-w", default=8)
@config_option
@dry_run_option
@json_option
def command(
    object_type: str,
    uri: str,
    run_name: str | None,
    force: bool,
    workers: int,
    config: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove picks, meshes, segmentations, tomograms or feature maps by URI.

    A pattern needs --force, and so do parts that are left out: ribosome means ribosome:*/*.
    """
    from tomoportal.copick.transfer import plan_removal

    tasks = plan_removal(open_project(config), object_type, uri, run_name=run_name, force=force or dry_run)
    return perform_tasks(tasks, "rm", workers=workers, dry_run=dry_run, as_json=as_json)
