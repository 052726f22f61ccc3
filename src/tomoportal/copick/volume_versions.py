"""Versions of a volume: which one an object has seen, and the previous ones in ``.history/`` (C3, C5).

``Segmentations/.history/<stem>/<n>.zarr`` holds what was replaced or deleted, n counting up from 1, as documents have
it (:mod:`.versions`). A version is told by the version tags of all objects of the folder, so that whatever any program
changes in it makes another one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from tomoportal.copick.versions import Version, conflict
from tomoportal.copick.volume_folders import METADATA, is_left, removed_folder, volume_lock
from tomoportal.errors import NotFoundError
from tomoportal.storage import Stat, Store
from tomoportal.storage.owners import new_token

__all__ = ["KEPT_VOLUMES", "VolumeState", "VolumeVersions"]

KEPT_VOLUMES: Final = 3
_TELLS_TIME: Final = (*METADATA, ".zarray")
"""Objects of the folder itself; a version has one of them, whose time says when it was replaced."""
_ALL: Final = 2**128
_AT_A_TIME: Final = 16
_SECONDS: Final = 30
_WAYS_OUT: Final = (
    "load it again with numpy() and repeat your change, or from_numpy(…, overwrite=True) to replace it, which keeps"
    " theirs in the history"
)


@dataclass(frozen=True)
class VolumeState:
    """The objects of a folder, by their names in it, and a number that tells this state from others."""

    stats: dict[str, Stat]

    @property
    def fingerprint(self) -> int:
        """0 where no voxels are: a sum, so that a change of one object can be reckoned in."""
        return sum(_mark(name, stat.etag) for name, stat in self.stats.items()) % _ALL if self.has_voxels else 0

    @property
    def has_voxels(self) -> bool:
        return any(name not in METADATA for name in self.stats)

    @property
    def is_volume(self) -> bool:
        """Whether metadata are there, which come last and go first."""
        return any(name in self.stats for name in _TELLS_TIME)

    @property
    def size(self) -> int:
        return sum(stat.size for stat in self.stats.values())

    @property
    def time(self) -> float:
        """When it got its metadata, in seconds since the epoch."""
        return max((self.stats[name].modified for name in _TELLS_TIME if name in self.stats), default=0.0)


def _mark(name: str, etag: str) -> int:
    told = f"{name}\0{etag}".encode("utf-8", "surrogatepass")  # names on a disk need not be text
    return int.from_bytes(blake2b(told, digest_size=16).digest())


class VolumeVersions:
    """The versions of the folder ``key``; ``keep`` of the previous ones stay in the history."""

    def __init__(self, store: Store, key: str, what: str, *, keep: int) -> None:
        self.store, self.key, self.keep = store, key, keep
        self._what = what
        self.seen: int | None = None
        """The version that was loaded or written; 0: there was none; None: nobody looked."""
        self._is_kept = False
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    # --- which version is there

    def state(self, key: str | None = None) -> VolumeState:
        """What is in the folder, or in another one."""
        place = self.key if key is None else key
        return VolumeState({stat.key[len(place) + 1 :]: stat for stat in _objects(self.store, place)})

    def note(self, *, again: bool = False) -> None:
        """Remember the version that is about to be loaded; ``again`` in place of the one that was seen."""
        if self.seen is None or again:
            self.seen = self.state().fingerprint

    def is_current(self) -> bool:
        """Whether the version that was seen is there."""
        return self.state().fingerprint == self.seen

    def check(self, *, overwrite: bool) -> VolumeState:
        """What is there. Raises :class:`ConflictError` if somebody else wrote it, unless ``overwrite``."""
        state = self.state()
        found = state.fingerprint
        if self.seen is None or overwrite:
            self.seen = found
        if found != self.seen:
            raise conflict(self._what, _short(self.seen), _short(found), self.key, _WAYS_OUT)
        return state

    def wrote(self, name: str, old: str | None, new: str) -> None:
        """Reckon in that this object replaced one object of the folder by another.

        If somebody else had changed it before, the sum stays wrong, and so the other change is noticed.
        """
        if self.seen is not None:
            self.seen = (self.seen + _mark(name, new) - (0 if old is None else _mark(name, old))) % _ALL

    # --- what is kept

    @property
    def _folder(self) -> str:
        parent, _, name = self.key.rpartition("/")
        return f"{parent}/.history/{name.removesuffix('.zarr')}"

    def version_key(self, number: int) -> str:
        return f"{self._folder}/{number}.zarr"

    def _numbers(self) -> list[int]:
        folders, _ = self.store.children(self._folder)
        stems = [name.removesuffix(".zarr") for name in folders]
        return sorted(int(stem) for stem, name in zip(stems, folders, strict=True) if stem != name and stem.isdigit())

    def _next(self) -> str:
        return self.version_key(max(self._numbers(), default=0) + 1)

    def history(self) -> list[Version]:
        """The previous versions that are kept, oldest first."""
        found = []
        for number in self._numbers():
            key = self.version_key(number)
            state = self.state(key)
            if state.is_volume:  # else it is on its way, or what a dead process left of it
                found.append(Version(number, state.size, state.time, key))
        return found

    def replacing(self, aside: str, *, overwrite: bool) -> int | None:
        """The version that the folder ``aside`` is going to be; None if it is the same as what is there.

        Raises :class:`ConflictError` as :meth:`check`.
        """
        there = self.check(overwrite=overwrite)
        self._make_newer(aside, there)
        new = self.state(aside)
        if self.store.local_path("") is not None and _sizes(there) == _sizes(new) and self._is_same(aside, new):
            return None
        return new.fingerprint

    def _is_same(self, aside: str, state: VolumeState) -> bool:
        get = self.store.get
        return all(get(f"{aside}/{name}") == get(f"{self.key}/{name}") for name in state.stats)

    def _make_newer(self, aside: str, there: VolumeState) -> None:
        """Where times are whole seconds, two versions of one second would look the same."""
        if self.store.local_path("") is not None:
            return
        name = next((name for name in METADATA if name in there.stats and self.store.exists(f"{aside}/{name}")), None)
        for _ in range(_SECONDS if name is not None else 0):
            if self.store.stat(f"{aside}/{name}").modified > there.stats[str(name)].modified:
                return
            self._touch(f"{aside}/{name}")

    def _touch(self, key: str) -> None:
        """Write an object again, so that it has the time of this moment."""
        self.store.put(key, self.store.get(key), durable=False)

    def keep_folder(self, old: str) -> None:
        """Move a folder that was replaced into the history; the lock on the volume is held."""
        if self.keep < 1 or not self.store.is_folder(old):
            return
        state = self.state(old)
        if not state.has_voxels:
            return
        for name in (each for each in _TELLS_TIME if each in state.stats):
            self._touch(f"{old}/{name}")
            break
        self.store.move(old, self._next())

    def keep_copy(self, state: VolumeState) -> None:
        """Copy what is there into the history, its metadata last; the lock on the volume is held."""
        if self.keep > 0 and state.has_voxels and state.is_volume:
            self._copy(state, self._next())

    def _copy(self, state: VolumeState, target: str, *, in_place: bool = False) -> None:
        """Copy the volume, its metadata last; by bytes if its files are going to be written ``in_place``."""
        voxels = [name for name in state.stats if name not in _TELLS_TIME and not in_place]
        self.store.copy_files([(f"{self.key}/{name}", f"{target}/{name}") for name in voxels])
        for name in state.stats if in_place else _TELLS_TIME:
            if name in state.stats:
                self.store.put(f"{target}/{name}", self.store.get(f"{self.key}/{name}"), durable=False)

    def before_change(self, *, in_place: bool = False) -> None:
        """Called before zarr changes an object: what it leaves is this object's work, of which nobody is told more."""
        if self._is_kept and self.seen is None:
            return
        with self._lock:  # others wait with their chunks until everything is kept
            if not (self._is_kept and self.seen is None):
                with volume_lock(self.store, self.key):
                    self.keep_before_change(in_place=in_place)
                self.seen = None

    def before_deletion(self, prefix: str = "", *, in_place: bool = False) -> None:
        """Called before zarr deletes the whole folder, or a part of it, to write it anew.

        Raises :class:`ConflictError` if somebody else changed the volume since zarr was given it.
        """
        with self._lock, volume_lock(self.store, self.key, always=True):
            state = self.check(overwrite=False)
            if any(name.startswith(f"{prefix}/" if prefix else "") for name in state.stats):
                if not prefix and self.store.moves_folders:
                    self.keep_folder(self.key)
                elif (not prefix or not self._is_kept) and self.store.local_path("") is None:
                    self.keep_copy(state)
                else:
                    self.keep_before_change(in_place=in_place)
            self.seen, self._is_kept = None, True
            self.prune()

    def keep_before_change(self, *, in_place: bool = False) -> None:
        """Keep what is there before this object changes parts of it; the lock on the volume is held.

        Done once, and on a disk only, where both versions share the files that stay.
        """
        if self._is_kept:
            return
        is_local = self.store.local_path("") is not None
        if is_local or self.seen is None:
            state = self.state()
            if self.seen is None:
                self.seen = state.fingerprint
            if is_local and self.keep > 0 and state.has_voxels and state.is_volume:
                self._keep_links(state, in_place=in_place)
        self._is_kept = True

    def _keep_links(self, state: VolumeState, *, in_place: bool) -> None:
        aside = f"{self._folder}/.new-{new_token()}"
        try:
            self._copy(state, aside, in_place=in_place)
            self.store.move(aside, self._next())
        except BaseException:
            self.store.delete_tree(aside)
            raise
        self.prune()

    def wrote_whole(self, fingerprint: int | None) -> None:
        """What is there now is this object's own work, of which every region need not be kept."""
        self.seen, self._is_kept = fingerprint, True

    def delete(self) -> None:
        """Remove the volume; its last state stays in the history."""
        with volume_lock(self.store, self.key, always=True):
            if self.store.moves_folders:
                self.keep_folder(self.key)
            else:
                self.keep_copy(self.state())
            removed_folder(self.store, self.key)
            self.prune()
        self.seen, self._is_kept = 0, False

    def prune(self) -> None:
        """Remove versions beyond those that are to be kept, and what dead processes left in the history.

        On object stores the lock on the volume is held.
        """
        if self.keep < 1:
            return
        folders, _ = self.store.children(self._folder)
        for name in folders:
            token = name.removeprefix(".gone-") if name.startswith(".gone-") else name.removeprefix(".new-")
            if token != name and is_left(token):
                self.store.delete_tree(f"{self._folder}/{name}")
        numbers = self._numbers()
        if not self.store.moves_folders:
            for number in [each for each in numbers if not self._is_whole(each)]:
                numbers.remove(number)
                self._drop(self.version_key(number))
        for number in numbers[: max(0, len(numbers) - self.keep)]:
            self._drop(self.version_key(number))

    def _is_whole(self, number: int) -> bool:
        key = self.version_key(number)
        return any(stat.key[len(key) + 1 :] in _TELLS_TIME for stat in self.store.children(key)[1])

    def _drop(self, key: str) -> None:
        if not self.store.moves_folders:
            removed_folder(self.store, key)
            return
        gone = f"{self._folder}/.gone-{new_token()}"
        with suppress(NotFoundError):  # somebody else is doing it
            self.store.move(key, gone)
            self.store.delete_tree(gone)


def _short(fingerprint: int) -> str:
    return f"{fingerprint:032x}"[:8] if fingerprint else ""


def _sizes(state: VolumeState) -> dict[str, int]:
    return {name: stat.size for name, stat in state.stats.items()}


def _objects(store: Store, key: str) -> Iterator[Stat] | list[Stat]:
    """All objects of a folder; on a server that knows folders only, those of one depth at a time are asked for."""
    if store.lists_keys or store.local_path("") is not None:
        return store.list(key)
    found: list[Stat] = []
    level: Sequence[str] = [key]
    with ThreadPoolExecutor(_AT_A_TIME, "versions") as pool:
        while level:
            below = []
            for parent, (folders, files) in zip(level, pool.map(store.children, level), strict=True):
                found += files
                below += [f"{parent}/{name}" for name in folders]
            level = below
    return found
