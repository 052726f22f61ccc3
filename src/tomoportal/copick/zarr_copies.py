"""Zarr folders from one store to another, key by key: type, chunks and levels stay as they are."""

from __future__ import annotations

from tomoportal.copick.pyramids import replaced_folder
from tomoportal.errors import AnnotationError
from tomoportal.storage import Store
from tomoportal.storage.base import sha256_of

__all__ = ["copy_folder", "same_folder"]

_METADATA = (".zattrs", ".zgroup", "zarr.json")


def copy_folder(source: Store, source_key: str, target: Store, target_key: str) -> None:
    """Replace the folder ``target_key`` by a copy, its metadata last; the old content stays until then (C7).

    Raises :class:`AnnotationError` if both are the same folder.
    """
    one, other = source.local_path(source_key), target.local_path(target_key)
    if one is not None and other is not None and one.resolve() == other.resolve():
        raise AnnotationError("Source and target are the same folder.", where=str(one))

    def fill(place: Store, key: str) -> None:
        names = [stat.key[len(source_key) + 1 :] for stat in source.list(source_key)]
        for name in sorted(names, key=lambda name: name in _METADATA):
            with place.open_writer(f"{key}/{name}", durable=False) as writer:
                for piece in source.chunks(f"{source_key}/{name}"):
                    writer.write(piece)
        place.sync(key)

    replaced_folder(target, target_key, fill)


def same_folder(source: Store, source_key: str, target: Store, target_key: str) -> bool:
    """Whether two folders hold the same objects with the same bytes."""
    mine = {stat.key[len(source_key) + 1 :]: stat.size for stat in source.list(source_key)}
    theirs = {stat.key[len(target_key) + 1 :]: stat.size for stat in target.list(target_key)}
    return mine == theirs and all(
        sha256_of(source, f"{source_key}/{name}").sha256 == sha256_of(target, f"{target_key}/{name}").sha256
        for name in mine
    )
