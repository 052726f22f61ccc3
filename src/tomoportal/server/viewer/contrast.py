"""Grey values between which a tomogram is shown.

Ingestion stores them with the tomogram; for archives made by others they are estimated here, from a few slices.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tomoportal.formats import open_mrc
from tomoportal.formats.neuroglancer import contrast_3d
from tomoportal.storage import Store

__all__ = ["Contrast", "estimated_contrast", "stored_contrast"]

Range = tuple[float, float]
Contrast = tuple[Range, Range]
"""Limits ``(black, white)`` of the sections and of volume rendering."""

_SLICES = 9
_SAMPLES = 1_000_000
_PERCENTILES = (1.0, 99.0)


def stored_contrast(config: str | None) -> Contrast | None:
    """The limits in a tomogram's viewer configuration (JSON text), if it has one that names them."""
    if not config:
        return None
    try:
        layers: list[dict[str, Any]] = json.loads(config)["layers"]
        controls = next(layer["shaderControls"] for layer in layers if layer["type"] == "image")
        (low, high), (low_3d, high_3d) = controls["contrast"]["range"], controls["contrast_3D"]["range"]
        return (float(low), float(high)), (float(low_3d), float(high_3d))
    except (ValueError, KeyError, TypeError, StopIteration):
        return None  # written by another program, without these controls: an estimate does


def estimated_contrast(store: Store, mrc_key: str) -> Contrast:
    """Percentiles 1 and 99 of slices spread over the middle half of an MRC volume, and mean − 3 sd … mean + 0.5 sd.

    Reads nine slices at most. Raises :class:`NotFoundError` and :class:`FormatError`.
    """
    volume = open_mrc(store, mrc_key)
    try:
        depth, height, width = volume.shape
        first, last = depth // 4, max(depth - depth // 4 - 1, depth // 4)
        chosen = sorted({round(first + (last - first) * part / (_SLICES - 1)) for part in range(_SLICES)})
        step = max(len(chosen) * height * width // _SAMPLES, 1)
        parts = [volume.read(z, z + 1).ravel()[::step].astype("f4") for z in chosen]
    finally:
        volume.close()
    sample = np.concatenate(parts)
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return (0.0, 1.0), (0.0, 1.0)
    low, high = np.percentile(sample, _PERCENTILES).tolist()
    return (low, high), contrast_3d(float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64)))
