"""Semantic masks (0 and 1 from a label or a threshold) and instance masks (labels), on another grid if asked.

Reference: transforms 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import SettingsError
from tomoportal.formats.spool import spooled
from tomoportal.formats.volumes import Chunked, Volume, Voxels

__all__ = ["InstanceMask", "SemanticMask", "instance_mask", "semantic_mask"]


def semantic_mask(
    volume: Volume,
    *,
    label: int = 1,
    threshold: float | None = None,
    target_shape: tuple[int, int, int] | None = None,
) -> SemanticMask:
    """The voxels of ``volume`` that equal ``label``, or are at least ``threshold``, as int8 0 and 1.

    Values are compared in the type of the source. ``target_shape`` (z, y, x) lays the mask on a grid with other
    voxels over the same box: a voxel of it is 1 if at least half of its volume is (exactly half counts).
    Nothing is read before the mask is; ``convert_volume(…, skip_empty=True)`` finds out in the same read whether the
    label occurs at all. Closing the mask closes the volume.
    """
    if threshold is not None and label != 1:
        raise SettingsError(
            f"a mask is made from a label ({label}) or from a threshold ({threshold:g}), not from both",
            where=volume.name,
            fix="leave out one of mask_label and threshold",
        )
    _check_shape(target_shape, volume)
    return SemanticMask(volume, label, threshold, target_shape or volume.shape)


def instance_mask(volume: Volume, *, target_shape: tuple[int, int, int] | None = None) -> Volume:
    """The labels of ``volume``, on another grid over the same box if ``target_shape`` (z, y, x) asks for one.

    A voxel there gets the label of the source voxel that holds its centre, the lower one where the centre lies between
    two: labels are never mixed. Closing the mask closes the volume.
    """
    _check_shape(target_shape, volume)
    if target_shape is None or target_shape == volume.shape:
        return volume
    return InstanceMask(volume, target_shape)


def _check_shape(target_shape: tuple[int, int, int] | None, volume: Volume) -> None:
    if target_shape is not None and min(target_shape) < 1:
        raise SettingsError(
            f"a mask cannot have the shape {target_shape}",
            where=volume.name,
            fix="give at least one voxel along each axis",
        )


class InstanceMask:
    """Labels on another grid, taken from the nearest source voxel while they are read."""

    mapped = False

    def __init__(self, volume: Volume, shape: tuple[int, int, int]) -> None:
        self._volume = volume
        self._kept: Volume | None = None
        self._lock = Lock()
        self.shape, self.dtype = shape, volume.dtype
        self.name, self.notes, self.value_offset = volume.name, volume.notes, volume.value_offset
        self.voxel_size = _stretched(volume, shape)

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``."""
        with self._lock:  # neighbouring planes share source planes, which must not be fetched again
            source = self._kept = self._kept or spooled(self._volume)
        z, y, x = (
            _nearest(size, target, *slice(start, stop).indices(target)[:2])
            for size, target, start, stop in zip(source.shape, self.shape, (z0, y0, x0), (z1, y1, x1), strict=True)
        )
        out = np.empty((len(z), len(y), len(x)), self.dtype)
        if out.size:
            for plane, section in enumerate(z.tolist()):
                found = source.read(section, section + 1, int(y[0]), int(y[-1]) + 1, int(x[0]), int(x[-1]) + 1)[0]
                out[plane] = found[np.ix_(y - y[0], x - x[0])]
        return out

    def close(self) -> None:
        """Let go of the source."""
        (self._kept or self._volume).close()


def _nearest(source: int, target: int, start: int, stop: int) -> NDArray[np.int64]:
    """Source voxels that hold the centres ``(i + ½) · source / target``, in whole numbers so that ties are ties."""
    return ((2 * np.arange(start, stop, dtype=np.int64) + 1) * source - 1) // (2 * target)


def _stretched(volume: Volume, shape: tuple[int, int, int]) -> tuple[float, float, float]:
    """Voxel size (x, y, z) in Å on a grid of ``shape`` over the box of ``volume``."""
    x, y, z = (
        size * source / target
        for size, source, target in zip(volume.voxel_size, volume.shape[::-1], shape[::-1], strict=True)
    )
    return x, y, z


