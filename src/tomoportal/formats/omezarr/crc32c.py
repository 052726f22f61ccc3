"""CRC-32C (Castagnoli), which guards shard indexes and chunks in Zarr version 3. Definition: RFC 3720, appendix B.4."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["crc32c"]

_POLYNOMIAL = 0x82F63B78
_ONES = 0xFFFFFFFF
_LANES = 1024
_SHORT = 2 * 1024


def _step(state: int) -> int:
    for _ in range(8):
        state = state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)
    return state


_TABLE = tuple(_step(octet) for octet in range(256))


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of ``data``."""
    octets = np.frombuffer(data, np.uint8)
    if octets.size < _SHORT:
        return _extended(_ONES, octets) ^ _ONES
    head = octets.size % _LANES
    return _folded(_extended(_ONES, octets[:head]), octets[head:].reshape(_LANES, -1)) ^ _ONES


def _extended(state: int, octets: NDArray[np.uint8]) -> int:
    for octet in octets.tobytes():
        state = _TABLE[(state ^ octet) & 255] ^ (state >> 8)
    return state


def _folded(state: int, lanes: NDArray[np.uint8]) -> int:
    """Go on from ``state`` through the rows of ``lanes``, whose own checksums NumPy computes side by side.

    After a row the state is the row's own checksum, xor the old state moved through as many zero bytes. That move is
    linear, so that what it does to each value of each of the four bytes of a state is found in the same loop.
    """
    table = np.array(_TABLE, np.uint32)
    moved = (np.arange(256, dtype=np.uint32)[None] << np.array([[0], [8], [16], [24]], np.uint32)).reshape(-1)
    sums = np.concatenate([np.zeros(len(lanes), np.uint32), moved])
    column = np.zeros(sums.size, np.uint8)
    for octets in np.ascontiguousarray(lanes.T):
        column[: len(lanes)] = octets
        sums = table[(sums ^ column) & 255] ^ (sums >> 8)
    first, second, third, fourth = sums[len(lanes) :].reshape(4, 256).tolist()
    for own in sums[: len(lanes)].tolist():
        state = own ^ first[state & 255] ^ second[state >> 8 & 255] ^ third[state >> 16 & 255] ^ fourth[state >> 24]
    return state
