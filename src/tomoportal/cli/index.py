"""``tomoportal index``: bring the catalog up to date with the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tomoportal.catalog import IndexReport

__all__ = ["command"]


@click.command("index")
@click.option("--archive", metavar="URL", help="The archive: a folder or an object-store URL.")
@click.option(
    "--db",
    metavar="URL",
    help="The catalog's database: sqlite:///path or postgresql://user@host/name."
    " By default a file inside a local archive.",
)
@click.option("--dataset", "datasets", multiple=True, metavar="ID", help="Only this dataset; may be repeated.")
@click.option("--rebuild", is_flag=True, help="Empty the catalog first. Ids stay the same.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def command(
    context: click.Context, archive: str | None, db: str | None, datasets: tuple[str, ...], rebuild: bool, as_json: bool
) -> None:
    """Bring the catalog up to date with the archive.

    Archive and database can also stand in the environment (TOMOPORTAL_ARCHIVE, TOMOPORTAL_DB) or in tomoportal.toml.
    Reads what changed since the last time. Documents that cannot be used are left out and listed, and the exit code
    is then 1; everything else is in the catalog.
    """
    from tomoportal.archive import Archive
    from tomoportal.catalog import Catalog, default_url, index
    from tomoportal.cli.console import print_json, progress_bar
    from tomoportal.model.ids import parse_id
    from tomoportal.server import load_settings

    settings = load_settings({"archive": archive, "db": db})
    opened = Archive.open(settings.archive)
    chosen = [parse_id(text, "Dataset")[1] for text in datasets] or None
    with (
        Catalog.open(settings.db or default_url(opened), create=True, rebuild=rebuild) as catalog,
        progress_bar("Indexing", quiet=as_json) as progress,
    ):
        report = index(opened, catalog, datasets=chosen, progress=progress)
    if as_json:
        print_json(report.as_dict())
    else:
        _show(report)
    if report.problems:
        context.exit(1)


def _show(report: IndexReport) -> None:
    from tomoportal.cli.console import counted

    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    for problem in report.problems:
        click.echo(f"left out: {problem}", err=True)
    rows = report.rows
    click.echo(
        f"{counted(rows['dataset'], 'dataset')}, {counted(rows['run'], 'run')}, {rows['tiltseries']} tilt series,"
        f" {counted(rows['tomogram'], 'tomogram')}, {counted(rows['annotation'], 'annotation')}"
    )
    click.echo(
        f"{counted(report.read, 'part')} read, {report.unchanged} unchanged; rows added {report.added.total()},"
        f" changed {report.updated.total()}, removed {report.removed.total()}; {len(report.problems)} left out"
    )
