"""``tomoportal copick cache``: what a project on a portal keeps of the portal's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tomoportal.cli.copick.options import config_option, dry_run_option, json_option, open_project

if TYPE_CHECKING:
    from tomoportal.copick.portal.answers import KeptAnswer

__all__ = ["command"]


@click.group(name="cache", help="Show or clear what a project on a portal keeps of the portal's answers.")
def command() -> None:
    """The group; its help is the line of the overview."""


def _kept(config: str) -> tuple[list[KeptAnswer], set[int]] | None:
    """The documents, and the project's datasets; None if the project has no such cache."""
    from tomoportal.copick.portal.answers import kept_answers
    from tomoportal.copick.portal.config import CopickConfigCDP, settings_of

    root = open_project(config)
    if not isinstance(root.config, CopickConfigCDP):
        click.echo("This is not a project on a portal: it has no cache.", err=True)
        return None
    return kept_answers(settings_of(root.config), root._overlay.store), set(root.config.dataset_ids)


@command.command(name="info")
@config_option
@json_option
def info(config: str, as_json: bool) -> int:
    """Show the kept answers: where they lie, of which portal and datasets, how old they are."""
    from tomoportal.cli.console import print_json, table

    found = _kept(config)
    kept = found[0] if found is not None else []
    if as_json:
        print_json(
            [
                {
                    "where": each.where,
                    "endpoint": each.endpoint,
                    "dataset_ids": list(each.dataset_ids),
                    "age_seconds": round(each.age),
                    "size": each.size,
                    "is_fresh": each.is_fresh,
                }
                for each in kept
            ]
        )
    elif found is not None:
        rows = [
            (each.where, each.endpoint or "", ", ".join(map(str, each.dataset_ids)), round(each.age), each.size)
            for each in kept
        ]
        table(["document", "portal", "datasets", "seconds old", "bytes"], rows)
    return 0


@command.command(name="clear")
@click.option("--all", "everything", is_flag=True, help="Also those of other datasets in the same places.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@config_option
@dry_run_option
@json_option
def clear(everything: bool, yes: bool, config: str, dry_run: bool, as_json: bool) -> int:
    """Remove the kept answers of the project's datasets; the portal is asked again when they are needed."""
    from tomoportal.cli.console import counted, print_json
    from tomoportal.copick.portal.answers import clear_cache

    kept, datasets = _kept(config) or ([], set())
    chosen = [each for each in kept if everything or not each.dataset_ids or set(each.dataset_ids) <= datasets]
    if not as_json:
        for each in chosen:
            click.echo(f"remove   {each.where}")
    if chosen and not dry_run:
        if not yes:
            click.confirm(f"Remove {counted(len(chosen), 'document')}?", abort=True, err=True)
        click.echo(f"{counted(clear_cache(chosen), 'document')} removed", err=True)
    if as_json:
        print_json({"dry_run": dry_run, "removed": [each.where for each in chosen]})
    return 0
