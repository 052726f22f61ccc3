"""The pyramid, chunk by chunk: each chunk of level 0 is read, compressed, and halved into the levels below it.

A chunk of a lower level is kept until all level-0 chunks that it covers have come; the one that completes it writes
it. The order of the chunks and the number of threads leave no trace in the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any, Protocol, TypeAlias

import numpy as np

from tomoportal.formats.omezarr.layouts import Index, PyramidLayout
from tomoportal.formats.pyramid import Halving, Pyramid
from tomoportal.formats.volumes import Voxels

__all__ = ["Progress", "PyramidSource", "PyramidWriter", "Scratch", "Task", "run_tasks"]

_CONTRAST_SAMPLES = 2 * 1024 * 1024

Progress: TypeAlias = Callable[[int, int], None]


class PyramidSource(Protocol):
    """Voxels ``(z, y, x)`` as they will be stored."""

    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def read(
        self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None
    ) -> Voxels: ...


class Scratch:
    """The work space of one thread."""

    def __init__(self, chunks: tuple[int, int, int], dtype: np.dtype[Any], pyramid: Pyramid) -> None:
        self.block = np.zeros(chunks, dtype)
        self.halve = Halving(chunks, dtype, pyramid.factors, pyramid.reduction)


Task: TypeAlias = Callable[[Scratch], None]


@dataclass
class _OpenChunk:
    """A chunk of a lower level that still waits for some of the level-0 chunks that it covers."""

    voxels: Voxels
    waiting: int


class PyramidWriter:
    """Divides the volume into level-0 blocks and puts the pyramid together; ``layout`` makes files of it."""

    def __init__(
        self, source: PyramidSource, layout: PyramidLayout, pyramid: Pyramid, progress: Progress | None
    ) -> None:
        self._source, self._layout = source, layout
        self._pyramid, self._chunks, self._factors = pyramid, layout.block, pyramid.factors
        self._shapes = [level.shape for level in pyramid.levels]
        self._dtype = source.dtype.newbyteorder("<")
        self._progress = progress
        self._done = 0
        self._total = int(np.prod(source.shape, dtype=object))
        self._lock = Lock()
        self._open: dict[tuple[int, Index], _OpenChunk] = {}
        self.block_bytes = int(np.prod(layout.block, dtype=object)) * self._dtype.itemsize
        self._step, self._samples = _sampling(self._shapes[-1], self._dtype)

    def scratch(self) -> Scratch:
        return Scratch(self._chunks, self._dtype, self._pyramid)

    def contrast(self) -> tuple[float, float]:
        """Percentiles 1 and 99 of the coarsest level, of voxels on a regular grid where it is large."""
        low, high = np.percentile(self._samples.astype(np.float64, copy=False), [1, 99])
        return float(low), float(high)

    def tasks(self) -> Iterator[Task]:
        """One task per level-0 block, sorted so that few blocks and files of the lower levels are open at a time.

        At every level the blocks that belong together in the next (and in a shard) come one after the other.
        """
        last = len(self._shapes) - 1
        z, y, x = (-(-count // factor) for count, factor in zip(self._counts(last), self._factors, strict=True))
        for group in _indices(range(z), range(y), range(x)):
            for index in self._children((group,), last + 1):
                yield lambda scratch, index=index: self._convert(index, scratch)  # type: ignore[misc]

    def _children(self, indices: Iterable[Index], level: int) -> Iterator[Index]:
        """The level-0 chunks below the given chunks of a level, those of one parent after each other."""
        for index in indices:
            if level == 0:
                yield index
                continue
            z, y, x = (
                range(number * factor, min(number * factor + factor, count))
                for number, factor, count in zip(index, self._factors, self._counts(level - 1), strict=True)
            )
            yield from self._children(_indices(z, y, x), level - 1)

    def _counts(self, level: int) -> Index:
        z, y, x = (-(-size // chunk) for size, chunk in zip(self._shapes[level], self._chunks, strict=True))
        return z, y, x

    def _convert(self, index: Index, scratch: Scratch) -> None:
        """Read one level-0 chunk, write it, and add its part to the lower levels."""
        (z0, y0, x0), (nz, ny, nx) = self._box(0, index)
        part = scratch.block[:nz, :ny, :nx]
        np.copyto(part, self._source.read(z0, z0 + nz, y0, y0 + ny, x0, x0 + nx))
        if (nz, ny, nx) != self._chunks:
            scratch.block[nz:] = 0
            scratch.block[:, ny:] = 0
            scratch.block[:, :, nx:] = 0
        self._layout.put(0, index, scratch.block)
        finished = []
        for level in range(1, len(self._shapes)):
            parent, target = self._target(level, index)
            scratch.halve(part, target)
            part = target
            finished.append((level, parent))
        for level, parent in finished:
            self._complete(level, parent)
        if self._progress is not None:
            with self._lock:
                self._done += nz * ny * nx
                self._progress(self._done, self._total)

    def _box(self, level: int, index: Index) -> tuple[Index, Index]:
        """Where a chunk starts, and how many voxels of the level it holds."""
        z, y, x = (number * chunk for number, chunk in zip(index, self._chunks, strict=True))
        nz, ny, nx = (
            min(chunk, size - start)
            for chunk, size, start in zip(self._chunks, self._shapes[level], (z, y, x), strict=True)
        )
        return (z, y, x), (nz, ny, nx)

    def _target(self, level: int, index: Index) -> tuple[Index, Voxels]:
        """The chunk of a lower level that covers a level-0 chunk, and the voxels in it that come from that one."""
        spans = [factor**level for factor in self._factors]
        z, y, x = (number // span for number, span in zip(index, spans, strict=True))
        parent = (z, y, x)
        with self._lock:
            chunk = self._open.get((level, parent))
            if chunk is None:
                covered = [
                    min(span, count - number * span)
                    for number, span, count in zip(parent, spans, self._counts(0), strict=True)
                ]
                chunk = _OpenChunk(np.zeros(self._chunks, self._dtype), covered[0] * covered[1] * covered[2])
                self._open[level, parent] = chunk
        _, held = self._box(level, parent)
        slices = []
        for number, span, size, limit in zip(index, spans, self._chunks, held, strict=True):
            width = size // span
            start = number % span * width
            slices.append(slice(start, min(start + width, limit)))
        return parent, chunk.voxels[tuple(slices)]

    def _complete(self, level: int, parent: Index) -> None:
        with self._lock:
            chunk = self._open[level, parent]
            chunk.waiting -= 1
            if chunk.waiting:
                return
            del self._open[level, parent]
        self._layout.put(level, parent, chunk.voxels)
        if level == len(self._shapes) - 1:
            self._sample(parent, chunk.voxels)

    def _sample(self, index: Index, voxels: Voxels) -> None:
        starts, held = self._box(len(self._shapes) - 1, index)
        step = self._step
        first = [-start % step for start in starts]
        found = voxels[tuple(slice(begin, size, step) for begin, size in zip(first, held, strict=True))]
        place = [-(-start // step) for start in starts]
        self._samples[tuple(slice(p, p + n) for p, n in zip(place, found.shape, strict=True))] = found


def _indices(zs: range, ys: range, xs: range) -> Iterator[Index]:
    return ((z, y, x) for z in zs for y in ys for x in xs)


def _sampling(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> tuple[int, Voxels]:
    """The step of the grid of samples, and the array for them."""
    step = 1
    while True:
        sizes = [-(-size // step) for size in shape]
        if sizes[0] * sizes[1] * sizes[2] <= _CONTRAST_SAMPLES:
            return step, np.zeros(sizes, dtype)
        step += 1


def run_tasks(tasks: Iterator[Task], scratch: Callable[[], Scratch], workers: int) -> None:
    """Work through ``tasks`` in threads (never in this one, see :meth:`ChunkCodec.encode`); stop at the first error."""
    lock, stop = Lock(), Event()

    def work() -> None:
        own = scratch()
        while not stop.is_set():
            with lock:
                task = next(tasks, None)
            if task is None:
                return
            try:
                task(own)
            except BaseException:
                stop.set()
                raise

    with ThreadPoolExecutor(workers, thread_name_prefix="convert") as pool:
        running = [pool.submit(work) for _ in range(workers)]
        try:
            for each in running:
                each.result()
        except BaseException:
            stop.set()
            raise
