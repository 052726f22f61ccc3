"""The journal of a publication: written before the first change, removed after the last one.

It says everything that is to be done, and each step may be done twice; so whoever finds a journal can finish it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from tomoportal.archive import layout
from tomoportal.archive.layout import OWN, Container
from tomoportal.archive.manifest import ItemRecord, Manifest
from tomoportal.errors import ArchiveError, NotFoundError, StorageError
from tomoportal.storage import FileRecord, Lock, Store
from tomoportal.storage.base import Prepared

__all__ = ["Journal", "apply", "load_manifest", "pending", "resume"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Journal:
    """What one publication does, in this order.

    ``withdraw``: documents that vanish first; ``deletes``: files that the item no longer has; ``moves``: files from
    ``staging`` to their keys; then the manifest gets ``item`` or loses ``removed``; then ``document`` (key, text).
    """

    version: int
    container: str
    staging: str | None
    withdraw: tuple[str, ...]
    moves: tuple[FileRecord, ...]
    deletes: tuple[str, ...]
    item: ItemRecord | None
    removed: tuple[str, str] | None
    document: tuple[str, str] | None

    @classmethod
    def new(
        cls,
        container: Container,
        *,
        staging: str | None = None,
        withdraw: tuple[str, ...] = (),
        moves: tuple[FileRecord, ...] = (),
        deletes: tuple[str, ...] = (),
        item: ItemRecord | None = None,
        removed: tuple[str, str] | None = None,
        document: tuple[str, str] | None = None,
    ) -> Journal:
        return cls(_VERSION, container.key, staging, withdraw, moves, deletes, item, removed, document)


def load_manifest(store: Store, container: Container) -> Manifest:
    """The manifest of a container; an empty one if there is none."""
    key = layout.manifest(container)
    try:
        return Manifest.load(store.get(key), key)
    except NotFoundError:
        return Manifest(container.key)


def apply(
    store: Store,
    container: Container,
    journal: Journal,
    manifest: Manifest,
    lock: Lock,
    on_written: Callable[[], None] = lambda: None,
) -> None:
    """Write the journal, do what it says, remove it. The container's lock is held.

    ``on_written`` is called once the journal may be there: from then on the staged files are needed.
    """
    lock.check()
    key = layout.journal(container)
    files = _files(container, journal, manifest)
    with store.prepare({key: msgspec.json.encode(journal), **files}, near=journal.staging) as prepared:
        try:
            prepared.place([key])
        except StorageError:
            if store.exists(key):  # a server may fail after it has stored the object
                on_written()
            raise
        on_written()
        moves = [(_staged(journal, each.key), each.key) for each in journal.moves]
        _finish(store, container, journal, prepared, files, lock, moves)


def resume(store: Store, container: Container, lock: Lock) -> str | None:
    """Finish the journal that a dead process left, if there is one. The container's lock is held.

    Returns ``finished``; or ``withdrawn`` if staged files are gone that the journal needs (a power cut on a disk that
    forgets, or somebody deleted them): then the item is taken out whole, so that ingesting again makes it anew.
    """
    key = layout.journal(container)
    try:
        data = store.get(key)
    except NotFoundError:
        return None
    journal = _load(data, key)
    waiting = {stat.key for stat in store.list(journal.staging)} if journal.staging else set()
    moves, lost = [], []
    for record in journal.moves:
        source = _staged(journal, record.key)
        if source in waiting:
            moves.append((source, record.key))
        elif not _arrived(store, record):
            lost.append(record.key)
    manifest = load_manifest(store, container)
    if lost:
        journal = _withdrawal(container, journal, manifest)
        store.put(key, msgspec.json.encode(journal))
        moves = []
    files = _files(container, journal, manifest)
    with store.prepare(files) as prepared:
        _finish(store, container, journal, prepared, files, lock, moves)
    return "withdrawn" if lost else "finished"


def pending(store: Store) -> list[Container]:
    """The containers with a journal."""
    return sorted(layout.containers_of(stat.key for stat in store.list(f"{OWN}/journal")))


def staging_of(store: Store, container: Container) -> str | None:
    """The token of the staging folder that the journal of a container needs."""
    try:
        journal = _load(store.get(layout.journal(container)), layout.journal(container))
    except NotFoundError:
        return None
    return journal.staging.split("/")[2] if journal.staging else None


def _files(container: Container, journal: Journal, manifest: Manifest) -> dict[str, bytes]:
    """What is written last, in this order: the manifest as it will be, and the document."""
    if journal.removed:
        manifest.items.pop(journal.removed, None)
    if journal.item:
        manifest.items[journal.item.key] = journal.item
    files = {layout.manifest(container): manifest.dump()}
    if journal.document:
        files[journal.document[0]] = journal.document[1].encode()
    return files


def _finish(
    store: Store,
    container: Container,
    journal: Journal,
    prepared: Prepared,
    files: Iterable[str],
    lock: Lock,
    moves: list[tuple[str, str]],
) -> None:
    if journal.withdraw:
        store.delete_files(journal.withdraw)
    if journal.deletes:
        store.delete_files(journal.deletes)
    prepared.place(list(files), moves=moves, check=lock.check)
    store.delete(layout.journal(container))
    if journal.staging:
        store.delete_tree(journal.staging)


def _withdrawal(container: Container, journal: Journal, manifest: Manifest) -> Journal:
    item = journal.item
    assert item is not None, "only the publication of an item moves files"
    known = manifest.items.get(item.key)
    files = {record.key for each in (item, known) if each for record in each.files}
    documents = tuple(sorted({each.document for each in (item, known) if each and each.document}))
    return Journal.new(
        container,
        staging=journal.staging,
        withdraw=documents,
        deletes=tuple(sorted(files - set(documents))),
        removed=item.key,
    )


def _staged(journal: Journal, key: str) -> str:
    assert journal.staging is not None, "files are moved from a staging folder"
    return layout.staged(journal.staging, key)


def _arrived(store: Store, record: FileRecord) -> bool:
    try:
        return store.stat(record.key).size == record.size
    except NotFoundError:
        return False


def _load(data: bytes, where: str) -> Journal:
    try:
        journal = msgspec.json.decode(data, type=Journal)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(str(error), where) from error
    if journal.version != _VERSION:
        raise ArchiveError(
            f"this journal has version {journal.version}, known is {_VERSION}",
            where=where,
            fix="use the tomoportal version that wrote it, or a newer one",
        )
    if where != f"{OWN}/journal/{journal.container}.json":
        raise _unreadable(f"it is of {journal.container!r}", where)
    if journal.staging is not None and not journal.staging.startswith(layout.staging_prefix("")):
        raise _unreadable(f"{journal.staging!r} is no staging folder", where)
    if journal.moves and (journal.staging is None or journal.item is None):
        raise _unreadable("it moves files and does not say from where, or for which item", where)
    return journal


def _unreadable(why: str, where: str) -> ArchiveError:
    return ArchiveError(
        f"this journal of an interrupted publication cannot be read: {why}",
        where=where,
        fix="delete it, run 'tomoportal verify', and ingest again what it names",
    )
