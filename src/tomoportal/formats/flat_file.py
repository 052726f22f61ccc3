"""Voxels that lie in a file one after the other, x fastest: memory-mapped on a local disk, else read by ranges."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.volumes import Voxels
from tomoportal.storage import Store

__all__ = ["FlatVolume"]


class FlatVolume:
    """A volume of ``shape`` (z, y, x) in the file ``key`` from byte ``offset`` on; ``stored`` is its type there.

    ``voxel_size`` is (x, y, z) in Å. Raises :class:`FormatError` if the file is too short.
    """

    value_offset = 0

    def __init__(
        self,
        store: Store,
        key: str,
        *,
        offset: int,
        shape: tuple[int, int, int],
        stored: np.dtype[Any],
        voxel_size: tuple[float, float, float] = (0.0, 0.0, 0.0),
        notes: tuple[str, ...] = (),
    ) -> None:
        self.shape, self.voxel_size, self.name, self.notes = shape, voxel_size, key, notes
        self.dtype = stored.newbyteorder("=")
        self._store, self._key, self._offset, self._stored = store, key, offset, stored
        count = shape[0] * shape[1] * shape[2]
        size = store.stat(key).size
        if offset + count * stored.itemsize > size:
            raise FormatError(
                f"the header promises {shape[2]} × {shape[1]} × {shape[0]} voxels of {stored.itemsize} bytes, but the"
                f" file has {size} bytes",
                where=key,
                fix="copy the file again if it is cut off; else correct the header",
            )
        self._voxels: Voxels | None = None
        path = store.local_path(key)
        if path is not None:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._voxels = np.frombuffer(mapped, stored, count, offset).reshape(shape)
        self.mapped = self._voxels is not None

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``; a read-only view where nothing has to be converted."""
        if self._voxels is not None:
            return self._voxels[z0:z1, y0:y1, x0:x1].astype(self.dtype, copy=False)
        nz, ny, nx = self.shape
        (z0, z1, _), (y0, y1, _) = slice(z0, z1).indices(nz), slice(y0, y1).indices(ny)
        if y1 - y0 == ny:
            found = self._rows(z0 * ny, (z1 - z0) * ny).reshape(-1, ny, nx)
        else:
            found = np.stack([self._rows(z * ny + y0, y1 - y0) for z in range(z0, z1)])
        return found[:, :, x0:x1].astype(self.dtype, copy=False)

    def close(self) -> None:
        """Let go of the file; views handed out before stay valid."""
        self._voxels = None

    def _rows(self, row: int, rows: int) -> Voxels:
        width = self.shape[2] * self._stored.itemsize
        data = self._store.get_range(self._key, self._offset + row * width, rows * width)
        if len(data) != rows * width:
            raise FormatError("the file became shorter while it was read", where=self.name, fix="run the command again")
        return np.frombuffer(data, self._stored).reshape(rows, self.shape[2])
