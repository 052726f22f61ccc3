"""The objects of a Zarr folder; where a store cannot be listed (files over HTTP), those that its metadata imply."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tomoportal.copick.volume_folders import METADATA
from tomoportal.copick.zarr_folders import ZarrFolder
from tomoportal.errors import NotFoundError, StorageError
from tomoportal.storage import Store

__all__ = ["names_below", "names_in"]

_AT_A_TIME: Final = 8


def names_below(store: Store, key: str) -> list[str]:
    """All objects below the folder ``key``, at any depth, by their names there."""
    try:
        return [stat.key[len(key) + 1 :] for stat in store.list(key)]
    except NotFoundError:
        raise
    except StorageError:
        return _there(store, key, _implied(store, key))


def names_in(store: Store, key: str, path: str = "") -> list[str]:
    """Folders and objects directly in the folder ``path`` of the folder ``key``, sorted."""
    try:
        folders, files = store.children(f"{key}/{path}" if path else key)
        return sorted([*folders, *(stat.key.rpartition("/")[2] for stat in files)])
    except NotFoundError:
        raise
    except StorageError:
        levels = [] if path else [level for level in ZarrFolder(store, key, key, read_only=True).paths() if level]
        if levels:  # that they are there needs no look at their chunks
            return sorted({*(level.partition("/")[0] for level in levels), *_there(store, key, METADATA)})
        start = f"{path}/" if path else ""
        below = (name for name in _implied(store, key) if name.startswith(start))
        return sorted({name[len(start) :].partition("/")[0] for name in _there(store, key, below)})


def _there(store: Store, key: str, names: Iterable[str]) -> list[str]:
    listed = list(names)
    with ThreadPoolExecutor(_AT_A_TIME, "keys") as pool:
        exist = pool.map(lambda name: store.exists(f"{key}/{name}"), listed)
        return [name for name, is_there in zip(listed, exist, strict=True) if is_there]


def _implied(store: Store, key: str) -> Iterator[str]:
    folder = ZarrFolder(store, key, key, read_only=True)
    paths = folder.paths()
    for path in dict.fromkeys(["", *paths]):
        below = f"{path}/" if path else ""
        yield from (below + each for each in (*METADATA, ".zarray"))
        if path in paths:
            array = folder.array(path)
            sharding = array.description.sharding
            edges = array.chunks if sharding is None else sharding.shape
            grid = (range(-(-size // edge)) for size, edge in zip(array.shape, edges, strict=True))
            yield from (below + array.description.object_key(index) for index in itertools.product(*grid))
