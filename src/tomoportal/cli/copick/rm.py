"""``tomoportal copick rm``: remove what a URI names."""

from __future__ import annotations

import click

from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]


@click.command(name="rm")
@click.argument("object_type", type=click.Choice(["picks", "filaments", "mesh", "segmentation", "tomogram", "feature"]))
@click.argument("uri")
@click.option("-r", "--run", "run_name", metavar="NAME", help="Only in this run.")
@click.option("--force", is_flag=True, help="Also for URIs that are patterns.")
@work_options("--workers", "-w", default=8)
def command(
    object_type: str,
    uri: str,
    run_name: str | None,
    force: bool,
    work: Work,
) -> int:
    """Remove picks, meshes, segmentations, tomograms or feature maps by URI.

    A pattern needs --force, and so do parts that are left out: ribosome means ribosome:*/*.
    """
    from tomoportal.copick.transfers.by_uri import plan_removal

    tasks = plan_removal(work.project(), object_type, uri, run_name=run_name, force=force or work.dry_run)
    return work.perform(tasks, "rm")
