"""A Zarr folder of a project: read by our own reader, written by :mod:`.pyramids`, handed to others as a Zarr store.

Arrays are in the order ``(…, z, y, x)``; slices are named x, y, z. Any level names, chunks and versions of Zarr are
read; a region touches only its chunks (C67).
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tomoportal.copick.pyramids import Array, Reduction, group_document_3, halved, pad_chunk
from tomoportal.copick.volume_folders import is_being_replaced, removed_folder, volume_lock
from tomoportal.copick.volumes import ALL
from tomoportal.errors import (
    AnnotationError,
    ConflictError,
    FormatError,
    MissingPartError,
    NotFoundError,
    ReadOnlyError,
    UnknownLevelError,
)
from tomoportal.formats.omezarr.array import ZarrArray, read_document
from tomoportal.formats.omezarr.chunks import ChunkCodec
from tomoportal.storage import Store

if TYPE_CHECKING:
    from tomoportal.copick.volume_versions import VolumeVersions

__all__ = ["Box", "ZarrFolder", "free_memory"]

Box = Sequence[slice | int]
_MEMINFO: Final = Path("/proc/meminfo")
_PAUSES: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Seconds before a volume is looked for again whose old folder was renamed and whose new one was not yet."""
_REQUESTS: Final = 8  # chunks fetched at a time from an object store; on a disk more threads only cost memory


