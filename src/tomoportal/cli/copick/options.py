"""What the commands of ``tomoportal copick`` have in common: the project, its runs, what was done, in text or JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tomoportal.cli.reporting import reporting

if TYPE_CHECKING:
    from tomoportal.copick import CopickConfig, CopickRoot
    from tomoportal.copick.tasks import Outcome, Task

__all__ = [
    "chosen_runs",
    "config_option",
    "debug_option",
    "dry_run_option",
    "json_option",
    "open_project",
    "perform_tasks",
    "refuse_existing",
    "run_names_option",
    "say",
    "show_config",
    "show_planning",
    "workers_option",
]

_PLANNING = "tomoportal.copick.planning"  # where the context keeps the sign of life
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _given_config(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """The config, or a usage error that says where one comes from (C51)."""
    if not value:
        raise click.UsageError(
            "no project is named: give its config with -c/--config, or set COPICK_CONFIG; "
            "`tomoportal copick config filesystem --overlay-root FOLDER` writes a new one",
            ctx=context,
        )
    return value


def _debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        logging.basicConfig(level=logging.DEBUG)


def config_option(function: _Command) -> _Command:
    """``-c/--config`` (or COPICK_CONFIG) as ``config``, and ``--debug``."""
    return click.option(
        "-c",
        "--config",
        envvar="COPICK_CONFIG",
        metavar="FILE",
        callback=_given_config,
        help="The project's config [default: $COPICK_CONFIG].",
    )(debug_option(function))


def debug_option(function: _Command) -> _Command:
    """``--debug``; and a command that reports its errors in whatever program it runs."""
    return click.option(
        "--debug/--no-debug", default=False, expose_value=False, callback=_debug, help="Log everything."
    )(reporting(function))  # type: ignore[return-value]


def json_option(function: _Command) -> _Command:
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(function)


def dry_run_option(function: _Command) -> _Command:
    return click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")(function)


def workers_option(name: str, *short: str, default: int) -> Callable[[_Command], _Command]:
    """``--max-workers`` or ``--workers``: how many runs are worked on at a time."""
    return click.option(
        name, *short, "workers", type=click.IntRange(min=1), default=default, show_default=True, help="Runs at a time."
    )


def run_names_option(function: _Command) -> _Command:
    """``-r/--run-names``, which may be repeated; a comma list in one value is understood with a warning."""
    return click.option(
        "-r", "--run-names", "run_names", multiple=True, metavar="NAME", help="Only this run; may be repeated."
    )(function)


def say(text: str) -> None:
    """A message for the reader, on stderr."""
    click.echo(text, err=True)


def chosen_runs(names: Sequence[str]) -> list[str] | None:
    """Names of ``-r``; None means all."""
    found = [part.strip() for name in names for part in name.split(",") if part.strip()]
    if len(found) > len(names):
        say("warning: a list with commas in -r will go; write -r once per run")
    return found or None


def open_project(config: str) -> CopickRoot:
    """Open a project; a config that cannot be used is an error with the way out."""
    from tomoportal.copick import from_file
    from tomoportal.errors import SettingsError, TomoportalError

    try:
        return from_file(config)
    except ValueError as error:
        if isinstance(error, TomoportalError):
            raise
        raise SettingsError(
            f"the config cannot be used: {error}", where=config, fix="correct what it names, in the file"
        ) from error


def refuse_existing(path: str, option: str, *, force: bool) -> None:
    """Raise :class:`SettingsError` for a config that is there already; ``option`` names another one."""
    from pathlib import Path

    from tomoportal.errors import SettingsError

    if not force and "://" not in path and Path(path).exists():
        raise SettingsError("the config exists already", where=path, fix=f"give another {option}, or --force")


def show_config(made: CopickConfig, path: str, *, dry_run: bool, as_json: bool) -> int:
    """Say which config was written, or what it would be; returns the exit code."""
    from tomoportal.cli.console import print_json, table

    if as_json:
        told = {"config": path, "project": made.model_dump(mode="json", exclude_unset=True)}
        print_json({**told, "dry_run": True} if dry_run else told)
    elif dry_run:
        rows = [(each.name, "particle" if each.is_particle else "", each.label) for each in made.pickable_objects]
        table(("object", "kind", "label"), rows)
        say(f"{path} would be written")
    else:
        click.echo(path)
    return 0


def show_planning() -> None:
    """Until :func:`perform_tasks`, or an error, a terminal shows that something is going on."""
    from tomoportal.cli.console import waiting

    context, shown = click.get_current_context(), ExitStack()
    shown.enter_context(waiting("looking at what is to be done"))
    context.call_on_close(shown.close)
    context.meta[_PLANNING] = shown


def perform_tasks(
    tasks: Sequence[Task],
    title: str,
    *,
    workers: int,
    dry_run: bool,
    as_json: bool,
    more: dict[str, Any] | None = None,
) -> int:
    """Do the tasks with a bar of progress, say what was done; the exit code is 1 if one failed (C106)."""
    from tomoportal.cli.console import counted, print_json, progress_bar
    from tomoportal.copick.tasks import perform

    context = click.get_current_context(silent=True)
    if context is not None and _PLANNING in context.meta:
        context.meta.pop(_PLANNING).close()
    if dry_run:
        outcomes: list[Outcome] = [(task, task.problem) for task in tasks]
    else:
        with progress_bar(title, quiet=as_json) as progress:
            outcomes = perform(tasks, workers=workers, progress=progress)
    failed = [(task, error) for task, error in outcomes if error is not None]
    skipped = [task for task, _ in outcomes if task.action == "skip"]
    kept = [task for task, error in outcomes if task.action == "keep" and error is None]
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "done": 0 if dry_run else len(outcomes) - len(failed) - len(skipped),
                "failed": len(failed),
                "kept": len(kept),
                "skipped": len(skipped),
                "items": [
                    {**task.to_json(), "error": None if error is None else str(error)} for task, error in outcomes
                ],
                **(more or {}),
            }
        )
        return 1 if failed else 0
    for task in skipped:
        say(f"skipped  {task.what}")
    for task, error in outcomes:
        if error is None and task not in skipped:
            click.echo(f"{task.action:<8} {task.what}")
    for task, error in failed:
        say(f"failed   {task.what}: {error}")
    verb = "would be done" if dry_run else "done"
    done = counted(len(outcomes) - len(failed) - len(skipped) - len(kept), "item")
    told = ((kept, "kept as they are" if len(kept) > 1 else "kept as it is"), (skipped, "skipped"), (failed, "failed"))
    others = [f", {len(some)} {word}" for some, word in told if some]
    say(f"{done} {verb}{''.join(others)}" + ("" if dry_run or failed else "; completed successfully"))
    return 1 if failed else 0
