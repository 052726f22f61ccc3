"""The manifest of a container: which items it holds, from what they were made, and every file with its digest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import msgspec

from tomoportal.errors import ArchiveError
from tomoportal.storage import FileRecord

__all__ = ["FIRST_ID", "IdRecord", "ItemRecord", "Manifest"]

FIRST_ID = 100
"""Ids inside a container start here."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One item: a document with the files that it names, or files without a document (gains, the mdoc).

    ``identity_key`` tells it from the others of its ``kind`` in the container (see :mod:`tomoportal.archive.identity`);
    ``input_digest`` stands for everything that it was made from, ``inputs`` says what that was (JSON values, nothing
    absolute). ``files`` holds all files in the order of their keys, the document among them.
    """

    kind: str
    identity_key: str
    archive_id: int | None = None
    input_digest: str = ""
    files: tuple[FileRecord, ...] = ()
    document: str | None = None
    deposition_id: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.identity_key

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(record.size for record in self.files)


_ITEM_FIELDS = tuple(each.name for each in fields(ItemRecord))


@dataclass(frozen=True, slots=True, order=True)
class IdRecord:
    """An id that was given to an identity key. It stays given when the item is removed."""

    kind: str
    scope: str
    identity_key: str
    archive_id: int


@dataclass(frozen=True, slots=True)
class _Content:
    version: int
    container: str
    ids: tuple[IdRecord, ...]
    items: tuple[ItemRecord, ...]


@dataclass
class Manifest:
    """Items by ``(kind, identity_key)`` and ids by ``(kind, scope, identity_key)``."""

    container: str
    items: dict[tuple[str, str], ItemRecord] = field(default_factory=dict)
    ids: dict[tuple[str, str, str], int] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, FileRecord]:
        """All files of all items, by key."""
        return {record.key: record for item in self.items.values() for record in item.files}

    def owner_of(self, key: str) -> ItemRecord | None:
        """The item that a file belongs to."""
        return next((item for item in self.items.values() if any(each.key == key for each in item.files)), None)

    def given(self, kind: str, scope: str) -> set[int]:
        """The ids that were ever given in a scope."""
        return {number for (each, where, _), number in self.ids.items() if (each, where) == (kind, scope)}

    def next_id(self, kind: str, scope: str, taken: int = FIRST_ID - 1) -> int:
        """The id after the highest that was ever given in the scope, and after ``taken``."""
        return max([taken, FIRST_ID - 1, *self.given(kind, scope)]) + 1

    def dump(self) -> bytes:
        """JSON with sorted items, ids and files, one of each per line: the same content gives the same bytes."""
        ids = sorted(IdRecord(*key, number) for key, number in self.ids.items())
        items = [self.items[key] for key in sorted(self.items)]
        encode = msgspec.json.Encoder(order="sorted").encode
        lines = [
            b'{"version": %d, "container": %b,' % (_VERSION, encode(self.container)),
            _block(b'"ids"', [encode(each) for each in ids]) + b",",
            _block(b'"items"', [_item(each, encode) for each in items]),
            b"}\n",
        ]
        return b"\n".join(lines)

    @classmethod
    def load(cls, data: bytes, where: str) -> Manifest:
        """Raises :class:`ArchiveError` if these are not the bytes of a manifest."""
        try:
            content = msgspec.json.decode(data, type=_Content)
        except msgspec.DecodeError as error:
            raise ArchiveError(
                f"this manifest cannot be read: {error}",
                where=where,
                fix="move it away and ingest again; it is made anew",
            ) from error
        if content.version != _VERSION:
            raise ArchiveError(
                f"this manifest has version {content.version}, known is {_VERSION}",
                where=where,
                fix="use the tomoportal version that wrote this archive, or a newer one",
            )
        return cls(
            content.container,
            {item.key: item for item in content.items},
            {(each.kind, each.scope, each.identity_key): each.archive_id for each in content.ids},
        )


def sorted_item(item: ItemRecord, files: list[FileRecord]) -> ItemRecord:
    """The item with these files, in the order of their keys."""
    return replace(item, files=tuple(sorted(files)))


def _block(name: bytes, lines: list[bytes]) -> bytes:
    return name + (b": [\n" + b",\n".join(lines) + b"\n]" if lines else b": []")


def _item(item: ItemRecord, encode: Callable[[object], bytes]) -> bytes:
    head = encode({name: getattr(item, name) for name in _ITEM_FIELDS} | {"files": ()})
    return head.replace(b'"files":[]', _block(b'"files"', [encode(each) for each in item.files]), 1)
