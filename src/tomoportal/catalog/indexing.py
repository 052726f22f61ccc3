"""Archive → catalog: incremental, one transaction per dataset, ids that stay (catalog-import)."""

from __future__ import annotations

import gc
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, select

from tomoportal.archive import Archive, Container, documents
from tomoportal.archive.older.presented import present
from tomoportal.catalog import inventory
from tomoportal.catalog.catalog import Catalog
from tomoportal.catalog.changes import Changes
from tomoportal.catalog.ids import IdBook, IdRecords
from tomoportal.catalog.mapping.datasets import add_dataset
from tomoportal.catalog.mapping.depositions import add_deposition
from tomoportal.catalog.mapping.rows import Document, ItemRefused, Recipe, Row, Sheet
from tomoportal.catalog.run_documents import read_run
from tomoportal.catalog.search import forget, refresh_dataset, refresh_deposition
from tomoportal.errors import DocumentError, NotFoundError, Problem, StorageError
from tomoportal.storage import Stat

__all__ = ["IndexReport", "index"]

Progress = Callable[[int, int, str], None]

_DEPOSITIONS = "depositions_metadata"


@dataclass
class IndexReport:
    """What ``index`` did. ``problems`` left something out, ``warnings`` did not."""

    rows: dict[str, int] = field(default_factory=dict)
    """Rows in each table afterwards."""
    added: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    read: int = 0
    """Units (runs, datasets, depositions) that were read."""
    unchanged: int = 0
    """Units that were not read, because nothing in them changed."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    version: str = "0"

    @property
    def changed(self) -> bool:
        """Whether any row was written or removed."""
        return bool(self.added or self.updated or self.removed)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""

        def plain(problems: list[Problem]) -> list[dict[str, str | None]]:
            return [{"where": one.where, "what": one.what, "fix": one.fix} for one in problems]

        return {
            "rows": self.rows,
            "added": dict(self.added),
            "updated": dict(self.updated),
            "removed": dict(self.removed),
            "read": self.read,
            "unchanged": self.unchanged,
            "problems": plain(self.problems),
            "warnings": plain(self.warnings),
            "version": self.version,
        }


def index(
    archive: Archive,
    catalog: Catalog,
    *,
    datasets: Collection[int | str] | None = None,
    progress: Progress | None = None,
) -> IndexReport:
    """Bring the catalog up to date with the archive.

    Reads only units whose files changed; datasets in older layouts are read where they lie. ``datasets`` limits the
    work to these ids; then nothing else is removed. Bad documents are left out and reported; what cannot be read never
    leads to a deletion.
    """
    damaged = [done.problem for done in archive.recover() if done.problem]
    with catalog.database.alone(), _rare_collections():
        records = catalog.database.records(archive.store)
        with records.lock("index"):
            only = None if datasets is None else {str(name) for name in datasets}
            shown = present(archive, only)
            report = _Indexer(shown.archive, catalog, IdRecords(records), progress).run(only)
            report.warnings += [*damaged, *shown.warnings]
            if report.changed:
                catalog.database.settle(catalog.tables.metadata)
            return report


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Rows come and go by the hundred thousand, without cycles: looking for some takes a twentieth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the catalog knows about a unit."""

    digest: str
    size: int
    clean: bool


