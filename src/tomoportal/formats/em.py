"""EM volumes, as TOM, AV3, PyTom and Dynamo write them.

Format: a header of 512 bytes (machine code, data type, three sizes, 80 characters, 40 numbers, 256 bytes for the user),
then the voxels, x fastest; described in the documentation of the TOM toolbox (Nickell et al., J. Struct. Biol. 149,
2005).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.flat_file import FlatVolume
from tomoportal.storage import Store

__all__ = ["EM_HEADER_SIZE", "EmHeader", "open_em"]

EM_HEADER_SIZE = 512

_BYTE_ORDERS: dict[int, Literal["<", ">"]] = {0: ">", 3: ">", 4: ">", 5: ">", 6: "<"}
"""OS-9, SGI, Sun, Macintosh; PC."""
_DTYPES = {1: "i1", 2: "i2", 4: "i4", 5: "f4", 9: "f8"}
_PIXEL_SIZE = 6  # among the 40 numbers: the pixel size in the object plane, in thousandths of a nanometre


@dataclass(frozen=True)
class EmHeader:
    """What the first 512 bytes say; ``shape`` is (z, y, x), ``pixel_size`` in Å (0.0 where the file does not say)."""

    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    pixel_size: float
    comment: str
    notes: tuple[str, ...]

    @classmethod
    def parse(cls, data: bytes, name: str, size: int | None = None) -> EmHeader:
        """Read a header; ``size`` is that of the whole file in bytes. Raises :class:`FormatError`."""
        if len(data) < EM_HEADER_SIZE:
            raise FormatError(
                f"the file ends after {len(data)} bytes; an EM header has {EM_HEADER_SIZE}",
                where=name,
                fix="copy the file again; this one is cut off or is no EM file",
            )
        machine, kind = data[0], data[3]
        if machine not in _BYTE_ORDERS:
            raise FormatError(
                f"the machine code is {machine}; known are {', '.join(map(str, _BYTE_ORDERS))}",
                where=f"{name}: byte 0",
                fix="check that this is an EM file; numbers of VAX and Convex machines are not read",
            )
        if kind not in _DTYPES:
            raise FormatError(
                f"the data type is {kind}; known are {', '.join(map(str, _DTYPES))}",
                where=f"{name}: byte 3",
                fix="write the volume again as float32; complex numbers are no volume",
            )
        declared = _BYTE_ORDERS[machine]
        other: Literal["<", ">"] = "<" if declared == ">" else ">"
        order = next((each for each in (declared, other) if _fits(data, each, kind, size)), None)
        if order is None:
            x, y, z = struct.unpack_from(declared + "3i", data, 4)
            raise FormatError(
                f"the header promises {x} × {y} × {z} voxels of {np.dtype(_DTYPES[kind]).itemsize} bytes"
                + ("" if size is None else f", but the file has {size} bytes"),
                where=f"{name}: bytes 4 to 16",
                fix="copy the file again if it is cut off; else correct the header",
            )
        notes = []
        if order != declared:
            notes.append(f"wrong machine code {machine}; the numbers are {'little' if order == '<' else 'big'}-endian")
        x, y, z = struct.unpack_from(order + "3i", data, 4)
        pixel = struct.unpack_from(order + "40i", data, 96)[_PIXEL_SIZE]
        if pixel <= 0:
            notes.append("no voxel size in the header")
        if kind == 1:
            notes.append("bytes are read as signed")
        comment = data[16:96].split(b"\0")[0].decode("latin-1").strip()
        return cls((z, y, x), np.dtype(order + _DTYPES[kind]), max(0, pixel) / 100, comment, tuple(notes))


def _fits(data: bytes, order: str, kind: int, size: int | None) -> bool:
    x, y, z = struct.unpack_from(order + "3i", data, 4)
    if min(x, y, z) < 1:
        return False
    return size is None or EM_HEADER_SIZE + x * y * z * np.dtype(_DTYPES[kind]).itemsize <= size


def open_em(store: Store, key: str) -> FlatVolume:
    """Open an EM volume. Reads the header only. Raises :class:`FormatError`."""
    size = store.stat(key).size
    header = EmHeader.parse(store.get_range(key, 0, EM_HEADER_SIZE), key, size)
    expected = EM_HEADER_SIZE + header.shape[0] * header.shape[1] * header.shape[2] * header.dtype.itemsize
    notes = header.notes + ((f"{size - expected} bytes after the data; ignored",) if size > expected else ())
    return FlatVolume(
        store,
        key,
        offset=EM_HEADER_SIZE,
        shape=header.shape,
        stored=header.dtype,
        voxel_size=(header.pixel_size, header.pixel_size, header.pixel_size),
        notes=notes,
    )
