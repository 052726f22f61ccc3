"""``tomoportal copick deposit``: links to chosen parts of a project."""

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


@click.command(name="deposit")
@click.option("--target-dir", required=True, type=click.Path(file_okay=False), metavar="FOLDER", help="For the links.")
@click.option("--run-names", default="", metavar="A,B", help="Only these runs.")
@click.option("--run-name-prefix", default="", metavar="TEXT", help="Put before the names of runs.")
@click.option("--run-name-regex", metavar="REGEX", help="Its first group is the run's name in the target.")
@click.option("--picks", multiple=True, metavar="URI", help="Picks to link; may be repeated, as the next ones.")
@click.option("--meshes", multiple=True, metavar="URI")
@click.option("--segmentations", multiple=True, metavar="URI")
@click.option("--tomograms", multiple=True, metavar="URI")
@click.option("--features", multiple=True, metavar="URI")
@workers_option("--max-workers", default=8)
@config_option
@dry_run_option
@json_option
def command(
    target_dir: str,
    run_names: str,
    run_name_prefix: str,
    run_name_regex: str | None,
    picks: tuple[str, ...],
    meshes: tuple[str, ...],
    segmentations: tuple[str, ...],
    tomograms: tuple[str, ...],
    features: tuple[str, ...],
    workers: int,
    config: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Put links to chosen parts of a project into a folder, in copick's layout.

    Several projects may be deposited into one folder. A kind without a URI is left out.
    """
    from tomoportal.copick.deposit import plan_deposit

    tasks = plan_deposit(
        open_project(config),
        target_dir,
        {
            "picks": picks,
            "mesh": meshes,
            "segmentation": segmentations,
            "tomogram": tomograms,
            "feature": features,
        },
        run_names=[each.strip() for each in run_names.split(",") if each.strip()] or None,
        run_name_prefix=run_name_prefix,
        run_name_regex=run_name_regex,
    )
    return perform_tasks(tasks, "deposit", workers=workers, dry_run=dry_run, as_json=as_json)