class _Indexer:
    def __init__(self, archive: Archive, catalog: Catalog, records: IdRecords, progress: Progress | None) -> None:
        self.archive = archive
        self.store = archive.store
        self.catalog = catalog
        self.records = records
        self.progress = progress
        self.report = IndexReport()
        self.depositions: set[int] = set()
        self.recipes: dict[tuple[str, int], Recipe] = {}
        self.force = False

    def run(self, only: set[str] | None) -> IndexReport:
        vanished = self._depositions()
        found = list(inventory.datasets(self.store))
        chosen = [folder for folder in found if only is None or folder.name in only]
        for name in sorted((only or set()) - {folder.name for folder in found}):
            self.report.problems.append(Problem(f"dataset {name}", "there is no such dataset in the archive"))
        for done, folder in enumerate(chosen):
            self._dataset(folder, partial(self._tell, done, len(chosen)))
        if only is None:
            self._remove_vanished({folder.name for folder in found}, vanished)
        self._tell(len(chosen), len(chosen), "")
        with self.catalog.write() as connection:
            self.report.version = self._set_version(connection)
            for table in self.catalog.tables.in_order():
                self.report.rows[table.name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
        return self.report

    def _tell(self, done: int, total: int, text: str) -> None:
        if self.progress is not None:
            self.progress(done, total, text)

    # --- depositions

    def _depositions(self) -> set[str]:
        """Read all depositions; returns the units of those that left the archive, to be removed last."""
        with self.catalog.write() as connection:
            if not self.catalog.data_version(connection)[1]:
                self.catalog.summaries.count_again(connection)
            known = self._known(connection, _DEPOSITIONS)
            before = self._ids(connection, "deposition")
            changes = Changes(self.catalog, connection)
            book = self.records.book(_DEPOSITIONS)
            found: set[str] = set()
            for name, stat in inventory.depositions(self.store):
                unit = f"{_DEPOSITIONS}/{name}"
                found.add(unit)
                digest = inventory.digest([stat])
                if self._is_current(known.get(unit), digest):
                    self.depositions.add(int(name))
                    continue
                sheet = Sheet(self.catalog.graph, unit, self.recipes)
                document = self._load(sheet, stat.key)
                try:
                    if document is None:
                        raise ItemRefused("the document cannot be read", where=stat.key)
                    row = add_deposition(sheet, name, document)
                except ItemRefused:
                    self._keep(sheet)
                    if unit in known and name.isdigit():
                        self.depositions.add(int(name))
                    continue
                self._finish(connection, changes, sheet, book, _DEPOSITIONS, digest, 0, unit in known)
                assert row.id is not None
                self.depositions.add(row.id)
                changes.flush()
                refresh_deposition(connection, self.catalog.tables, row.id)
            changes.flush()
            self._note(changes)
            book.save()
            self._set_version(connection)
        self.force = bool(before - self.depositions)
        return set(known) - found

    def _remove_vanished(self, found: set[str], depositions: set[str]) -> None:
        """Rows of datasets and depositions that are in the archive no longer."""
        with self.catalog.write() as connection:
            table = self.catalog.tables.source
            owners = connection.execute(select(table.c.owner).distinct()).scalars().all()
            gone = {owner for owner in owners if owner not in found and owner != _DEPOSITIONS}
            units = [
                unit
                for owner in sorted(gone)
                for unit in connection.execute(select(table.c.unit).where(table.c.owner == owner)).scalars().all()
            ]
            changes = Changes(self.catalog, connection)
            # Runs before their dataset, datasets before depositions.
            for unit in sorted(units, key=lambda unit: -unit.count("/")) + sorted(depositions):
                self._forget(connection, changes, unit)
            for owner in sorted(gone):
                forget(connection, "dataset", owner)
            for unit in sorted(depositions):
                forget(connection, "deposition", unit.rpartition("/")[2])
            changes.flush()
            self._note(changes)
            self._set_version(connection)

    # --- datasets

    def _dataset(self, folder: inventory.DatasetFolder, tell: Callable[[str], None]) -> None:
        with self.catalog.write() as connection:
            known = self._known(connection, folder.name)
            here = known.get(folder.name)
            document = inventory.digest([folder.document])
            changes = Changes(self.catalog, connection)
            book = self.records.book(folder.name)
            row: Row | None = None
            sheet = Sheet(self.catalog.graph, folder.name, self.recipes)
            if here is not None and self._matches(here, document):
                deposition = self._deposition_of(connection, int(folder.name))
            else:
                row = self._read_dataset(sheet, folder)
                if row is None:
                    return  # it stays as it was
                deposition = row.values["deposition_id"]
            found = {folder.name}
            size = inventory.Sizes(self.archive, Container.dataset(folder.name), [folder.document]).total
            manifests = inventory.manifests(self.store, folder.name)
            for run in inventory.runs(self.store, folder.name):
                tell(run.prefix)
                found.add(run.prefix)
                manifest = manifests.get(run.prefix)
                size += self._run(connection, changes, book, known, run, manifest, int(folder.name), deposition)
            if here is not None and row is None and here.size == size:
                self.report.unchanged += 1
            else:
                row = row or self._read_dataset(sheet, folder)
                if row is not None:
                    row.values["file_size"] = float(size)
                    self._finish(connection, changes, sheet, book, folder.name, document, size, here is not None)
            for unit in sorted(set(known) - found):
                self._forget(connection, changes, unit)
            changes.flush()
            self._note(changes)
            if changes.any:
                refresh_dataset(connection, self.catalog.tables, int(folder.name))
            book.save()
            self._set_version(connection)

    def _read_dataset(self, sheet: Sheet, folder: inventory.DatasetFolder) -> Row | None:
        """Rows of the dataset itself; None after reporting why there cannot be any."""
        document = self._load(sheet, folder.document.key)
        if document is not None:
            with suppress(ItemRefused):
                return add_dataset(sheet, folder.name, document, self.depositions)
        self._keep(sheet)
        return None

    def _deposition_of(self, connection: Connection, dataset: int) -> int:
        table = self.catalog.tables["dataset"]
        return int(connection.execute(select(table.c.deposition_id).where(table.c.id == dataset)).scalar_one())

    def _run(
        self,
        connection: Connection,
        changes: Changes,
        book: IdBook,
        known: Mapping[str, _Known],
        listed: inventory.RunFolder,
        manifest: Stat | None,
        dataset: int,
        deposition: int,
    ) -> int:
        """Index a run; returns its size in bytes."""
        prefix = listed.prefix
        folder = inventory.complete(self.store, listed)
        container = Container.run(*prefix.split("/", 1))
        digest = inventory.digest([*folder.files, *([manifest] if manifest else [])], deposition)
        if self._is_current(known.get(prefix), digest):
            return known[prefix].size
        sheet = Sheet(self.catalog.graph, prefix, self.recipes)
        unreadable: list[str] = []

        def load(key: str) -> Document | None:
            document = self._load(sheet, key)
            if document is None:
                unreadable.append(key)
            return document

        def load_optional(key: str, where: str) -> Document | None:
            aside = Sheet(self.catalog.graph, prefix)
            document = self._load(aside, key)
            for problem in aside.problems:
                sheet.warn(where, problem.what, problem.fix)
            return document

        def rows(key: str) -> list[Mapping[str, object]] | None:
            found = self._load_rows(sheet, key)
            if found is None:
                unreadable.append(key)
            return found

        sizes = inventory.Sizes(self.archive, container, folder.files)
        complete = read_run(sheet, folder, sizes, dataset, deposition, self.depositions, load, load_optional, rows)
        if prefix in known and (unreadable or not complete):
            self._keep(sheet)
            return known[prefix].size
        self._finish(connection, changes, sheet, book, prefix.partition("/")[0], digest, sizes.total, prefix in known)
        return sizes.total

    # --- documents

    def _load(self, sheet: Sheet, key: str) -> Document | None:
        try:
            return Document(key, documents.load(self.store.get(key), key))
        except NotFoundError:
            sheet.refuse(key, "there is no such file", "ingest the item again")
        except StorageError as error:
            sheet.refuse(key, f"the file cannot be read: {error.what}", error.fix)
        except DocumentError as error:
            sheet.problems += [Problem(f"{key}: {one.where}", one.what, one.fix) for one in error.problems]
        return None

    def _load_rows(self, sheet: Sheet, key: str) -> list[Mapping[str, object]] | None:
        try:
            content = json.loads(self.store.get(key))
        except StorageError as error:
            sheet.refuse(key, f"the file cannot be read: {error.what}", error.fix)
            return None
        except ValueError as error:
            sheet.refuse(key, f"not JSON: {error}", "write a list of objects")
            return None
        if not isinstance(content, list):
            sheet.refuse(key, "not a list", "write a list of objects")
            return None
        return [item for item in content if isinstance(item, dict)]

    # --- what the catalog knows

    def _known(self, connection: Connection, owner: str) -> dict[str, _Known]:
        table = self.catalog.tables.source
        rows = connection.execute(
            select(table.c.unit, table.c.digest, table.c.size, table.c.problems).where(table.c.owner == owner)
        )
        return {unit: _Known(digest, size, problems == "0") for unit, digest, size, problems in rows}

    def _ids(self, connection: Connection, table: str) -> set[int]:
        return set(connection.execute(select(self.catalog.tables[table].c.id)).scalars())

    def _matches(self, known: _Known | None, digest: str) -> bool:
        return known is not None and known.clean and known.digest == digest and not self.force

    def _is_current(self, known: _Known | None, digest: str) -> bool:
        current = self._matches(known, digest)
        self.report.unchanged += current
        return current

    def _keep(self, sheet: Sheet) -> None:
        """The unit stays as it was; only its problems are reported."""
        self.report.read += 1
        self.report.problems += sheet.problems
        self.report.warnings += sheet.warnings

    def _finish(
        self,
        connection: Connection,
        changes: Changes,
        sheet: Sheet,
        book: IdBook,
        owner: str,
        digest: str,
        size: int,
        known: bool,
    ) -> None:
        self._keep(sheet)
        content = changes.unit(sheet, book, known=known)
        if known:
            table = self.catalog.tables.source
            connection.execute(table.delete().where(table.c.unit == sheet.unit))
        changes.read(sheet.unit, owner, digest, content, size, str(len(sheet.problems)))

    def _forget(self, connection: Connection, changes: Changes, unit: str) -> None:
        changes.remove(unit)
        table = self.catalog.tables.source
        connection.execute(table.delete().where(table.c.unit == unit))

    def _note(self, changes: Changes) -> None:
        self.report.added += changes.added
        self.report.updated += changes.updated
        self.report.removed += changes.removed

    def _set_version(self, connection: Connection) -> str:
        """The data version: a digest of all rows, the same for the same rows."""
        table = self.catalog.tables.source
        state = hashlib.sha256()
        for unit, content in connection.execute(select(table.c.unit, table.c.content).order_by(table.c.unit)):
            state.update(f"{unit}\t{content}\n".encode())
        version = state.hexdigest()[:16]
        if self.catalog.data_version(connection) != (version, True):
            self.catalog.set_info(connection, "data_version", version)
            self.catalog.set_info(connection, "summary", self.catalog.summaries.stamp(version))
        return version
