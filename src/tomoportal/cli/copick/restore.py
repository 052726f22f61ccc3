"""``tomoportal copick restore``: bring a previous version back."""

from __future__ import annotations

import click

from tomoportal.cli.copick.options import config_option, dry_run_option, json_option, open_project, perform_tasks

__all__ = ["command"]


@click.command(name="restore")
@click.argument("object_type", type=click.Choice(["picks", "mesh"]))
@click.argument("uri")
@click.option("-r", "--run", "run_name", required=True, metavar="NAME", help="The run.")
@click.option("--version", required=True, type=int, metavar="N", help="As `tomoportal copick history` lists it.")
@config_option
@dry_run_option
@json_option
def command(object_type: str, uri: str, run_name: str, version: int, config: str, dry_run: bool, as_json: bool) -> int:
    """Bring a previous version of picks or a mesh back; what is there now goes to the history."""
    from tomoportal.copick.transfer import plan_restore

    tasks = plan_restore(open_project(config), object_type, uri, run_name, version)
    return perform_tasks(tasks, "restore", workers=1, dry_run=dry_run, as_json=as_json)
