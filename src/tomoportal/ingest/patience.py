"""Trying again what may pass by itself (F47): failures of a store, a bounded number of times, with growing pauses.

What is wrong with a file, a document or a config stays wrong: such errors are never tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tomoportal.errors import ConfigError, DocumentError, FormatError, StorageError, TomoportalError
from tomoportal.storage.hiccups import may_pass

__all__ = ["Patience", "is_passing", "patiently"]

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How often something is tried, and how long the pauses are (seconds)."""

    attempts: int = 4
    pause: float = 0.5
    growth: float = 4.0

    def pauses(self) -> Iterator[float]:
        """The pause after each failed attempt but the last."""
        for number in range(self.attempts - 1):
            yield self.pause * self.growth**number


def is_passing(error: BaseException) -> bool:
    """Whether the work that raised ``error`` is worth another attempt."""
    if not isinstance(error, TomoportalError) or isinstance(error, ConfigError | DocumentError | FormatError):
        return False
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, StorageError):
            return may_pass(cause)
        cause = cause.__cause__
    return False


def patiently(work: Callable[[], T], patience: Patience | None = None) -> tuple[T, tuple[str, ...]]:
    """The result of ``work``, and a remark for each attempt that failed before; raises what the last attempt raised."""
    remarks: list[str] = []
    for pause in (patience or Patience()).pauses():
        try:
            return work(), tuple(remarks)
        except TomoportalError as error:
            if not is_passing(error):
                raise
            place = f"{error.where}: " if error.where else ""
            remarks.append(f"attempt {len(remarks) + 1} failed ({place}{error.what}) and was repeated")
        time.sleep(pause)
    return work(), tuple(remarks)
