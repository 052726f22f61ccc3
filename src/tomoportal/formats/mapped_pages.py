"""Pages of memory-mapped files that were read and stay in memory: they are given back while a volume is worked through.

The kernel keeps the pages of a mapping in the process until memory is short, and counts them as the process's; where
the limit of a container or a cluster's job is near, that kills it.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import numpy as np

from tomoportal.formats.volumes import Voxels

__all__ = ["MappedPages"]

_PLANES = 32  # one row of a plane may bring 2 MiB of it, and did on kernels that have large folios


class MappedPages:
    """The mapping that an array lies in, if it is one that may only be read; of other arrays nothing is given back.

    Pages come back from the file (mostly from the page cache) when they are read again, so that views stay valid, also
    in other threads. Mappings that may be written are left alone: a private one would lose what was written.
    """

    def __init__(self, array: Voxels) -> None:
        base: object = array
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, memoryview):
            base = base.obj
        is_known = isinstance(base, mmap.mmap) and hasattr(base, "madvise") and memoryview(base).readonly
        self._map = base if is_known and isinstance(base, mmap.mmap) else None

    def drop(self) -> None:
        """What was read so far is not needed for now."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)

    @property
    def is_mapped(self) -> bool:
        """Whether pages are given back at all."""
        return self._map is not None

    def copied(self, block: Voxels) -> Voxels:
        """A block ``(…, y, x)`` of the mapped array, copied plane by plane; of other arrays the block itself."""
        if self._map is None:
            return block
        copy = np.empty(block.shape, block.dtype)
        self.copy([block], [copy])
        return copy

    def copy(self, blocks: Sequence[Voxels], copies: Sequence[Voxels]) -> None:
        """Copy blocks ``(…, y, x)`` that lie beside each other along x, so that a page they share comes in once."""
        for number, plane in enumerate(np.ndindex(blocks[0].shape[:-2]), start=1):
            for block, copy in zip(blocks, copies, strict=True):
                copy[plane] = block[plane]
            if number % _PLANES == 0:
                self.drop()
