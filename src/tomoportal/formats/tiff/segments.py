"""From the bytes of a strip or tile to its pixels: compression and predictors of TIFF."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image

from tomoportal.errors import FormatError
from tomoportal.formats.omezarr.decoding import inflate
from tomoportal.formats.tiff.pages import Page
from tomoportal.formats.volumes import Voxels

__all__ = ["decode_segment", "longest_segment"]

_LZW, _PACKBITS = 5, 32773
_NAMES = {1: None, 8: "zlib", 32946: "zlib", 34925: "lzma", 50000: "zstd"}


def longest_segment(page: Page) -> int:
    """More bytes than an honest encoding of one strip or tile has (LZW grows noise by up to a half)."""
    return 2 * page.tile[0] * page.tile[1] * page.dtype.itemsize + 4096


def decode_segment(page: Page, data: bytes, rows: int, where: str) -> Voxels:
    """The ``(rows, tile width)`` pixels of a strip or tile. Raises :class:`FormatError`."""
    width = page.tile[1]
    size = rows * width * page.dtype.itemsize
    if page.compression in (_LZW, _PACKBITS):
        found: bytes | memoryview = _by_libtiff(data, page.compression, width * page.dtype.itemsize, rows, where)
    elif page.compression in _NAMES:
        # A last strip may be padded to full height.
        found = inflate(_NAMES[page.compression], data[:size] if page.compression == 1 else data, size, where)
    else:
        raise FormatError(
            f"pixels with the compression {page.compression} are not read",
            where=where,
            fix="write the file again uncompressed, or with LZW, Deflate or Zstandard",
        )
    if page.predictor == 3:
        return _undo_floating(np.frombuffer(found, np.uint8), rows, width, page.dtype)
    pixels = np.frombuffer(found, page.dtype).reshape(rows, width)
    if page.predictor == 2:
        whole = pixels.astype(page.dtype.newbyteorder("=")).view(f"u{page.dtype.itemsize}")
        return np.cumsum(whole, axis=1, dtype=whole.dtype).view(page.dtype.newbyteorder("="))
    if page.predictor != 1:
        raise FormatError(f"the predictor {page.predictor} is unknown", where=where, fix="write the file again")
    return pixels


def _undo_floating(octets: Voxels, rows: int, width: int, dtype: np.dtype[Any]) -> Voxels:
    """Predictor 3 (TIFF technical note 3): the bytes of a row's numbers lie by significance, and as differences."""
    planes = np.cumsum(octets.reshape(rows, -1), axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, width)
    return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))[:, :, 0]


def _by_libtiff(data: bytes, compression: int, width: int, rows: int, where: str) -> bytes:
    """Decompress with Pillow's libtiff: a TIFF file of single bytes in one strip is made around the data."""
    fields = ((256, width), (257, rows), (258, 8), (259, compression), (262, 1), (273, 0), (277, 1), (278, rows))
    start = 8 + 2 + 12 * (len(fields) + 1) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, start if tag == 273 else value) for tag, value in (*fields, (279, len(data)))
    )
    file = struct.pack("<4sIH", b"II*\0", 8, len(fields) + 1) + entries + bytes(4) + data
    try:
        with Image.open(io.BytesIO(file), formats=["TIFF"]) as image:
            if image.size != (width, rows) or image.mode != "L":
                raise FormatError("the pixels cannot be decompressed", where=where, fix="copy the file again")
            return image.tobytes()
    except (OSError, ValueError, SyntaxError, RuntimeError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"the pixels cannot be decompressed: {error}", where=where, fix="copy the file again; it is damaged"
        ) from error
