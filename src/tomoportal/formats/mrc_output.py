"""The beginning of the MRC files that we write (reference: transforms 1.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from tomoportal.formats.mrc import MrcHeader, MrcVolume
from tomoportal.formats.statistics import Statistics
from tomoportal.formats.volumes import Volume

__all__ = ["output_start"]

_MODES = {"int8": 0, "int16": 1, "float32": 2, "uint16": 6}
"""The MRC mode of each voxel type that an MRC file of ours can hold."""

_IMOD_FLAGS = 44  # in extra2; the lowest byte
_SIGNED_BYTES = 1
_LONGEST_EXTENDED_HEADER = 32 * 1024 * 1024  # a thousand sections of the longest known type take 1 MB


def output_start(
    volume: Volume,
    dtype: np.dtype[Any],
    statistics: Statistics,
    *,
    voxel_spacing: float,
    is_stack: bool,
    timestamp: int,
) -> tuple[bytes, list[str]]:
    """What precedes the voxels of ``volume``, stored as ``dtype``: header and extended header; and notes.

    ``voxel_spacing`` is in Å, ``timestamp`` in seconds since the epoch. ``is_stack`` marks a stack of images (tilt
    series) instead of a volume. What an MRC source says in its extra bytes and extended header is kept.
    """
    nz, ny, nx = volume.shape
    mz = 1 if is_stack else nz
    written = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")
    extended, kept, notes = _kept(volume, dtype)
    header = MrcHeader(
        nx=nx,
        ny=ny,
        nz=nz,
        mode=_MODES[dtype.name],
        mx=nx,
        my=ny,
        mz=mz,
        cella=(voxel_spacing * nx, voxel_spacing * ny, voxel_spacing * mz),
        dmin=statistics.min,
        dmax=statistics.max,
        dmean=statistics.mean,
        rms=statistics.rms,
        ispg=0 if is_stack else 1,
        nsymbt=len(extended),
        nlabl=1,
        label_bytes=f"Written by tomoportal, {written} UTC".encode().ljust(80).ljust(800, b"\0"),
        **kept,
    )
    return header.pack() + extended, notes


def _kept(volume: Volume, dtype: np.dtype[Any]) -> tuple[bytes, dict[str, Any], list[str]]:
    """What goes over from an MRC source: extended header, header fields by name, and what had to stay behind."""
    if not isinstance(volume, MrcVolume):
        return b"", {}, []
    source = volume.header
    if source.byte_order != "<" or source.map != b"MAP ":
        return b"", {}, ["the extended header was left behind: its byte order is not ours"] if source.nsymbt else []
    extra2 = bytearray(source.extra2)
    if source.imod_flags is not None and dtype.name == "int8":
        extra2[_IMOD_FLAGS] |= _SIGNED_BYTES
    kept: dict[str, Any] = {"extra1": source.extra1, "extra2": bytes(extra2)}
    if source.nsymbt > _LONGEST_EXTENDED_HEADER:
        return b"", kept, [f"the extended header was left behind: it has {source.nsymbt} bytes"]
    extended = volume.extended_header()
    if not extended.strip(b"\0"):
        return b"", kept, []
    if source.exttyp.isalnum():
        kept["exttyp"] = source.exttyp
    return extended, kept, []
