"""``tomoportal up``: the main job in one command, made of ``ingest``, ``index`` and ``serve``."""

from __future__ import annotations

import click

from tomoportal.cli.source_options import follow_links_option
from tomoportal.cli.workforce import workforce_options

__all__ = ["command"]


@click.command("up")
@click.argument("config", type=click.Path(exists=True, dir_okay=False), required=False)
@click.option("--archive", metavar="URL", help="The archive: a folder or an object-store URL; made if it is not there.")
@click.option("--source", metavar="URL", help="Root of the raw files.  [default: the folder of CONFIG]")
@click.option("--db", metavar="URL", help="The catalog's database; by default a file inside a local archive.")
@click.option("--host", help="The address to listen on; 0.0.0.0 lets other machines in.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.  [default: 8000]")
@follow_links_option
@workforce_options
@click.option("--serve/--no-serve", default=True, help="Serve the archive at the end, or stop before.")
@click.pass_context
def command(
    context: click.Context,
    config: str | None,
    archive: str | None,
    source: str | None,
    db: str | None,
    host: str | None,
    port: int | None,
    follow_links: bool,
    jobs: int | None,
    dask: str | None,
    slurm: str | None,
    serve: bool,
) -> int:
    """Ingest (or reuse), index and serve an archive: the main job in one command.

    With CONFIG, what it describes is ingested first; what is in the archive already is not read again. Items that fail
    are named, and the rest is indexed and served all the same. Without CONFIG the archive is served as it is.
    """
    import shlex

    from tomoportal.cli import index, ingest
    from tomoportal.cli import serve as serving
    from tomoportal.server import load_settings

    settings = load_settings({"archive": archive, "db": db})
    whole = True
    if config is not None:
        whole &= _run(
            context,
            ingest.command,
            config=config,
            archive_url=settings.archive,
            source_url=source,
            follow_links=follow_links,
            jobs=jobs,
            dask=dask,
            slurm=slurm,
        )
    elif dask or slurm:
        raise click.UsageError("--dask and --slurm say where CONFIG is ingested; without CONFIG nothing is")
    whole &= _run(context, index.command, archive=archive, db=db)
    if serve:
        context.invoke(serving.command, archive=archive, db=db, host=host, port=port)
    else:
        click.echo(f"To serve it: tomoportal serve --archive {shlex.quote(settings.archive)}")
    return 0 if whole else 1


def _run(context: click.Context, step: click.Command, **options: object) -> bool:
    """One step; if it reports failures, they are on the screen by now, and what did succeed is still wanted."""
    try:
        failed = context.invoke(step, **options)
    except click.exceptions.Exit as left:
        failed = left.exit_code
    if failed:
        click.echo(f"`{step.name}` left something out (see above); going on with the rest.", err=True)
    return not failed
