"""``tomoportal copick export picks``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tomoportal.cli.copick.bundles import Work, work_options
from tomoportal.cli.copick.exporting.options import names_option
from tomoportal.cli.copick.options import chosen_runs, run_names_option

if TYPE_CHECKING:
    from tomoportal.copick.exchange.run_names import RunNames

__all__ = ["command"]

_FILE = click.Path(exists=True, dir_okay=False)


@click.command(name="picks")
@click.option("--picks-uri", required=True, metavar="URI", help="Such as ribosome:ada/1; parts may be patterns.")
@click.option(
    "--output-format",
    required=True,
    type=click.Choice(["em", "star", "dynamo", "csv", "stopgap", "imod", "ndjson"]),
    help="Of which program.",
)
@click.option("--output-dir", type=click.Path(file_okay=False), metavar="FOLDER", help="For one file per run.")
@click.option("--output-file", type=click.Path(dir_okay=False), metavar="FILE", help="For one file of all runs.")
@click.option("--voxel-size", type=float, metavar="Å", help="Of the voxels that the file shall count.")
@click.option("--index-map", type=_FILE, help="Lines of number and run, for EM, Dynamo, STOPGAP.")
@click.option(
    "--include-optics/--no-include-optics", default=True, show_default=True, help="STAR: with a table of optics groups."
)
@click.option("--tilt-series-pixel-size", type=float, metavar="Å", help="STAR: also write pixels of the tilt series.")
@click.option("--tomograms-star", type=_FILE, help="STAR: centres and pixel sizes from RELION's list.")
@click.option(
    "--star-layout", "layout", type=click.Choice(["particles", "import"]), default="particles", show_default=True,
    help="STAR: one file, or RELION 5's import of coordinates.",
)  # fmt: skip
@click.option("--tomo-type", metavar="NAME", help="STAR: the tomogram whose shape gives the centre.")
@click.option(
    "--coordinates", type=click.Choice(["auto", "centered"]), default="auto", show_default=True,
    help="STAR: which coordinates.",
)  # fmt: skip
@click.option(
    "--filament-columns", type=click.Choice(["auto", "on", "off"]), default="auto", show_default=True,
    help="STAR: tubes, track lengths, priors.",
)  # fmt: skip
@click.option(
    "--polarity-from-filaments/--no-polarity-from-filaments", default=True, show_default=True, help="STAR: flip ratio."
)
@click.option("--filaments-uri", metavar="URI", help="STAR: the filaments that know the polarity.")
@click.option(
    "--filament-angles", type=click.Choice(["frame", "pose"]), default="frame", show_default=True,
    help="STAR: with priors, or plain angles.",
)  # fmt: skip
@click.option(
    "--half-sets", type=click.Choice(["none", "filament"]), default="none", show_default=True,
    help="STAR: divide whole filaments.",
)  # fmt: skip
@names_option
@work_options("--max-workers", default=4)
@run_names_option
def command(
    picks_uri: str,
    output_format: str,
    output_dir: str | None,
    output_file: str | None,
    voxel_size: float | None,
    index_map: str | None,
    tomograms_star: str | None,
    work: Work,
    run_names: tuple[str, ...],
    names: RunNames,
    **star: Any,
) -> int:
    """Write picks as RELION, Dynamo, STOPGAP, EM, IMOD, CSV or ndjson files.

    With --output-dir each picks file becomes RUN_OBJECT_USER_SESSION; with --output-file all runs go into one.
    """
    from tomoportal.copick.exchange.exporting_picks import PicksExport, StarOptions, plan_picks_export
    from tomoportal.copick.exchange.run_names import written_names
    from tomoportal.copick.particles.index_maps import inverse, read_index_map, read_relion_tomograms

    if (output_dir is None) == (output_file is None):
        raise click.UsageError("give exactly one of --output-dir and --output-file")
    if star["layout"] == "import" and output_file is None:
        raise click.UsageError("--star-layout import needs --output-file")
    root = work.project()
    tasks = plan_picks_export(
        root,
        PicksExport(
            picks_uri,
            output_format,
            voxel_size,
            inverse(read_index_map(index_map)) if index_map else None,
            chosen_runs(run_names),
            StarOptions(tomograms=read_relion_tomograms(tomograms_star) if tomograms_star else {}, **star),
            written_names(root, names),
        ),
        output_dir=Path(output_dir) if output_dir else None,
        output_file=Path(output_file) if output_file else None,
    )
    return work.perform(tasks, "export")
