"""OME-Zarr: what the archive writes (NGFF 0.4 in Zarr version 2, or 0.5 in version 3), and what sources hold (0.1–0.5).

Writing: ``metadata`` makes the JSON documents, ``chunks`` compresses, ``layouts`` puts chunks or shards into a store,
``writer`` builds the pyramid. Reading: ``description`` checks the metadata of an array, ``decoding`` decompresses in
bounded memory, ``array`` reads boxes, ``reader`` finds the image in a group.
Specification: https://ngff.openmicroscopy.org/0.5, https://zarr-specs.readthedocs.io (versions 2 and 3).
"""

from __future__ import annotations

from tomoportal.formats.omezarr.chunks import ChunkCodec, chunk_key, codec_for
from tomoportal.formats.omezarr.metadata import (
    array_document,
    array_metadata,
    group_attributes,
    group_document,
    group_metadata,
)
from tomoportal.formats.omezarr.reader import OmeZarrVolume, is_zarr, level_shapes, open_omezarr

__all__ = [
    "ChunkCodec",
    "OmeZarrVolume",
    "array_document",
    "array_metadata",
    "chunk_key",
    "codec_for",
    "group_attributes",
    "group_document",
    "group_metadata",
    "is_zarr",
    "level_shapes",
    "open_omezarr",
]
