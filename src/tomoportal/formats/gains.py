"""Gain references: DigitalMicrograph files become MRC files, everything else is kept as it is (F55)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tomoportal.formats.digital_micrograph import open_dm
from tomoportal.formats.mrc_output import output_start
from tomoportal.formats.source import Source
from tomoportal.formats.volumes import Volume, Voxels, blocks
from tomoportal.storage import FileRecord, Store

__all__ = ["ConvertedGain", "convert_gain", "gain_name"]

_CONVERTED = (".dm4", ".dm3")
_BLOCK = 4 * 1024 * 1024


@dataclass(frozen=True)
class ConvertedGain:
    """What was written; ``shape`` is (z, y, x)."""

    file: FileRecord
    shape: tuple[int, int, int]
    dtype: str
    notes: tuple[str, ...]


def gain_name(name: str) -> str:
    """The name of a gain reference in the archive: ``x.dm4`` becomes ``x.mrc``; .gain, .tiff, .mrc … keep theirs."""
    for ending in _CONVERTED:
        if name.lower().endswith(ending):
            return name[: -len(ending)] + ".mrc"
    return name


def convert_gain(source: Store, key: str, target: Store, target_key: str, *, timestamp: int = 0) -> ConvertedGain:
    """Write the image of a DigitalMicrograph file as MRC, in the type that it has where MRC has it too.

    DigitalMicrograph stores the top row first, MRC the bottom row: rows are turned round, so that the image looks the
    same in both. ``timestamp`` (seconds since the epoch) goes into the MRC label. Raises :class:`FormatError`.
    """
    volume = _UpsideDown(open_dm(source, key))
    try:
        with Source(volume, "tiltseries") as prepared:
            start, notes = output_start(
                volume,
                prepared.dtype,
                prepared.statistics,
                voxel_spacing=volume.voxel_size[0],
                is_stack=True,
                timestamp=timestamp,
            )
            little = prepared.dtype.newbyteorder("<")
            with target.open_writer(target_key, durable=False) as writer:
                writer.write(start)
                for z0, z1, y0, y1 in blocks(volume.shape, little.itemsize, _BLOCK):
                    voxels = np.ascontiguousarray(prepared.read(z0, z1, y0, y1), little)
                    writer.write(voxels.reshape(-1).view(np.uint8).data)
            noted = (*volume.notes, *prepared.notes, *notes)
            return ConvertedGain(writer.record, volume.shape, prepared.dtype.name, noted)
    finally:
        volume.close()


class _UpsideDown:
    """A volume with its rows in the opposite order."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.shape, self.dtype, self.voxel_size = volume.shape, volume.dtype, volume.voxel_size
        self.name, self.mapped, self.value_offset = volume.name, volume.mapped, volume.value_offset
        self.notes = volume.notes

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        ny = self.shape[1]
        low, high, _ = slice(y0, y1).indices(ny)
        return self._volume.read(z0, z1, ny - high, ny - low, x0, x1)[:, ::-1]

    def close(self) -> None:
        self._volume.close()
