"""How a pyramid lies in a store: one object per chunk, or shards of many chunks.

The pyramid comes in blocks. In the first layout (NGFF 0.4, Zarr version 2) a block is a chunk is an object. In the
second (NGFF 0.5, Zarr version 3) a block holds 2×2×2 chunks, and a shard 2×2×2 blocks; along an axis that is not
halved (the sections of a tilt series) all three are the same. Shards are streamed: what is kept of one are the blocks
that came before their turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomoportal.formats.omezarr.chunks import ChunkCodec, chunk_key
from tomoportal.formats.omezarr.crc32c import crc32c
from tomoportal.formats.pyramid import Factors, Pyramid
from tomoportal.formats.volumes import Voxels
from tomoportal.storage import FileRecord, Store, Writer

__all__ = ["ChunkLayout", "Index", "PyramidLayout", "ShardLayout", "write_object"]

_ABSENT = 2**64 - 1

Index: TypeAlias = tuple[int, int, int]


class PyramidLayout(Protocol):
    """Takes the blocks of a pyramid, from any thread and in any order."""

    @property
    def block(self) -> Index:
        """Voxels in a block, ``(z, y, x)``."""
        ...

    @property
    def records(self) -> Sequence[FileRecord]:
        """What was written so far."""
        ...

    def put(self, level: int, index: Index, voxels: Voxels) -> None:
        """Store one block, padded with 0 beyond the edges of the volume. Blocks of nothing but 0 leave no trace."""
        ...

    def abort(self) -> None:
        """Forget what is half written."""
        ...


def write_object(store: Store, key: str, data: bytes) -> FileRecord:
    """Write one object whole, without a flush to disk of its own, and return its record."""
    with store.open_writer(key, durable=False) as writer:
        writer.write(data)
    return writer.record


class ChunkLayout:
    """One object per chunk."""

    def __init__(self, store: Store, prefix: str, chunks: Index, codec: ChunkCodec) -> None:
        self.block = chunks
        self.records: list[FileRecord] = []
        self._store, self._prefix, self._codec = store, prefix, codec
        self._lock = Lock()

    def put(self, level: int, index: Index, voxels: Voxels) -> None:
        if _is_empty(voxels):
            return
        record = write_object(self._store, f"{self._prefix}/{chunk_key(level, index)}", self._codec.encode(voxels))
        with self._lock:
            self.records.append(record)

    def abort(self) -> None:
        """Nothing is half written."""


@dataclass
class _Shard:
    """A shard that still waits for blocks. Blocks are written in C order, whenever they come."""

    key: str
    blocks: int
    entries: NDArray[np.uint64]
    turn: int = 0
    early: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    writer: Writer | None = None
    lock: Lock = field(default_factory=Lock)


class ShardLayout:
    """Shards of many chunks, each with its index at the end (sharding codec of Zarr version 3)."""

    def __init__(self, store: Store, prefix: str, chunks: Index, codec: ChunkCodec, pyramid: Pyramid) -> None:
        self.chunks = chunks
        self.block = _product(chunks, pyramid.factors)
        self.shard = _product(self.block, pyramid.factors)
        self.records: list[FileRecord] = []
        self._store, self._prefix, self._codec = store, prefix, codec
        self._factors = pyramid.factors
        self._per_shard = _product(pyramid.factors, pyramid.factors)
        self._block_counts = [
            [-(-size // block) for size, block in zip(level.shape, self.block, strict=True)] for level in pyramid.levels
        ]
        self._open: dict[tuple[int, Index], _Shard] = {}
        self._lock = Lock()

    def put(self, level: int, index: Index, voxels: Voxels) -> None:
        coded = [] if _is_empty(voxels) else list(self._encoded(index, voxels))
        place, inside, held = self._place(level, index)
        with self._lock:
            shard = self._open.get((level, place))
            if shard is None:
                entries = np.full((int(np.prod(self._per_shard)), 2), _ABSENT, np.uint64)
                key = f"{self._prefix}/{level}/c/{'/'.join(map(str, place))}"
                shard = self._open[level, place] = _Shard(key, int(np.prod(held)), entries)
        with shard.lock:
            shard.early[int(np.ravel_multi_index(inside, held))] = coded
            while shard.turn in shard.early:
                self._append(shard, shard.early.pop(shard.turn))
                shard.turn += 1
            is_complete = shard.turn == shard.blocks
        if is_complete:
            self._finish(shard)
            with self._lock:
                del self._open[level, place]

    def abort(self) -> None:
        for shard in self._open.values():
            if shard.writer is not None:
                shard.writer.abort()
        self._open.clear()

    def _place(self, level: int, index: Index) -> tuple[Index, Index, Index]:
        """The shard of a block, where in it the block lies, and how many blocks the shard holds, by axis."""
        place, inside, held = [], [], []
        for number, factor, count in zip(index, self._factors, self._block_counts[level], strict=True):
            place.append(number // factor)
            inside.append(number % factor)
            held.append(min(factor, count - number // factor * factor))
        return _index(place), _index(inside), _index(held)

    def _encoded(self, index: Index, voxels: Voxels) -> list[tuple[int, bytes]]:
        """The chunks of a block: where each stands in the index of the shard, and its bytes."""
        found = []
        for offset in itertools.product(*(range(factor) for factor in self._factors)):
            box = tuple(
                slice(number * chunk, (number + 1) * chunk) for number, chunk in zip(offset, self.chunks, strict=True)
            )
            chunk = np.ascontiguousarray(voxels[box])
            if not _is_empty(chunk):
                inside = [
                    number % factor * factor + part
                    for number, factor, part in zip(index, self._factors, offset, strict=True)
                ]
                found.append((int(np.ravel_multi_index(inside, self._per_shard)), self._codec.encode(chunk)))
        return found

    def _append(self, shard: _Shard, coded: list[tuple[int, bytes]]) -> None:
        for place, data in coded:
            if shard.writer is None:
                shard.writer = self._store.open_writer(shard.key, durable=False)
            shard.entries[place] = shard.writer.size, len(data)
            shard.writer.write(data)

    def _finish(self, shard: _Shard) -> None:
        if shard.writer is None:
            return
        index = shard.entries.astype("<u8").tobytes()
        shard.writer.write(index + crc32c(index).to_bytes(4, "little"))
        shard.writer.close()
        with self._lock:
            self.records.append(shard.writer.record)


def _is_empty(voxels: Voxels) -> bool:
    """Whether all voxels are the fill value, 0 (not −0.0, which has a bit of its own)."""
    return not (voxels[0, 0].view(np.uint8).any() or voxels.view(np.uint8).any())


def _product(sizes: Index, factors: Factors) -> Index:
    return _index([size * factor for size, factor in zip(sizes, factors, strict=True)])


def _index(values: Sequence[int]) -> Index:
    z, y, x = values
    return z, y, x
