"""``tomoportal copick from-portal``: the config of a project on datasets of a portal."""

from __future__ import annotations

import click

from tomoportal.cli.copick.options import dry_run_option, json_option, refuse_existing
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
@dry_run_option
@json_option
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
    dry_run: bool,
    as_json: bool,
) -> int:
    """Write the config of a project on datasets of a portal: DS-10000 DS-10001.

    The portal is asked once, for what is annotated in the datasets; each of that becomes an object of the project. Its
    data stay where they are and are only read; everything new goes to the overlay.
    """
    from typing import Any, cast

    from tomoportal.cli.console import console, counted, print_json, table, waiting
    from tomoportal.client import Endpoint
    from tomoportal.copick import from_czcdp_datasets
    from tomoportal.copick.portal.config import settings_of
    from tomoportal.copick.portal.opening import portal_config

    refuse_existing(output, "--output", force=force)
    given: dict[str, Any] = {
        "user_id": user_id,
        "session_id": session_id,
        "portal_url": endpoint,
        "portal_access": cast(Any, access),  # one of the choices
        "portal_s3_endpoint_url": s3_endpoint,
        "portal_files_root": files_root,
    }
    with waiting("asking the portal"):
        if dry_run:
            made = portal_config(datasets, overlay, **given)
        else:
            made = from_czcdp_datasets(datasets, overlay, output_path=output, **given).config
    objects, portal = made.pickable_objects, Endpoint(settings_of(made).url).url
    if as_json:
        found = [
            {"name": each.name, "identifier": each.identifier, "is_particle": each.is_particle} for each in objects
        ]
        told = {"config": output, "portal": portal, "datasets": made.dataset_ids, "objects": found}
        print_json({**told, "dry_run": True} if dry_run else told)
        return 0
    if dry_run:
        kinds = [(each.name, each.identifier, "points" if each.is_particle else "") for each in objects]
        table(("object", "identifier", "annotated by"), kinds)
    else:
        click.echo(output)
    found_in = f"{counted(len(made.dataset_ids), 'dataset')} of {portal}"
    console().print(f"{counted(len(objects), 'object')} annotated in {found_in}")
    return 0
