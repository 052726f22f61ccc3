"""A source mask that several annotations share: read once, then asked for each of its labels."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.formats.spool import Box, SpooledVolume, boxes, spooled
from tomoportal.formats.volumes import Volume, Voxels

__all__ = ["LabelVolume"]

_MOST_LABELS = 1_000_000


class LabelVolume:
    """A volume that knows which values it holds, so that a mask that would be empty need not be made.

    Opening it reads the source once: a file on the local disk through its memory map, anything else into a temporary
    file. After that it is a volume like any other, from which :func:`~tomoportal.formats.masks.semantic_mask` and
    ``instance_mask`` take their voxels without reading the source again. Closing it closes the source; masks made from
    it must not be used after that (nor close it: give them to ``convert_volume`` and drop them).

    With a ``path`` the temporary file is that one, and what is known of it lies beside it in ``path.json``, complete as
    soon as that exists: another process that opens the same volume with the same path reads nothing of the source. The
    caller sees to it that only one does so at a time, and removes both files.
    """

    mapped = True

    def __init__(self, volume: Volume, *, workers: int = 1, path: Path | None = None) -> None:
        known = path.with_name(f"{path.name}.json") if path is not None else None
        is_known = known is not None and known.exists()
        self._volume: Volume
        if path is None:
            self._volume = spooled(volume, workers=workers)
        elif is_known:
            self._volume = _Kept(volume, path)
        else:
            self._volume = SpooledVolume(volume, workers=workers, path=path)
        self.shape, self.dtype, self.voxel_size = volume.shape, volume.dtype, volume.voxel_size
        self.name, self.notes, self.value_offset = volume.name, volume.notes, volume.value_offset
        self.maximum: float
        """The largest value: a threshold above it selects nothing."""
        self.counts: Mapping[int, int] | None
        """Voxels of each value, 0 among them; None for a volume of grey values, which are no labels."""
        if known is not None and is_known:
            self.maximum, counts = json.loads(known.read_bytes())
            self.counts = None if counts is None else dict(counts)
            return
        try:
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(self._count, boxes(self._volume, self.dtype.itemsize)))
        except BaseException:
            self._volume.close()
            raise
        self.maximum = max(part[0] for part in parts)
        self.counts = _merged([part[1] for part in parts], self.value_offset)
        if known is not None:
            aside = known.with_suffix(".part")
            aside.write_text(json.dumps([self.maximum, None if self.counts is None else list(self.counts.items())]))
            os.replace(aside, known)

    def holds(self, label: int) -> bool:
        """Whether any voxel has this label (or may have it, in a volume of grey values)."""
        return self.counts is None or label in self.counts

    def reaches(self, threshold: float) -> bool:
        """Whether any voxel is at least ``threshold``."""
        return self.maximum >= threshold

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``."""
        return self._volume.read(z0, z1, y0, y1, x0, x1)

    def close(self) -> None:
        """Let go of the source and of the temporary file."""
        self._volume.close()

    def _count(self, box: Box) -> tuple[float, tuple[NDArray[Any], NDArray[np.int64]] | None]:
        """The largest value of a box, and its values with the number of voxels of each.

        Labels come in long runs, so that the lengths of runs are added up instead of sorting voxels.
        """
        flat = self._volume.read(*box).reshape(-1)
        with np.errstate(invalid="ignore"):
            largest = float(np.fmax.reduce(flat)) + self.value_offset
        starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        if flat.dtype.kind == "f" and starts.size > _MOST_LABELS // 4:
            return largest, None
        starts = np.concatenate([np.zeros(1, np.int64), starts])
        values, which = np.unique(flat[starts], return_inverse=True)
        if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
            return largest, None
        lengths = np.diff(starts, append=flat.size)
        return largest, (values, np.bincount(which, lengths, len(values)).astype(np.int64))


class _Kept:
    """The voxels of a volume from the file that another process filled."""

    mapped = True

    def __init__(self, volume: Volume, path: Path) -> None:
        self.shape, self.dtype, self.voxel_size = volume.shape, volume.dtype, volume.voxel_size
        self.name, self.notes, self.value_offset = volume.name, volume.notes, volume.value_offset
        self._volume = volume
        self._voxels: Voxels = np.memmap(path, volume.dtype, "r", shape=volume.shape)

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``."""
        return self._voxels[z0:z1, y0:y1, x0:x1]

    def close(self) -> None:
        """Let go of the source."""
        self._volume.close()


def _merged(parts: list[tuple[NDArray[Any], NDArray[np.int64]] | None], offset: int) -> dict[int, int] | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    values, which = np.unique(np.concatenate([part[0] for part in known]), return_inverse=True)
    if len(values) > _MOST_LABELS or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        return None
    counts = np.bincount(which, np.concatenate([part[1] for part in known]), len(values))
    return {int(value) + offset: int(count) for value, count in zip(values, counts, strict=True)}
