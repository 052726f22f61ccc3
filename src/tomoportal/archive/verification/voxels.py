"""Voxel values: read in boxes of a few MiB, MRC and every level of the OME-Zarr side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from tomoportal.archive.findings import Finding, finding, several
from tomoportal.archive.verification.images import Image, Level
from tomoportal.archive.verification.view import View
from tomoportal.archive.verification.volumes import StoredVolume, stored_volumes
from tomoportal.errors import FormatError, StorageError
from tomoportal.formats.mrc import MrcHeader, MrcVolume, open_mrc
from tomoportal.formats.pyramid import Halving, Reduction
from tomoportal.formats.volumes import Volume, Voxels, blocks

__all__ = ["check", "value_findings"]

Box: TypeAlias = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]

_BOX_BYTES = 16 * 1024 * 1024
_MOST_LABELS = 1_000_000


def check(view: View) -> Iterator[Finding]:
    """The voxels of all volumes whose header or metadata could be read."""
    for volume in stored_volumes(view):
        header, image = view.memory.get(("mrc", volume.mrc)), view.memory.get(("zarr", volume.zarr))
        try:
            yield from _Voxels(view, volume, header, image).check()
        except (FormatError, StorageError) as error:
            yield finding("V638", error.where or volume.place, error.what)


def value_findings(volume: Volume, path: str) -> Iterator[Finding]:
    """The values of a source volume: no NaN, not all equal. Reads it once, block by block."""
    wrong, low, high = 0, np.inf, -np.inf
    for z0, z1, y0, y1 in blocks(volume.shape, volume.dtype.itemsize):
        voxels = volume.read(z0, z1, y0, y1)
        if voxels.dtype.kind == "f":
            finite = np.isfinite(voxels)
            wrong += voxels.size - int(np.count_nonzero(finite))
            voxels = voxels[finite]
        if voxels.size:
            low, high = min(low, float(voxels.min())), max(high, float(voxels.max()))
    if wrong:
        yield finding("V631", path, f"{wrong} of {math.prod(volume.shape)} voxels are NaN or infinite")
    if low >= high:
        yield finding("V632", path, f"all finite voxels are {low:g}" if low == high else "no voxel is finite")


class _Voxels:
    """One volume while it is read."""

    def __init__(self, view: View, volume: StoredVolume, header: MrcHeader | None, image: Image | None) -> None:
        self.volume = volume
        self.image = image
        self.mrc: MrcVolume | None = open_mrc(view.store, volume.mrc) if header and volume.mrc else None
        self.header = header
        self.not_finite = self.count = self.differ = 0
        self.sum = 0.0
        self.low, self.high = np.inf, -np.inf
        self.labels: set[int] = set()

    def check(self) -> Iterator[Finding]:
        """Read everything once; the next level is compared while a box is in memory."""
        if self.image is None and self.mrc is None:
            return
        try:
            levels = self.image.levels if self.image else ()
            if levels:
                self._read(levels[0].array.shape, levels[0].array.chunks)
                yield from self._pyramid()
            elif self.mrc:
                self._read(self.mrc.shape, (16, 4096, 4096))
        finally:
            if self.mrc:
                self.mrc.close()
        yield from self._verdict()

    def _read(self, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
        level = self.image.levels[0] if self.image else None
        itemsize = level.array.dtype.itemsize if level else 4
        # Labels above 65535 are renumbered in the MRC file: it has no type that holds them.
        same = self.mrc is not None and level is not None and self.mrc.shape == level.array.shape
        for box in _boxes(shape, chunks, itemsize):
            voxels = _of_level(level, box) if level else _of_mrc(self.mrc, box)
            self._measure(voxels)
            if same and level is not None:
                other = _of_mrc(self.mrc, box)
                equal = np.equal(voxels, other)
                if voxels.dtype.kind == "f":
                    equal |= np.isnan(voxels) & np.isnan(other)
                self.differ += equal.size - int(np.count_nonzero(equal))

    def _measure(self, voxels: Voxels) -> None:
        self.count += voxels.size
        if voxels.dtype.kind == "f":
            finite = np.isfinite(voxels)
            wrong = voxels.size - int(np.count_nonzero(finite))
            self.not_finite += wrong
            voxels = voxels[finite] if wrong else voxels
        if voxels.size:
            self.low, self.high = min(self.low, float(voxels.min())), max(self.high, float(voxels.max()))
            self.sum += float(voxels.sum(dtype=np.float64))
        if self.volume.kind == "instance_mask" and len(self.labels) < _MOST_LABELS:
            flat = voxels.reshape(-1)
            runs = np.concatenate([flat[:1], flat[1:][flat[1:] != flat[:-1]]])
            self.labels.update(int(label) for label in np.unique(runs))

    def _verdict(self) -> Iterator[Finding]:
        place, kind = self.volume.place, self.volume.kind
        if self.not_finite:
            yield finding("V631", place, f"{self.not_finite} of {self.count} voxels are NaN or infinite")
        if self.low == self.high and not (kind.endswith("mask") and self.low == 0):
            yield finding("V632", place, f"all {self.count} voxels are {self.low:g}")
        elif self.low == self.high:
            yield finding("V632", place, "the mask is empty: all voxels are 0")
        if self.differ and not (kind == "instance_mask" and self.high > 65535):
            yield finding("V633", place, f"{self.differ} of {self.count} voxels differ between MRC and level 0")
        if kind == "semantic_mask" and (self.low < 0 or self.high > 1):
            yield finding("V635", place, f"values reach from {self.low:g} to {self.high:g}")
        if kind == "instance_mask" and self.image is not None and self.image.labels is not None:
            yield from self._labels_as_listed(self.image.labels)
        yield from self._statistics()

    def _labels_as_listed(self, listed: tuple[Any, ...]) -> Iterator[Finding]:
        found = self.labels - {0}
        missing, strange = sorted(found - set(listed)), sorted(set(listed) - found)
        if missing:
            yield finding("V636", self.volume.place, f"the labels {several(missing)} occur and are not listed")
        if strange:
            yield finding("V636", self.volume.place, f"the labels {several(strange)} are listed and do not occur")

    def _statistics(self) -> Iterator[Finding]:
        header = self.header
        if header is None or self.mrc is None or header.dmax < header.dmin or self.count == self.not_finite:
            return  # an undetermined range is allowed to say so
        if self.volume.kind == "instance_mask" and self.high > 65535:
            return
        tolerance = 1e-3 * max(self.high - self.low, abs(self.high), 1e-12)
        mean = self.sum / (self.count - self.not_finite)
        offset = self.mrc.value_offset
        wrong = [
            f"{name} is {stated:g}, found is {actual + offset:g}"
            for name, stated, actual in (
                ("dmin", header.dmin, self.low),
                ("dmax", header.dmax, self.high),
                ("dmean", header.dmean, mean),
            )
            if not abs(stated - offset - actual) <= tolerance
        ]
        if wrong:
            yield finding("V637", self.volume.mrc or self.volume.place, "; ".join(wrong))

    # --- levels

    def _pyramid(self) -> Iterator[Finding]:
        assert self.image is not None
        for fine, coarse in zip(self.image.levels, self.image.levels[1:], strict=False):
            ratio = [-(-n // 2) == m and n > 1 for n, m in zip(fine.array.shape, coarse.array.shape, strict=True)]
            if not all(ratio[1:]) or fine.array.dtype != coarse.array.dtype:
                continue  # reported as a wrong shape or type
            step = 2 if ratio[0] and self.volume.kind != "tiltseries" else 1
            wrong = _compare_levels(fine, coarse, step, self.volume.kind)
            if wrong:
                text = f"{wrong} voxels of level {coarse.path} are not made from those of level {fine.path}"
                yield finding("V634", self.volume.place, text)


def _compare_levels(fine: Level, coarse: Level, step: int, kind: str) -> int:
    """Number of voxels of the coarser level that are not the mean, majority or sample of those below them.

    Borders of odd length are left out: the public portal averages zeros into them (F16). A semantic mask may be
    made by majority or, as there, by maximum (F19).
    """
    reductions: tuple[Reduction, ...] = ("mean",)
    if kind == "instance_mask":
        reductions = ("stride",)
    elif kind == "semantic_mask":
        reductions = ("majority",)
    wrong = dict.fromkeys(reductions, 0)
    grown = 0
    factors = (step, 2, 2)
    even = [size - size % factor for size, factor in zip(fine.array.shape, factors, strict=True)]
    for box in _boxes(tuple(even), fine.array.chunks, fine.array.dtype.itemsize, factors):
        voxels = _of_level(fine, box)
        (z0, z1), (y0, y1), (x0, x1) = box
        half: Box = ((z0 // step, z1 // step), (y0 // 2, y1 // 2), (x0 // 2, x1 // 2))
        below = _of_level(coarse, half)
        for reduction in reductions:
            made = np.empty_like(below)
            Halving(voxels.shape, voxels.dtype, factors, reduction)(voxels, made)
            wrong[reduction] += _different(made, below)
        if kind == "semantic_mask":
            blocks = voxels.reshape(below.shape[0], step, below.shape[1], 2, below.shape[2], 2)
            grown += _different(blocks.max(axis=(1, 3, 5)), below)
    return min(*wrong.values(), grown) if kind == "semantic_mask" else min(wrong.values())


def _different(made: Voxels, found: Voxels) -> int:
    if made.dtype.kind != "f":
        # Other writers truncate where ours rounds.
        return int(np.count_nonzero(np.abs(made.astype(np.int64) - found) > (1 if made.dtype.itemsize > 1 else 0)))
    scale = float(np.nanmax(np.abs(made), initial=0.0, where=np.isfinite(made)))
    return int(np.count_nonzero(np.isfinite(made) & ~(np.abs(made - found) <= 1e-5 * scale + 1e-12)))


def _of_level(level: Level, box: Box) -> Voxels:
    return level.array.read([slice(start, stop) for start, stop in box])


def _of_mrc(volume: MrcVolume | None, box: Box) -> Voxels:
    assert volume is not None
    (z0, z1), (y0, y1), (x0, x1) = box
    return volume.read(z0, z1, y0, y1, x0, x1)


def _boxes(
    shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int, factors: tuple[int, int, int] = (1, 1, 1)
) -> Iterator[Box]:
    """Boxes of whole chunks, at most a few MiB unless one chunk is larger, along x first; edges even where halved."""
    cz, cy, cx = (chunk + chunk % factor for chunk, factor in zip(chunks, factors, strict=True))
    nz, ny, nx = shape
    # Many sections in one box where chunks are flat, as in tilt series.
    cx *= max(1, _BOX_BYTES // (cz * cy * cx * itemsize)) if cx < nx else 1
    cz *= max(1, _BOX_BYTES // (cz * min(cy, ny) * min(cx, nx) * itemsize))
    for z in range(0, nz, cz):
        for y in range(0, ny, cy):
            for x in range(0, nx, cx):
                yield (z, min(z + cz, nz)), (y, min(y + cy, ny)), (x, min(x + cx, nx))
