"""PNG files of 8-bit colour pictures.

A general encoder tries five filters on every row. On the noise of a tomogram one of them does as well, and the file is
written in half the time. Reference: PNG specification (third edition), chapters 5, 9 and 11.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_EIGHT_BITS, _RGB = 8, 2
_UP = 2
_LEVEL = 1  # higher levels take up to ten times as long and gain nothing on noise (measured)


def png(picture: NDArray[np.uint8], *, smooth: bool = False) -> bytes:
    """The PNG file of a picture of the shape ``(height, width, 3)``: red, green, blue, 0 … 255.

    A ``smooth`` picture, such as one that was enlarged many times, holds runs and little else that repeats; only these
    are looked for then, which is faster.
    """
    height, width, _ = picture.shape
    rows = picture.reshape(height, 3 * width)
    filtered = np.empty((height, 1 + 3 * width), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])  # modulo 256, as the filter wants it
    header = struct.pack(">IIBBBBB", width, height, _EIGHT_BITS, _RGB, 0, 0, 0)
    compressor = zlib.compressobj(_LEVEL, strategy=zlib.Z_RLE if smooth else zlib.Z_DEFAULT_STRATEGY)
    data = compressor.compress(filtered.data) + compressor.flush()
    return b"".join((_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))
