"""Which format a volume has is decided by what it holds, not by its name."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tomoportal.errors import FormatError
from tomoportal.formats.em import EM_HEADER_SIZE, EmHeader, open_em
from tomoportal.formats.mrc import open_mrc
from tomoportal.formats.omezarr.reader import is_zarr, open_omezarr
from tomoportal.formats.tiff import is_tiff, open_tiff
from tomoportal.formats.volumes import Volume
from tomoportal.storage import Store

__all__ = ["VolumeFormat", "open_volume", "volume_format"]

VolumeFormat: TypeAlias = Literal["mrc", "omezarr", "em", "tiff"]

_HDF5 = b"\x89HDF\r\n\x1a\n"


def volume_format(store: Store, key: str) -> VolumeFormat:
    """What a file or folder is; whatever is nothing else counts as MRC, whose reader says what is wrong with it."""
    if not store.exists(key):
        if is_zarr(store, key):
            return "omezarr"
        return "mrc"
    start = store.get_range(key, 0, EM_HEADER_SIZE)
    if is_tiff(start):
        return "tiff"
    if start.startswith(_HDF5):
        raise FormatError(
            "this is an HDF5 file, which is no volume format here", where=key, fix="convert it to MRC or OME-Zarr"
        )
    if start[208:212] != b"MAP " and _is_em(start, key, store.stat(key).size):
        return "em"
    return "mrc"


def open_volume(store: Store, key: str) -> Volume:
    """Open a volume: MRC, OME-Zarr (a folder), EM or TIFF. Reads headers and metadata only.

    Raises :class:`FormatError`, and :class:`~tomoportal.errors.NotFoundError` where there is nothing.
    """
    match volume_format(store, key):
        case "omezarr":
            return open_omezarr(store, key)
        case "tiff":
            return open_tiff(store, key)
        case "em":
            return open_em(store, key)
        case "mrc":
            return open_mrc(store, key)


def _is_em(start: bytes, name: str, size: int) -> bool:
    """Whether the sizes in an EM header account for every byte of the file, which those of an MRC file do not."""
    try:
        header = EmHeader.parse(start, name, size)
    except FormatError:
        return False
    z, y, x = header.shape
    return EM_HEADER_SIZE + x * y * z * header.dtype.itemsize == size
