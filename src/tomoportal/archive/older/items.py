"""The plan of a migration: values only. An item is what becomes one entry of a manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tomoportal.archive.layout import Container
from tomoportal.archive.manifest import FIRST_ID
from tomoportal.formats.source import Kind

__all__ = ["Conversion", "Item", "Numbers", "OlderPlan", "Remark"]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the reader of a plan should know about an old key."""

    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A volume that is made anew, and why: MRC and OME-Zarr from one of the two."""

    source: str
    mrc: str
    zarr: str
    spacing: float
    kind: Kind
    why: str


@dataclass(frozen=True, slots=True)
class Item:
    """Files (and a document) of the new archive. ``copies`` are pairs of keys, old and new, of files or folders.

    ``sources`` are old files that were read to make the document; ``texts`` small files that are new. An item with a
    ``problem`` cannot be made.
    """

    kind: str
    container: Container
    identity: str
    copies: tuple[tuple[str, str], ...] = ()
    conversions: tuple[Conversion, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    document: tuple[str, dict[str, Any]] | None = None
    sources: tuple[str, ...] = ()
    archive_id: int | None = None
    id_scope: str | None = None
    stamp: int = 0
    problem: str | None = None

    @property
    def label(self) -> str:
        """How the item is called in messages."""
        if self.document:
            return self.document[0]
        targets = [new for _, new in self.copies] + [each.mrc for each in self.conversions]
        targets += [key for key, _ in self.texts]
        return targets[0] if targets else f"{self.container} {self.kind}"


@dataclass(frozen=True)
class OlderPlan:
    """Items in the order of need; every old file is a source of one of them or among ``unplaced``, with the reason."""

    items: tuple[Item, ...] = ()
    unplaced: tuple[Remark, ...] = ()
    remarks: tuple[Remark, ...] = ()
    layouts: tuple[tuple[str, str], ...] = ()
    """Folder of a run and the name of its layout."""

    def documents(self) -> dict[str, dict[str, Any]]:
        """New key → document."""
        return {item.document[0]: item.document[1] for item in self.items if item.document}

    def sources(self) -> dict[str, str]:
        """New key → old key, of files and folders that are copied or made anew from one file."""
        known = {new: old for item in self.items for old, new in item.copies}
        for item in self.items:
            for each in item.conversions:
                known[each.zarr if each.source.endswith(".zarr") else each.mrc] = each.source
        return known


@dataclass
class Numbers:
    """Ids of a migration: the old number where there was one and nobody else has it, else the next one.

    ``known`` gives the ids that the target gave already, ``taken`` the numbers that cannot be given.
    """

    known: Callable[[Container], dict[tuple[str, str, str], int]] = lambda container: {}
    taken: Callable[[str, str], set[int]] = lambda kind, scope: set()
    _given: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    _used: dict[tuple[str, str], set[int]] = field(default_factory=dict)

    def give(self, container: Container, kind: str, scope: str, identity: str, wanted: int | None = None) -> int:
        """The id of an item; the same key gets the same id again."""
        if (kind, scope) not in self._given:
            known = {key: number for (k, s, key), number in self.known(container).items() if (k, s) == (kind, scope)}
            self._given[kind, scope] = known
            self._used[kind, scope] = {*known.values(), *self.taken(kind, scope)}
        given, used = self._given[kind, scope], self._used[kind, scope]
        if identity not in given:
            free = wanted is not None and wanted > 0 and wanted not in used
            given[identity] = wanted if free and wanted is not None else max([FIRST_ID - 1, *used]) + 1
            used.add(given[identity])
        return given[identity]
