"""What the checks of one run see: its files with their sizes, its documents, and the content of small files."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tomoportal.archive.layout import Container, Place
from tomoportal.errors import NotFoundError
from tomoportal.storage import Store

__all__ = ["LARGEST_TEXT", "Entity", "View", "angles_apart", "number", "rows", "size_of"]

LARGEST_TEXT = 256 * 1024 * 1024
"""Bytes of the largest text file that is read: a million oriented points take 250 MB."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A document that could be read: its key, what the key says, its content."""

    key: str
    place: Place
    content: dict[str, Any]

    @property
    def folder(self) -> str:
        return self.key.rpartition("/")[0]


@dataclass
class View:
    """One container. ``sizes`` are those of its own files by key; ``entities`` its documents by kind, in key order."""

    store: Store
    container: Container
    sizes: Mapping[str, int]
    sorted_keys: Sequence[str]
    entities: dict[str, list[Entity]] = field(default_factory=dict)
    memory: dict[Any, Any] = field(default_factory=dict)
    """What one check read and another needs too, such as the parsed mdoc."""

    def of(self, kind: str) -> list[Entity]:
        """The documents of a kind."""
        return self.entities.get(kind, [])

    def files(self, prefix: str) -> Iterator[str]:
        """Keys below a folder, sorted."""
        start = f"{prefix}/"
        for key in self.sorted_keys[bisect_left(self.sorted_keys, start) :]:
            if not key.startswith(start):
                return
            yield key

    def has_folder(self, prefix: str) -> bool:
        """Whether a file lies below a folder."""
        return next(self.files(prefix), None) is not None

    def file(self, path: object) -> str | None:
        """The key of a file or folder that a document names, if it is there; older documents begin with a bucket."""
        if not isinstance(path, str) or not path:
            return None
        for key in (path.rstrip("/"), path.rstrip("/").partition("/")[2]):
            if key and (key in self.sizes or self.has_folder(key)):
                return key
        return None

    def read(self, key: str) -> bytes | None:
        """The bytes of a small file; None if it is not there, or larger than any text."""
        if self.sizes.get(key, LARGEST_TEXT + 1) > LARGEST_TEXT:
            return None
        try:
            return self.store.get(key)
        except NotFoundError:
            return None

    def entity(self, kind: str, path: object) -> Entity | None:
        """The document that another one names by its path."""
        if not isinstance(path, str):
            return None
        return next((each for each in self.of(kind) if path == each.key or path.endswith(f"/{each.key}")), None)


def number(document: object, path: str) -> float | None:
    """The finite number at a dotted path of a document that anybody may have written."""
    value = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def rows(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list in a document; what is no object is left out."""
    value = document.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def size_of(value: object) -> tuple[int, int, int] | None:
    """(z, y, x) of a ``size`` object in a document."""
    sizes = [number(value, axis) for axis in "zyx"]
    if any(size is None or size != int(size) for size in sizes):
        return None
    z, y, x = (int(size) for size in sizes if size is not None)
    return z, y, x


def angles_apart(one: float, other: float) -> float:
    """How far two directions are apart, 0° to 180°."""
    return abs((one - other + 180.0) % 360.0 - 180.0)
