"""What the voxels of segmentations may be, and that none of them changes when stored (reference copick-model, 15)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import AnnotationError

__all__ = ["PANOPTIC_CHANNELS", "check_panoptic_values", "checked_label_cast", "label_dtype", "panoptic_channel_index"]

PANOPTIC_CHANNELS: Final = ("label", "instance")
_UNSIGNED: Final = (np.uint8, np.uint16, np.uint32, np.uint64)


def label_dtype(data: NDArray[Any], floor: Any = np.uint8) -> np.dtype[Any]:
    """The smallest unsigned type, from ``floor`` up, that holds every value. Raises :class:`AnnotationError`."""
    values = _checked_labels(np.asarray(data))
    top = int(values.max()) if values.size else 0
    least = np.dtype(floor).itemsize
    return next(np.dtype(each) for each in _UNSIGNED if np.dtype(each).itemsize >= least and top <= np.iinfo(each).max)


def checked_label_cast(data: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """The labels in another type (None: as they are). Raises :class:`AnnotationError` if one would change."""
    values = np.asarray(data)
    if dtype is None or values.dtype == np.dtype(dtype):
        return values
    wanted = np.dtype(dtype)
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if wanted.kind == "b":
        if values.size and not ((values == 0) | (values == 1)).all():
            raise AnnotationError(f"Segmentation values in [{low}, {high}] do not fit bool ([0, 1]).")
        return values.astype(wanted)
    if wanted.kind in "iu":
        whole = _checked_labels(values)
        limits = np.iinfo(wanted)
        if whole.size and (int(low) < limits.min or int(high) > limits.max):
            raise AnnotationError(
                f"Segmentation values in [{low}, {high}] do not fit {wanted} ([{limits.min}, {limits.max}]).",
                fix="leave dtype out; the smallest type that holds them is chosen",
            )
        return whole.astype(wanted)
    cast = values.astype(wanted)
    if not np.array_equal(cast.astype(np.float64), values.astype(np.float64)):
        raise AnnotationError(f"Segmentation values in [{low}, {high}] are not exactly representable as {wanted}.")
    return cast


def _checked_labels(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind not in "iubf":
        raise AnnotationError(f"Segmentation values must be integers, not {values.dtype}.")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise AnnotationError("Segmentation values must be finite.")
        if values.size and not (values == np.rint(values)).all():
            raise AnnotationError("Segmentation values must be integers.")
    if values.dtype.kind in "if" and values.size and values.min() < 0:
        raise AnnotationError("Segmentation values must be non-negative.")
    return values


def panoptic_channel_index(channel: str | int) -> int:
    """0 for ``"label"``, 1 for ``"instance"``."""
    if channel in PANOPTIC_CHANNELS:
        return PANOPTIC_CHANNELS.index(str(channel))
    if isinstance(channel, int) and channel in (0, 1):
        return channel
    raise AnnotationError(f"There is no channel {channel!r}.", fix="ask for 'label' or 'instance'")


def check_panoptic_values(labels: NDArray[Any], instances: NDArray[Any], known_labels: Collection[int]) -> None:
    """Raise :class:`AnnotationError` for labels that no object has, and background that belongs to an instance."""
    unknown = sorted({int(value) for value in np.unique(labels)} - {0} - set(known_labels))
    if unknown:
        raise AnnotationError(
            f"Panoptic label channel holds {unknown}, which no pickable object has as its label.",
            fix="add objects with these labels to the config",
        )
    astray = int(((labels == 0) & (instances != 0)).sum())
    if astray:
        raise AnnotationError(
            f"{astray} background voxels (label 0) carry an instance ID.", fix="set their instance channel to 0"
        )
