"""What the package raises on purpose, as click knows it: a sentence with the way out, and an exit code."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import Any

import click

from tomoportal.errors import TomoportalError

__all__ = ["Reported", "as_reported", "reporting"]

_OF_THE_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


class Reported(click.ClickException):
    """A failure that was said in full: exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.message}", file=file, err=file is None)


def as_reported(error: Exception) -> Reported | None:
    """The report of an error; None for one that nobody foresaw, which needs its traceback."""
    if isinstance(error, TomoportalError):
        return Reported(str(error))
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:  # no room has said it better
        fix = "free some space or give access to this path, then run the same command again"
        return Reported(f"{error.filename or 'writing'}: {error.strerror}\n  fix: {fix}")
    return None


def reporting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose errors and exit code are click's own.

    So they are right in any program that has the command: a test's runner, a window, a server for language models.
    """

    @functools.wraps(function)
    def call(*arguments: Any, **given: Any) -> Any:
        try:
            code = function(*arguments, **given)
        except (TomoportalError, OSError) as error:
            report = as_reported(error)
            if report is None:
                raise
            raise report from error
        if isinstance(code, int) and code:
            click.get_current_context().exit(code)
        return code

    return call