class SemanticMask:
    """A volume of int8 0 and 1 that is computed while it is read."""

    dtype = np.dtype("int8")
    value_offset = 0

    def __init__(self, volume: Volume, label: int, threshold: float | None, shape: tuple[int, int, int]) -> None:
        self._volume, self._label, self._threshold = volume, label, threshold
        self._is_rescaled = shape != volume.shape
        self.shape = shape
        self.name = volume.name
        self.notes = volume.notes
        self.mapped = volume.mapped and not self._is_rescaled
        self.voxel_size = _stretched(volume, shape)
        if isinstance(volume, Chunked) and not self._is_rescaled:
            self.chunks = volume.chunks
        self._kept: Volume | None = None
        self._lock = Lock()

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``."""
        if not self._is_rescaled:
            return self._selected(self._volume.read(z0, z1, y0, y1, x0, x1)).view(np.int8)
        axes = [
            _overlaps(source, target, *slice(start, stop).indices(target)[:2])
            for source, target, start, stop in zip(
                self._volume.shape, self.shape, (z0, y0, x0), (z1, y1, x1), strict=True
            )
        ]
        with self._lock:  # neighbouring planes share source planes, which must not be fetched again
            self._kept = self._kept or spooled(self._volume)
        return np.stack(list(self._planes(self._kept, *axes)))

    def close(self) -> None:
        """Let go of the source."""
        (self._kept or self._volume).close()

    def _selected(self, voxels: Voxels) -> NDArray[np.bool_]:
        offset = self._volume.value_offset
        selected: NDArray[np.bool_]
        if self._threshold is None:
            selected = np.equal(voxels, self._label - offset)
        elif voxels.dtype.kind == "f":
            selected = np.greater_equal(voxels, self._threshold - offset)
        else:
            # For whole numbers "at least 2.5" is "at least 3", which needs no detour through floats.
            selected = np.greater_equal(voxels, math.ceil(self._threshold - offset))
        return selected

    def _planes(self, source: Volume, z: _Overlaps, y: _Overlaps, x: _Overlaps) -> Iterator[Voxels]:
        """One plane of the target after the other; sums are whole numbers, so that half is exactly half."""
        whole = z.whole * y.whole * x.whole
        dtype = np.dtype("int32") if whole < 2**30 else np.dtype("int64")
        for sections, weights in zip(z.sources, z.weights, strict=True):
            plane = np.zeros((y.stop - y.start, x.stop - x.start), dtype)
            for section, weight in zip(sections, weights, strict=True):
                if weight:
                    found = source.read(section, section + 1, y.start, y.stop, x.start, x.stop)[0]
                    plane += self._selected(found) * dtype.type(weight)
            rows = y.gather(plane)
            yield np.greater_equal(2 * x.gather(rows.T).T, whole).view(np.int8)


@dataclass(frozen=True)
class _Overlaps:
    """How target voxels along one axis cover source voxels.

    ``sources`` and ``weights`` are ``(target voxels, covered source voxels)``; the weights of one target voxel add up
    to ``whole``. ``start`` and ``stop`` bound the source voxels that are needed.
    """

    sources: NDArray[np.int64]
    weights: NDArray[np.int64]
    whole: int
    start: int
    stop: int

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Weighted sums along the first axis of ``values``, which begins at ``start``."""
        found = np.zeros((len(self.sources), *values.shape[1:]), values.dtype)
        for sources, weights in zip(self.sources.T, self.weights.T, strict=True):
            found += values[sources - self.start] * weights.astype(values.dtype)[:, None]
        return found


def _overlaps(source: int, target: int, start: int, stop: int) -> _Overlaps:
    """Divide the axis into units of which a source voxel has ``target / g`` and a target voxel ``source / g``."""
    divisor = math.gcd(source, target)
    wide, narrow = source // divisor, target // divisor
    begin = np.arange(start, stop, dtype=np.int64) * wide
    end = begin + wide
    first = begin // narrow
    covered = int(np.max(-(-end // narrow) - first))
    sources = first[:, None] + np.arange(covered)
    left = np.maximum(sources * narrow, begin[:, None])
    right = np.minimum((sources + 1) * narrow, end[:, None])
    weights = np.maximum(right - left, 0)
    sources = np.minimum(sources, source - 1)  # what lies beyond the end has the weight 0
    return _Overlaps(sources, weights, wide, int(first[0]), int(sources.max()) + 1)
