"""``tomoportal copick deposit``: links to chosen parts of a project."""

from __future__ import annotations

import click

from tomoportal.cli.copick.bundles import Work, work_options

__all__ = ["command"]


@click.command(name="deposit")
@click.option("--target-dir", required=True, type=click.Path(file_okay=False), metavar="FOLDER", help="For the links.")
@click.option("--run-names", default="", metavar="A,B", help="Only these runs.")
@click.option("--run-name-prefix", default="", metavar="TEXT", help="Put before the names of runs.")
@click.option("--run-name-regex", metavar="REGEX", help="Its first group is the run's name in the target.")
@click.option("--picks", multiple=True, metavar="URI", help="Picks to link; may be repeated, as the next ones.")
@click.option("--meshes", multiple=True, metavar="URI", help="Meshes to link.")
@click.option("--segmentations", multiple=True, metavar="URI", help="Segmentations to link.")
@click.option("--tomograms", multiple=True, metavar="URI", help="Tomograms to link.")
@click.option("--features", multiple=True, metavar="URI", help="Feature maps to link.")
@work_options("--max-workers", default=8)
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
    work: Work,
) -> int:
    """Put links to chosen parts of a project into a folder, in copick's layout.

    Several projects may be deposited into one folder. A kind without a URI is left out.
    """
    from tomoportal.copick.transfers.deposit import plan_deposit
    from tomoportal.errors import AnnotationError

    if not (picks or meshes or segmentations or tomograms or features):
        raise click.UsageError("say what to link: --picks, --meshes, --segmentations, --tomograms or --features")

    tasks = plan_deposit(
        work.project(),
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
    if not tasks:
        raise AnnotationError(
            "Nothing matches the URIs.", fix="correct them; `tomoportal copick browse` shows what there is"
        )
    return work.perform(tasks, "deposit")
