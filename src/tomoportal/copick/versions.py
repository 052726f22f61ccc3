"""Saving documents so that nobody's work is lost: conditions, and the previous versions in ``.history/``.

``Picks/.history/<stem>/<n>.json`` holds what was saved before, n counting up from 1 (reference copick-model, 21).
Upstream ignores hidden names everywhere.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from tomoportal.errors import ConflictError, NotFoundError
from tomoportal.storage import Store

__all__ = ["KEPT_VERSIONS", "Version", "conflict", "delete_document", "history", "load", "read_version", "save"]

KEPT_VERSIONS: Final = 20
_HISTORY: Final = ".history"


@dataclass(frozen=True, slots=True)
class Version:
    """A previous state of a document: its number, its size in bytes, when it was replaced (seconds since the epoch)."""

    number: int
    size: int
    replaced: float
    key: str


def load(store: Store, key: str) -> tuple[bytes, str]:
    """The bytes of a document, and the version tag that belongs to them. Raises :class:`NotFoundError`."""
    return store.get_version(key)


def save(
    store: Store,
    key: str,
    data: bytes,
    *,
    seen: str | None,
    overwrite: bool,
    keep: int,
    checksum: int | None = None,
) -> str:
    """Replace a document that is still at the version ``seen`` (None: not there); return the new version.

    What was there goes to the history first. With ``overwrite`` any version is replaced. ``checksum`` is the CRC-32 of
    the content that was seen: where a version tag is a time, two versions of one tick share it. Raises
    :class:`ConflictError`, and then nothing has changed.
    """
    while True:
        try:
            old, etag = load(store, key)
        except NotFoundError:
            old, etag = b"", None
        is_other = etag != seen or (checksum is not None and etag is not None and crc32(old) != checksum)
        if is_other and not overwrite:
            raise _conflict(store, key, seen, etag)
        if etag is not None and old == data:
            return etag
        if etag is not None:
            _remember(store, key, old, keep)
        try:
            if etag is None:
                return store.put(key, data, if_absent=True)
            return store.put(key, data, if_match=etag)
        except ConflictError:
            if not overwrite:
                raise _conflict(store, key, seen, None) from None


def _conflict(store: Store, key: str, seen: str | None, found: str | None) -> ConflictError:
    if found is None:
        with suppress(NotFoundError):
            found = store.stat(key).etag
    fix = "refresh() and change it again, or store(merge=True) to keep both, or store(overwrite=True) to replace it"
    return conflict("document", seen, found, key, fix)


def conflict(kind: str, seen: str | None, found: str | None, where: str, fix: str) -> ConflictError:
    """The error that says which version of a document or volume was loaded, and which is there; none is empty."""
    what = "was saved by somebody else" if found else "was deleted by somebody else"
    return ConflictError(
        f"The {kind} {what} since you loaded it: you have the version {seen or '(none)'},"
        f" there is {found or '(none)'}.",
        where=where,
        fix=fix,
    )


def delete_document(store: Store, key: str, *, keep: int) -> None:
    """Remove a document; its last state stays in the history, also one that somebody saves at the same moment."""
    while True:
        try:
            old, etag = load(store, key)
        except NotFoundError:
            return
        _remember(store, key, old, keep)
        with suppress(ConflictError):
            return store.delete_version(key, etag)


def history(store: Store, key: str) -> list[Version]:
    """The previous versions that are kept, oldest first."""
    found = []
    for stat in store.children(_folder(key))[1]:
        stem = stat.key.rpartition("/")[2].partition(".")[0]
        if stem.isdigit():
            found.append(Version(int(stem), stat.size, stat.modified, stat.key))
    return sorted(found, key=lambda version: version.number)


def read_version(store: Store, key: str, number: int) -> bytes:
    """The bytes of a previous version. Raises :class:`NotFoundError`."""
    return store.get(_version_key(key, number))


def _remember(store: Store, key: str, old: bytes, keep: int) -> None:
    """Put the current state into the history, unless it is there already, and drop what is beyond ``keep``."""
    if keep < 1:
        return
    found = history(store, key)
    if found and found[-1].size == len(old):
        with suppress(NotFoundError):
            if store.get(found[-1].key) == old:
                return
    number = found[-1].number + 1 if found else 1
    while True:
        try:
            store.put(_version_key(key, number), old, if_absent=True, durable=False)
            break
        except ConflictError:  # another writer keeps a version at the same moment
            number += 1
    for version in found[: max(0, len(found) + 1 - keep)]:
        store.delete(version.key)


def _folder(key: str) -> str:
    parent, _, name = key.rpartition("/")
    return f"{parent}/{_HISTORY}/{name.rpartition('.')[0]}"


def _version_key(key: str, number: int) -> str:
    return f"{_folder(key)}/{number}.{key.rpartition('.')[2]}"
