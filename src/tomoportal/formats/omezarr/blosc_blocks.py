"""A part of a Blosc buffer without the rest: only the blocks that it lies in are read and decompressed.

A buffer of c-blosc 1 is a header of 16 bytes (format version, version of the codec, flags, size of elements, then as
32-bit numbers the decoded size, the decoded size of a block, the encoded size), the offsets of the blocks, and the
blocks in any order. They do not depend on one another, so that some of them behind a header of their own are a buffer.
Where nothing can be compressed, the bytes follow the header as they are.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

__all__ = ["HEAD", "BloscBlocks"]

HEAD: Final = 4096
"""Bytes that hold the header and the offsets of a thousand blocks."""

_HEADER: Final = struct.Struct("<4B3I")
_VERSION: Final = 2
_COPIED: Final = 2  # the flag of a buffer that holds its bytes as they are


@dataclass(frozen=True)
class BloscBlocks:
    """Where the blocks of one buffer lie, and what is in them."""

    header: tuple[int, int, int, int]
    size: int
    """Decoded bytes of all."""
    block: int
    """Decoded bytes of a block; the last one may be shorter."""
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, head: bytes | memoryview, size: int) -> BloscBlocks | None:
        """From the first bytes of a buffer that has ``size`` decoded bytes.

        None if it is to be decoded as a whole. Raises :class:`ValueError` if it claims another size.
        """
        if len(head) < _HEADER.size:
            raise ValueError("the header is cut off")
        *header, claimed, block, stored = _HEADER.unpack_from(head)
        if claimed != size:
            raise ValueError(f"the header claims {claimed} bytes, not {size}")
        count = -(-size // block) if block else 0
        if header[0] != _VERSION or count < 2:
            return None
        if header[2] & _COPIED:
            starts = _HEADER.size + block * np.arange(count, dtype=np.int64)
            ends = np.minimum(starts + block, _HEADER.size + size)
        else:
            first = _HEADER.size + 4 * count
            if first > min(len(head), stored):
                return None
            starts = np.frombuffer(head, "<i4", count, _HEADER.size).astype(np.int64)
            if starts.min() < first or starts.max() >= stored:
                raise ValueError("the header points outside of its own bytes")
            order = np.argsort(starts)
            ends = np.empty_like(starts)
            ends[order] = np.append(starts[order][1:], stored)
        return cls((header[0], header[1], header[2], header[3]), size, block, starts, ends)

    def blocks(self, start: int, stop: int) -> range:
        """The blocks that hold decoded bytes ``start … stop``, two of them at least where the last is a short one."""
        last = -(-stop // self.block)
        first = start // self.block
        is_short = last == len(self.starts) and self.size % self.block
        return range(min(first, last - 2) if is_short else first, last)

    def place(self, blocks: range) -> tuple[int, int]:
        """Offset and length of what holds these blocks in the buffer."""
        start = int(self.starts[blocks.start : blocks.stop].min())
        return start, int(self.ends[blocks.start : blocks.stop].max()) - start

    def decoded(self, blocks: range, stored: bytes | memoryview) -> memoryview:
        """The decoded bytes of these blocks, from the bytes at :meth:`place`. Raises :class:`ValueError`."""
        offset, length = self.place(blocks)
        if len(stored) != length:
            raise ValueError(f"it ends {length - len(stored)} bytes before a block of it does")
        chosen = slice(blocks.start, blocks.stop)
        if self.header[2] & _COPIED:
            return memoryview(stored)
        size = min(blocks.stop * self.block, self.size) - blocks.start * self.block
        shift = _HEADER.size + 4 * len(blocks)
        header = _HEADER.pack(*self.header, size, self.block, shift + length)
        room = np.empty(size, np.uint8)
        starts = (self.starts[chosen] - offset + shift).astype("<i4").tobytes()
        try:
            blosc.decompress(b"".join([header, starts, stored]), room)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        return room.data
