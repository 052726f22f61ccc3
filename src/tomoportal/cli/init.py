"""``tomoportal init``: a folder of raw files → a commented config that ingests as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tomoportal.ingest.drafting import Survey

__all__ = ["command"]

_LISTED = 20


@click.command(name="init", help="Look at a folder of raw files and write an ingestion config for it.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--output", metavar="CONFIG", help="Where to write the config [default: FOLDER/tomoportal.yaml].")
@click.option("--archive", "archive_url", metavar="URL", help="Archive whose next free ids are used.")
@click.option(
    "--date",
    metavar="YYYY-MM-DD",
    help="Deposition date [default: the day of the last exposure in an mdoc, else today].",
)
@click.option("--force", is_flag=True, help="Overwrite an existing config.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def command(
    folder: str, output: str | None, archive_url: str | None, date: str | None, force: bool, yes: bool, as_json: bool
) -> int:
    import shlex
    import sys
    from dataclasses import replace
    from pathlib import Path

    from rich.markup import escape

    from tomoportal.archive import Archive
    from tomoportal.cli.console import console, counted, print_json
    from tomoportal.errors import NotFoundError, SettingsError
    from tomoportal.ingest import Options, load_config, make_plan, open_source
    from tomoportal.ingest.drafting import Answers, draft_config, free_ids, survey_folder
    from tomoportal.storage import open_store

    target = Path(output) if output else Path(folder) / "tomoportal.yaml"
    if target.exists() and not force:
        raise SettingsError(
            "the config exists already", where=str(target), fix="give --force to overwrite it, or --output"
        )
    try:
        archive = Archive.open(archive_url or "memory://", read_only=True)
    except NotFoundError:
        archive = Archive.open("memory://", read_only=True)
    map_name = f"{target.stem}_runs.csv"
    survey = survey_folder(folder, ignore={target.name, map_name})
    dataset_id, deposition_id = free_ids(archive)
    inside = target.resolve().parent == Path(folder).resolve()
    answers = Answers(
        dataset_id=dataset_id,
        deposition_id=deposition_id,
        date=date or _default_date(survey),
        source_prefix="" if inside else str(Path(folder).resolve()),
        map_name=map_name,
    )
    if sys.stdin.isatty() and not yes and not as_json:
        answers = replace(answers, **_ask())
    draft = draft_config(survey, answers)
    if not draft.runs.names:
        raise SettingsError(
            "no run was found", where=folder, fix="the folder needs MRC volumes, tilt stacks or mdoc files"
        )
    beside = open_store(target.parent, create=True)
    if draft.run_map is not None:
        beside.put(answers.map_name, draft.run_map.encode())
    beside.put(target.name, draft.config.encode())
    config = load_config(target)
    source = open_source(target.parent, config.source_prefix, beside=config.folder, follow_links=True)
    plan = make_plan(config, source, archive, Options())
    if as_json:
        print_json({"config": str(target), "runs": draft.runs.names, "files": _as_json(survey), "plan": plan.to_json()})
        return 1 if plan.errors else 0
    _show(survey, draft.runs.names)
    screen = console()
    for error in plan.errors:
        screen.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
    screen.print(
        f"wrote [bold]{escape(str(target))}[/]: {counted(len(draft.runs.names), 'run')},"
        f" {counted(len(plan.items), 'item')}; read its comments, then",
        soft_wrap=True,
    )
    links = ["--follow-links"] if _leads_out(folder, survey) else []
    command = shlex.join(["tomoportal", "up", str(target), "--archive", archive_url or "ARCHIVE", *links])
    screen.print(f"  {escape(command)}", soft_wrap=True)
    return 1 if plan.errors else 0


def _leads_out(folder: str, survey: Survey) -> bool:
    """Whether a file that will be read is a link out of the folder, which only `--follow-links` allows."""
    from pathlib import Path

    root = Path(folder).resolve()
    return any(
        file.role != "left out" and not (root / file.key).resolve().is_relative_to(root) for file in survey.files
    )


def _default_date(survey: Survey) -> str:
    from datetime import date

    from tomoportal.ingest.drafting.acquisition import acquired_on

    days = [day for file in survey.of("mdoc") if file.mdoc is not None and (day := acquired_on(file.mdoc))]
    return max(days, default=date.today().isoformat())


def _ask() -> dict[str, Any]:
    title = click.prompt("Title", default="not_reported")
    names = click.prompt("Authors, separated by commas", default="not_reported")
    organism = click.prompt("Organism", default="not_reported")
    kinds = (
        "cell_line",
        "in_silico",
        "in_vitro",
        "organelle",
        "organism",
        "organoid",
        "other",
        "primary_cell_culture",
        "tissue",
        "virus",
    )
    sample_type = click.prompt("Sample type", default="other", type=click.Choice(kinds))
    authors = tuple(name.strip() for name in names.split(",") if name.strip()) or ("not_reported",)
    return {"title": title, "authors": authors, "organism": organism, "sample_type": sample_type}


def _as_json(survey: Survey) -> list[dict[str, Any]]:
    return [
        {
            "file": file.key,
            "role": file.role,
            "why": file.why or None,
            "shape": file.shape,
            "spacing": file.spacing,
            "labels": list(file.values),
        }
        for file in survey.files
    ]


def _show(survey: Survey, names: list[str]) -> None:
    from tomoportal.cli.console import console, counted, table

    found: dict[str, list[Any]] = {}
    for file in survey.files:
        found.setdefault(file.role, []).append(file)
    rows = [(role, len(files), files[0].key) for role, files in found.items() if role != "left out"]
    table(
        ("found", "files", "for example"),
        rows,
        title=f"{counted(len(names), 'run')}: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}",
    )
    left_out = found.get("left out", [])
    if left_out:
        table(("left out", "why"), [(file.key, file.why) for file in left_out[:_LISTED]])
    if len(left_out) > _LISTED:
        console().print(f"… and {len(left_out) - _LISTED} more files left out (all of them with --json)")
