"""Neuroglancer's ``uint64_sharded_v1``: many small values in one file, found by id with two range requests.

One shard, identity hash, 1,024 minishards: the file begins with 1,024 pairs (begin, end) of uint64 that point to the
minishard indices, behind them the values, then the indices; offsets count from the end of the first part. Values and
indices are gzip members (format: neuroglancer, datasource/precomputed/sharded.md).

The members hold stored (uncompressed) deflate blocks made by NumPy: values of 24 to 48 bytes do not shrink, 20,000
compressor objects would cost a quarter of a second, and compressed bytes would depend on the zlib at hand.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MINISHARD_BITS", "SHARDING", "pack_shard"]

MINISHARD_BITS = 10

SHARDING: dict[str, Any] = {
    "@type": "neuroglancer_uint64_sharded_v1",
    "preshift_bits": 0,
    "hash": "identity",
    "minishard_bits": MINISHARD_BITS,
    "shard_bits": 0,
    "minishard_index_encoding": "gzip",
    "data_encoding": "gzip",
}
"""The ``sharding`` member of an ``info`` document for the files that ``pack_shard`` makes."""

# Magic, deflate, no flags, time 0, no level, unknown system; then one final stored block.
_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF, 1])
_OVERHEAD = len(_HEADER) + 4 + 8
_BLOCK = 0xFFFF


def pack_shard(ids: NDArray[np.uint64], values: NDArray[np.uint8]) -> bytes:
    """The shard of values (n, size) uint8 with distinct ids (n,); ``size`` at most 65,535 bytes."""
    count = 1 << MINISHARD_BITS
    minishards = (ids & np.uint64(count - 1)).astype(np.intp)
    order = np.lexsort((ids, minishards))
    ids, minishards = ids[order], minishards[order]
    members = _gzip_rows(values[order])
    bounds = np.searchsorted(minishards, np.arange(count + 1))
    starts = np.zeros((count, 2), "<u8")
    indices = []
    position = members.size
    for minishard in np.flatnonzero(np.diff(bounds)).tolist():
        first, last = int(bounds[minishard]), int(bounds[minishard + 1])
        index = np.zeros((3, last - first), "<u8")
        index[0] = np.diff(ids[first:last], prepend=np.uint64(0))
        index[1, 0] = first * members.shape[1]  # the values of a minishard follow each other: no gaps after this
        index[2] = members.shape[1]
        indices.append(_gzip_stored(index.tobytes()))
        starts[minishard] = position, position + len(indices[-1])
        position += len(indices[-1])
    return b"".join([starts.tobytes(), members.tobytes(), *indices])


def _gzip_rows(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every row as a gzip member of its own, (n, size + 23)."""
    count, size = values.shape
    if size > _BLOCK:
        raise ValueError(f"a stored block holds at most {_BLOCK} bytes, not {size}")
    rows = np.empty((count, size + _OVERHEAD), np.uint8)
    head = len(_HEADER)
    rows[:, :head] = np.frombuffer(_HEADER, np.uint8)
    rows[:, head : head + 4] = np.array([size, _BLOCK ^ size], "<u2").view(np.uint8)
    rows[:, head + 4 : head + 4 + size] = values
    data = np.ascontiguousarray(values).tobytes()
    sums = np.array([zlib.crc32(data[at : at + size]) for at in range(0, count * size, size)], "<u4")
    rows[:, -8:-4] = sums.view(np.uint8).reshape(-1, 4)
    rows[:, -4:] = np.array([size], "<u4").view(np.uint8)
    return rows


def _gzip_stored(data: bytes) -> bytes:
    """Any bytes as one gzip member of stored blocks."""
    blocks = [data[at : at + _BLOCK] for at in range(0, len(data), _BLOCK)] or [b""]
    parts = [_HEADER[:-1]]
    for number, block in enumerate(blocks, start=1):
        length = len(block)
        parts += [
            bytes([number == len(blocks)]),
            length.to_bytes(2, "little"),
            (_BLOCK ^ length).to_bytes(2, "little"),
            block,
        ]
    parts += [zlib.crc32(data).to_bytes(4, "little"), (len(data) & 0xFFFFFFFF).to_bytes(4, "little")]
    return b"".join(parts)
