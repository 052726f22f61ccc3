"""``tomoportal ingest``: raw files → archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from tomoportal.cli.source_options import follow_links_option
from tomoportal.cli.workforce import cluster_from, workforce_options

if TYPE_CHECKING:
    from tomoportal.archive import Archive
    from tomoportal.ingest import Item, Plan, Report

__all__ = ["command", "plan_archive"]

_SHOWN = 30
_HELD_UP = 5


@click.command(name="ingest", help="Turn raw files into an archive as an ingestion config says.")
@click.argument("config", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--archive",
    "archive_url",
    required=True,
    metavar="URL",
    help="Folder, file://… or s3://bucket/prefix of the archive.",
)
@click.option("--source", "source_url", metavar="URL", help="Root of the raw files [default: the folder of CONFIG].")
@follow_links_option
@click.option("--plan", "plan_only", is_flag=True, help="Show what would be done and write nothing.")
@workforce_options
@click.option(
    "--chunk-size",
    type=click.IntRange(min=4),
    metavar="N",
    help="Edge of Zarr chunks in voxels [default: 128; 64 in shards of 256 with --ngff 0.5].",
)
@click.option(
    "--ngff",
    type=click.Choice(["0.4", "0.5"]),
    default="0.4",
    show_default=True,
    help="Version of OME-Zarr: 0.4 is Zarr version 2, 0.5 is version 3 with shards.",
)
@click.option(
    "--dtype", type=click.Choice(["float32"]), help="Store volumes as float32 instead of the type of the source."
)
@click.option(
    "--meshes",
    is_flag=True,
    help="Write the surfaces of masks for other viewers; the portal makes them when they are looked at.",
)
@click.option("--prune", "prune_stale", is_flag=True, help="Remove what is on record and no longer in the config.")
@click.option(
    "--log",
    "log_file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Append a line of JSON per event to FILE.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan or the report as JSON.")
def command(
    config: str,
    archive_url: str,
    source_url: str | None,
    follow_links: bool,
    plan_only: bool,
    jobs: int | None,
    dask: str | None,
    slurm: str | None,
    chunk_size: int | None,
    ngff: Literal["0.4", "0.5"],
    dtype: str | None,
    meshes: bool,
    prune_stale: bool,
    log_file: str | None,
    as_json: bool,
) -> int:
    import os
    from contextlib import nullcontext
    from pathlib import Path

    from tomoportal.archive import Archive
    from tomoportal.cli.console import console, print_json, progress_bar
    from tomoportal.ingest import Options, load_config, make_plan, open_source, prune, run_plan
    from tomoportal.ingest.log import ingest_log

    cluster = cluster_from(dask, slurm)
    loaded = load_config(config)
    root = source_url if source_url is not None else str(Path(config).resolve().parent)
    source = open_source(
        root,
        loaded.source_prefix,
        beside=loaded.folder,
        place=loaded.place(("standardization_config", "source_prefix")),
        follow_links=follow_links,
    )
    archive = plan_archive(archive_url) if plan_only else Archive.open(archive_url, create=True)
    plan = make_plan(loaded, source, archive, Options(chunk_size, dtype, ngff, meshes))
    if plan_only:
        if as_json:
            print_json(plan.to_json())
        else:
            _show_plan(plan)
        return 0 if plan.ok else 1
    screen = console()
    if not as_json:
        _show_remarks(plan)
    if prune_stale and plan.stale:
        screen.print(f"removed {prune(archive, plan.stale)} items that are no longer in the config", soft_wrap=True)
    with (
        ingest_log(log_file) if log_file else nullcontext() as log,
        progress_bar("ingest", quiet=as_json) as progress,
    ):
        if log is not None:
            log.planned(plan)
        report = run_plan(plan, archive, source.store, jobs or os.cpu_count() or 1, progress, cluster=cluster, log=log)
        if log is not None:
            log.ended(report)
    if as_json:
        print_json(report.to_json())
    else:
        _show_report(report)
    if not report.ok:
        screen.print(
            "[bold red]not everything was ingested[/]; mend the causes and run the same command again", soft_wrap=True
        )
        return 1
    return 0


def plan_archive(url: str) -> Archive:
    """The archive to plan against; one that does not exist yet is planned as an empty one, and not made."""
    from tomoportal.archive import Archive
    from tomoportal.errors import NotFoundError

    try:
        return Archive.open(url, read_only=True)
    except NotFoundError:
        return Archive.open("memory://", read_only=True)


def _written(item: Item) -> str:
    """What an item writes, below its container: the document, else the first file and how many more."""
    if item.document is not None:
        return item.document.removeprefix("/".join(item.place[1:]) + "/")
    if not item.outputs:
        return ""
    first = item.outputs[0].removeprefix("/".join(item.place[1:]) + "/")
    return first if len(item.outputs) == 1 else f"{first} + {len(item.outputs) - 1}"


def _show_plan(plan: Plan) -> None:
    from tomoportal.cli.console import console, table

    rows = [
        (
            item.action,
            "/".join(item.place[1:]),
            item.kind,
            item.archive_id,
            item.title,
            len(item.sources),
            _written(item),
        )
        for item in plan.items
    ]
    columns = ("action", "container", "kind", "id", "what", "sources", "writes")
    table(columns, rows, title=f"Plan of {plan.config}")
    _show_remarks(plan)
    counts = ", ".join(f"{count} {action}" for action, count in plan.counts.items() if count)
    console().print(f"[bold]{counts or 'nothing to do'}[/]; nothing was written", soft_wrap=True)


def _show_remarks(plan: Plan) -> None:
    """Everything that a plan has to say beside its items, on stderr."""
    from rich.markup import escape

    from tomoportal.cli.console import console

    screen = console()
    for warning in plan.warnings:
        screen.print(f"[yellow]warning[/] {escape(str(warning))}", soft_wrap=True)
    for one in plan.unmatched:
        kind = "[red]error[/]" if one.wrong else "[yellow]no match[/]"
        screen.print(f"{kind} {escape(str(one))}", soft_wrap=True)
    for name in plan.stale:
        screen.print(
            f"[yellow]no longer in the config[/] {escape(str(name))} (`tomoportal ingest --prune` removes it)",
            soft_wrap=True,
        )
    for error in plan.errors[:_SHOWN]:
        screen.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
    if len(plan.errors) > _SHOWN:
        screen.print(f"[red]… and {len(plan.errors) - _SHOWN} more errors[/] (all of them with --json)", soft_wrap=True)


def _show_report(report: Report) -> None:
    from rich.markup import escape

    from tomoportal.cli.console import console, table

    screen = console()
    for name, text in report.warnings[:_SHOWN]:
        screen.print(f"[yellow]warning[/] {escape(name)}: {escape(text)}", soft_wrap=True)
    if len(report.warnings) > _SHOWN:
        screen.print(
            f"[yellow]… and {len(report.warnings) - _SHOWN} more warnings[/] (all of them with --json)", soft_wrap=True
        )
    for result in report.results:
        if result.outcome == "absent":
            screen.print(
                f"[yellow]nothing to ingest[/] {escape(result.name)}: {escape(result.why or '')}", soft_wrap=True
            )
    failed = [one for one in report.failures if one.outcome == "failed"]
    held_up = [one for one in report.failures if one.outcome != "failed"]
    for failure in failed[:_SHOWN]:
        screen.print(f"[red]failed[/] {escape(failure.name)}: {escape(failure.why or '')}", soft_wrap=True)
    for failure in held_up[:_HELD_UP]:  # what holds them up is told above
        why = (failure.why or "").partition("\n")[0]
        screen.print(f"[red]not attempted[/] {escape(failure.name)}: {escape(why)}", soft_wrap=True)
    for kind, ones, shown in (("failed", failed, _SHOWN), ("were not attempted", held_up, _HELD_UP)):
        if len(ones) > shown:
            text = f"… and {len(ones) - shown} more items {kind}"
            screen.print(f"[red]{text}[/] (all of them with --json)", soft_wrap=True)
    for error in report.errors[:_SHOWN]:
        screen.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
    table(("outcome", "items", "why"), report.summary())
