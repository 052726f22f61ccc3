"""``tomoportal copick from-portal``: the config of a project on datasets of a portal."""

from __future__ import annotations

import click

from tomoportal.cli.reporting import reporting

__all__ = ["command"]


@click.command(name="from-portal")
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@click.option("--overlay", required=True, metavar="URL", help="Folder or fsspec address where new annotations go.")
@click.option("--output", default="config.json", show_default=True, metavar="FILE", help="The config to write.")
@click.option(
    "--endpoint",
    metavar="URL",
    help="The portal's address or its GraphQL endpoint [default: COPICK_PORTAL_URL, else the public portal].",
)
@click.option(
    "--access",
    type=click.Choice(["https", "s3", "file"]),
    help="How volumes and points are read [default: file or s3 if their place is given, else https].",
)
@click.option("--s3-endpoint", metavar="URL", help="The S3 service that holds the portal's buckets.")
@click.option("--files-root", metavar="PATH", help="The folder where the portal's archive is mounted.")
@click.option("--user-id", metavar="TEXT", help="Who annotates.")
@click.option("--session-id", metavar="TEXT", help="The session of new annotations.")
@click.option("--force", is_flag=True, help="Replace a config that is there already.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@reporting
def command(
    datasets: tuple[str, ...],
    overlay: str,
    output: str,
    endpoint: str | None,
    access: str | None,
    s3_endpoint: str | None,
    files_root: str | None,
    user_id: str | None,
    session_id: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Write the config of a project on datasets of a portal: DS-10000 DS-10001.

    The portal is asked once, for what is annotated in the datasets; each of that becomes an object of the project. Its
    data stay where they are and are only read; everything new goes to the overlay.
    """
    from pathlib import Path
    from typing import Any, cast

    from tomoportal.cli.console import console, counted, print_json
    from tomoportal.copick import from_czcdp_datasets
    from tomoportal.errors import SettingsError

    if not force and "://" not in output and Path(output).exists():
        raise SettingsError("the config exists already", where=output, fix="give another --output, or --force")
    root = from_czcdp_datasets(
        datasets,
        overlay,
        user_id=user_id,
        session_id=session_id,
        output_path=output,
        portal_url=endpoint,
        portal_access=cast(Any, access),  # one of the choices
        portal_s3_endpoint_url=s3_endpoint,
        portal_files_root=files_root,
    )
    objects = root.config.pickable_objects
    if as_json:
        found = [
            {"name": each.name, "identifier": each.identifier, "is_particle": each.is_particle} for each in objects
        ]
        print_json({"config": output, "portal": root.portal_url, "datasets": root.dataset_ids, "objects": found})
        return 0
    click.echo(output)
    found_in = f"{counted(len(root.dataset_ids), 'dataset')} of {root.portal_url}"
    console().print(f"{counted(len(objects), 'object')} annotated in {found_in}")
    return 0
