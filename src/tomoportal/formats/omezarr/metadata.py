"""The JSON documents of an OME-Zarr group, as in reference archive-layout 7: keys sorted, indented by 4."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tomoportal.formats.pyramid import Level

__all__ = ["array_metadata", "group_attributes", "group_metadata"]


def group_metadata() -> bytes:
    """``.zgroup``."""
    return _dump({"zarr_format": 2})


def group_attributes(levels: Sequence[Level], *, labels: Sequence[int] | None = None) -> bytes:
    """``.zattrs``: the multiscale description, lengths in Å in the order ``(z, y, x)``.

    ``labels`` are the values of an instance mask, which are listed as the image-label part demands.
    """
    metadata: dict[str, Any] = {}
    if labels is not None:
        colors = [{"label-value": label} for label in labels]
        metadata["image-label"] = {"colors": colors, "version": "0.4"}
    multiscale = {
        "axes": [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"],
        "datasets": [
            {"coordinateTransformations": _transformations(level), "path": str(number)}
            for number, level in enumerate(levels)
        ],
        "metadata": metadata,
        "name": "/",
        "version": "0.4",
    }
    return _dump({"multiscales": [multiscale]})


def _transformations(level: Level) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"scale": list(level.scale), "type": "scale"}]
    if any(level.translation):
        found.append({"translation": list(level.translation), "type": "translation"})
    return found


def array_metadata(
    shape: tuple[int, int, int], chunks: tuple[int, int, int], dtype: np.dtype[Any], compressor: dict[str, Any]
) -> bytes:
    """``.zarray`` of one level."""
    little = dtype.newbyteorder("<")
    return _dump(
        {
            "chunks": list(chunks),
            "compressor": compressor,
            "dimension_separator": "/",
            "dtype": little.str,
            "fill_value": 0.0 if dtype.kind == "f" else 0,
            "filters": None,
            "order": "C",
            "shape": list(shape),
            "zarr_format": 2,
        }
    )


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=4, sort_keys=True).encode()
