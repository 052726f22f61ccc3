"""Listings that finders look at: the source folder and the archive, each folder listed once.

A thousand runs ask the same folders again and again; a folder is listed when it is first looked at and kept for the
length of one plan. Globs are matched here, component by component, so that a plan of many runs costs one listing
per folder and a binary search per question.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from fnmatch import translate

from tomoportal.errors import StorageError
from tomoportal.storage import Stat, Store

__all__ = ["OutsideError", "Tree", "is_local", "join"]

_MAGIC = re.compile(r"[*?\[]")


class OutsideError(ValueError):
    """A path that leaves the folder that it is meant to lie in."""


@dataclass(frozen=True)
class _Folder:
    names: list[str]  # sorted
    files: dict[str, Stat]
    folders: frozenset[str]


class Tree:
    """A store with remembered listings. Keys are relative to the store; folders and files are both found."""

    def __init__(self, store: Store, *, lenient_below: str | None = None) -> None:
        self.store = store
        self.unreadable: dict[str, StorageError] = {}
        """Folders below ``lenient_below`` that cannot be read, with the reason; they count as empty."""
        self._lenient = None if lenient_below is None else join(lenient_below)
        self._folders: dict[str, _Folder] = {}
        self._expressions: dict[str, re.Pattern[str]] = {}

    def glob(self, pattern: str) -> list[str]:
        """Keys of the files and folders that match, sorted; ``*``, ``?`` and ``[...]`` stay within a component.

        ``**`` matches any number of folders. Raises `OutsideError` for ``..`` and absolute patterns.
        """
        parts = _components(pattern)
        if not parts:
            return []
        return sorted(set(self._match("", parts)))

    def is_file(self, key: str) -> bool:
        """Whether a file (not a folder) lies under the key."""
        parent, _, name = key.rpartition("/")
        return name in self._folder(parent).files

    def stat(self, key: str) -> Stat | None:
        """Size and entity tag of a file as listed; None for folders and missing keys."""
        parent, _, name = key.rpartition("/")
        return self._folder(parent).files.get(name)

    def exists(self, key: str) -> bool:
        """Whether a file or folder lies under the key."""
        parent, _, name = key.rpartition("/")
        folder = self._folder(parent)
        return name in folder.files or name in folder.folders

    def _folder(self, prefix: str) -> _Folder:
        known = self._folders.get(prefix)
        if known is None:
            folders, files = self._children(prefix)
            by_name = {stat.key.rpartition("/")[2]: stat for stat in files}
            known = _Folder(sorted({*folders, *by_name}), by_name, frozenset(folders))
            self._folders[prefix] = known
        return known

    def _children(self, prefix: str) -> tuple[list[str], list[Stat]]:
        try:
            return self.store.children(prefix)
        except StorageError as error:
            below = self._lenient is not None and prefix != self._lenient
            if not (below and join(prefix).startswith(f"{self._lenient}/" if self._lenient else "")):
                raise
            if not is_local(error):
                raise
            self.unreadable[prefix] = error
            return [], []

    def _match(self, prefix: str, parts: tuple[str, ...]) -> list[str]:
        head, rest = parts[0], parts[1:]
        folder = self._folder(prefix)
        if head == "**":
            found = self._match(prefix, rest) if rest else [join(prefix, name) for name in folder.names]
            for name in folder.folders:
                if not name.startswith("."):
                    found += self._match(join(prefix, name), parts)
            return found
        names = [name for name in self._matching(folder.names, head) if rest == () or name in folder.folders]
        if not rest:
            return [join(prefix, name) for name in names]
        return [key for name in names for key in self._match(join(prefix, name), rest)]

    def _matching(self, names: list[str], pattern: str) -> list[str]:
        magic = _MAGIC.search(pattern)
        if magic is None:
            at = bisect_left(names, pattern)
            return [pattern] if at < len(names) and names[at] == pattern else []
        literal = pattern[: magic.start()]
        expression = self._expressions.get(pattern)
        if expression is None:
            expression = self._expressions.setdefault(pattern, re.compile(translate(pattern)))
        found: list[str] = []
        for index in range(bisect_left(names, literal), len(names)):
            name = names[index]
            if not name.startswith(literal):
                break
            if expression.match(name) and (name[0] != "." or pattern[0] == "."):
                found.append(name)
        return found


def is_local(error: StorageError) -> bool:
    """Whether one file or folder is refused (no right, stale handle, damaged disk), not a server away for all."""
    cause = error.__cause__
    if isinstance(cause, PermissionError):
        return True
    return isinstance(cause, OSError) and cause.errno is not None and not isinstance(cause, ConnectionError)


def join(*parts: str) -> str:
    """Join key parts, leaving out empty ones and doubled slashes."""
    return "/".join(piece for part in parts for piece in part.split("/") if piece)


def _components(pattern: str) -> tuple[str, ...]:
    parts = tuple(part for part in pattern.split("/") if part not in ("", "."))
    if ".." in parts:
        raise OutsideError(f"{pattern!r} leaves the source folder")
    return parts
