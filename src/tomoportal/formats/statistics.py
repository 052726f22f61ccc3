"""Minimum, maximum, mean and standard deviation of a volume, block by block and the same for every order of blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoportal.formats.volumes import Voxels

__all__ = ["BlockStatistics", "Statistics", "measure", "total"]

_PIECE = 64 * 1024


@dataclass(frozen=True)
class Statistics:
    """Of all voxels: smallest, largest, mean, and ``rms``, their standard deviation from the mean as in MRC headers."""

    min: float
    max: float
    mean: float
    rms: float


@dataclass(frozen=True)
class BlockStatistics:
    """Sums over one block, taken around ``shift`` so that a large mean costs no precision."""

    min: float
    max: float
    sum: float
    squares: float
    count: int
    nonzero: int
    shift: float


def measure(block: Voxels, shift: float, *, count_nonzero: bool = False) -> BlockStatistics:
    """The sums over one block of finite voxels."""
    flat = block.reshape(-1)
    work: NDArray[np.float64] = np.empty(min(_PIECE, flat.size))
    sums, squares = [], []
    for start in range(0, flat.size, _PIECE):
        piece = flat[start : start + _PIECE]
        deviation = work[: piece.size]
        np.subtract(piece, shift, out=deviation, dtype=np.float64)
        sums.append(float(deviation.sum()))
        np.multiply(deviation, deviation, out=deviation)
        squares.append(float(deviation.sum()))
    nonzero = int(np.count_nonzero(flat)) if count_nonzero else 0
    return BlockStatistics(
        float(flat.min()), float(flat.max()), math.fsum(sums), math.fsum(squares), flat.size, nonzero, shift
    )


def total(parts: Iterable[BlockStatistics]) -> Statistics:
    """The statistics of the volume that consists of these blocks, which were measured around one ``shift``."""
    found = list(parts)
    count = sum(part.count for part in found)
    deviation = math.fsum(part.sum for part in found) / count
    variance = math.fsum(part.squares for part in found) / count - deviation * deviation
    return Statistics(
        min(part.min for part in found),
        max(part.max for part in found),
        found[0].shift + deviation,
        math.sqrt(max(variance, 0.0)),
    )
