"""Single volumes as MRC, EM and TIFF files, streamed plane by plane in the type that they have."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from PIL import Image

from tomoportal.errors import FormatError
from tomoportal.formats.mrc_output import output_start
from tomoportal.formats.statistics import measure, total
from tomoportal.formats.volumes import Volume, blocks
from tomoportal.storage import Store

__all__ = ["TiffCompression", "write_em", "write_mrc", "write_tiff", "write_tiff_channels"]

TiffCompression: TypeAlias = Literal["none", "zlib", "lzw", "jpeg"]
_MRC_TYPES: Final = ("int8", "int16", "uint16", "float32")
_EM_TYPES: Final = {"int8": 1, "int16": 2, "int32": 4, "float32": 5, "float64": 9}
_EM_PIXEL_SIZE: Final = 96 + 4 * 6  # byte of the pixel size, in thousandths of a nanometre
_TIFF_TYPES: Final = {"u": 1, "i": 2, "f": 3}
_COMPRESSIONS: Final = {"none": 1, "lzw": 5, "zlib": 8}
_LARGEST_CLASSIC: Final = 2**32 - 2**25
_LARGEST_EM_SIDE: Final = 2**31 - 1


def write_mrc(volume: Volume, store: Store, key: str, *, voxel_spacing: float) -> None:
    """An MRC file of int8, int16, uint16 or float32 voxels of ``voxel_spacing`` Å; it is read twice.

    Raises :class:`FormatError` for other types.
    """
    _check_type(volume, _MRC_TYPES, "MRC")
    parts = []
    for z0, z1, y0, y1 in blocks(volume.shape, volume.dtype.itemsize):
        parts.append(measure(volume.read(z0, z1, y0, y1), 0.0))
    start, _ = output_start(
        volume, volume.dtype, total(parts), voxel_spacing=voxel_spacing, is_stack=False, timestamp=0
    )
    with store.open_writer(key) as writer:
        writer.write(start)
        _write_voxels(volume, writer)


def write_em(volume: Volume, store: Store, key: str, *, voxel_spacing: float) -> None:
    """An EM file with voxels of ``voxel_spacing`` Å; the format counts hundredths of an Å.

    Raises :class:`FormatError` for types that EM files do not have.
    """
    _check_type(volume, tuple(_EM_TYPES), "EM")
    nz, ny, nx = volume.shape
    header = bytearray(512)
    struct.pack_into("<4B3i", header, 0, 6, 0, 0, _EM_TYPES[volume.dtype.name], nx, ny, nz)
    struct.pack_into("<i", header, _EM_PIXEL_SIZE, min(round(voxel_spacing * 100), _LARGEST_EM_SIDE))
    with store.open_writer(key) as writer:
        writer.write(bytes(header))
        _write_voxels(volume, writer)


def write_tiff(
    volume: Volume, store: Store, key: str, *, voxel_spacing: float, compression: TiffCompression = "none"
) -> None:
    """A TIFF file with a page for each z, BigTIFF where 4 GB do not do; ImageJ reads the voxel size (Å) from it.

    Raises :class:`FormatError` for lossy compression, and for types that are no numbers.
    """
    description = _description(volume.shape[0], voxel_spacing)
    _write_pages((volume,), store, key, voxel_spacing, compression, description)


def write_tiff_channels(
    channels: Sequence[Volume], store: Store, key: str, *, compression: TiffCompression = "none"
) -> None:
    """Volumes of one shape and type as the channels of a TIFF file, which tifffile reads as ``(c, z, y, x)``.

    It states no voxel size. Raises :class:`FormatError` as :func:`write_tiff` does.
    """
    shape = json.dumps({"shape": [len(channels), *channels[0].shape]})
    _write_pages(channels, store, key, 1.0, compression, shape)


def _write_pages(
    volumes: Sequence[Volume],
    store: Store,
    key: str,
    voxel_spacing: float,
    compression: TiffCompression,
    description: str,
) -> None:
    volume = volumes[0]
    if compression == "jpeg":
        raise FormatError("JPEG changes voxels.", where=key, fix="use zlib or lzw, which do not")
    if volume.dtype.kind not in _TIFF_TYPES:
        raise FormatError(f"Voxels of type {volume.dtype} cannot be written as TIFF.", where=key, fix="use uint8")
    nz, ny, nx = volume.shape
    count = nz * len(volumes)
    is_big = count * ny * nx * volume.dtype.itemsize > _LARGEST_CLASSIC
    with store.open_writer(key) as writer:
        writer.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) if is_big else struct.pack("<2sHI", b"II", 42, 8))
        place = 16 if is_big else 8
        directory = partial(_directory, volume, compression, voxel_spacing, is_big)
        size = ny * nx * volume.dtype.itemsize
        if compression == "none":  # tifffile takes the pages of such a file for one array
            data_at = place + len(directory(place, description, size, 0, 0))
            after = data_at + count * size
            writer.write(directory(place, description, size, data_at, after if count > 1 else 0))
            for number in range(count):
                writer.write(_page(volumes, number, compression))
            for number in range(1, count):
                length = len(directory(after, "", size, 0, 0))
                following = after + length if number < count - 1 else 0
                writer.write(directory(after, "", size, data_at + number * size, following))
                after += length
            return
        for number in range(count):
            data, text = _page(volumes, number, compression), "" if number else description
            data_at = place + len(directory(place, text, len(data), 0, 0))
            following = data_at + len(data) if number < count - 1 else 0
            writer.write(directory(place, text, len(data), data_at, following))
            writer.write(data)
            place = data_at + len(data)


def _page(volumes: Sequence[Volume], number: int, compression: TiffCompression) -> bytes:
    """The bytes of a page; those of the second volume follow all of the first."""
    which, z = divmod(number, volumes[0].shape[0])
    little = volumes[0].dtype.newbyteorder("<")
    return _compressed(np.ascontiguousarray(volumes[which].read(z, z + 1)[0], little), compression)


def _check_type(volume: Volume, types: tuple[str, ...], name: str) -> None:
    if volume.dtype.name not in types:
        raise FormatError(
            f"Voxels of type {volume.dtype.name} cannot be written as {name}.",
            where=volume.name,
            fix=f"{name} holds {', '.join(types)}; TIFF and Zarr hold every type",
        )


def _write_voxels(volume: Volume, writer: Any) -> None:
    little = volume.dtype.newbyteorder("<")
    for z0, z1, y0, y1 in blocks(volume.shape, volume.dtype.itemsize):
        voxels = np.ascontiguousarray(volume.read(z0, z1, y0, y1), little)
        writer.write(voxels.reshape(-1).view(np.uint8).data)


def _description(pages: int, voxel_spacing: float) -> str:
    return f"ImageJ=1.54f\nimages={pages}\nslices={pages}\nunit=angstrom\nspacing={voxel_spacing!r}\nloop=false\n"


def _directory(
    volume: Volume,
    compression: str,
    voxel_spacing: float,
    is_big: bool,
    place: int,
    description: str,
    size: int,
    data_at: int,
    next_at: int,
) -> bytes:
    """The directory of a page at byte ``place``; its data and the next directory are at the other bytes."""
    text = description.encode("latin-1") + b"\0" if description else b""
    text += b"\0" * (len(text) % 2)
    width, entry = (8, "<HHQ8s") if is_big else (4, "<HHI4s")
    _, ny, nx = volume.shape
    count = 12 + bool(text)
    head = (8 if is_big else 2) + count * struct.calcsize(entry) + width
    resolution = struct.pack("<2I", *_ratio(1 / voxel_spacing))
    # The values that do not fit into an entry stand behind the directory: resolution (twice), then the description.
    pointer = "<Q" if is_big else "<I"
    fields: list[tuple[int, int, int, bytes]] = [
        (256, 4, 1, struct.pack("<I", nx)),
        (257, 4, 1, struct.pack("<I", ny)),
        (258, 3, 1, struct.pack("<H", volume.dtype.itemsize * 8)),
        (259, 3, 1, struct.pack("<H", _COMPRESSIONS[compression])),
        (262, 3, 1, struct.pack("<H", 1)),  # black is zero
        *([(270, 2, len(text), struct.pack(pointer, place + head + 16))] if text else []),
        (273, 16 if is_big else 4, 1, struct.pack(pointer, data_at)),
        (277, 3, 1, struct.pack("<H", 1)),
        (278, 4, 1, struct.pack("<I", ny)),
        (279, 16 if is_big else 4, 1, struct.pack(pointer, size)),
        (282, 5, 1, resolution if is_big else struct.pack("<I", place + head)),
        (283, 5, 1, resolution if is_big else struct.pack("<I", place + head + 8)),
        (339, 3, 1, struct.pack("<H", _TIFF_TYPES[volume.dtype.kind])),
    ]
    packed = [struct.pack(entry, tag, kind, number, value.ljust(width, b"\0")) for tag, kind, number, value in fields]
    start = struct.pack("<Q" if is_big else "<H", count)
    following = struct.pack(pointer, next_at)
    return start + b"".join(packed) + following + resolution * 2 + text


def _ratio(value: float) -> tuple[int, int]:
    """A fraction of two 32-bit numbers, to nine digits."""
    scale = 10**9 if value < 4 else 1
    return max(1, round(value * scale)), scale


def _compressed(page: np.ndarray[Any, Any], compression: str) -> bytes:
    data = page.tobytes()
    if compression == "zlib":
        return zlib.compress(data, 6)
    if compression == "none":
        return data
    # LZW is a matter of bytes: Pillow compresses them as a grey image, in one strip.
    file = io.BytesIO()
    rows = page.view(np.uint8).reshape(page.shape[0], -1)
    Image.fromarray(rows).save(file, "TIFF", compression="tiff_lzw", tiffinfo={278: page.shape[0]})
    with Image.open(io.BytesIO(file.getvalue())) as image:
        tags: Any = getattr(image, "tag_v2")  # noqa: B009
        offsets, sizes = tags[273], tags[279]
    whole = file.getvalue()
    if len(offsets) != 1:
        raise FormatError("Pillow divided a page into strips.", fix="use zlib")
    return whole[offsets[0] : offsets[0] + sizes[0]]
