"""``tomoportal copick mv``: move what a URI names to other names within its run."""

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


@click.command(name="mv")
@click.argument("object_type", type=click.Choice(["picks", "filaments", "mesh", "segmentation"]))
@click.argument("source_uri")
@click.argument("target_uri")
@click.option("-r", "--run", "run_name", metavar="NAME", help="Only in this run.")
@click.option("--overwrite/--no-overwrite", default=False, help="Replace what is there already.")
@workers_option("--workers", "-w", default=8)
@config_option
@dry_run_option
@json_option
def command(
    object_type: str,
    source_uri: str,
    target_uri: str,
    run_name: str | None,
    overwrite: bool,
    workers: int,
    config: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Move picks, meshes, filaments or segmentations to other names, run by run.

    A source that is a pattern takes a target with placeholders: '*:ada/*' '{object_name}:ada/{session_id}-checked'.
    """
    from tomoportal.copick.transfer import plan_transfer

    tasks = plan_transfer(
        open_project(config),
        object_type,  # type: ignore[arg-type]
        source_uri,
        target_uri,
        move=True,
        run_name=run_name,
        overwrite=overwrite,
    )
    return perform_tasks(tasks, "mv", workers=workers, dry_run=dry_run, as_json=as_json)
