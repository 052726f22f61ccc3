"""A Zarr array in a store, read box by box."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError, NotFoundError
from tomoportal.formats.omezarr.crc32c import crc32c
from tomoportal.formats.omezarr.description import (
    LONGEST_DOCUMENT,
    ArrayDescription,
    Sharding,
    describe_array,
    load_document,
)
from tomoportal.formats.volumes import Voxels
from tomoportal.storage import Store

__all__ = ["ZarrArray", "read_document"]

_KEPT_INDEXES = 16
_ABSENT = 2**64 - 1


def read_document(store: Store, key: str) -> dict[str, Any] | None:
    """A JSON document of a Zarr hierarchy, None if there is none. Raises :class:`FormatError`."""
    try:
        data = store.get_range(key, 0, LONGEST_DOCUMENT + 1)
    except NotFoundError:
        return None
    return load_document(data, key)


class ZarrArray:
    """An array of Zarr version 2 or 3; only the chunks that a box touches are read, one at a time."""

    def __init__(self, store: Store, key: str, document: dict[str, Any], name: str) -> None:
        self.name = name
        self.description: ArrayDescription = describe_array(document, name)
        self.shape, self.dtype = self.description.shape, self.description.dtype
        self.chunks = self.description.decoder.shape
        self._store, self._key = store, key
        self._indexes: OrderedDict[str, NDArray[np.uint64] | None] = OrderedDict()
        self._lock = Lock()

    def read(self, box: Sequence[slice]) -> Voxels:
        """The voxels of a box: one slice with whole numbers and step 1 per axis."""
        starts = [each.start for each in box]
        stops = [each.stop for each in box]
        out = np.empty([stop - start for start, stop in zip(starts, stops, strict=True)], self.dtype)
        if out.size == 0:
            return out
        ranges = [
            range(start // chunk, -(-stop // chunk))
            for start, stop, chunk in zip(starts, stops, self.chunks, strict=True)
        ]
        for index in itertools.product(*ranges):
            origin = [number * chunk for number, chunk in zip(index, self.chunks, strict=True)]
            inside, target = [], []
            for first, chunk, start, stop in zip(origin, self.chunks, starts, stops, strict=True):
                low, high = max(first, start), min(first + chunk, stop)
                inside.append(slice(low - first, high - first))
                target.append(slice(low - start, high - start))
            found = self._part(index, inside)
            out[tuple(target)] = self.description.fill if found is None else found
        return out

    def _object_key(self, index: tuple[int, ...]) -> str:
        name = self.description.object_key(index)
        return f"{self._key}/{name}" if self._key else name

    def _part(self, index: tuple[int, ...], inside: Sequence[slice]) -> Voxels | None:
        """The voxels of a part of a chunk, None if it is not stored."""
        decoder = self.description.decoder
        place = self._place(index)
        if place is None:
            return None
        key, offset, length = place

        def read(start: int, size: int) -> bytes:
            end = size if length is None else min(size, length - start)
            return self._store.get_range(key, offset + start, end) if offset < 2**63 else b""

        try:
            part = decoder.decode_part(inside, read, key)
            if part is not None:
                return part
            data = read(0, decoder.longest + 1)
        except NotFoundError:
            return None
        if len(data) > decoder.longest:
            raise _too_long(key)
        if length is not None and len(data) != length:
            raise FormatError(
                "its index points beyond its end", where=key, fix="copy the file again; it is cut off or damaged"
            )
        return decoder.decode(data, key)[tuple(inside)]

    def _place(self, index: tuple[int, ...]) -> tuple[str, int, int | None] | None:
        """The object that holds a chunk, its offset, and its length if that is known; None if it is not stored."""
        decoder, sharding = self.description.decoder, self.description.sharding
        if sharding is None:
            return self._object_key(index), 0, None
        counts = [shard // chunk for shard, chunk in zip(sharding.shape, self.chunks, strict=True)]
        shard = tuple(number // count for number, count in zip(index, counts, strict=True))
        key = self._object_key(shard)
        entries = self._index(key, math.prod(counts), sharding)
        if entries is None:
            return None
        place = 0
        for number, count in zip(index, counts, strict=True):
            place = place * count + number % count
        offset, length = (int(each) for each in entries[place])
        if offset == length == _ABSENT:
            return None
        if length > decoder.longest:
            raise _too_long(key)
        return key, offset, length

    def _index(self, key: str, count: int, sharding: Sharding) -> NDArray[np.uint64] | None:
        """The ``(chunks, 2)`` offsets and lengths of a shard, None if there is no such shard."""
        with self._lock:
            if key in self._indexes:
                self._indexes.move_to_end(key)
                return self._indexes[key]
        entries = self._read_index(key, count, sharding)
        with self._lock:
            self._indexes[key] = entries
            while len(self._indexes) > _KEPT_INDEXES:
                self._indexes.popitem(last=False)
        return entries

    def _read_index(self, key: str, count: int, sharding: Sharding) -> NDArray[np.uint64] | None:
        size = 16 * count + (4 if sharding.index_checksum else 0)
        try:
            start = 0 if sharding.index_first else max(0, self._store.stat(key).size - size)
            data = self._store.get_range(key, start, size)
        except NotFoundError:
            return None
        if len(data) != size or (sharding.index_checksum and crc32c(data[:-4]) != int.from_bytes(data[-4:], "little")):
            raise FormatError(
                "the index of the shard is cut off or has a wrong checksum", where=key, fix="copy the file again"
            )
        return np.frombuffer(data, sharding.index_dtype, 2 * count).astype(np.uint64).reshape(count, 2)


def _too_long(key: str) -> FormatError:
    return FormatError(
        "the chunk is longer than any encoding of its voxels", where=key, fix="copy the file again; it is damaged"
    )
