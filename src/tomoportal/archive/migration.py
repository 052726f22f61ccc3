"""An archive in an older layout → a new archive in today's: copied or linked, never in place.

What is done is the plan of :mod:`tomoportal.archive.older`, a value that can be printed. Item by item it is staged and
published, so that a killed migration has whole items only; run again, it goes on where it stopped, and items whose
sources did not change are passed over.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tomoportal.archive import layout
from tomoportal.archive.archive import Archive
from tomoportal.archive.layout import Container
from tomoportal.archive.manifest import ItemRecord
from tomoportal.archive.older import Conversion, Item, Numbers, OlderPlan, plan_archive
from tomoportal.archive.source_digests import SourceDigests
from tomoportal.archive.staging import Staging
from tomoportal.errors import ArchiveError, NotFoundError, StorageError, TomoportalError, is_disk_full
from tomoportal.formats.convert import convert_volume
from tomoportal.formats.opening import open_volume
from tomoportal.storage import FileRecord, Store

__all__ = ["Migrated", "MigrationReport", "migrate", "plan_migration"]

Progress = Callable[[int, int, str], None]

_VERSION = 1
_FOLDERS = {
    "tiltseries": "TiltSeries",
    "alignment": "Alignments",
    "tomogram": "Reconstructions",
    "annotation": "Annotations",
}
_MADE_FROM = "migrated"  # in the inputs of an item: the old keys that it was made from


@dataclass(frozen=True, slots=True)
class Migrated:
    """What became of an item: ``created``, ``replaced``, ``skipped`` or ``failed`` with the reason."""

    label: str
    kind: str
    outcome: str
    reason: str = ""


@dataclass(frozen=True)
class MigrationReport:
    """Every item in plan order; ``plan`` has what has no place and what was remarked."""

    results: tuple[Migrated, ...]
    plan: OlderPlan

    @property
    def ok(self) -> bool:
        return not any(each.outcome == "failed" for each in self.results)

    def count(self, outcome: str) -> int:
        """Number of items with an outcome."""
        return sum(each.outcome == outcome for each in self.results)


def plan_migration(
    source: Store, archive: Archive, *, datasets: Iterable[str] | None = None, deposition_id: int | None = None
) -> OlderPlan:
    """What a migration would do; nothing is written. Ids that ``archive`` gave before stay.

    ``deposition_id`` is for documents that name no deposition. Raises :class:`ArchiveError` if ``source`` holds no
    dataset, or lies in ``archive`` or around it.
    """
    _check_apart(source, archive.store)

    def has_deposition(number: int) -> bool:
        """One that stands there, unless an earlier migration made it."""
        container = Container.deposition(number)
        made = archive.manifest(container).items.get(("deposition", "deposition"))
        return made is None and archive.store.exists(layout.deposition_document(number))

    return plan_archive(
        source,
        datasets=datasets,
        deposition_id=deposition_id,
        numbers=_numbers(archive),
        has_deposition=has_deposition,
    )


def migrate(
    plan: OlderPlan,
    source: Store,
    archive: Archive,
    *,
    link: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> MigrationReport:
    """Carry out a plan. A failed item does not stop the others; only a full disk does.

    ``link`` makes hard links instead of copies; raises :class:`StorageError` where source and archive are not on one
    local file system. ``jobs`` is the number of processes: each takes a run, after the datasets and depositions; for a
    single run it is the number of threads that make volumes anew. The archive is the same whatever it is.
    """
    _check_apart(source, archive.store)
    if link:
        _check_linkable(source, archive.store)
    archive.recover()
    _give_ids(plan, archive)
    groups = _groups(plan)
    jobs_of_runs = max(1, min(jobs, len(groups) - 1))
    in_memory = any(store.url.startswith("memory:") for store in (source, archive.store))  # others would see none of it
    results: dict[int, Migrated] = {}
    if jobs_of_runs == 1 or in_memory:
        with SourceDigests(archive) as digests:
            mover = _Mover(source, archive, digests, link, jobs, progress, len(plan.items))
            for group in groups:
                results |= mover.move_all(group)
    else:
        _in_processes(
            groups, _Setup(source, archive, link, max(1, jobs // jobs_of_runs)), jobs_of_runs, results, progress
        )
    return MigrationReport(tuple(results[number] for number in range(len(plan.items))), plan)


_Group = list[tuple[int, Item]]
"""Items of one container with their numbers in the plan."""


def _groups(plan: OlderPlan) -> list[_Group]:
    """First all items of depositions and datasets, then those of each run."""
    first: _Group = []
    runs: dict[Container, _Group] = {}
    for number, item in enumerate(plan.items):
        (first if item.container.run_name is None else runs.setdefault(item.container, [])).append((number, item))
    return [first, *runs.values()]


@dataclass(frozen=True)
class _Setup:
    source: Store
    archive: Archive
    link: bool
    threads: int


def _in_processes(
    groups: list[_Group], setup: _Setup, jobs: int, results: dict[int, Migrated], progress: Progress | None
) -> None:
    total = sum(map(len, groups))
    results |= _move_group(setup, groups[0])
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        tasks = {pool.submit(_move_group, setup, group): group for group in groups[1:]}
        try:
            for task in as_completed(tasks):
                results |= task.result()
                if progress:
                    progress(len(results), total, tasks[task][-1][1].label)
        except BrokenProcessPool as error:
            raise ArchiveError(
                "a process of migrate ended before its work was done; what it made so far stays",
                fix="run the same command again, with --jobs 1 if there is too little memory",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _move_group(setup: _Setup, group: _Group) -> dict[int, Migrated]:
    with SourceDigests(setup.archive) as digests:
        return _Mover(setup.source, setup.archive, digests, setup.link, setup.threads).move_all(group)


@dataclass
class _Mover:
    source: Store
    archive: Archive
    digests: SourceDigests
    link: bool
    jobs: int
    progress: Progress | None = None
    total: int = 0
    done: int = 0

    def move_all(self, group: _Group) -> dict[int, Migrated]:
        """Make items one after the other; by number. Raises only for a full disk."""
        results: dict[int, Migrated] = {}
        for number, item in group:
            self._tell(item)
            try:
                results[number] = Migrated(item.label, item.kind, self.move(item))
            except TomoportalError as error:
                if is_disk_full(error):
                    raise
                results[number] = Migrated(item.label, item.kind, "failed", str(error))
            self.done += 1
            self._tell(item)
        return results

    def _tell(self, item: Item) -> None:
        if self.progress:
            self.progress(self.done, self.total, item.label)

    def move(self, item: Item) -> str:
        """Make one item; the outcome."""
        if item.problem:
            raise ArchiveError(item.problem, where=item.label, fix="mend the source, and migrate again")
        current = self.archive.manifest(item.container).items.get((item.kind, item.identity))
        if current is not None and _MADE_FROM not in current.inputs:
            raise ArchiveError(
                "ingestion made this item; a migration does not replace it",
                where=item.label,
                fix="migrate into another archive, or leave out the dataset with --dataset",
            )
        if current is not None and current.input_digest == self._digest(item) and self._is_whole(current):
            return "skipped"
        with self.archive.stage(item.container, item.kind, item.identity) as staging:
            for old, new in item.copies:
                self._copy(old, new, staging)
            for each in item.conversions:
                self._convert(each, item.stamp, staging.store)
            for key, text in item.texts:
                staging.store.put(key, text.encode())
            record = ItemRecord(
                item.kind, item.identity, item.archive_id, self._digest(item), inputs={_MADE_FROM: _names(item)}
            )
            published = self.archive.publish(item.container, record, staging, item.document, as_read=True)
        return "created" if published.outcome == "created" else "replaced"

    def _digest(self, item: Item) -> str:
        """Of everything that the item is made from: the plan of it, and the content of its old files."""
        sources = [*(old for old, _ in item.copies), *(each.source for each in item.conversions), *item.sources]
        parts: dict[str, Any] = {
            "version": _VERSION,
            "files": {key: self.digests.digest(self.source, key) for key in sorted(set(sources))},
            "copies": item.copies,
            "conversions": item.conversions,
            "texts": item.texts,
            "document": item.document,
        }
        return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()

    def _is_whole(self, record: ItemRecord) -> bool:
        """Whether every file of an item is there with its size, the document among them."""
        for each in record.files:
            try:
                if self.archive.store.stat(each.key).size != each.size:
                    return False
            except NotFoundError:
                return False
        return True

    def _copy(self, old: str, new: str, staging: Staging) -> None:
        """A file, or all files of a folder."""
        if self.source.exists(old):
            self._copy_file(old, new, staging)
            return
        keys = [stat.key for stat in self.source.list(old)]
        if not keys:
            raise NotFoundError("the file is gone since the plan was made", where=old, fix="run the migration again")
        for key in keys:
            self._copy_file(key, new + key[len(old) :], staging)

    def _copy_file(self, old: str, new: str, staging: Staging) -> None:
        if self.link:
            staging.add([_link(self.source, old, staging.store, new, self.digests)])
            return
        before = self.source.stat(old)
        with staging.store.open_writer(new) as writer:
            for piece in self.source.chunks(old):
                writer.write(piece)
        self.digests.learn(self.source, before, staging.staged[new].sha256)

    def _convert(self, conversion: Conversion, stamp: int, target: Store) -> None:
        volume = open_volume(self.source, conversion.source)
        try:
            convert_volume(
                volume,
                target,
                mrc_key=conversion.mrc,
                zarr_prefix=conversion.zarr,
                voxel_spacing=conversion.spacing,
                kind=conversion.kind,
                jobs=self.jobs,
                timestamp=stamp,
            )
        finally:
            volume.close()


def _give_ids(plan: OlderPlan, archive: Archive) -> None:
    """Put the plan's ids on record before the first file has a place: a folder without a record counts as taken."""
    wanted: dict[Container, dict[tuple[str, str, str], int]] = {}
    for item in plan.items:
        if item.id_scope is not None and item.archive_id is not None:
            wanted.setdefault(item.container, {})[item.kind, item.id_scope, item.identity] = item.archive_id
    for container, ids in wanted.items():
        given = archive.allocate_all(container, list(ids), numbers=list(ids.values()))
        for (kind, _, identity), number, other in zip(ids, ids.values(), given, strict=True):
            if number != other:
                raise ArchiveError(
                    f"{kind} {identity!r} was to get the id {number}, which was given to something else meanwhile",
                    where=container.key,
                    fix="run the migration again",
                )


