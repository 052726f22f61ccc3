"""From the bytes of one chunk to its voxels, for every codec that volumes are stored with, in bounded memory.

How large a chunk is, its array says; a codec is only ever given that much room. What a compressed chunk claims about
itself is checked before a byte is allocated, so that a decompression bomb is an error.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numcodecs import blosc, lz4, zstd

from tomoportal.errors import FormatError
from tomoportal.formats.omezarr.blosc_blocks import HEAD, BloscBlocks
from tomoportal.formats.omezarr.crc32c import crc32c
from tomoportal.formats.volumes import Voxels

__all__ = ["ChunkDecoder", "compressor_names", "inflate"]

_BLOSC_HEADER = 16
_CHECKSUM = 4
_LARGE = 1024 * 1024  # decoded bytes; smaller chunks are read by one request
_LZMA_MEMORY = 72 * 1024 * 1024  # the largest preset needs 65 MB

_Octets: TypeAlias = bytes | memoryview
_Inflate: TypeAlias = Callable[[_Octets, int], _Octets]
_Read: TypeAlias = Callable[[int, int], bytes]
"""Bytes of a chunk, by offset and length; fewer at its end."""


@dataclass(frozen=True)
class ChunkDecoder:
    """How the chunks of one array are stored.

    ``shape`` and ``dtype`` are those of a decoded chunk; ``order`` names the axes in the order in which they lie in
    memory; ``compressor`` is one of :func:`compressor_names` or None; ``inner_checksum`` and ``outer_checksum`` say
    whether a CRC-32C follows the bytes before and after compression. ``shuffled`` is the size of elements whose bytes
    stand apart, all first ones before all second ones, or 0.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: tuple[int, ...]
    compressor: str | None = None
    inner_checksum: bool = False
    outer_checksum: bool = False
    shuffled: int = 0

    @property
    def size(self) -> int:
        """Bytes of a decoded chunk."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    @property
    def longest(self) -> int:
        """More bytes than any honest encoding of a chunk has."""
        return self.size + self.size // 64 + 4096

    def decode(self, data: _Octets, where: str) -> Voxels:
        """The voxels of a chunk, axes as the array has them. Raises :class:`FormatError`."""
        if self.outer_checksum:
            data = _checked(data, where)
        size = self.size + (_CHECKSUM if self.inner_checksum else 0)
        data = inflate(self.compressor, data, size, where)
        if self.inner_checksum:
            data = _checked(data, where)
        if self.shuffled > 1:
            data = np.frombuffer(data, np.uint8).reshape(self.shuffled, -1).T.tobytes()
        stored = np.frombuffer(data, self.dtype).reshape([self.shape[axis] for axis in self.order])
        return stored.transpose(np.argsort(self.order))

    def decode_part(self, inside: Sequence[slice], read: _Read, where: str) -> Voxels | None:
        """The voxels of a part of a chunk, of which no more is read and decompressed than the blocks that hold them.

        None if the chunk has to be decoded as a whole, or most of it is asked for. Raises :class:`FormatError`.
        """
        is_plain = self.order == tuple(range(len(self.shape))) and not self.shuffled
        if (
            self.compressor != "blosc"
            or self.size < _LARGE
            or not is_plain
            or self.inner_checksum
            or self.outer_checksum
        ):
            return None
        axis = next(axis for axis, length in enumerate(self.shape) if length > 1)
        rows = inside[axis]
        if 2 * (rows.stop - rows.start) > self.shape[axis]:
            return None
        row = self.size // self.shape[axis]
        start, stop = rows.start * row, rows.stop * row
        try:
            found = BloscBlocks.of(read(0, HEAD), self.size)
            if found is None:
                return None
            blocks = found.blocks(start, stop)
            data = found.decoded(blocks, read(*found.place(blocks)))
        except ValueError as error:
            raise FormatError(
                f"blosc cannot decompress it: {error}", where=where, fix="copy the file again; this one is damaged"
            ) from error
        first = start - blocks.start * found.block
        shape = [*self.shape[:axis], rows.stop - rows.start, *self.shape[axis + 1 :]]
        stored = np.frombuffer(data[first : first + stop - start], self.dtype).reshape(shape)
        return stored[(*inside[:axis], slice(None), *inside[axis + 1 :])]


def inflate(compressor: str | None, data: _Octets, size: int, where: str) -> _Octets:
    """Exactly ``size`` bytes, decompressed from ``data``; nothing larger is ever allocated."""
    try:
        found = data if compressor is None else _INFLATE[compressor](data, size)
    except (ValueError, RuntimeError, zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise FormatError(
            f"{compressor} cannot decompress it: {error}", where=where, fix="copy the file again; this one is damaged"
        ) from error
    if len(found) != size:
        raise FormatError(
            f"it holds {len(found)} bytes{' or more' if len(found) > size else ''}, its description says {size}",
            where=where,
            fix="copy the file again; it is cut off, or does not belong to this array",
        )
    return found


def compressor_names() -> tuple[str, ...]:
    """The compressors that can be read."""
    return tuple(_INFLATE)


def _checked(data: _Octets, where: str) -> _Octets:
    """Without the checksum at the end."""
    if len(data) < _CHECKSUM or crc32c(memoryview(data)[:-_CHECKSUM]) != int.from_bytes(data[-_CHECKSUM:], "little"):
        raise FormatError(
            "its checksum (crc32c) is wrong", where=where, fix="copy the file again; this one is damaged or cut off"
        )
    return data[:-_CHECKSUM]


def _blosc(data: _Octets, size: int) -> _Octets:
    if len(data) < _BLOSC_HEADER:
        raise ValueError("the header is cut off")
    claimed, stored = (int.from_bytes(data[start : start + 4], "little") for start in (4, 12))
    if claimed != size or not _BLOSC_HEADER <= stored <= len(data):
        raise ValueError(f"the header claims {claimed} bytes from {stored}, there are {size} from {len(data)}")
    return _into(blosc.decompress, data, size)


def _zstd(data: _Octets, size: int) -> _Octets:
    claimed = _zstd_content_size(data)
    if claimed not in (None, size):
        raise ValueError(f"the header claims {claimed} bytes, not {size}")
    return _into(zstd.decompress, data, size)


def _zstd_content_size(data: _Octets) -> int | None:
    """What the frame header says (RFC 8878, 3.1.1.1); None if nothing, and then the decoder fills its room exactly."""
    if len(data) < 6 or data[:4] != b"\x28\xb5\x2f\xfd":
        raise ValueError("there is no Zstandard frame")
    is_single, width = data[4] >> 5 & 1, 1 << (data[4] >> 6)
    if width == 1 and not is_single:
        return None
    start = 5 + (0 if is_single else 1) + (0, 1, 2, 4)[data[4] & 3]
    return int.from_bytes(data[start : start + width], "little") + (256 if width == 2 else 0)


def _lz4(data: _Octets, size: int) -> _Octets:
    if len(data) < 4 or int.from_bytes(data[:4], "little") != size:
        raise ValueError(f"the header does not claim {size} bytes")
    return _into(lz4.decompress, data, size)


def _into(decompress: Callable[[_Octets, Voxels], object], data: _Octets, size: int) -> _Octets:
    """Let a decoder fill exactly ``size`` bytes, which the data were checked to claim; more does not fit."""
    room = np.empty(size, np.uint8)
    decompress(data, room)
    return room.data


def _zlib_family(bits: int) -> _Inflate:
    def decompress(data: _Octets, size: int) -> _Octets:
        found = bytearray()
        while data and len(found) <= size:  # gzip files may have several members
            stream = zlib.decompressobj(bits)
            found += stream.decompress(data, size + 1 - len(found))
            if not stream.eof and len(found) <= size:
                raise ValueError("the data are cut off")
            data = stream.unused_data if bits > 15 else b""
        return bytes(found)

    return decompress


def _bz2(data: _Octets, size: int) -> _Octets:
    return bz2.BZ2Decompressor().decompress(data, size + 1)


def _lzma(data: _Octets, size: int) -> _Octets:
    return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(data, size + 1)


_INFLATE: dict[str, _Inflate] = {
    "blosc": _blosc,
    "zstd": _zstd,
    "lz4": _lz4,
    "gzip": _zlib_family(31),
    "zlib": _zlib_family(15),
    "bz2": _bz2,
    "lzma": _lzma,
}
