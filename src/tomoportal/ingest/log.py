"""The machine-readable log of an ingestion: one JSON object per line, on disk as soon as it is written (F58).

Every line has ``time`` (UTC) and ``event``; the other fields depend on the event and always come in the same order:

* ``plan``: config, create, replace, skip, reference, errors
* ``unmatched``: where, pattern, runs; ``stale``: container, kind, identity; ``error``: run, where, what, fix
* ``start``: item, container, kind, title
* ``done``: item, container, kind, title, outcome, why, seconds, bytes, warnings
* ``end``: ok, the number of items by outcome, seconds; or ``interrupted``: seconds
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from tomoportal.errors import StorageError
from tomoportal.ingest.plan import Item, Plan
from tomoportal.ingest.report import Report, Result

__all__ = ["IngestLog", "ingest_log"]


class IngestLog:
    """Writes the lines of one ingestion to an open text file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._began = time.monotonic()

    def planned(self, plan: Plan) -> None:
        """What the plan says beside its items."""
        self._line("plan", config=plan.config, **plan.counts, errors=len(plan.errors))
        for one in plan.unmatched:
            self._line("unmatched", where=one.where, pattern=one.pattern, runs=list(one.runs))
        for stale in plan.stale:
            self._line("stale", container=stale.container.key, kind=stale.kind, identity=stale.identity)
        for error in plan.errors:
            problem = error.problem
            self._line("error", run=error.run, where=problem.where, what=problem.what, fix=problem.fix)

    def started(self, item: Item) -> None:
        """Work on an item begins."""
        self._line("start", **_named(item))

    def finished(self, item: Item, result: Result) -> None:
        """What became of an item; items that need no work have no start."""
        self._line(
            "done",
            **_named(item),
            outcome=result.outcome,
            why=result.why,
            seconds=round(result.seconds, 3),
            bytes=result.bytes,
            warnings=list(result.warnings),
        )

    def ended(self, report: Report) -> None:
        """The ingestion came to its end, whatever failed."""
        self._line("end", ok=report.ok, **report.counts, seconds=self._seconds())

    def interrupted(self) -> None:
        """The ingestion was stopped."""
        self._line("interrupted", seconds=self._seconds())

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)

    def _line(self, event: str, **fields: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = json.dumps({"time": now, "event": event, **fields}, ensure_ascii=True, separators=(", ", ": "))
        try:
            self._file.write(text + "\n")
            self._file.flush()
        except OSError as error:
            raise StorageError(
                f"the log cannot be written: {error.strerror or error}",
                where=str(self._file.name),
                fix="free some space there or choose another --log, and run the same command again",
            ) from error


@contextmanager
def ingest_log(path: str | os.PathLike[str]) -> Iterator[IngestLog]:
    """A log that is appended to a file; an exception leaves a line ``interrupted``."""
    try:
        file = open(path, "a", encoding="ascii")  # noqa: SIM115 - closed below; opening it may fail in a way of its own
    except OSError as error:
        raise StorageError(
            f"the log cannot be opened: {error.strerror or error}", where=str(path), fix="choose another --log"
        ) from error
    with file:
        log = IngestLog(file)
        try:
            yield log
        except BaseException:
            log.interrupted()
            raise


def _named(item: Item) -> dict[str, str]:
    return {"item": item.label, "container": "/".join(item.place[1:]), "kind": item.kind, "title": item.title}
