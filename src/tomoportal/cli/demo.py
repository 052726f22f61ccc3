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
@click.pass_context
def command(
    context: click.Context,
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
    from typing import cast

    from tomoportal.cli import up
    from tomoportal.cli.console import progress_bar
    from tomoportal.demo import ScaleName, make_demo

    with progress_bar("Simulating") as progress:
        config = make_demo(
            source or _source_beside(archive), jobs or os.cpu_count() or 1, progress, cast(ScaleName, scale)
        )
    click.echo(f"Raw files and their ingestion config: {config}")
    failed: int = context.invoke(
        up.command, config=str(config), archive=archive, db=db, host=host, port=port, jobs=jobs, serve=serve
    )
    return failed


def _source_beside(archive: str) -> str:
    """``demo-archive`` → ``demo-archive-source``; the raw files of an archive in a bucket lie in the working folder."""
    return "demo-source" if "://" in archive else f"{archive.rstrip('/')}-source"
