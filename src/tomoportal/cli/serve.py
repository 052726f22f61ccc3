"""``tomoportal serve``: the portal of an archive on one port."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["command"]


@click.command("serve")
@click.option("--archive", metavar="URL", help="The archive: a folder or an object-store URL.")
@click.option("--db", metavar="URL", help="The catalog's database; by default a file inside a local archive.")
@click.option("--host", help="The address to listen on; 0.0.0.0 lets other machines in.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.  [default: 8000]")
@click.option("--workers", type=click.IntRange(1), help="The number of server processes.  [default: 1]")
@click.option("--public-url", metavar="URL", help="The address that visitors use, if a proxy stands in front.")
@click.option("--files-url", metavar="URL", help="The base of file addresses.  [default: portal + /files]")
@click.option("--bucket", help="The bucket's name in s3:// addresses.  [default: tomoportal]")
@click.option("--cors-origin", "cors_origins", multiple=True, metavar="ORIGIN", help="Its pages may call /graphql.")
@click.option("--trusted-proxy", "trusted_proxies", multiple=True, metavar="IP", help="Its X-Forwarded-* is believed.")
@click.option("--access-log/--no-access-log", default=None, help="Write one line per request.")
@click.option("--config", type=click.Path(dir_okay=False), help="The settings file.  [default: tomoportal.toml]")
def command(config: str | None, **options: Any) -> None:
    """Serve the web site, GraphQL, files and viewer of an archive.

    Every option can also stand in the environment (TOMOPORTAL_ARCHIVE, TOMOPORTAL_PORT, …) or in tomoportal.toml.
    An archive without a catalog is indexed first. Ctrl-C stops the server after running downloads have ended.
    """
    from tomoportal.server import load_settings, run

    settings = load_settings(options, file=config)
    run(
        settings,
        on_ready=lambda address: click.echo(f"Serving {settings.archive} at {address}"),
        tell=lambda text: click.echo(text, err=True),
    )
