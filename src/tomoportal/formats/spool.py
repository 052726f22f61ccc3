"""A volume that is costly to read (compressed, or far away) is read once, into a temporary file."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np

from tomoportal.errors import StorageError
from tomoportal.formats.volumes import Chunked, Volume, Voxels, blocks

__all__ = ["Box", "Spool", "SpooledVolume", "boxes", "spooled"]

Box: TypeAlias = tuple[int, int, int, int, int, int]
"""``(z0, z1, y0, y1, x0, x1)``."""

_BLOCK = 8 * 1024 * 1024


def boxes(volume: Volume, itemsize: int, limit: int = _BLOCK) -> Iterator[Box]:
    """Divide a volume into boxes of about ``limit`` bytes that touch every chunk of it once."""
    nz, ny, nx = volume.shape
    if not isinstance(volume, Chunked):
        for z0, z1, y0, y1 in blocks(volume.shape, itemsize, limit):
            yield z0, z1, y0, y1, 0, nx
        return
    edges = [min(chunk, size) for chunk, size in zip(volume.chunks, volume.shape, strict=True)]
    for axis in (2, 1, 0):
        room = max(1, limit // (edges[0] * edges[1] * edges[2] * itemsize))
        edges[axis] = min(edges[axis] * room, volume.shape[axis])
    for z in range(0, nz, edges[0]):
        for y in range(0, ny, edges[1]):
            for x in range(0, nx, edges[2]):
                yield z, min(z + edges[0], nz), y, min(y + edges[1], ny), x, min(x + edges[2], nx)


class Spool:
    """Room on the disk for the voxels of one volume: filled box by box, then read like memory.

    Without a ``path`` the file has no name and is gone when it is closed, whatever happens.
    """

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype[Any], path: Path | None = None) -> None:
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        # Closed by close.
        self._file = path.open("w+b") if path else tempfile.TemporaryFile(prefix="tomoportal-")  # noqa: SIM115
        try:
            # Taking the room beforehand turns a full disk into an error here instead of a signal at some later write.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, size)
            else:
                self._file.truncate(size)
        except OSError as error:
            self._file.close()
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EINVAL):
                raise
            raise StorageError(
                f"the disk for temporary files has no room for {size} bytes",
                where=tempfile.gettempdir() if path is None else str(path.parent),
                fix="free some space there, or set TMPDIR to a larger disk",
            ) from error
        self.voxels: Voxels = np.memmap(self._file, dtype, "r+", shape=shape)

    def put(self, box: Box, voxels: Voxels) -> None:
        z0, z1, y0, y1, x0, x1 = box
        self.voxels[z0:z1, y0:y1, x0:x1] = voxels

    def close(self) -> None:
        self._file.close()


class SpooledVolume:
    """A volume whose voxels lie in a :class:`Spool`; everything else is the source's."""

    mapped = True

    def __init__(self, volume: Volume, *, workers: int = 1, path: Path | None = None) -> None:
        self.shape, self.dtype, self.voxel_size = volume.shape, volume.dtype, volume.voxel_size
        self.name, self.notes, self.value_offset = volume.name, volume.notes, volume.value_offset
        self._volume = volume
        self._spool = Spool(volume.shape, volume.dtype, path)
        try:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(self._fetch, boxes(volume, volume.dtype.itemsize)):
                    pass
        except BaseException:
            self._spool.close()
            raise

    def __enter__(self) -> SpooledVolume:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _fetch(self, box: Box) -> None:
        self._spool.put(box, self._volume.read(*box))

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``."""
        return self._spool.voxels[z0:z1, y0:y1, x0:x1]

    def close(self) -> None:
        """Drop the temporary file and let go of the source."""
        self._spool.close()
        self._volume.close()


def spooled(volume: Volume, *, workers: int = 1) -> Volume:
    """``volume`` itself if reading it twice costs nothing, else its copy on the local disk; closing closes both."""
    return volume if volume.mapped else SpooledVolume(volume, workers=workers)
