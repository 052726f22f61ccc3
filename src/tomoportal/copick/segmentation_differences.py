"""How two stored segmentations differ, read chunk by chunk: what is in memory is a chunk of each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.zarr_folders import ZarrFolder
from tomoportal.errors import AnnotationError

__all__ = ["SegmentationDifference", "difference"]


@dataclass(frozen=True)
class SegmentationDifference:
    """Voxels of the finest level that differ; of panoptic segmentations in the label or in the instance."""

    voxels: int
    """How many differ."""
    added: dict[int, int]
    """Of each label, or instance, in how many of them the other one has it; the background 0 is left out."""
    removed: dict[int, int]
    """Of each label, or instance, in how many of them this one has it."""
    box: tuple[slice, slice, slice] | None
    """The smallest region ``(z, y, x)`` that holds them all, in voxels; None if nothing differs."""


def difference(mine: ZarrFolder, theirs: ZarrFolder) -> SegmentationDifference:
    """What ``theirs`` has otherwise than ``mine``. Raises :class:`AnnotationError` for volumes of different sizes."""
    here, there = mine.array(None), theirs.array(None)
    if here.shape != there.shape:
        raise AnnotationError(
            f"The segmentations have different sizes: {here.shape} and {there.shape} voxels.",
            where=theirs.where,
            fix="compare those of one tomogram and one type",
        )
    added: dict[int, int] = {}
    removed: dict[int, int] = {}
    boxes: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    voxels = 0
    space = here.shape[-3:]
    steps = here.chunks[-3:]
    for corner in itertools.product(*(range(0, size, step) for size, step in zip(space, steps, strict=True))):
        box = [slice(at, min(at + step, size)) for at, step, size in zip(corner, steps, space, strict=True)]
        one, other = mine.read(None, box), theirs.read(None, box)
        unlike = one != other
        if one.ndim == 4:
            unlike, one, other = unlike.any(axis=0), one[0], other[0]
        if not unlike.any():
            continue
        voxels += int(np.count_nonzero(unlike))
        _count(removed, one[unlike])
        _count(added, other[unlike])
        found = np.argwhere(unlike)
        boxes.append((found.min(axis=0) + corner, found.max(axis=0) + corner + 1))
    if not boxes:
        return SegmentationDifference(0, {}, {}, None)
    lower, upper = np.min([low for low, _ in boxes], axis=0), np.max([high for _, high in boxes], axis=0)
    z, y, x = (slice(int(start), int(stop)) for start, stop in zip(lower, upper, strict=True))
    return SegmentationDifference(voxels, _sorted(added), _sorted(removed), (z, y, x))


def _count(counts: dict[int, int], labels: NDArray[np.integer]) -> None:
    for label, number in zip(*np.unique(labels, return_counts=True), strict=True):
        if label != 0:
            counts[int(label)] = counts.get(int(label), 0) + int(number)


def _sorted(counts: dict[int, int]) -> dict[int, int]:
    return dict(sorted(counts.items()))
