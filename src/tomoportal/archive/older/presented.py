"""Datasets in older layouts, presented to readers as if they lay in today's: nothing is written or copied.

The store has today's documents at today's keys besides all files that are there; the paths in these documents lead to
the files where they lie now.
"""

from __future__ import annotations

import builtins
import hashlib
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from heapq import merge
from pathlib import Path

from tomoportal.archive import documents, layout
from tomoportal.archive.archive import Archive
from tomoportal.archive.layout import Container
from tomoportal.archive.older import view
from tomoportal.errors import NotFoundError, Problem, StorageError
from tomoportal.storage import Lock, Stat, Store, Writer
from tomoportal.storage.base import LOCK_TIMEOUT
from tomoportal.storage.keys import check_prefix

__all__ = ["Presented", "older_datasets", "present"]

_FIX = "make an archive in today's layout of it with 'tomoportal migrate'"


@dataclass(frozen=True)
class Presented:
    """``archive`` is the given one if all its datasets are in today's layout; ``warnings`` tell those that are not."""

    archive: Archive
    warnings: tuple[Problem, ...] = ()


def present(archive: Archive, datasets: Collection[str] | None = None) -> Presented:
    """An archive to read, with its older datasets (or those of them that are in ``datasets``) as if they were new."""
    found = [name for name in older_datasets(archive.store) if datasets is None or name in datasets]
    if not found:
        return Presented(archive)
    seen = view(archive, datasets=found)
    made = {key: documents.dump(document) for key, document in seen.in_place().items()}
    layouts = {folder.partition("/")[0]: name for folder, name in seen.plan.layouts}
    warnings = [
        Problem(
            f"dataset {name}",
            f"it lies in an older layout ({layouts.get(name, 'without runs')}): it is read as it is, but links to its"
            " metadata documents lead nowhere",
            _FIX,
        )
        for name in found
    ]
    warnings += [Problem(remark.key, f"not shown: {remark.text}", _FIX) for remark in seen.plan.unplaced]
    warnings += [
        Problem(old, "not shown: a gain reference is found by its folder", _FIX)
        for item in seen.plan.items
        if item.kind == "gain"
        for old, _ in item.copies
    ]
    return Presented(Archive(_WithDocuments(archive.store, made)), tuple(warnings))


def older_datasets(store: Store) -> Iterator[str]:
    """Datasets with a run in an older layout; a dataset with a manifest of ours is in today's."""
    for name in store.children("")[0]:
        if name.startswith(".") or not (name.isdecimal() or store.exists(f"{name}/dataset_metadata.json")):
            continue
        manifest = layout.manifest(Container.dataset(name))
        if store.exists(manifest) or store.children(manifest.removesuffix(".json"))[1]:
            continue
        if any(_is_older(store, f"{name}/{run}") for run in store.children(name)[0]):
            yield name


def _is_older(store: Store, run: str) -> bool:
    """Whether a run has its tomograms where they were, and not (beside such leftovers) where they are today."""
    folders = store.children(run)[0]
    if "Reconstructions" in folders:
        return False
    if any(name == "Tomograms" or name.startswith("TomogramVoxelSpacing") for name in folders):
        return True
    return "TiltSeries" in folders and store.exists(f"{run}/TiltSeries/tiltseries_metadata.json")


class _WithDocuments(Store):
    """A store and some documents that it does not have; reading only."""

    read_only = True

    def __init__(self, lower: Store, made: Mapping[str, bytes]) -> None:
        self.url = lower.url
        self._lower = lower
        self._made = dict(made)
        self._keys = sorted(made)

    def _stat(self, key: str) -> Stat:
        data = self._made[key]  # it takes no room, so that sizes of folders stay those of the files
        return Stat(key, 0, 0.0, hashlib.sha256(data).hexdigest()[:32])

    def _below(self, prefix: str) -> Iterator[Stat]:
        start = f"{prefix}/" if prefix else ""
        for key in self._keys[bisect_left(self._keys, start) :]:
            if not key.startswith(start):
                return
            yield self._stat(key)

    def get(self, key: str) -> bytes:
        return self._made[key] if key in self._made else self._lower.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return (
            self._made[key][start : start + length] if key in self._made else self._lower.get_range(key, start, length)
        )

    def stat(self, key: str) -> Stat:
        if key in self._made:
            return self._stat(key)
        if next(self._below(key), None) is not None:
            raise NotFoundError("this is a folder, not a file", where=key)
        return self._lower.stat(key)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        prefix = check_prefix(prefix)
        lower = (stat for stat in self._lower.list(prefix) if stat.key not in self._made)
        return merge(lower, self._below(prefix), key=lambda stat: stat.key)

    def children(self, prefix: str = "") -> tuple[builtins.list[str], builtins.list[Stat]]:
        prefix = check_prefix(prefix)
        folders, files = self._lower.children(prefix)
        names, stats = set(folders), {stat.key: stat for stat in files}
        start = len(prefix) + 1 if prefix else 0
        for stat in self._below(prefix):
            name, slash, _ = stat.key[start:].partition("/")
            if slash:
                names.add(name)
            else:
                stats[stat.key] = stat
        return sorted(names), [stats[key] for key in sorted(stats)]

    def local_path(self, key: str) -> Path | None:
        return None if key in self._made else self._lower.local_path(key)

    def put(
        self,
        key: str,
        data: bytes | bytearray | memoryview,
        *,
        if_match: str | None = None,
        if_absent: bool = False,
        durable: bool = True,
    ) -> str:
        raise _read_only(key)

    def open_writer(self, key: str, *, durable: bool = True) -> Writer:
        raise _read_only(key)

    def delete(self, key: str) -> None:
        raise _read_only(key)

    def delete_tree(self, prefix: str) -> None:
        raise _read_only(prefix)

    def move(self, source: str, target: str) -> None:
        raise _read_only(source)

    def lock(self, name: str, *, timeout: float = LOCK_TIMEOUT) -> AbstractContextManager[Lock]:
        return self._lower.lock(name, timeout=timeout)


def _read_only(key: str) -> StorageError:
    return StorageError("an archive in an older layout is only read", where=key, fix=_FIX)
