"""``tomoportal verify``: what is wrong with an archive."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command(name="verify")
@click.option("--archive", metavar="URL", help="The archive: a folder or an object-store URL.")
@click.option("--fast", is_flag=True, help="Compare sizes only; do not re-read the files.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--rules", "show_rules", is_flag=True, help="Print the table of rules and stop.")
def command(archive: str | None, fast: bool, as_json: bool, show_rules: bool) -> int:
    """Re-read an archive and report everything that is wrong with it.

    Every file is compared with the size and SHA-256 on record, every metadata document with the schema, its folder and
    what it refers to. Interrupted publications are finished. The exit code is 1 if there is an error.
    """
    from tomoportal.archive import Archive, Severity, verify
    from tomoportal.archive.findings import rules_markdown
    from tomoportal.cli.console import console, print_json, progress_bar

    if show_rules:
        click.echo(rules_markdown(), nl=False)
        return 0
    from tomoportal.server import load_settings

    opened = Archive.open(load_settings({"archive": archive}).archive)
    with progress_bar("verify", quiet=as_json) as progress:
        findings = verify(opened, digests=not fast, progress=progress)
    counts = {severity: sum(each.severity == severity for each in findings) for severity in Severity}
    if as_json:
        print_json({"counts": counts, "findings": [each.to_json() for each in findings]})
    else:
        for each in findings:
            click.echo(f"{each.severity:<7} {each.rule} {each.path}\n        {each.message}\n        fix: {each.fix}")
        total = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
        console().print(f"[bold]{total or 'nothing is wrong'}[/]")
    return 1 if counts[Severity.ERROR] else 0
