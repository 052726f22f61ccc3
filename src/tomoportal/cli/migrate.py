"""``tomoportal migrate``: an archive in an older layout → a new one in today's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tomoportal.archive import Archive
    from tomoportal.archive.migration import MigrationReport
    from tomoportal.archive.older import OlderPlan

__all__ = ["command"]


@click.command(name="migrate")
@click.argument("source", metavar="SOURCE")
@click.option("--archive", required=True, metavar="URL", help="The new archive: a folder or an object-store URL.")
@click.option("--plan", "only_plan", is_flag=True, help="Print what would be done and stop.")
@click.option("--link", is_flag=True, help="Make hard links instead of copies; both must be on one local disk.")
@click.option("--dataset", "datasets", multiple=True, metavar="ID", help="Only this dataset; may be repeated.")
@click.option("--deposition", type=click.IntRange(min=1), metavar="ID", help="For documents that name no deposition.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes [default: number of cores].")
@click.option("--json", "as_json", is_flag=True, help="Print plan or report as JSON.")
def command(
    source: str,
    archive: str,
    only_plan: bool,
    link: bool,
    datasets: tuple[str, ...],
    deposition: int | None,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Make an archive in today's layout from one in an older layout.

    SOURCE is a folder or an object-store URL; nothing in it is changed. Known are the public portal's layouts before
    objects had ids, the tree of metadata schema 1.1.0, and today's with oddities, in any mixture. Files are copied (or
    linked), documents brought up to date, missing ones made; a volume whose MRC or OME-Zarr is missing or not as it is
    written today is made anew. Whatever has no place is listed. Run again, it goes on where it stopped. The exit code
    is 1 if an item failed.
    """
    import os

    from tomoportal.archive import Archive
    from tomoportal.archive.migration import migrate, plan_migration
    from tomoportal.cli.console import print_json, progress_bar
    from tomoportal.model.ids import parse_id
    from tomoportal.storage import open_store

    store = open_store(source, read_only=True)
    target = _target(archive) if only_plan else Archive.open(archive, create=True)
    chosen = [str(parse_id(text, "Dataset")[1]) for text in datasets] or None
    plan = plan_migration(store, target, datasets=chosen, deposition_id=deposition)
    if only_plan:
        if as_json:
            print_json(_plan_json(plan))
        else:
            _show_plan(plan)
        return 1 if any(item.problem for item in plan.items) else 0
    with progress_bar("Migrating", quiet=as_json) as progress:
        report = migrate(plan, store, target, link=link, jobs=jobs or os.cpu_count() or 1, progress=progress)
    if as_json:
        items = [
            {"item": each.label, "kind": each.kind, "outcome": each.outcome, "reason": each.reason or None}
            for each in report.results
        ]
        print_json({**_notes_json(plan), "items": items})
    else:
        _show_report(report)
    return 0 if report.ok else 1


def _target(url: str) -> Archive:
    """The archive for a plan; one that is not there yet is not made."""
    from tomoportal.archive import Archive
    from tomoportal.errors import NotFoundError

    try:
        return Archive.open(url, read_only=True)
    except NotFoundError:
        return Archive.open("memory://")


def _plan_json(plan: OlderPlan) -> dict[str, Any]:
    items = [
        {
            "kind": item.kind,
            "container": item.container.key,
            "document": item.document[0] if item.document else None,
            "copies": [{"from": old, "to": new} for old, new in item.copies],
            "made": [{"from": each.source, "to": [each.mrc, each.zarr], "why": each.why} for each in item.conversions]
            + [{"from": None, "to": [key], "why": None} for key, _ in item.texts],
            "problem": item.problem,
        }
        for item in plan.items
    ]
    return {**_notes_json(plan), "items": items}


def _notes_json(plan: OlderPlan) -> dict[str, Any]:
    return {
        "layouts": dict(plan.layouts),
        "unplaced": [{"key": each.key, "why": each.text} for each in plan.unplaced],
        "remarks": [{"key": each.key, "text": each.text} for each in plan.remarks],
    }


def _show_plan(plan: OlderPlan) -> None:
    for folder, name in plan.layouts:
        click.echo(f"{folder}: {name}")
    for item in plan.items:
        click.echo(f"{item.kind:<18} {item.label}")
        for old, new in item.copies:
            click.echo(f"    {old} → {new}")
        for each in item.conversions:
            click.echo(f"    {each.source} → {each.mrc}, {each.zarr} (made anew: {each.why})")
        if item.problem:
            click.echo(f"    problem: {item.problem}")
    _show_notes(plan)


def _show_notes(plan: OlderPlan) -> None:
    for each in plan.remarks:
        click.echo(f"note: {each}", err=True)
    for each in plan.unplaced:
        click.echo(f"not migrated: {each}", err=True)


def _show_report(report: MigrationReport) -> None:
    _show_notes(report.plan)
    for each in report.results:
        if each.outcome == "failed":
            click.echo(f"failed: {each.kind} {each.label}: {each.reason}", err=True)
    counts = [
        f"{number} {outcome}"
        for outcome in ("created", "replaced", "skipped", "failed")
        if (number := report.count(outcome))
    ]
    left = len(report.plan.unplaced)
    noun = "1 file has" if left == 1 else f"{left} files have"
    click.echo(f"{', '.join(counts) or 'nothing to do'}; {noun} no place")
