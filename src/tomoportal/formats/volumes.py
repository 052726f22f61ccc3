"""What a volume is: voxels that are read block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError

__all__ = [
    "BLOCK_BYTES",
    "ISOTROPY_TOLERANCE",
    "ArrayVolume",
    "Block",
    "Chunked",
    "Volume",
    "Voxels",
    "blocks",
    "header_spacing",
]

Voxels: TypeAlias = NDArray[Any]
Block: TypeAlias = tuple[int, int, int, int]

ISOTROPY_TOLERANCE = 0.001
"""Relative difference between the voxel sizes of two axes above which a volume counts as anisotropic."""


BLOCK_BYTES = 8 * 1024 * 1024
"""Size of the pieces in which a whole volume is read: large enough for every disk, small beside the memory limit."""


class Volume(Protocol):
    """Voxels in the order ``(z, y, x)``, read block by block.

    ``voxel_size`` is (x, y, z) in Å, 0.0 where the source does not say. ``notes`` holds what is odd about the source
    but did no harm. ``mapped`` says that reading twice costs nothing (memory, or a memory-mapped file).
    ``value_offset`` is what must be added to a voxel to get the value that the source meant (128 for a volume of
    unsigned bytes that is read as ``value - 128``).
    """

    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def voxel_size(self) -> tuple[float, float, float]: ...
    @property
    def name(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def mapped(self) -> bool: ...
    @property
    def value_offset(self) -> int: ...

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]`` in native byte order; perhaps a read-only view."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...


@runtime_checkable
class Chunked(Protocol):
    """A volume that is stored in chunks of ``(z, y, x)`` voxels: a read costs whole chunks."""

    @property
    def chunks(self) -> tuple[int, int, int]: ...


class ArrayVolume:
    """A volume that is already in memory (or in a NumPy memory map).

    ``array`` has the axes ``(z, y, x)``; ``voxel_size`` is one edge length in Å or (x, y, z).
    """

    mapped = True
    value_offset = 0

    def __init__(
        self,
        array: Voxels,
        voxel_size: float | tuple[float, float, float] = 0.0,
        *,
        name: str = "array",
        notes: tuple[str, ...] = (),
    ) -> None:
        if array.ndim != 3 or 0 in array.shape:
            raise FormatError(
                f"a volume has three axes with at least one voxel each, not the shape {array.shape}", where=name
            )
        self._array = array
        self.shape: tuple[int, int, int] = (array.shape[0], array.shape[1], array.shape[2])
        self.dtype = array.dtype.newbyteorder("=")
        self.voxel_size = voxel_size if isinstance(voxel_size, tuple) else (voxel_size, voxel_size, voxel_size)
        self.name = name
        self.notes = notes

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        return self._array[z0:z1, y0:y1, x0:x1].astype(self.dtype, copy=False)

    def close(self) -> None:
        """Nothing to let go of."""


def blocks(shape: tuple[int, int, int], itemsize: int, limit: int = BLOCK_BYTES) -> Iterator[Block]:
    """Divide a volume into ``(z0, z1, y0, y1)`` of at most ``limit`` bytes that follow each other in C order.

    Blocks are whole planes, or rows of one plane where a plane is larger than the limit.
    """
    nz, ny, nx = shape
    planes = limit // (ny * nx * itemsize)
    if planes:
        for z in range(0, nz, planes):
            yield z, min(z + planes, nz), 0, ny
        return
    rows = max(1, limit // (nx * itemsize))
    for z in range(nz):
        for y in range(0, ny, rows):
            yield z, z + 1, y, min(y + rows, ny)


def header_spacing(volume: Volume, *, in_plane: bool = False) -> float:
    """The voxel spacing that a volume's header states, in Å, rounded to three decimals (reference: transforms 1.1).

    ``in_plane`` looks at x and y only, as is right for a tilt series. Raises :class:`FormatError` when the header
    states none, or not the same one for every axis.
    """
    sizes = volume.voxel_size[:2] if in_plane else volume.voxel_size
    text = " × ".join(f"{size:g}" for size in sizes)
    where = f"{volume.name}: voxel size (in MRC files cella over mx, my, mz)"
    if any(not math.isfinite(size) or size <= 0 for size in sizes):
        raise FormatError(
            f"the header gives no usable voxel size ({text} Å)",
            where=where,
            fix="state the voxel spacing in the config, or correct the header",
        )
    if max(sizes) > min(sizes) * (1 + ISOTROPY_TOLERANCE):
        raise FormatError(
            f"the voxels are not cubes: {text} Å",
            where=where,
            fix="resample the volume to cubic voxels, or correct the cell lengths in its header",
        )
    return round(sizes[1], 3)
