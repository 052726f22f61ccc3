"""Running a plan: what is right is skipped, the rest is made in order of need, every failure is collected."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from tomoportal.archive import Archive, Container
from tomoportal.errors import TomoportalError
from tomoportal.ingest.cluster import Cluster, cluster_executor
from tomoportal.ingest.log import IngestLog
from tomoportal.ingest.making import Maker
from tomoportal.ingest.patience import patiently
from tomoportal.ingest.plan import Item, Plan
from tomoportal.ingest.records import container_of
from tomoportal.ingest.report import Report, Result
from tomoportal.ingest.workers import Executor, InProcess, Workers
from tomoportal.storage import Store

__all__ = ["Progress", "run_plan"]

Progress = Callable[[int, int, str], None]
"""``progress(done, total, text)``."""

_HEAVY = frozenset({"tiltseries_volume", "tomogram_volume", "annotation", "frames"})


def run_plan(
    plan: Plan,
    archive: Archive,
    source: Store,
    jobs: int = 1,
    progress: Progress | None = None,
    *,
    cluster: Cluster | None = None,
    log: IngestLog | None = None,
) -> Report:
    """Execute a plan; the archive is the same, byte for byte, for any number of ``jobs`` and on any ``cluster``.

    What an earlier, killed ingestion left is finished or removed first. An interrupt ends the workers, leaves nothing
    half-written and is raised again; the same call later finishes the work.
    """
    damaged = tuple(done.problem for done in archive.recover() if done.problem)
    schedule = _Schedule(plan.items)
    results: dict[str, Result] = {}
    total = len(plan.items)
    ids = _Ids(archive, plan.items)
    try:
        announced = _announce(plan, archive, source)
        with _executor(plan, archive, source, jobs, cluster) as executor:
            under_way = 0
            stopped: str | None = None
            while True:
                while under_way < executor.capacity and (item := schedule.pop()) is not None:
                    early = _without_work(item, schedule, stopped) or ids.give(item)
                    if early is not None:
                        results[item.label] = early
                        schedule.done(item, early)
                        if log is not None:
                            log.finished(item, early)
                        continue
                    if log is not None:
                        log.started(item)
                    executor.submit(item)
                    under_way += 1
                if not under_way:
                    break
                item, result = executor.next()
                under_way -= 1
                if item.label in announced and result.outcome == "replaced":
                    result = replace(result, outcome="created")
                results[item.label] = result
                schedule.done(item, result)
                if log is not None:
                    log.finished(item, result)
                if result.stop and stopped is None:
                    stopped = f"{result.why} (at {item.label})"
                if progress is not None:
                    progress(len(results), total, result.name)
    except KeyboardInterrupt:
        archive.recover()
        raise
    return Report([results[item.label] for item in plan.items], plan.errors, plan.unmatched, plan.stale, damaged)


def _announce(plan: Plan, archive: Archive, source: Store) -> set[str]:
    """Publish new documents of depositions and datasets first; returns the labels of their items.

    They come last because a picture of the first tomogram may stand in theirs; but a run whose dataset has no document
    is not shown, and the ingestion may be stopped long before the last run.
    """
    new = [item for item in plan.items if item.action in ("create", "replace") and item.place[0] != "run"]
    if not any(item.after for item in new):
        return set()  # none waits for a picture: they are the first to be made anyway
    maker = Maker(archive, source, plan.options)
    return {item.label for item in new if maker.announce(item)}


def _without_work(item: Item, schedule: _Schedule, stopped: str | None) -> Result | None:
    """The result of an item that needs no work or must not be tried."""
    if item.action == "reference":
        return Result.of(item, "reference")
    missing = schedule.failed_need(item)
    if missing is not None:
        return Result.of(item, "not attempted", f"needs {missing}, which failed")
    if stopped is not None:
        return Result.of(item, "not attempted", stopped)
    return None


def _executor(plan: Plan, archive: Archive, source: Store, jobs: int, cluster: Cluster | None) -> Executor:
    work = [item for item in plan.items if item.action in ("create", "replace")]
    if cluster is not None and work:
        return cluster_executor(cluster, archive, source, plan.options)
    heavy = sum(item.kind in _HEAVY for item in work)
    count = max(1, min(jobs, heavy))
    threads = max(1, jobs // count)
    if count == 1:
        return InProcess(Maker(archive, source, plan.options, threads))
    return Workers(count, archive, source, plan.options, threads)


@dataclass
class _Ids:
    """Gives archive ids in the order of the plan, whatever the order of the work."""

    archive: Archive
    items: Iterable[Item]
    _waiting: dict[tuple[str, ...], list[Item]] = field(init=False)
    _wrong: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._waiting = defaultdict(list)
        for item in self.items:
            if item.id_scope is not None and item.archive_id is not None:
                self._waiting[item.place].append(item)

    def give(self, item: Item) -> Result | None:
        """Allocate the ids of the item's whole container before its first item is made; None if all is well."""
        numbered = self._waiting.pop(item.place, [])
        if numbered:
            try:
                numbers = self._allocate(container_of(item.place), numbered)
            except TomoportalError as error:
                self._wrong |= {each.label: str(error) for each in numbered}
            else:
                self._wrong |= {
                    each.label: f"the archive changed since the plan was made: id {number} instead of"
                    f" {each.archive_id}; run the command again"
                    for each, number in zip(numbered, numbers, strict=True)
                    if number != each.archive_id
                }
        why = self._wrong.get(item.label)
        return Result.of(item, "failed", why) if why else None

    def _allocate(self, container: Container, items: list[Item]) -> list[int]:
        wanted = [(item.kind, item.id_scope or "", item.identity) for item in items]
        numbers, _ = patiently(lambda: self.archive.allocate_all(container, wanted))
        return numbers


class _Schedule:
    """Items in the order of the plan, each as soon as those before it that it depends on are finished."""

    def __init__(self, items: tuple[Item, ...]) -> None:
        self._items = {item.label: item for item in items}
        self._rank = {item.label: rank for rank, item in enumerate(items)}
        self._open: dict[str, set[str]] = {}
        self._followers: dict[str, list[str]] = defaultdict(list)
        self._failed: dict[str, str] = {}
        self._order = [item.label for item in items]
        self._ready: list[int] = []  # a heap of ranks
        for item in items:
            before = {label for label in (*item.needs, *item.after) if label in self._items and label != item.label}
            self._open[item.label] = before
            for label in before:
                self._followers[label].append(item.label)
            if not before:
                heapq.heappush(self._ready, self._rank[item.label])

    def pop(self) -> Item | None:
        """The first item that is ready, None if none is."""
        return self._items[self._order[heapq.heappop(self._ready)]] if self._ready else None

    def done(self, item: Item, result: Result) -> None:
        """Note that an item is finished."""
        if result.outcome in ("failed", "not attempted"):
            self._failed[item.label] = f"{item.kind} {item.title}"
        for label in self._followers.pop(item.label, ()):
            before = self._open[label]
            before.discard(item.label)
            if not before:
                heapq.heappush(self._ready, self._rank[label])

    def failed_need(self, item: Item) -> str | None:
        """The first item that this one needs and that failed."""
        return next((self._failed[label] for label in item.needs if label in self._failed), None)
