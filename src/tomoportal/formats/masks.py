"""Semantic masks: 0 and 1 from a label or a threshold, on another grid if asked (reference: transforms 3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import SettingsError
from tomoportal.formats.volumes import Volume, Voxels

__all__ = ["SemanticMask", "semantic_mask"]


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
    if target_shape is not None and min(target_shape) < 1:
        raise SettingsError(
            f"a mask cannot have the shape {target_shape}",
            where=volume.name,
            fix="give at least one voxel along each axis",
        )
    return SemanticMask(volume, label, threshold, target_shape or volume.shape)


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
        x, y, z = (
            size * source / target
            for size, source, target in zip(volume.voxel_size, volume.shape[::-1], shape[::-1], strict=True)
        )
        self.voxel_size = (x, y, z)

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
        return np.stack(list(self._planes(*axes)))

    def close(self) -> None:
        """Let go of the source."""
        self._volume.close()

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

    def _planes(self, z: _Overlaps, y: _Overlaps, x: _Overlaps) -> Iterator[Voxels]:
        """One plane of the target after the other; sums are whole numbers, so that half is exactly half."""
        whole = z.whole * y.whole * x.whole
        dtype = np.dtype("int32") if whole < 2**30 else np.dtype("int64")
        for sections, weights in zip(z.sources, z.weights, strict=True):
            plane = np.zeros((y.stop - y.start, x.stop - x.start), dtype)
            for section, weight in zip(sections, weights, strict=True):
                if weight:
                    found = self._volume.read(section, section + 1, y.start, y.stop, x.start, x.stop)[0]
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
