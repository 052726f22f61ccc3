"""``tomoportal demo``: an in-silico deposition, from bead models to a served portal."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("demo")
@click.option(
    "--archive",
    metavar="URL",
    default="./demo-archive",
    show_default=True,
    help="Where the archive is made: a folder or an object-store URL.",
)
@click.option(
    "--source",
    type=click.Path(file_okay=False),
    help="Folder of the simulated raw files; complete ones are used again.  [default: the archive's name + -source]",
)
@click.option("--db", metavar="URL", help="The catalog's database; by default a file inside a local archive.")
@click.option("--serve/--no-serve", default=True, help="Serve the portal at the end, or stop before.")
@click.option("--host", help="The address to listen on; 0.0.0.0 lets other machines in.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.  [default: 8000]")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes.  [default: number of cores]")
@click.option(
    "--scale",
    type=click.Choice(["full", "tiny"]),
    default="full",
    show_default=True,
    help="tiny makes two small runs in seconds, for a quick try.",
)
def command(
    archive: str,
    source: str | None,
    db: str | None,
    serve: bool,
    host: str | None,
    port: int | None,
    jobs: int | None,
    scale: str,
) -> int:
    """Make an in-silico deposition, ingest it, index it and serve it.

    Two datasets with tilt series, tomograms, ground truth and an automatic annotation: about 1.5 GB on disk. Everything
    that is there already is kept, so a second call serves at once and a killed one is finished.
    """
    import os
    import time
    from typing import cast

    from tomoportal.archive import Archive
    from tomoportal.catalog import Catalog, default_url, index
    from tomoportal.cli.console import console, progress_bar
    from tomoportal.demo import ScaleName, make_demo
    from tomoportal.errors import CatalogError, IngestError
    from tomoportal.ingest import load_config, make_plan, open_source, run_plan

    screen, begin = console(), time.monotonic()
    jobs = jobs or os.cpu_count() or 1

    def told(text: str) -> None:
        screen.print(f"{text} [dim]({time.monotonic() - begin:.0f} s)[/]")

    with progress_bar("simulate") as progress:
        path = make_demo(source or _source_beside(archive), jobs, progress, cast(ScaleName, scale))
    told(f"Raw files and their ingestion config: {path}")

    config = load_config(path)
    root = open_source(
        str(path.parent.resolve()),
        config.source_prefix,
        beside=config.folder,
        place=config.place(("standardization_config", "source_prefix")),
    )
    target = Archive.open(archive, create=True)
    plan = make_plan(config, root, target)
    with progress_bar("ingest") as progress:
        report = run_plan(plan, target, root.store, jobs, progress)
    if not report.ok:
        reasons = [str(error) for error in report.errors]
        reasons += [f"{failure.label}: {failure.why}" for failure in report.failures]
        raise IngestError(
            "The demo was not ingested as a whole: " + "; ".join(reasons[:5]),
            where=str(path),
            fix="Mend the cause and run the same command again; what is done is kept.",
        )
    told(f"Archive: {archive}")

    with Catalog.open(db or default_url(target), create=True) as catalog, progress_bar("index") as progress:
        indexed = index(target, catalog, progress=progress)
    if indexed.problems:
        raise CatalogError(
            "The demo was not indexed as a whole: " + "; ".join(map(str, indexed.problems[:5])), where=archive
        )
    told("Catalog: up to date")

    if not serve:
        click.echo(f"To serve it: tomoportal serve --archive {archive}")
        return 0
    from tomoportal.server import load_settings, run

    settings = load_settings({"archive": archive, "db": db, "host": host, "port": port})
    run(
        settings,
        on_ready=lambda address: click.echo(f"Serving {settings.archive} at {address}  (Ctrl-C stops it)"),
        tell=lambda text: click.echo(text, err=True),
    )
    return 0


def _source_beside(archive: str) -> str:
    """``demo-archive`` → ``demo-archive-source``; the raw files of an archive in a bucket lie in the working folder."""
    return "demo-source" if "://" in archive else f"{archive.rstrip('/')}-source"
