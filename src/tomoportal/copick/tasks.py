"""Work on a project as a list of tasks: shown before it is done, done run by run, with every failure kept.

What changes a project (import, export, copies, removals) is planned first; every problem that can be known is found
then, before anything is written (C105). A task that fails does not stop the others (C53, C106).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import Literal, TypeAlias

from tomoportal.errors import AnnotationError, Problem

__all__ = ["Action", "Outcome", "Progress", "Task", "perform", "refuse"]

Action: TypeAlias = Literal["create", "replace", "keep", "copy", "move", "remove", "export", "link", "skip"]
Progress: TypeAlias = Callable[[int, int, str], None]
"""``progress(done, total, text)``."""


@dataclass(frozen=True)
class Task:
    """One thing to be done: ``what`` names it for the reader, ``do`` does it. Tasks of one ``run`` keep their order."""

    action: Action
    what: str
    run: str
    do: Callable[[], None]
    source: str = ""
    problem: AnnotationError | None = None
    """Why it cannot be done, where that is known and the other tasks may be done all the same."""

    def to_json(self) -> dict[str, str]:
        return {"action": self.action, "what": self.what, "run": self.run, "source": self.source}


Outcome: TypeAlias = tuple[Task, Exception | None]
"""A task, and why it failed (``None`` if it did not)."""


def perform(tasks: Sequence[Task], *, workers: int = 4, progress: Progress | None = None) -> list[Outcome]:
    """Do the tasks, up to ``workers`` runs at a time; returns an outcome for each, in their order."""
    groups: dict[str, list[int]] = {}
    for number, task in enumerate(tasks):
        groups.setdefault(task.run, []).append(number)
    found: dict[int, Exception | None] = {}
    stop = Event()

    def work(numbers: Iterable[int]) -> None:
        for number in numbers:
            if stop.is_set():
                return
            found[number] = _attempt(tasks[number])
            if progress is not None:
                progress(len(found), len(tasks), tasks[number].what)

    with ThreadPoolExecutor(workers, "runs") as pool:
        try:
            for _ in pool.map(work, groups.values()):
                pass
        except BaseException:  # an interrupt: what is being done is ended, nothing more is begun
            stop.set()
            raise
    return [(task, found[number]) for number, task in enumerate(tasks)]


def _attempt(task: Task) -> Exception | None:
    if task.problem is not None:
        return task.problem
    try:
        task.do()
    except (OSError, ValueError, ImportError, ArithmeticError) as error:  # those of ours are of these kinds, too
        return error
    return None


def refuse(problems: Sequence[Problem], what: str) -> None:
    """Raise :class:`AnnotationError` with all problems, if there are any."""
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        count = "1 reason" if len(problems) == 1 else f"{len(problems)} reasons"
        raise AnnotationError(f"{what}: nothing was written, for {count}:\n{lines}")
