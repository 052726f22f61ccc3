"""Options that go together, as one argument of the commands that have them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tomoportal.cli.copick.options import (
    config_option,
    dry_run_option,
    json_option,
    open_project,
    perform_tasks,
    show_planning,
    workers_option,
)

if TYPE_CHECKING:
    from tomoportal.copick import CopickRoot
    from tomoportal.copick.tasks import Task

__all__ = ["Work", "bundle", "one_work_option", "work_options"]

_Function = Callable[..., int]


def bundle(kind: Any, name: str, *options: Callable[[Any], Any]) -> Callable[[_Function], _Function]:
    """A decorator that gives a command ``options``, whose values come as one ``kind`` in the argument ``name``."""
    fields = [field.name for field in dataclasses.fields(kind)]

    def decorate(function: _Function) -> _Function:
        @functools.wraps(function)
        def call(**given: Any) -> int:
            return function(**{name: kind(**{field: given.pop(field) for field in fields})}, **given)

        decorated: _Function = call
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


@dataclass(frozen=True)
class Work:
    """On which project a command works, how, and what it prints."""

    config: str
    workers: int
    dry_run: bool
    as_json: bool

    def project(self) -> CopickRoot:
        """Open the project."""
        show_planning()
        return open_project(self.config)

    def perform(self, tasks: Sequence[Task], title: str) -> int:
        """Do the tasks, or say what they are; returns the exit code."""
        return perform_tasks(tasks, title, workers=self.workers, dry_run=self.dry_run, as_json=self.as_json)


def work_options(name: str, *short: str, default: int) -> Callable[[_Function], _Function]:
    """``--config``, ``--dry-run``, ``--json`` and the number of workers under upstream's name, as ``work``."""
    options = (config_option, workers_option(name, *short, default=default), dry_run_option, json_option)
    return bundle(Work, "work", *options)


def one_work_option(function: _Function) -> _Function:
    """The same for commands that do one thing: nobody is asked for a number of workers."""

    @functools.wraps(function)
    def call(**given: Any) -> int:
        config, dry_run, as_json = (given.pop(name) for name in ("config", "dry_run", "as_json"))
        return function(work=Work(config, 1, dry_run, as_json), **given)

    return config_option(dry_run_option(json_option(call)))
