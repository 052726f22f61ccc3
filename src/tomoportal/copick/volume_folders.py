"""The Zarr folder of a volume is replaced as a whole: the new one is written aside and takes the place of the old."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Final
from zlib import crc32

from tomoportal.errors import StorageError
from tomoportal.storage import Lock, Store
from tomoportal.storage.owners import is_abandoned, new_token

if TYPE_CHECKING:
    from tomoportal.copick.volume_versions import VolumeVersions

__all__ = [
    "METADATA",
    "is_being_replaced",
    "is_left",
    "put_back",
    "removed_folder",
    "replaced_folder",
    "sweep",
    "volume_lock",
]

METADATA: Final = (".zattrs", ".zgroup", "zarr.json")
"""Of groups."""


def replaced_folder(
    store: Store,
    key: str,
    fill: Callable[[Store, str], None],
    versions: VolumeVersions | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Replace the Zarr folder ``key`` by what ``fill(store, key)`` writes, its metadata last.

    Where folders can be renamed (a disk, SSH, SMB) the new one is written aside and takes the place of the old one; on
    an object store the old metadata go first and the new come last, so that a half-written volume has none (C7).
    With ``versions`` the old one goes to the history, and :class:`ConflictError` is raised, with nothing changed, if
    it is not the one that was seen, unless ``overwrite``.
    """
    if store.moves_folders:
        _replace_by_renaming(store, key, fill, versions, overwrite)
        return
    if versions is None:
        removed_folder(store, key)
        fill(store, key)
        return
    with volume_lock(store, key, always=True) as lock:
        state = versions.check(overwrite=overwrite)
        versions.keep_copy(state)
        versions.seen = None  # if this ends half-way, what is there is ours
        removed_folder(store, key)
        fill(store, key)  # which may read a version that is beyond the bound now
        lock.check()
        versions.prune()
        versions.wrote_whole(versions.state().fingerprint)


def _replace_by_renaming(
    store: Store, key: str, fill: Callable[[Store, str], None], versions: VolumeVersions | None, overwrite: bool
) -> None:
    if versions is not None:
        versions.check(overwrite=overwrite)  # before the long work, and again at its end
    sweep(store, key, versions)
    parent, _, name = key.rpartition("/")
    token = new_token()
    beside = f"{parent}/" if parent else ""
    aside, old = (f"{beside}.{name}.{state}-{token}" for state in ("new", "old"))
    try:
        fill(store, aside)
        with volume_lock(store, key):  # who finds the name taken by another new volume would mix both
            fingerprint = None if versions is None else versions.replacing(aside, overwrite=overwrite)
            if versions is not None and fingerprint is None:  # the same is there (C4)
                store.delete_tree(aside)
                return
            with suppress(FileNotFoundError):
                _swap_out(store, key, old)
            store.move(aside, key)
            if versions is not None:
                versions.wrote_whole(fingerprint)
                versions.keep_folder(old)
    except BaseException:
        with suppress(StorageError):
            if not store.is_folder(key) and store.is_folder(old):
                store.move(old, key)
            store.delete_tree(aside)
        raise
    store.delete_tree(old)
    if versions is not None:
        versions.prune()


def removed_folder(store: Store, key: str) -> None:
    """Remove a folder, its metadata first: what is left of it by a process that dies is no volume."""
    for name in METADATA:
        store.delete(f"{key}/{name}")
    store.delete_tree(key)


def volume_lock(store: Store, key: str, *, always: bool = False) -> AbstractContextManager[Lock]:
    """Held by who changes a volume in a folder. On object stores regions are not worth a lock's requests."""
    if not (store.moves_folders or always):
        return nullcontext(_NoLock())
    return store.lock(f"volume-{crc32(key.encode()):08x}")


class _NoLock:
    def check(self) -> None:
        """Nothing is held that could be lost."""


def _swap_out(store: Store, key: str, old: str) -> None:
    if store.is_folder(key):
        store.move(key, old)


def put_back(store: Store, parent: str, folders: Sequence[str]) -> list[str]:
    """Names of volumes whose writer was killed while it replaced them; each has its old content again."""
    found: list[str] = []
    beside = f"{parent}/" if parent else ""
    for folder in folders:
        name, state, token = folder[1:].partition(".zarr.old-")
        name += ".zarr"
        if folder.startswith(".") and state and name not in [*folders, *found] and is_left(token):
            store.move(f"{beside}{folder}", f"{beside}{name}")
            found.append(name)
    return found


def is_being_replaced(store: Store, key: str) -> bool:
    """Whether the old folder of a volume has been renamed, which lasts until the new one has its name."""
    parent, _, name = key.rpartition("/")
    return any(folder.startswith(f".{name}.old-") for folder in store.children(parent)[0])


def is_left(token: str) -> bool:
    """Whether the process that gave a folder this token is dead."""
    return is_abandoned(token, math.inf)


def sweep(store: Store, key: str, versions: VolumeVersions | None = None) -> None:
    """Remove what killed processes left of a volume; an old one that was replaced goes to the history."""
    parent, _, name = key.rpartition("/")
    folders, _ = store.children(parent)
    put_back(store, parent, folders)
    for folder in folders:
        for state in ("old", "new"):
            token = folder.removeprefix(f".{name}.{state}-")
            if token != folder and is_left(token):
                place = f"{parent}/{folder}" if parent else folder
                if versions is not None and state == "old":
                    with volume_lock(store, key):
                        versions.keep_folder(place)
                store.delete_tree(place)
