"""``tomoportal diff``: what an ingestion would change in an archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from tomoportal.cli.source_options import follow_links_option

if TYPE_CHECKING:
    from tomoportal.ingest.diff import Diff, FileChange, ItemChange

__all__ = ["command"]

_SHOWN = 20
_LONGEST = 100


@click.command(name="diff")
@click.argument("config", type=click.Path(exists=True, dir_okay=False))
@click.option("--archive", "archive_url", required=True, metavar="URL", help="The archive to compare with.")
@click.option("--source", "source_url", metavar="URL", help="Root of the raw files [default: the folder of CONFIG].")
@follow_links_option
@click.option("--chunk-size", type=click.IntRange(min=4), metavar="N", help="As in `tomoportal ingest`.")
@click.option("--ngff", type=click.Choice(["0.4", "0.5"]), default="0.4", help="As in `tomoportal ingest`.")
@click.option("--dtype", type=click.Choice(["float32"]), help="As in `tomoportal ingest`.")
@click.option("--meshes", is_flag=True, help="As in `tomoportal ingest`.")
@click.option("--fast", is_flag=True, help="Convert no volumes: tell only what their items follow from.")
@click.option("--prune", is_flag=True, help="Count what `ingest --prune` would remove.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(
    config: str,
    archive_url: str,
    source_url: str | None,
    follow_links: bool,
    chunk_size: int | None,
    ngff: Literal["0.4", "0.5"],
    dtype: str | None,
    meshes: bool,
    fast: bool,
    prune: bool,
    as_json: bool,
) -> int:
    """Show what an ingestion would change in an archive.

    Items that would be replaced are made in a temporary folder and compared with what is published: documents field by
    field, files by digest. Nothing is written to the archive. The exit code is 1 if anything would change.
    """
    from tomoportal.cli.console import console, print_json, progress_bar
    from tomoportal.cli.ingest import plan_archive
    from tomoportal.ingest import Options, load_config, make_plan, open_source
    from tomoportal.ingest.diff import compare

    loaded = load_config(config)
    source = open_source(
        source_url if source_url is not None else str(Path(config).resolve().parent),
        loaded.source_prefix,
        beside=loaded.folder,
        place=loaded.place(("standardization_config", "source_prefix")),
        follow_links=follow_links,
    )
    archive = plan_archive(archive_url)
    plan = make_plan(loaded, source, archive, Options(chunk_size, dtype, ngff, meshes))
    with progress_bar("compare", quiet=as_json) as progress:
        diff = compare(plan, archive, source.store, fast=fast, prune=prune, progress=progress)
    if as_json:
        print_json(diff.to_json())
    else:
        _show(diff)
        counts = ", ".join(f"{count} to {action}" for action, count in diff.counts.items() if count)
        console().print(f"[bold]{counts or 'nothing would change'}[/]; nothing was written", soft_wrap=True)
    return 0 if diff.same else 1


def _show(diff: Diff) -> None:
    for change in diff.changes:
        click.echo("\n".join(_lines(change)))
    for error in diff.errors:
        click.echo(f"error    {error}")
    for pattern in diff.unmatched:
        click.echo(f"no match {pattern}")
    for stale in diff.stale:
        click.echo(f"no longer in the config: {stale}")


def _lines(change: ItemChange) -> list[str]:
    lines = [f"{change.action:<8} {change.container} {change.kind} {change.title}"]
    if change.document and (change.fields or change.action == "create"):
        lines.append(f"         {change.document}")
    lines += [f"         because {why}" for why in change.why]
    lines += [f"           {one.field}: {_value(one.old)} → {_value(one.new)}" for one in change.fields[:_SHOWN]]
    if len(change.fields) > _SHOWN:
        lines.append(f"           … and {len(change.fields) - _SHOWN} more fields (all of them with --json)")
    lines += [f"           {_file(one)}" for one in change.files[:_SHOWN]]
    if len(change.files) > _SHOWN:
        lines.append(f"           … and {len(change.files) - _SHOWN} more files (all of them with --json)")
    return lines


def _file(change: FileChange) -> str:
    if change.old is None and change.new is None:
        return change.key  # of a new item, which was not made
    old, new = ("(missing)" if digest is None else f"sha256 {digest[:12]}" for digest in (change.old, change.new))
    return f"{change.key}: {old} → {new}"


def _value(value: Any) -> str:
    from tomoportal.ingest.diff import MISSING

    text = MISSING if value == MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
