"""All folders of all runs at once, but nothing inside of Zarr stores.

An object store that lists keys in order is read a thousand keys per request, several ranges of runs side by side: a
handful of requests, however many runs. Runs with so many chunks that these would fill the answers, and stores that know
folders only, are read folder by folder, many at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from tomoportal.storage import Folder as ListedFolder
from tomoportal.storage import Stat, Store
from tomoportal.storage.keys import just_before

__all__ = ["RUNS", "Folder", "folders_by_folder", "folders_of_runs"]

RUNS: Final = "ExperimentRuns"

_PAGE: Final = 1000  # keys that one request answers
_MOST_KEYS: Final = 200  # of a run; with more of them, its four or five folders cost less than its share of pages
_RANGES: Final = 16
_AT_A_TIME: Final = 64


@dataclass(slots=True)
class Folder:
    """One folder: names of folders in it, and files by name. Both in the order of names."""

    folders: list[str] = field(default_factory=list)
    files: dict[str, Stat] = field(default_factory=dict)

    @classmethod
    def read(cls, store: Store, key: str) -> Folder:
        """By one request."""
        folders, files = store.children(key)
        return cls(folders, {stat.key.rpartition("/")[2]: stat for stat in files})


def folders_of_runs(store: Store) -> dict[str, Folder]:
    """Every run, what is in it, and what is in that, by key."""
    if not store.lists_keys:
        return folders_by_folder(store, store.children(RUNS)[0])
    head = _first(store.scan(f"{RUNS}/"), _PAGE)
    in_order = sorted(head, key=lambda stat: stat.key)
    if len(head) < _PAGE:
        return _tree(in_order)
    if head != in_order:  # there are servers that list in no order, of which no range can be asked for
        return folders_by_folder(store, store.children(RUNS)[0])
    end = _run_of(head[-1])
    names = sorted(f"{RUNS}/{name}/" for name in store.children(RUNS)[0])  # in the order of keys, not of names
    rest = [name for name in names if name >= end]
    whole = len(names) - len(rest)
    if whole * _MOST_KEYS < _PAGE:
        return folders_by_folder(store, map(_name_of, names))
    found = _tree(stat for stat in head if stat.key < end)
    step = max(whole, -(-len(rest) // _RANGES))
    ranges = [rest[start : start + step] for start in range(0, len(rest), step)]
    ends = [each[0] for each in ranges[1:]]
    large: list[str] = []
    with ThreadPoolExecutor(_RANGES, "listing") as pool:
        read = pool.map(lambda runs, end: _read_range(store, runs, end), ranges, [*ends, None])
        for runs, folders in zip(ranges, read, strict=True):
            if folders is None:
                large += map(_name_of, runs)
            else:
                found.update(folders)
    return found | folders_by_folder(store, large)


def _read_range(store: Store, runs: Sequence[str], end: str | None) -> dict[str, Folder] | None:
    """The folders of neighbouring runs up to a key; None if chunks have too many keys."""
    stats: list[Stat] = []
    most = len(runs) * _MOST_KEYS + _PAGE
    for stat in store.scan(f"{RUNS}/", after=just_before(runs[0])):
        assert isinstance(stat, Stat)
        if end is not None and stat.key >= end:
            break
        stats.append(stat)
        if len(stats) > most:
            return None
    return _tree(stats)


def folders_by_folder(store: Store, runs: Iterable[str]) -> dict[str, Folder]:
    """The same for the runs of these names, one request for each folder; the plain way, which every store knows."""
    found: dict[str, Folder] = {}
    level = [f"{RUNS}/{name}" for name in runs]
    if not level:
        return found
    with ThreadPoolExecutor(min(_AT_A_TIME, 4 * len(level)), "listing") as pool:
        while level:
            found.update(zip(level, pool.map(lambda key: Folder.read(store, key), level), strict=True))
            level = [
                f"{parent}/{name}"
                for parent in level
                for name in found[parent].folders
                if not name.endswith(".zarr") and not name.startswith(".") and parent.count("/") < 2
            ]
    return found


def _tree(stats: Iterable[Stat]) -> dict[str, Folder]:
    """Folders of sorted keys."""
    found: dict[str, Folder] = {}
    seen: dict[str, set[str]] = {}
    inside = "/"  # of the last Zarr store: no key begins like this
    for stat in stats:
        if stat.key.startswith(inside):
            continue
        parts = stat.key.split("/")
        for depth in range(1, len(parts) - 1):
            parent = "/".join(parts[:depth])
            names = seen.setdefault(parent, set())
            if parts[depth] not in names:
                names.add(parts[depth])
                found.setdefault(parent, Folder()).folders.append(parts[depth])
            if parts[depth].endswith(".zarr"):
                inside = "/".join(parts[: depth + 1]) + "/"
                break
        else:
            found.setdefault("/".join(parts[:-1]), Folder()).files[parts[-1]] = stat
    for folder in found.values():
        folder.folders.sort()
    return found


def _first(found: Iterable[Stat | ListedFolder], most: int) -> list[Stat]:
    return [each for each in islice(found, most) if isinstance(each, Stat)]


def _run_of(stat: Stat) -> str:
    return "/".join(stat.key.split("/", 2)[:2]) + "/"


def _name_of(run: str) -> str:
    return run[len(RUNS) + 1 : -1]
