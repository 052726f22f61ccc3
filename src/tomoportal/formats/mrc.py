"""MRC and CCP4 maps (MRC2014): header, permissive reading, header of what we write.

Format: https://www.ccpem.ac.uk/mrc_format/mrc2014.php; IMOD's additions: its documentation "mrc_format".
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from dataclasses import astuple, dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.volumes import Voxels
from tomoportal.storage import Store, open_store

__all__ = ["HEADER_SIZE", "MrcHeader", "MrcVolume", "open_mrc"]

HEADER_SIZE = 1024

_LAYOUT = "10i6f3i3f2i8s4si84s3f4s4sfi800s"
_DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_REFUSED = {
    3: ("complex 16-bit integers", "real space"),
    4: ("complex floats", "real space"),
    16: ("RGB colour", "grey values"),
    101: ("packed 4-bit values", "bytes, for instance with IMOD's newstack"),
}
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd"}
_STAMPS: dict[bytes, Literal["<", ">"]] = {b"DD": "<", b"DA": "<", b"\x11\x11": ">"}
_IMOD_STAMP = slice(40, 44)  # in extra2
_IMOD_FLAGS = slice(44, 48)
_IMOD_SIGNED_BYTES = 1
_UNSIGNED_BYTE_OFFSET = 128


@dataclass(frozen=True)
class MrcHeader:
    """The 1024 bytes at the start of an MRC file. Counts are in voxels, ``cella`` and ``origin`` are x, y, z in Å."""

    nx: int
    ny: int
    nz: int
    mode: int
    nxstart: int = 0
    nystart: int = 0
    nzstart: int = 0
    mx: int = 0
    my: int = 0
    mz: int = 0
    cella: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cellb: tuple[float, float, float] = (90.0, 90.0, 90.0)
    mapc: int = 1
    mapr: int = 2
    maps: int = 3
    dmin: float = 0.0
    dmax: float = -1.0
    dmean: float = -2.0
    ispg: int = 1
    nsymbt: int = 0
    extra1: bytes = bytes(8)
    exttyp: bytes = b"MRCO"
    nversion: int = 20141
    extra2: bytes = bytes(84)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    map: bytes = b"MAP "
    machst: bytes = b"DD\0\0"
    rms: float = -1.0
    nlabl: int = 0
    label_bytes: bytes = bytes(800)
    byte_order: Literal["<", ">"] = "<"
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def parse(cls, data: bytes, name: str = "MRC header", size: int | None = None) -> MrcHeader:
        """Read a header. ``size`` is that of the whole file in bytes, to tell a truncated file and a wrong header.

        What can be read for certain is read, and oddities are listed in ``notes``; what would have to be guessed
        raises :class:`FormatError`.
        """
        if len(data) < HEADER_SIZE:
            raise FormatError(
                f"the file ends after {len(data)} bytes; an MRC header has {HEADER_SIZE}",
                where=name,
                fix="copy the file again; this one is cut off or is no MRC file",
            )
        for magic, program in _COMPRESSED.items():
            if data.startswith(magic):
                raise FormatError(f"the file is compressed with {program}", where=name, fix="decompress it first")
        stamp = data[212:214]
        first = _STAMPS.get(stamp, "<")
        second: Literal["<", ">"] = ">" if first == "<" else "<"
        candidates = [cls._unpack(data, first), cls._unpack(data, second)]
        header = next(
            (header for header in candidates if header._is_sane() and header._fits(size)),
            next((header for header in candidates if header._is_sane()), candidates[0]),
        )
        header._check(name, size)
        return header._with_notes(stamp_known=stamp in _STAMPS, stamp_order=first)

    @classmethod
    def _unpack(cls, data: bytes, byte_order: Literal["<", ">"]) -> MrcHeader:
        flat = struct.unpack(byte_order + _LAYOUT, data[:HEADER_SIZE])
        grouped = [*flat[0:10], flat[10:13], flat[13:16], *flat[16:28], flat[28:31], *flat[31:36]]
        names = [each.name for each in fields(cls)]
        return cls(**dict(zip(names, grouped, strict=False)), byte_order=byte_order)

    def pack(self) -> bytes:
        """The 1024 bytes, in this header's byte order."""
        flat: list[Any] = []
        for value in astuple(self)[:-2]:
            flat.extend(value) if isinstance(value, tuple) else flat.append(value)
        return struct.pack(self.byte_order + _LAYOUT, *flat)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        return self.nz, self.ny, self.nx

    @property
    def itemsize(self) -> int:
        """Bytes per voxel."""
        return int(_DTYPES[self.mode][1])

    @property
    def data_offset(self) -> int:
        return HEADER_SIZE + self.nsymbt

    @property
    def data_size(self) -> int:
        return self.nx * self.ny * self.nz * self.itemsize

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """(x, y, z) in Å: cell length over sampling; 0.0 where the header does not say. Signs are dropped."""
        x, y, z = (
            abs(length) / samples if samples > 0 and math.isfinite(length) else 0.0
            for length, samples in zip(self.cella, (self.mx, self.my, self.mz), strict=True)
        )
        return x, y, z

    @property
    def labels(self) -> tuple[str, ...]:
        """The used text labels, without trailing blanks."""
        count = min(max(self.nlabl, 0), 10)
        texts = (self.label_bytes[80 * index : 80 * index + 80] for index in range(count))
        return tuple(text.decode("ascii", "replace").rstrip("\0 ") for text in texts)

    @property
    def imod_flags(self) -> int | None:
        """IMOD's flag bits; None if the file has no IMOD stamp."""
        stamp = b"IMOD" if self.byte_order == "<" else b"DOMI"
        if self.extra2[_IMOD_STAMP] != stamp:
            return None
        return int.from_bytes(self.extra2[_IMOD_FLAGS], "little" if self.byte_order == "<" else "big")

    @property
    def has_unsigned_bytes(self) -> bool:
        """Whether mode 0 stands for unsigned bytes here (reference: transforms 1.1).

        IMOD's flag for signed bytes decides; else a stated maximum above 127, which signed bytes cannot reach.
        """
        if self.mode != 0:
            return False
        flags = self.imod_flags
        if flags is not None and flags & _IMOD_SIGNED_BYTES:
            return False
        return self.dmax > 127 or (flags is not None and self.dmin > self.dmax)

    def _is_sane(self) -> bool:
        known = self.mode in _DTYPES or self.mode in _REFUSED
        return known and min(self.nx, self.ny, self.nz) > 0

    def _fits(self, size: int | None) -> bool:
        return size is None or self.mode not in _DTYPES or HEADER_SIZE + self.data_size <= size

    def _check(self, name: str, size: int | None) -> None:
        if self.mode in _REFUSED:
            what, way_out = _REFUSED[self.mode]
            raise FormatError(
                f"mode {self.mode} ({what}) is no volume",
                where=f"{name}: header field mode",
                fix=f"convert it to {way_out}",
            )
        if self.mode not in _DTYPES:
            raise FormatError(
                f"mode is {self.mode}; known are {', '.join(map(str, sorted(_DTYPES)))}",
                where=f"{name}: header field mode (byte 12)",
                fix="check that this is an MRC file; if so, write it again with the program that made it",
            )
        for axis in ("nx", "ny", "nz"):
            count = getattr(self, axis)
            if count < 1:
                raise FormatError(
                    f"{axis} is {count}; a volume has at least one voxel along each axis",
                    where=f"{name}: header field {axis}",
                    fix="correct the header, or write the file again with the program that made it",
                )
        axes = (self.mapc, self.mapr, self.maps)
        if axes != (1, 2, 3) and sorted(axes) == [1, 2, 3]:
            raise FormatError(
                f"the axes are stored in the order mapc, mapr, maps = {axes}, not 1, 2, 3",
                where=f"{name}: header fields mapc, mapr, maps",
                fix="reorder the axes first; reading them as they lie would turn or mirror the specimen",
            )
        if self.nsymbt < 0 or (size is not None and HEADER_SIZE + self.nsymbt > size):
            raise FormatError(
                f"nsymbt says that the extended header has {self.nsymbt} bytes"
                + ("" if size is None else f", but the file has {size}"),
                where=f"{name}: header field nsymbt (byte 92)",
                fix="correct nsymbt, or copy the file again if it is cut off",
            )
        if size is not None and self.data_offset + self.data_size > size:
            raise FormatError(
                f"the header promises {self.nx} × {self.ny} × {self.nz} voxels of {self.itemsize} bytes and an extended"
                f" header of {self.nsymbt}, {self.data_offset + self.data_size} bytes in all, but the file has {size}",
                where=f"{name}: header fields nx, ny, nz, mode, nsymbt",
                fix="copy the file again if it is cut off; else correct the header",
            )

    def _with_notes(self, *, stamp_known: bool, stamp_order: str) -> MrcHeader:
        notes = []
        if not stamp_known:
            notes.append(f"no valid machine stamp; read as {'little' if self.byte_order == '<' else 'big'}-endian")
        elif self.byte_order != stamp_order:
            notes.append(f"wrong machine stamp; the file is {'little' if self.byte_order == '<' else 'big'}-endian")
        if self.map != b"MAP ":
            notes.append("no 'MAP ' identifier: a header older than MRC2000")
        if (self.mapc, self.mapr, self.maps) != (1, 2, 3):
            notes.append(f"mapc, mapr, maps are {self.mapc}, {self.mapr}, {self.maps}; taken as 1, 2, 3")
        if not 0 <= self.nlabl <= 10:
            notes.append(f"nlabl is {self.nlabl}; a header has at most 10 labels")
        if any(length < 0 for length in self.cella):
            notes.append("negative cell lengths; taken as positive")
        if any(size == 0.0 for size in self.voxel_size[:2]):
            notes.append("no voxel size in the header")
        if self.has_unsigned_bytes:
            notes.append("mode 0 holds unsigned bytes")
        return replace(self, notes=tuple(notes))