def _names(item: Item) -> list[str]:
    return sorted({*(old for old, _ in item.copies), *(each.source for each in item.conversions), *item.sources})


def _numbers(archive: Archive) -> Numbers:
    """Ids as the archive gave them; folders that nobody gave an id to are taken."""

    def known(container: Container) -> dict[tuple[str, str, str], int]:
        return archive.manifest(container).ids

    def taken(kind: str, scope: str) -> set[int]:
        folders = [f"{scope}/{_FOLDERS[kind]}"]
        if kind == "tomogram":
            folders = [f"{folders[0]}/{name}/Tomograms" for name in archive.store.children(folders[0])[0]]
        names = [name for folder in folders for name in archive.store.children(folder)[0]]
        return {int(name) for name in names if name.isascii() and name.isdigit()}

    return Numbers(known, taken)


# --- hard links


def _link(source: Store, old: str, target: Store, new: str, digests: SourceDigests) -> FileRecord:
    one, other = source.local_path(old), target.local_path(new)
    assert one is not None  # checked before the first item
    assert other is not None
    try:
        other.parent.mkdir(parents=True, exist_ok=True)
        os.link(one, other)
    except OSError as error:
        raise StorageError(
            f"no hard link can be made: {error.strerror}", where=old, fix="migrate without --link"
        ) from error
    return FileRecord(new, source.stat(old).size, digests.digest(source, old))


