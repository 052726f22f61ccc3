"""What every command shows in the same way: progress, tables, JSON.

Progress and messages go to stderr, results to stdout, so that ``--json`` can be piped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Progress", "console", "counted", "print_json", "progress_bar", "table", "waiting"]

_SPEAK_EVERY = 10.0  # seconds between lines of progress where no bar can be drawn
_NO_EDGE = 10_000  # columns of what is not a terminal: a row is one line, whoever reads it

Progress = Callable[[int, int, str], None]
"""``progress(done, total, text)``: how the rooms below report; the text names what was just finished."""


def console(*, stderr: bool = True) -> Console:
    """The rich console of stderr (messages, progress) or of stdout (results)."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=not stderr)


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Progress]:
    """A progress bar on a terminal, a line now and then in a log. Yields the function that the rooms below call."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    screen = console()
    if quiet or not screen.is_terminal:
        yield _silent if quiet else _lines(title)
        return
    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[text]}"),
        console=screen,
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, text="")

        def report(done: int, total: int, text: str = "") -> None:
            bar.update(task, completed=done, total=total, text=text[-60:])

        yield report


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A sign of life on a terminal while nobody can say how much there is to do; it goes before results are shown."""
    screen = console()
    if not screen.is_terminal:
        yield
        return
    with screen.status(text):
        yield


def _silent(done: int, total: int, text: str = "") -> None:
    pass


def _lines(title: str) -> Progress:
    spoken = time.monotonic()

    def report(done: int, total: int, text: str = "") -> None:
        nonlocal spoken
        if time.monotonic() - spoken >= _SPEAK_EVERY:
            spoken = time.monotonic()
            click.echo(f"{title}: {done} of {total}, {text}", err=True)

    return report


def counted(number: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None) -> None:
    """Print rows as a table on stdout; numbers are right-aligned, brackets in cells are text and no markup."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=None if title is None else Text(title),
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], (int, float)) for row in rows)
        shown.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    screen = console(stderr=False)
    if not screen.is_terminal:
        screen.width = _NO_EDGE
    screen.print(shown)


def print_json(value: Any) -> None:
    """Print a value as indented JSON on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