class MrcVolume:
    """An MRC file as a volume: memory-mapped on a local disk, read by ranges from an object store.

    Voxels come as int8, int16, uint16 or float32 in native byte order; float16 is widened, unsigned bytes come as
    ``value - 128`` with ``value_offset`` 128.
    """

    def __init__(self, store: Store, key: str, *, name: str | None = None) -> None:
        self.name = name or key
        size = store.stat(key).size
        self.header = MrcHeader.parse(store.get_range(key, 0, HEADER_SIZE), self.name, size)
        self.shape = self.header.shape
        self.voxel_size = self.header.voxel_size
        self._stored = np.dtype(self.header.byte_order + _DTYPES[self.header.mode])
        self._flip = self.header.has_unsigned_bytes
        self.value_offset = _UNSIGNED_BYTE_OFFSET if self._flip else 0
        self.dtype = np.dtype("f4") if self.header.mode == 12 else self._stored.newbyteorder("=")
        trailing = size - self.header.data_offset - self.header.data_size
        self.notes = self.header.notes + ((f"{trailing} bytes after the data; ignored",) if trailing else ())
        self._store, self._key = store, key
        self._map: mmap.mmap | None = None
        self._voxels: Voxels | None = None
        path = store.local_path(key)
        if path is not None:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            count = self.header.data_size // self._stored.itemsize
            self._voxels = np.frombuffer(self._map, self._stored, count, self.header.data_offset).reshape(self.shape)
        self.mapped = self._voxels is not None

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``; a read-only view of the file where nothing has to be converted."""
        if self._voxels is not None:
            return self._converted(self._voxels[z0:z1, y0:y1, x0:x1])
        nz, ny, nx = self.shape
        (z0, z1, _), (y0, y1, _) = slice(z0, z1).indices(nz), slice(y0, y1).indices(ny)
        if y1 - y0 == ny:
            return self._converted(self._fetch(z0 * ny, (z1 - z0) * ny).reshape(-1, ny, nx)[:, :, x0:x1])
        planes = [self._fetch(z * ny + y0, y1 - y0) for z in range(z0, z1)]
        return self._converted(np.stack(planes)[:, :, x0:x1])

    def extended_header(self) -> bytes:
        """The bytes between header and data; what they mean is named by ``header.exttyp``."""
        if not self.header.nsymbt:
            return b""
        return self._store.get_range(self._key, HEADER_SIZE, self.header.nsymbt)

    def close(self) -> None:
        """Let go of the file. Views handed out before stay valid; the mapping ends with the last of them."""
        self._voxels = self._map = None

    def _fetch(self, row: int, rows: int) -> Voxels:
        """Whole rows from the store, as ``(rows, x)``."""
        width = self.shape[2] * self._stored.itemsize
        data = self._store.get_range(self._key, self.header.data_offset + row * width, rows * width)
        if len(data) != rows * width:
            raise FormatError("the file became shorter while it was read", where=self.name, fix="run the command again")
        return np.frombuffer(data, self._stored).reshape(rows, self.shape[2])

    def _converted(self, voxels: Voxels) -> Voxels:
        if self._flip:
            return voxels ^ np.int8(-128)  # flipping the top bit of an unsigned byte subtracts 128
        return voxels.astype(self.dtype, copy=False)


def open_mrc(store: Store | str | os.PathLike[str], key: str | None = None) -> MrcVolume:
    """Open an MRC file: a key in a store, or a path on the local disk.

    Reads the header only. Raises :class:`FormatError` for a file whose header and size contradict each other, and
    :class:`~tomoportal.errors.NotFoundError` where there is none.
    """
    if isinstance(store, Store):
        if key is None:
            raise FormatError("a store needs a key", where=store.url, fix="call open_mrc(store, key)")
        return MrcVolume(store, key)
    path = os.path.realpath(os.fspath(store))  # the store refuses links that lead out of its folder
    return MrcVolume(open_store(os.path.dirname(path), read_only=True), os.path.basename(path), name=os.fspath(store))