def _check_linkable(source: Store, target: Store) -> None:
    one, other = source.local_path(""), target.local_path("")
    if one is None or other is None:
        raise StorageError(
            "hard links need source and archive on local disks", where=target.url, fix="migrate without --link"
        )
    other.mkdir(parents=True, exist_ok=True)
    if one.stat().st_dev != other.stat().st_dev:
        raise StorageError(
            "hard links need source and archive on one file system",
            where=str(target.url),
            fix="put the archive on the disk of the source, or migrate without --link",
        )


def _check_apart(source: Store, target: Store) -> None:
    """Refuse to migrate an archive into itself, a part of itself, or a folder around it."""
    one, other = source.local_path(""), target.local_path("")
    if one is not None and other is not None:
        inside = _is_inside(one, other) or _is_inside(other, one)
    else:
        urls = [store.url.partition("?")[0].rstrip("/") + "/" for store in (source, target)]
        inside = source is target or (urls[0].startswith(urls[1]) or urls[1].startswith(urls[0]))
        inside = inside and not (source is not target and source.url.startswith("memory:"))
    if inside:
        raise ArchiveError(
            "source and archive lie in each other; migration makes a new archive and leaves the old one as it is",
            where=target.url,
            fix="give --archive another folder",
        )


def _is_inside(path: Path, folder: Path) -> bool:
    resolved, around = path.resolve(), folder.resolve()
    return resolved == around or around in resolved.parents