class ZarrFolder:
    """The folder ``key`` of a store. ``where`` is its full address, for messages."""

    def __init__(
        self,
        store: Store,
        key: str,
        where: str,
        *,
        read_only: bool,
        zarr_format: int = 2,
        versions: VolumeVersions | None = None,
    ) -> None:
        self.store, self.key, self.where, self.read_only = store, key, where, read_only
        self.zarr_format, self.versions = zarr_format, versions

    @property
    def _threads(self) -> int:
        return _REQUESTS if self.store.local_path("") is None else os.cpu_count() or 1

    # --- what is in it

    def paths(self) -> list[str]:
        """The arrays from the finest to the coarsest, below the folder; ``""`` if the folder is an array."""
        attributes = read_document(self.store, f"{self.key}/.zattrs") or {}
        document = read_document(self.store, f"{self.key}/zarr.json")
        if document is not None:
            if document.get("node_type") == "array":
                return [""]
            found = document.get("attributes")
            attributes = found if isinstance(found, dict) else {}
            attributes = attributes.get("ome", attributes)
        elif self.store.exists(f"{self.key}/.zarray"):
            return [""]
        try:
            return [str(each["path"]).strip("/") for each in attributes["multiscales"][0]["datasets"]]
        except (KeyError, IndexError, TypeError):
            folders, _ = self.store.children(self.key)
            return [name for name in folders if self._document(name) is not None]

    def is_empty(self) -> bool:
        """Whether no array is stored: just made, or never finished."""
        return not any(self._document(path) is not None for path in self.paths())

    def array(self, level: str | None) -> ZarrArray:
        """The array of a level, by its path or its number. Raises :class:`UnknownLevelError`."""
        found = self._array(level)
        for pause in _PAUSES if found is None and self.store.moves_folders else ():
            was_swapped = is_being_replaced(self.store, self.key)
            found = self._array(level)  # it may be there since
            if found is not None or not (was_swapped or is_being_replaced(self.store, self.key)):
                break
            time.sleep(pause)
        if found is not None:
            return found
        wanted, paths = "0" if level is None else str(level), self.paths()
        known = ", ".join(path or "(the folder itself)" for path in paths) or "none"
        raise UnknownLevelError(
            f"File not found: {self.where}: there is no level {wanted!r}.",
            fix=f"levels are: {known}; a volume without levels was never filled or not finished: write it again",
        )

    def _array(self, level: str | None) -> ZarrArray | None:
        wanted = "0" if level is None else str(level)
        paths = self.paths()
        for path in dict.fromkeys([wanted, *(paths[int(wanted) : int(wanted) + 1] if wanted.isdigit() else [])]):
            document = self._document(path)
            if document is not None:
                return ZarrArray(self.store, self._join(path), document, self.where)
        return None

    def _document(self, path: str) -> dict[str, Any] | None:
        folder = self._join(path)
        found = read_document(self.store, f"{folder}/.zarray")
        if found is not None and "shape" not in found:  # not to be taken for missing: a coarser level would be read
            raise FormatError("the metadata name no shape", where=f"{folder}/.zarray", fix="copy the file again")
        found = found or read_document(self.store, f"{folder}/zarr.json")
        return found if found is not None and "shape" in found else None

    def _join(self, path: str) -> str:
        return f"{self.key}/{path}" if path else self.key

    # --- reading

    def read(self, level: str | None, box: Box | None) -> Array:
        """The voxels of a region; slices in the order of the axes, fewer than axes mean all of the first ones.

        Raises :class:`AnnotationError` if they do not fit into the free memory.
        """
        array = self.array(level)
        given = _full(box, len(array.shape))
        whole, after = _normalised(given, array.shape)
        size = int(np.prod([part.stop - part.start for part in whole], dtype=object)) * array.dtype.itemsize
        free = free_memory()
        if free is not None and size > free:
            raise AnnotationError(
                f"Requested region does not fit in memory. Requested: {size}, Available: {free}.",
                where=self.where,
                fix="ask for a smaller region or a coarser level",
            )
        found = _read(array, whole, self._threads)
        return found[after] if any(part != ALL for part in after) else found

    # --- writing

    def set_region(self, level: str | None, box: Box | None, data: Any, reduction: Reduction | None) -> None:
        """Write a region of a level, and what follows from it in coarser ones unless ``reduction`` is None (C8)."""
        array = self.array(level)
        given = _full(box, len(array.shape))
        whole, after = _normalised(given, array.shape)
        if any(isinstance(part, slice) and part.step not in (None, 1) for part in after):
            raise AnnotationError("Regions are written with step 1.", where=self.where, fix="write each part alone")
        shape = [part.stop - part.start for part in whole]
        values = np.asarray(data)
        single = [axis for axis, part in enumerate(given) if not isinstance(part, slice)]
        if values.ndim == len(shape) - len(single):
            values = np.expand_dims(values, single)
        try:
            values = np.broadcast_to(values, shape)
        except ValueError as error:
            raise AnnotationError(
                f"Data of the shape {values.shape} do not fit a region of {tuple(shape)}.", where=self.where
            ) from error
        with volume_lock(self.store, self.key):  # two regions may share a chunk
            now = self.array(level)
            if (now.shape, now.chunks, now.dtype) != (array.shape, array.chunks, array.dtype):
                what = "Somebody else has just replaced the volume by one of another kind."
                raise ConflictError(what, where=self.where, fix="look at it, and write the region again")
            if self.versions is not None:
                self.versions.keep_before_change()
            self._write_down(array, whole, values, reduction)

    def _write_down(self, array: ZarrArray, whole: list[slice], values: Array, reduction: Reduction | None) -> None:
        self._write_box(array, whole, values)
        if reduction is None:
            return
        paths = self.paths()
        place = array._key.removeprefix(self.key).strip("/")
        start = paths.index(place) if place in paths else len(paths)
        for path in paths[start + 1 :]:
            coarse = self.array(path)
            whole = self._pass_down(array, whole, coarse, reduction)
            array = coarse

    def _pass_down(self, fine: ZarrArray, box: list[slice], coarse: ZarrArray, reduction: Reduction) -> list[slice]:
        lower, upper = list(box), list(box)
        for axis in range(len(box) - 3, len(box)):
            size = coarse.shape[axis]
            first = min(box[axis].start // 2, size)
            last = min(-(-box[axis].stop // 2), size)
            lower[axis] = slice(first, last)
            upper[axis] = slice(2 * first, min(2 * last, fine.shape[axis]))
        if any(part.stop <= part.start for part in lower):
            return lower
        values = halved(_read(fine, upper, self._threads), reduction)
        self._write_box(coarse, lower, values[tuple(slice(0, part.stop - part.start) for part in lower)])
        return lower

    def _write_box(self, array: ZarrArray, box: Sequence[slice], values: Array) -> None:
        versions, start = self.versions, len(self.key) + 1
        for key, old, new in _written(self.store, array, box, values, with_old=versions is not None):
            if versions is not None:
                versions.wrote(key[start:], old, new)

    # --- for others

    def store_for_zarr(self) -> Any:
        """What the installed zarr opens: a ``Store`` of zarr 3, an ``FSStore``-like mapping of zarr 2."""
        try:
            import zarr
        except ImportError as error:
            raise MissingPartError(
                "the package zarr is not installed", where=self.where, fix="pip install 'tomoportal[copick]'"
            ) from error
        path = self.store.local_path(self.key)
        if int(zarr.__version__.partition(".")[0]) < 3:
            from tomoportal.copick.zarr2_store import mapping

            return mapping(self.store, self.key, self.where, read_only=self.read_only, versions=self.versions)
        from tomoportal.copick.zarr3_store import KeyStore, WatchedStore

        if path is None:
            return KeyStore(self.store, self.key, read_only=self.read_only, versions=self.versions)
        if self.versions is not None:
            return WatchedStore(path, read_only=self.read_only, versions=self.versions)
        return zarr.storage.LocalStore(path, read_only=self.read_only)

    def make(self) -> None:
        """The empty folder. Object stores have no folders, so that there it gets empty attributes (C29).

        They do not decide whether a group or an array will be there: zarr makes either where it finds neither.
        """
        path = self.store.local_path(self.key)
        if self.zarr_format == 3:
            if not any(self.store.exists(f"{self.key}/{name}") for name in ("zarr.json", ".zgroup", ".zattrs")):
                self.store.put(f"{self.key}/zarr.json", group_document_3())
        elif path is None:
            with suppress(ConflictError):  # somebody else has just made it, and maybe filled it
                self.store.put(f"{self.key}/.zattrs", b"{}", if_absent=True)
        else:
            path.mkdir(parents=True, exist_ok=True)

    def delete(self, what: str) -> None:
        if self.read_only:
            raise ReadOnlyError(f"Cannot delete {what} in a read-only source.", where=self.where)
        if self.versions is not None:
            self.versions.delete()
        else:
            removed_folder(self.store, self.key)


def _full(box: Box | None, axes: int) -> list[slice | int]:
    parts = list(box or ())
    if len(parts) > axes:
        raise AnnotationError(f"The array has {axes} axes, the region {len(parts)}.", fix="leave some slices out")
    return [*([ALL] * (axes - len(parts))), *parts]


def _normalised(box: Sequence[slice | int], shape: Sequence[int]) -> tuple[list[slice], tuple[Any, ...]]:
    """Slices with whole numbers and step 1, and what is to be taken of what they give."""
    whole: list[slice] = []
    after: list[Any] = []
    for part, size in zip(box, shape, strict=True):
        if isinstance(part, slice):
            start, stop, step = part.indices(size)
            if step < 0:
                start, stop = stop + 1, start + 1
                whole.append(slice(min(max(start, 0), max(stop, 0)), max(stop, 0)))
                after.append(slice(None, None, step))
            else:
                whole.append(slice(start, max(start, stop)))
                after.append(ALL if step == 1 else slice(None, None, step))
        else:
            place = int(part) + (size if part < 0 else 0)
            if not 0 <= place < size:
                raise AnnotationError(f"There is no index {part} on an axis of {size}.")
            whole.append(slice(place, place + 1))
            after.append(0)
    return whole, tuple(after)


def _parts(array: ZarrArray, box: Sequence[slice]) -> list[list[slice]]:
    """The region divided at the borders of chunks."""
    axes = []
    for part, chunk in zip(box, array.chunks, strict=True):
        starts = range(part.start // chunk * chunk, part.stop, chunk) if part.stop > part.start else range(0)
        axes.append([slice(max(start, part.start), min(start + chunk, part.stop)) for start in starts])
    return [list(each) for each in itertools.product(*axes)]


def _read(array: ZarrArray, box: Sequence[slice], threads: int) -> Array:
    parts = _parts(array, box)
    if len(parts) < 2:
        return array.read(box)
    out = np.empty([part.stop - part.start for part in box], array.dtype)

    def read(part: list[slice]) -> None:
        target = tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(part, box, strict=True))
        out[target] = array.read(part)

    with ThreadPoolExecutor(min(threads, len(parts)), "chunks") as pool:
        for _ in pool.map(read, parts):
            pass
    return out


def _written(
    store: Store, array: ZarrArray, box: Sequence[slice], values: Array, *, with_old: bool
) -> Iterator[tuple[str, str | None, str]]:
    """Write a region; of each chunk its key, the version that was there (looked up if asked for) and the new one."""
    compressor, dtype = _encoding(store, array)
    checked = values.astype(dtype, copy=False)

    def write(part: list[slice]) -> tuple[str, str | None, str]:
        index = tuple(p.start // chunk for p, chunk in zip(part, array.chunks, strict=True))
        origin = [n * chunk for n, chunk in zip(index, array.chunks, strict=True)]
        held = [
            slice(start, min(start + chunk, size))
            for start, chunk, size in zip(origin, array.chunks, array.shape, strict=True)
        ]
        key, old = f"{array._key}/{array.description.object_key(index)}", None
        if with_old:
            with suppress(NotFoundError):
                old = store.stat(key).etag
        new = checked[tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(part, box, strict=True))]
        if held != part:
            block = array.read(held)
            block[tuple(slice(p.start - o, p.stop - o) for p, o in zip(part, origin, strict=True))] = new
            new = block
        padded = pad_chunk(new, array.chunks, dtype)
        data = padded.tobytes() if compressor is None else ChunkCodec(compressor).encode(padded)
        return key, old, store.put(key, data)

    with ThreadPoolExecutor(os.cpu_count() or 1, "chunks") as pool:
        yield from pool.map(write, _parts(array, box))


def _encoding(store: Store, array: ZarrArray) -> tuple[dict[str, Any] | None, np.dtype[Any]]:
    """How chunks of an array are compressed and in which type they are stored. Raises :class:`FormatError`."""
    if store.exists(f"{array._key}/.zarray"):
        document = json.loads(store.get(f"{array._key}/.zarray"))
        if document.get("order") == "C" and not document.get("filters"):
            return document["compressor"], np.dtype(document["dtype"])
    elif store.exists(f"{array._key}/zarr.json"):
        document = json.loads(store.get(f"{array._key}/zarr.json"))
        order, *rest = document["codecs"]
        is_little = order == {"configuration": {"endian": "little"}, "name": "bytes"}
        dtype = np.dtype(document["data_type"])
        if (is_little or (order.get("name") == "bytes" and dtype.itemsize == 1)) and len(rest) < 2:
            settings = dict(rest[0]["configuration"]) if rest else {}
            known = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
            if not rest:
                return None, dtype
            if rest[0]["name"] in ("blosc", "zstd"):
                settings.pop("typesize", None)
                settings.pop("checksum", None)
                if "shuffle" in settings:
                    settings["shuffle"] = known[settings["shuffle"]]
                return {"id": rest[0]["name"], **settings}, dtype.newbyteorder("<")
    raise FormatError(
        "regions are written only into arrays in C order whose chunks are no shards and compressed with blosc or zstd",
        where=array.name,
        fix="write the whole volume with from_numpy, or use .zarr() and the zarr package",
    )


def free_memory() -> int | None:
    """Bytes that can be had without swapping, where the system says so."""
    if not _MEMINFO.exists():
        return None
    for line in _MEMINFO.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
