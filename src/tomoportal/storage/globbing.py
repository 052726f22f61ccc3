"""Shell patterns over a store."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

from tomoportal.errors import NotFoundError, StorageError
from tomoportal.storage.base import Folder, Stat, Store
from tomoportal.storage.keys import check_prefix, join

__all__ = ["glob", "has_wildcard"]

_Match = Stat | Folder


def has_wildcard(text: str) -> bool:
    """Whether a pattern, or a part of one, holds a wildcard."""
    return any(character in text for character in "*?[")


def glob(store: Store, pattern: str) -> list[_Match]:
    """See :meth:`Store.glob`."""
    if pattern.startswith("/"):
        raise StorageError(f"the pattern {pattern!r} starts with '/'", fix="write it relative to the store's root")
    folders_only = pattern.endswith("/")
    parts = [part for part in pattern.split("/") if part and part != "."]
    if ".." in parts:
        raise StorageError(f"the pattern {pattern!r} leaves the store by '..'", fix="write it relative to the root")
    if not parts:
        return []
    search = _Search(store)
    search.descend("", parts)
    found = search.found.values()
    return sorted((match for match in found if match.is_folder or not folders_only), key=lambda match: match.key)


class _Search:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.found: dict[str, _Match] = {}
        self._levels: dict[str, tuple[list[str], list[Stat]]] = {}

    def descend(self, folder: str, parts: list[str]) -> None:
        """Add what matches ``parts`` below ``folder``."""
        first, rest = parts[0], parts[1:]
        if first == "**":
            while rest and rest[0] == "**":
                rest = rest[1:]
            self._any_depth(folder, rest)
            return
        if not has_wildcard(first):
            fixed = join(folder, first)
            if rest:
                self.descend(fixed, rest)
            else:
                self._add_exact(fixed)
            return
        matches = _matcher(first)
        folders, stats = self._level(folder)
        for name in folders:
            if matches(name):
                if rest:
                    self.descend(join(folder, name), rest)
                else:
                    self._add(Folder(join(folder, name)))
        if not rest:
            for stat in stats:
                if matches(stat.key.rpartition("/")[2]):
                    self._add(stat)

    def _any_depth(self, folder: str, rest: list[str]) -> None:
        folders, stats = self._level(folder)
        if rest:
            self.descend(folder, rest)
        else:
            for stat in stats:
                if not stat.key.rpartition("/")[2].startswith("."):
                    self._add(stat)
        for name in folders:
            if name.startswith("."):
                continue
            if not rest:
                self._add(Folder(join(folder, name)))
            if not name.endswith(".zarr"):
                self._any_depth(join(folder, name), rest)

    def _level(self, folder: str) -> tuple[list[str], list[Stat]]:
        if folder not in self._levels:
            self._levels[folder] = self.store.children(folder)
        return self._levels[folder]

    def _add_exact(self, key: str) -> None:
        try:
            self._add(self.store.stat(check_prefix(key)))
        except NotFoundError:
            if self.store.is_folder(key):
                self._add(Folder(key))

    def _add(self, match: _Match) -> None:
        self.found[match.key] = match


def _matcher(part: str) -> Callable[[str], object]:
    # "[^a]" is what shells and upstream's globs take for "[!a]".
    expression = re.compile(fnmatch.translate(part.replace("[^", "[!")))
    if part.startswith("."):
        return expression.match
    return lambda name: not name.startswith(".") and expression.match(name)
