"""Make an item part of the archive, or take it out: whole or not at all."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from typing import Any

from tomoportal.archive import documents
from tomoportal.archive.journal import Journal, apply
from tomoportal.archive.layout import Container
from tomoportal.archive.manifest import ItemRecord, Manifest, sorted_item
from tomoportal.archive.staging import Staging
from tomoportal.errors import ArchiveError, NotFoundError
from tomoportal.storage import FileRecord, Lock, Store

__all__ = ["Published", "publish", "remove"]

Document = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Published:
    """What became of an item: ``outcome`` is ``created``, ``updated`` or ``unchanged``.

    ``removed`` are the files of the former item that the new one does not have.
    """

    item: ItemRecord
    outcome: str
    removed: tuple[str, ...] = ()


def publish(
    store: Store,
    container: Container,
    manifest: Manifest,
    item: ItemRecord,
    staging: Staging | None,
    document: Document | None,
    lock: Lock,
    *,
    as_read: bool = False,
) -> Published:
    """See :meth:`Archive.publish`. The container's lock is held and no journal is pending."""
    data = None
    if document:
        documents.check(*document, as_read=as_read)
        data = documents.dump(document[1])
        _check_owner(store, document)
        item = replace(item, document=document[0], deposition_id=_deposition(document[1], item.deposition_id))
    former = manifest.items.get(item.key)
    records = {record.key: record for record in staging.records} if staging else {}
    if document and data is not None:
        records[document[0]] = FileRecord(document[0], len(data), hashlib.sha256(data).hexdigest())
    item = sorted_item(item, list(records.values()))
    _check_claims(manifest, item)
    if former and former.deposition_id != item.deposition_id and None not in (former.deposition_id, item.deposition_id):
        raise _foreign(former.document or str(item.key), former.deposition_id, item.deposition_id)

    there = _in_place(store, former, records)
    if staging:
        _check_kept(staging, there)
    moves = tuple(record for record in sorted(staging.staged.values()) if record.key not in there) if staging else ()
    new_document = None
    if document and data is not None and not _same_bytes(store, document[0], data):
        new_document = (document[0], data.decode())
    gone = tuple(sorted({record.key for record in former.files} - records.keys())) if former else ()
    if former == item and not moves and not new_document:
        if staging:
            staging.discard()
        return Published(item, "unchanged")
    journal = Journal.new(
        container,
        staging=staging.prefix if staging else None,
        moves=moves,
        deletes=gone,
        item=item,
        document=new_document,
    )
    if staging:
        apply(store, container, journal, manifest, lock, staging.hand_over)
        staging.finish()
    else:
        apply(store, container, journal, manifest, lock)
    return Published(item, "updated" if former else "created", gone)


def remove(store: Store, container: Container, manifest: Manifest, key: tuple[str, str], lock: Lock) -> ItemRecord:
    """See :meth:`Archive.remove_item`. The container's lock is held and no journal is pending."""
    item = manifest.items.get(key)
    if item is None:
        raise ArchiveError(f"there is no {key[0]} {key[1]!r}", where=container.key, fix="look into its manifest")
    files = tuple(record.key for record in item.files if record.key != item.document)
    journal = Journal.new(
        container, withdraw=(item.document,) if item.document else (), deletes=files, removed=item.key
    )
    apply(store, container, journal, manifest, lock)
    return item


def _check_owner(store: Store, document: Document) -> None:
    """Refuse to write over a document of another deposition."""
    key, content = document
    try:
        existing = documents.load(store.get(key), key)
    except NotFoundError:
        return
    theirs, ours = existing.get("deposition_id"), content.get("deposition_id")
    if theirs is not None and theirs != ours:
        raise _foreign(key, theirs, ours)


def _foreign(where: str, theirs: object, ours: object) -> ArchiveError:
    return ArchiveError(
        f"this document belongs to deposition {theirs} and cannot be replaced by deposition {ours}",
        where=where,
        fix=f"leave this entity out of the config of deposition {ours}, or ingest it as deposition {theirs}",
    )


def _deposition(document: dict[str, Any], default: int | None) -> int | None:
    value = document.get("deposition_id", default)
    return value if isinstance(value, int) else default


def _check_claims(manifest: Manifest, item: ItemRecord) -> None:
    """Refuse a file that is another item's."""
    keys = {record.key for record in item.files}
    for other in manifest.items.values():
        if other.key == item.key:
            continue
        if shared := next((record.key for record in other.files if record.key in keys), None):
            raise ArchiveError(
                f"two items claim this file: {item.kind} {item.identity_key!r} and {other.kind} {other.identity_key!r}",
                where=shared,
                fix="give them different names or ids, or remove the older item with --prune",
            )


def _in_place(store: Store, former: ItemRecord | None, records: dict[str, FileRecord]) -> set[str]:
    """The keys among ``records`` whose files lie in the archive already, as the manifest knows them."""
    known = {record.key: record for record in former.files} if former else {}
    same = [record for key, record in records.items() if known.get(key) == record]
    if not same:
        return set()
    if store.local_path("") is None:  # one listing instead of a request per file
        folder = os.path.commonpath([os.path.dirname(record.key) for record in same])
        sizes = {stat.key: stat.size for stat in store.list(folder)}
        return {record.key for record in same if sizes.get(record.key) == record.size}
    return {record.key for record in same if _size(store, record.key) == record.size}


def _size(store: Store, key: str) -> int | None:
    try:
        return store.stat(key).size
    except NotFoundError:
        return None


def _check_kept(staging: Staging, there: set[str]) -> None:
    for key in staging.kept:
        if key not in there and key not in staging.staged:
            raise ArchiveError(
                "a file to keep is missing or was changed",
                where=key,
                fix="run the ingestion again: it makes the item anew",
            )


def _same_bytes(store: Store, key: str, data: bytes) -> bool:
    try:
        return store.get(key) == data
    except NotFoundError:
        return False
