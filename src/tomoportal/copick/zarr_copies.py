"""Zarr folders from one store to another, key by key: type, chunks and levels stay as they are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tomoportal.copick.volume_folders import METADATA, replaced_folder
from tomoportal.copick.zarr_keys import names_below
from tomoportal.errors import AnnotationError
from tomoportal.storage import Store
from tomoportal.storage.base import sha256_of

if TYPE_CHECKING:
    from tomoportal.copick.volume_versions import VolumeVersions

__all__ = ["copy_folder", "same_folder"]

_AT_A_TIME = 8


def copy_folder(
    source: Store,
    source_key: str,
    target: Store,
    target_key: str,
    versions: VolumeVersions | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Replace the folder ``target_key`` by a copy, its metadata last; the old content stays until then (C7).

    ``versions`` are those of the target, as of :func:`.replaced_folder`. Raises :class:`AnnotationError` if both are
    the same folder.
    """
    one, other = source.local_path(source_key), target.local_path(target_key)
    if one is not None and other is not None and one.resolve() == other.resolve():
        raise AnnotationError("Source and target are the same folder.", where=str(one))

    def fill(place: Store, key: str) -> None:
        def write(name: str) -> None:
            with place.open_writer(f"{key}/{name}", durable=False) as writer:
                for piece in source.chunks(f"{source_key}/{name}"):
                    writer.write(piece)

        names = names_below(source, source_key)
        with ThreadPoolExecutor(_AT_A_TIME, "copy") as pool:
            for _ in pool.map(write, (name for name in names if name not in METADATA)):
                pass
        for name in names:
            if name in METADATA:
                write(name)
        place.sync(key)

    replaced_folder(target, target_key, fill, versions, overwrite=overwrite)


def same_folder(source: Store, source_key: str, target: Store, target_key: str) -> bool:
    """Whether two folders hold the same objects with the same bytes."""
    mine, theirs = names_below(source, source_key), names_below(target, target_key)
    sizes = ((source.stat(f"{source_key}/{name}").size, target.stat(f"{target_key}/{name}").size) for name in mine)
    return (
        set(mine) == set(theirs)
        and all(one == other for one, other in sizes)
        and all(
            sha256_of(source, f"{source_key}/{name}").sha256 == sha256_of(target, f"{target_key}/{name}").sha256
            for name in mine
        )
    )
