"""OME-Zarr as the archive holds it: NGFF 0.4 in Zarr version 2.

``metadata`` makes the JSON documents, ``chunks`` names and compresses the chunks.
Specification: https://ngff.openmicroscopy.org/0.4, https://zarr-specs.readthedocs.io (version 2).
"""

from __future__ import annotations

from tomoportal.formats.omezarr.chunks import ChunkCodec, chunk_key, codec_for
from tomoportal.formats.omezarr.metadata import array_metadata, group_attributes, group_metadata

__all__ = [
    "ChunkCodec",
    "array_metadata",
    "chunk_key",
    "codec_for",
    "group_attributes",
    "group_metadata",
]
