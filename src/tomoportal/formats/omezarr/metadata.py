"""The JSON documents of an OME-Zarr group: keys sorted, indented by 4.

NGFF 0.4 in Zarr version 2 as in reference archive-layout 7; NGFF 0.5 in Zarr version 3 by the specification.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tomoportal.formats.pyramid import Level

__all__ = ["array_document", "array_metadata", "group_attributes", "group_document", "group_metadata"]


def group_metadata() -> bytes:
    """``.zgroup``."""
    return _dump({"zarr_format": 2})


def group_attributes(levels: Sequence[Level], *, labels: Sequence[int] | None = None) -> bytes:
    """``.zattrs``: the multiscale description, lengths in Å in the order ``(z, y, x)``.

    ``labels`` are the values of an instance mask, which are listed as the image-label part demands.
    """
    metadata: dict[str, Any] = {}
    if labels is not None:
        metadata["image-label"] = {**_image_label(labels), "version": "0.4"}
    return _dump({"multiscales": [{**_multiscale(levels), "metadata": metadata, "version": "0.4"}]})


def group_document(levels: Sequence[Level], *, labels: Sequence[int] | None = None) -> bytes:
    """``zarr.json`` of a group: NGFF 0.5, with what :func:`group_attributes` says in 0.4."""
    attributes: dict[str, Any] = {"multiscales": [_multiscale(levels)], "version": "0.5"}
    if labels is not None:
        attributes["image-label"] = _image_label(labels)
    return _dump({"attributes": {"ome": attributes}, "node_type": "group", "zarr_format": 3})


def _multiscale(levels: Sequence[Level]) -> dict[str, Any]:
    return {
        "axes": [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"],
        "datasets": [
            {"coordinateTransformations": _transformations(level), "path": str(number)}
            for number, level in enumerate(levels)
        ],
        "name": "/",
    }


def _image_label(labels: Sequence[int]) -> dict[str, Any]:
    return {"colors": [{"label-value": label} for label in labels]}


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


def array_document(
    shape: tuple[int, int, int],
    chunks: tuple[int, int, int],
    shard: tuple[int, int, int],
    dtype: np.dtype[Any],
    compressor: dict[str, Any],
) -> bytes:
    """``zarr.json`` of one level: chunks of ``chunks`` voxels in shards of ``shard``."""
    order: dict[str, Any] = {"configuration": {"endian": "little"}, "name": "bytes"}
    sharding = {
        "chunk_shape": list(chunks),
        "codecs": [order, compressor],
        "index_codecs": [order, {"name": "crc32c"}],
        "index_location": "end",
    }
    return _dump(
        {
            "attributes": {},
            "chunk_grid": {"configuration": {"chunk_shape": list(shard)}, "name": "regular"},
            "chunk_key_encoding": {"configuration": {"separator": "/"}, "name": "default"},
            "codecs": [{"configuration": sharding, "name": "sharding_indexed"}],
            "data_type": dtype.name,
            "dimension_names": ["z", "y", "x"],
            "fill_value": 0.0 if dtype.kind == "f" else 0,
            "node_type": "array",
            "shape": list(shape),
            "zarr_format": 3,
        }
    )


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=4, sort_keys=True).encode()
