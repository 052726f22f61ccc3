"""``tomoportal verify``: what is wrong with an archive, or with the sources of a config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tomoportal.cli.source_options import follow_links_option

if TYPE_CHECKING:
    from tomoportal.archive import Finding, Verification
    from tomoportal.cli.console import Progress

__all__ = ["command"]


@click.command(name="verify")
@click.option("--archive", metavar="URL", help="The archive: a folder or an object-store URL.")
@click.option(
    "--source",
    "config",
    type=click.Path(exists=True, dir_okay=False),
    metavar="CONFIG",
    help="Check the source files of an ingestion config instead, before they are ingested.",
)
@click.option("--source-root", metavar="URL", help="With --source: root of the raw files [default: folder of CONFIG].")
@follow_links_option
@click.option("--fast", is_flag=True, help="Read headers, documents and text files only; compare sizes, not digests.")
@click.option("--deep", is_flag=True, help="Decode all volumes as well: values, MRC against OME-Zarr, levels.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes [default: number of cores].")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write a page for the depositor.")
@click.option("--rules", "show_rules", is_flag=True, help="Print the table of rules and stop.")
def command(
    archive: str | None,
    config: str | None,
    source_root: str | None,
    follow_links: bool,
    fast: bool,
    deep: bool,
    jobs: int | None,
    as_json: bool,
    html: str | None,
    show_rules: bool,
) -> int:
    """Re-read an archive and report everything that is wrong with it.

    Every file is compared with the size and SHA-256 on record, every metadata document with the schema, its folder and
    what it refers to; headers, tilt angles, doses, alignments, points and masks are compared with each other.
    Interrupted publications are finished. The exit code is 1 if there is an error.
    """
    from tomoportal.archive import Severity
    from tomoportal.archive.findings import count, rules_markdown
    from tomoportal.cli.console import console, print_json, progress_bar

    if show_rules:
        click.echo(rules_markdown(), nl=False)
        return 0
    if fast and deep:
        raise click.UsageError("--fast and --deep exclude each other")
    if config and archive:
        raise click.UsageError("--source checks files before ingestion; give it without --archive")
    with progress_bar("verify", quiet=as_json) as progress:
        if config:
            found = _sources(config, source_root, follow_links, deep, progress)
        else:
            found = _archive(archive, fast, deep, jobs, progress)
    if html:
        _write_page(html, found, config)
    counts = count(found.findings)
    if as_json:
        print_json({"counts": counts, "findings": [each.to_json() for each in found.findings]})
    else:
        _print(found.findings)
        total = ", ".join(f"{number} {severity}" for severity, number in counts.items() if number)
        console().print(f"[bold]{total or 'nothing is wrong'}[/]")
    return 1 if counts[Severity.ERROR] else 0


def _archive(url: str | None, fast: bool, deep: bool, jobs: int | None, progress: Progress) -> Verification:
    import os

    from tomoportal.archive import Archive, examine
    from tomoportal.server import load_settings

    opened = Archive.open(load_settings({"archive": url}).archive)
    return examine(opened, digests=not fast, voxels=deep, jobs=jobs or os.cpu_count() or 1, progress=progress)


def _sources(config: str, root: str | None, follow_links: bool, deep: bool, progress: Progress) -> Verification:
    from tomoportal.archive import Verification
    from tomoportal.ingest import load_config, open_source
    from tomoportal.ingest.checks import check_sources

    loaded = load_config(config)
    source = open_source(
        root if root is not None else str(Path(config).resolve().parent),
        loaded.source_prefix,
        beside=loaded.folder,
        place=loaded.place(("standardization_config", "source_prefix")),
        follow_links=follow_links,
    )
    return Verification(config, tuple(check_sources(loaded, source, voxels=deep, progress=progress)), (), False, deep)


def _print(findings: Sequence[Finding]) -> None:
    for each in findings:
        click.echo(f"{each.severity:<7} {each.rule} {each.path}\n        {each.message}\n        fix: {each.fix}")


def _write_page(path: str, found: Verification, config: str | None) -> None:
    from tomoportal.archive.verification.report import html_report

    if config:
        subject = Path(config).name
        read = ["source files before ingestion: headers and text files", "the plan of the config"]
    else:
        subject = found.url.partition("?")[0].rstrip("/").rpartition("/")[2] or found.url
        read = ["documents, headers and text files", *(["every file, against its SHA-256"] if found.digests else [])]
    scope = f"Read were {'; '.join([*read, *(['all voxels'] if found.voxels else [])])}."
    Path(path).write_text(html_report(subject, found.findings, found.summaries, scope=scope), encoding="utf-8")
