"""Halving a volume: which levels there are, and the kernel that makes one from the other.

Level ``k + 1`` is made from level ``k`` by blocks of 2×2×2 voxels (1×2×2 for tilt series). At odd edges only the voxels
that exist count (reference: transforms 1.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from tomoportal.formats.volumes import Voxels

__all__ = ["Factors", "Halving", "Level", "Pyramid", "Reduction", "halved_shape"]

Factors: TypeAlias = tuple[int, int, int]
Reduction: TypeAlias = Literal["mean", "majority", "stride"]

LEVELS = 3


@dataclass(frozen=True)
class Level:
    """One level of a pyramid: shape in voxels, scale and translation in Å, all ``(z, y, x)``."""

    shape: tuple[int, int, int]
    scale: tuple[float, float, float]
    translation: tuple[float, float, float]


def halved_shape(shape: tuple[int, int, int], factors: Factors) -> tuple[int, int, int]:
    """The shape one level further down: half of it, rounded up."""
    z, y, x = (-(-size // factor) for size, factor in zip(shape, factors, strict=True))
    return z, y, x


@dataclass(frozen=True)
class Pyramid:
    """The levels above a volume, and how one is made from the other."""

    levels: tuple[Level, ...]
    factors: Factors
    reduction: Reduction

    @classmethod
    def of(
        cls,
        shape: tuple[int, int, int],
        factors: Factors,
        reduction: Reduction,
        spacing: float,
        *,
        levels: int = LEVELS,
    ) -> Pyramid:
        """The pyramid of a volume of ``shape`` (z, y, x) with voxels of ``spacing`` Å.

        The centre of an averaged voxel lies between the centres of those that it was made of, ``(2^k − 1) / 2``
        level-0 voxels from the origin; a sampled voxel stays where it was.
        """
        found = []
        for k in range(levels):
            scale = tuple(_rounded(spacing * factor**k) for factor in factors)
            moved = 0.0 if reduction == "stride" else spacing / 2
            translation = tuple(_rounded(moved * (factor**k - 1)) for factor in factors)
            found.append(Level(shape, (scale[0], scale[1], scale[2]), (translation[0], translation[1], translation[2])))
            shape = halved_shape(shape, factors)
        return cls(tuple(found), factors, reduction)


def _rounded(length: float) -> float:
    return round(length, 6)  # 3 × 6.74 is 20.22, not 20.220000000000002


class Halving:
    """The kernel, with its work space: make one object per thread and use it for blocks of at most ``shape``.

    Sums run pairwise along z, y and x, plane by plane into reused buffers. A voxel at an odd edge is its own partner:
    the mean of two equal numbers is the number, so that only existing voxels count. Whole numbers are summed exactly
    and rounded half to even.
    """

    def __init__(
        self, shape: tuple[int, int, int], dtype: np.dtype[Any], factors: Factors, reduction: Reduction
    ) -> None:
        self._factors, self._reduction = factors, reduction
        _, ny, nx = shape
        sums = dtype if dtype.kind == "f" else np.dtype("i2" if dtype.itemsize == 1 else "i4")
        self._count = factors[0] * factors[1] * factors[2]
        self._plane = np.empty((ny, nx), sums)
        self._rows = np.empty((-(-ny // 2), nx), sums)
        self._sums = np.empty((-(-ny // 2), -(-nx // 2)), sums)

    def __call__(self, block: Voxels, out: Voxels) -> None:
        """Write the halved ``block`` into ``out``, whose shape is that of :func:`halved_shape`."""
        if self._reduction == "stride":
            fz, fy, fx = self._factors
            np.copyto(out, block[::fz, ::fy, ::fx])
            return
        nz, ny, nx = block.shape
        plane, rows, sums = (
            self._plane[:ny, :nx],
            self._rows[: -(-ny // 2), :nx],
            self._sums[: -(-ny // 2), : -(-nx // 2)],
        )
        step = self._factors[0]
        for z in range(out.shape[0]):
            first = block[z * step]
            if step == 2:
                np.add(first, block[min(2 * z + 1, nz - 1)], out=plane, dtype=plane.dtype)
                first = plane
            _add_pairs(first, rows)
            _add_pairs(rows.T, sums.T)
            self._finish(sums, out[z])

    def _finish(self, sums: Voxels, out: Voxels) -> None:
        if sums.dtype.kind == "f":
            np.multiply(sums, sums.dtype.type(1 / self._count), out=out)
        elif self._reduction == "majority":
            np.greater_equal(sums, self._count // 2, out=out, casting="unsafe")
        else:
            shift = self._count.bit_length() - 1
            odd = (sums >> shift) & 1
            np.add(sums, odd + (self._count // 2 - 1), out=sums)
            np.right_shift(sums, shift, out=out, casting="unsafe")


def _add_pairs(values: Voxels, out: Voxels) -> None:
    """``out[i] = values[2 i] + values[2 i + 1]`` along the first axis; the last of an odd number counts twice."""
    pairs = values.shape[0] // 2
    np.add(values[0 : 2 * pairs : 2], values[1 : 2 * pairs : 2], out=out[:pairs], dtype=out.dtype)
    if values.shape[0] % 2:
        np.add(values[-1], values[-1], out=out[-1], dtype=out.dtype)
