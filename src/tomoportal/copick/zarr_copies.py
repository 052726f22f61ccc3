"""Zarr folders from one store to another, key by key: type, chunks and levels stay as they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tomoportal.copick.pyramids import replaced_folder
from tomoportal.copick.zarr_folders import ZarrFolder
from tomoportal.errors import AnnotationError, NotFoundError, StorageError
from tomoportal.storage import Store
from tomoportal.storage.base import sha256_of

__all__ = ["copy_folder", "same_folder"]

_METADATA = (".zattrs", ".zgroup", "zarr.json")
_AT_A_TIME = 8


def copy_folder(source: Store, source_key: str, target: Store, target_key: str) -> None:
    """Replace the folder ``target_key`` by a copy, its metadata last; the old content stays until then (C7).

    Raises :class:`AnnotationError` if both are the same folder.
    """
    one, other = source.local_path(source_key), target.local_path(target_key)
    if one is not None and other is not None and one.resolve() == other.resolve():
        raise AnnotationError("Source and target are the same folder.", where=str(one))

    def fill(place: Store, key: str) -> None:
        def write(name: str) -> None:
            with place.open_writer(f"{key}/{name}", durable=False) as writer:
                for piece in source.chunks(f"{source_key}/{name}"):
                    writer.write(piece)

        names = _names(source, source_key)
        with ThreadPoolExecutor(_AT_A_TIME, "copy") as pool:
            for _ in pool.map(write, (name for name in names if name not in _METADATA)):
                pass
        for name in names:
            if name in _METADATA:
                write(name)
        place.sync(key)

    replaced_folder(target, target_key, fill)


def same_folder(source: Store, source_key: str, target: Store, target_key: str) -> bool:
    """Whether two folders hold the same objects with the same bytes."""
    mine, theirs = _names(source, source_key), _names(target, target_key)
    sizes = ((source.stat(f"{source_key}/{name}").size, target.stat(f"{target_key}/{name}").size) for name in mine)
    return (
        set(mine) == set(theirs)
        and all(one == other for one, other in sizes)
        and all(
            sha256_of(source, f"{source_key}/{name}").sha256 == sha256_of(target, f"{target_key}/{name}").sha256
            for name in mine
        )
    )


def _names(store: Store, key: str) -> list[str]:
    """The objects below a folder; where a store cannot be listed (files over HTTP), those that its metadata imply."""
    try:
        return [stat.key[len(key) + 1 :] for stat in store.list(key)]
    except NotFoundError:
        raise
    except StorageError:
        return list(_implied(store, key))


def _implied(store: Store, key: str) -> Iterator[str]:
    folder = ZarrFolder(store, key, key, read_only=True)
    for path in dict.fromkeys(["", *folder.paths()]):
        below = f"{path}/" if path else ""
        yield from (name for each in (*_METADATA, ".zarray") if store.exists(f"{key}/{(name := below + each)}"))
        if path or folder.paths() == [""]:
            array = folder.array(path)
            sharding = array.description.sharding
            edges = array.chunks if sharding is None else sharding.shape
            grid = (range(-(-size // edge)) for size, edge in zip(array.shape, edges, strict=True))
            names = (below + array.description.object_key(index) for index in itertools.product(*grid))
            yield from (name for name in names if store.exists(f"{key}/{name}"))
