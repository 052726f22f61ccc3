"""Chunks: their names and their compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numcodecs
import numpy as np

from tomoportal.formats.volumes import Voxels

__all__ = ["ChunkCodec", "chunk_key", "codec_for"]

_BIT_SHUFFLE = 2
_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")


@dataclass(frozen=True)
class ChunkCodec:
    """A compressor by its configuration as ``.zarray`` names it."""

    config: dict[str, Any]

    def version_3(self, dtype: np.dtype[Any]) -> dict[str, Any]:
        """The same compressor as the metadata of Zarr version 3 name it, for voxels of ``dtype``."""
        settings = {key: value for key, value in self.config.items() if key != "id"}
        if self.config["id"] == "blosc":
            settings |= {"shuffle": _SHUFFLES[settings["shuffle"]], "typesize": dtype.itemsize}
        else:
            settings["checksum"] = False
        return {"configuration": settings, "name": self.config["id"]}

    def encode(self, chunk: Voxels) -> bytes:
        """The bytes of one chunk in C order.

        Call it outside the main thread: there Blosc would divide the chunk among threads of its own, and the bytes
        would depend on which of them was first.
        """
        data: bytes = numcodecs.get_codec(dict(self.config)).encode(chunk)
        return data


def codec_for(dtype: np.dtype[Any], *, is_mask: bool) -> ChunkCodec:
    """The compressor for voxels of a type (reference: libraries, Volumes; measured in benchmarks/README.md)."""
    if is_mask:
        return ChunkCodec({"id": "blosc", "cname": "zstd", "clevel": 3, "shuffle": _BIT_SHUFFLE, "blocksize": 0})
    if dtype.itemsize == 1:
        return ChunkCodec({"id": "zstd", "level": 1})
    return ChunkCodec({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": _BIT_SHUFFLE, "blocksize": 0})


def chunk_key(level: int, index: tuple[int, int, int]) -> str:
    """Where a chunk lies below the group: ``level/z/y/x``."""
    z, y, x = index
    return f"{level}/{z}/{y}/{x}"
