"""A volume becomes an MRC file and an OME-Zarr pyramid, in bounded memory and with the same bytes every time.

How: one look at the source checks every voxel and yields the statistics that the MRC header needs; then the MRC file
is streamed in order while threads go through the chunks of level 0. Each chunk is read once, compressed, and halved
twice into the chunks of levels 1 and 2 that it belongs to; the one that completes such a chunk writes it. What is in
memory is a few chunks per thread, whatever the size of the volume.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any, TypeAlias

import numpy as np

from tomoportal.errors import SettingsError
from tomoportal.formats.mrc import MrcVolume
from tomoportal.formats.mrc_output import MODES, output_header
from tomoportal.formats.omezarr import (
    ChunkCodec,
    array_metadata,
    chunk_key,
    codec_for,
    group_attributes,
    group_metadata,
)
from tomoportal.formats.pyramid import Factors, Halving, Level, Reduction, levels
from tomoportal.formats.source import Kind, NanPolicy, Source
from tomoportal.formats.statistics import Statistics
from tomoportal.formats.volumes import BLOCK_BYTES, Volume, Voxels, blocks, voxel_spacing
from tomoportal.storage import FileRecord, Store

__all__ = ["DEFAULT_CHUNK_SIZE", "Converted", "convert_volume"]

DEFAULT_CHUNK_SIZE = 128
"""Edge of a chunk in voxels; tilt series have chunks of 1 × 1024 × 1024."""

_TILT_SERIES_CHUNKS = (1, 1024, 1024)
_SPACING_TOLERANCE = 0.001
_MEMORY = 200 * 1024 * 1024
_COPIES_OF_A_CHUNK = 4  # the block, what the compressor fills and what it returns, and a share of the lower levels
_CONTRAST_SAMPLES = 2 * 1024 * 1024
_MRC_BLOCK = 4 * 1024 * 1024
_REDUCTIONS: dict[Kind, Reduction] = {
    "tomogram": "mean",
    "tiltseries": "mean",
    "semantic_mask": "majority",
    "instance_mask": "stride",
}

Index: TypeAlias = tuple[int, int, int]
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Converted:
    """What was written. Shapes are ``(z, y, x)`` in voxels.

    ``scales`` are the shapes of the pyramid's levels. ``contrast`` holds percentiles 1 and 99 of the coarsest level.
    ``count`` is the number of voxels that are not 0 in a semantic mask, and of labels in an instance mask; else 0.
    ``files`` are in the order of their keys, and empty if an empty mask was skipped.
    """

    shape: tuple[int, int, int]
    scales: tuple[tuple[int, int, int], ...]
    dtype: str
    statistics: Statistics
    contrast: tuple[float, float]
    count: int
    labels: tuple[int, ...]
    notes: tuple[str, ...]
    files: tuple[FileRecord, ...]


def convert_volume(
    volume: Volume,
    store: Store,
    *,
    mrc_key: str,
    zarr_prefix: str,
    voxel_spacing: float,
    kind: Kind = "tomogram",
    chunk_size: int | tuple[int, int, int] = DEFAULT_CHUNK_SIZE,
    dtype: str | None = None,
    jobs: int = 1,
    timestamp: int = 0,
    nan: NanPolicy = "error",
    skip_empty: bool = False,
    allow_anisotropic: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Write ``volume`` as MRC to ``mrc_key`` and as OME-Zarr below ``zarr_prefix``.

    ``voxel_spacing`` is in Å. ``chunk_size`` is the edge of cubic chunks (ignored for tilt series) or (z, y, x).
    ``dtype="float32"`` widens whole numbers; by default the source's type is kept where both formats can hold it.
    ``jobs`` is the number of threads; fewer are used where their chunks would not fit into 300 MB. ``timestamp``
    (seconds since the epoch) goes into the MRC label. ``nan="zero"`` stores NaN and infinite voxels as 0 instead of
    refusing the volume. ``skip_empty`` writes nothing if no voxel differs from 0 (a mask without the label).
    ``allow_anisotropic`` accepts a header whose voxels are not cubes. ``progress(done, total)`` counts voxels.

    Objects are written without a flush to disk each; call ``store.sync(zarr_prefix)`` for that, or let publishing do
    it. Raises :class:`FormatError` before anything is written if the voxels cannot be stored as they are.
    """
    chunks = _chunk_shape(chunk_size, kind)
    notes = [*volume.notes, *_check_spacing(volume, voxel_spacing, kind, allow_anisotropic)]
    with Source(volume, kind, dtype=dtype, nan=nan, workers=_workers(jobs, BLOCK_BYTES)) as source:
        notes += [*source.notes, *_check_bytes(volume, source.statistics, kind)]
        factors: Factors = (1, 2, 2) if kind == "tiltseries" else (2, 2, 2)
        pyramid = levels(volume.shape, factors, voxel_spacing, _REDUCTIONS[kind])
        count = len(source.labels) if kind == "instance_mask" else source.nonzero
        contrast = (source.statistics.min, source.statistics.max)
        records: list[FileRecord] = []
        if not (skip_empty and source.statistics.min == source.statistics.max == 0):
            codec = codec_for(source.dtype, is_mask=kind in ("semantic_mask", "instance_mask"))
            writer = _PyramidWriter(
                source, store, zarr_prefix, pyramid, chunks, factors, _REDUCTIONS[kind], codec, progress
            )
            tasks: Iterator[_Task] = writer.tasks()
            mrc_dtype = np.dtype("uint16") if source.dtype.name == "uint8" else source.dtype
            if mrc_dtype.name in MODES:
                header, extended, header_notes = output_header(
                    volume,
                    mrc_dtype,
                    source.statistics,
                    voxel_spacing=voxel_spacing,
                    is_stack=kind == "tiltseries",
                    timestamp=timestamp,
                )
                notes += header_notes
                start = header.pack() + extended
                tasks = itertools.chain(
                    [lambda _: records.append(_write_mrc(source, store, mrc_key, start, mrc_dtype))], tasks
                )
            else:
                notes.append(f"no MRC file: it cannot hold labels up to {max(source.labels)}")
            _run(tasks, writer.scratch, _workers(jobs, writer.chunk_bytes))
            if kind in ("tomogram", "tiltseries"):
                contrast = writer.contrast()
            records += writer.records
            records += _write_metadata(store, zarr_prefix, pyramid, chunks, source, codec, kind)
    return Converted(
        shape=volume.shape,
        scales=tuple(level.shape for level in pyramid),
        dtype=source.dtype.name,
        statistics=source.statistics,
        contrast=contrast,
        count=count,
        labels=source.labels,
        notes=tuple(notes),
        files=tuple(sorted(records)),
    )


def _chunk_shape(chunk_size: int | tuple[int, int, int], kind: Kind) -> tuple[int, int, int]:
    if isinstance(chunk_size, tuple):
        chunks = chunk_size
    elif kind == "tiltseries":
        chunks = _TILT_SERIES_CHUNKS
    else:
        chunks = (chunk_size, chunk_size, chunk_size)
    halved = chunks[1:] if kind == "tiltseries" else chunks
    if min(chunks) < 1 or any(size % 4 for size in halved):
        raise SettingsError(
            f"chunks of {' × '.join(map(str, chunks))} voxels cannot be halved twice",
            where="chunk size",
            fix="choose a multiple of 4, for instance 64 or 128",
        )
    return chunks


def _check_spacing(volume: Volume, spacing: float, kind: Kind, allow_anisotropic: bool) -> list[str]:
    """What to say about the header's voxel size where it differs from the one that is stored."""
    if not (np.isfinite(spacing) and spacing > 0):
        raise SettingsError(f"the voxel spacing is {spacing} Å", where=volume.name, fix="give a positive length in Å")
    sizes = volume.voxel_size[:2] if kind == "tiltseries" else volume.voxel_size
    if not all(np.isfinite(size) and size > 0 for size in sizes):
        return []
    if not allow_anisotropic:
        voxel_spacing(volume, in_plane=kind == "tiltseries")
    if abs(sizes[1] - spacing) > _SPACING_TOLERANCE:
        return [f"the header says {sizes[1]:.4g} Å per voxel; stored as {spacing:.3f} Å"]
    return []


def _check_bytes(volume: Volume, statistics: Statistics, kind: Kind) -> list[str]:
    """What to say about bytes, which MRC files hold with or without a sign."""
    notes = []
    if volume.value_offset and kind in ("tomogram", "tiltseries"):
        notes.append(f"unsigned bytes are stored as value − {volume.value_offset}")
    if isinstance(volume, MrcVolume) and volume.header.mode == 0 and not volume.value_offset:
        low, high = volume.header.dmin, volume.header.dmax
        if 0 <= low <= high and statistics.min < 0:
            notes.append(
                f"mode 0 was read as signed bytes and reaches down to {statistics.min:g}, but the header's minimum is"
                f" {low:g}: if the bytes are unsigned, correct its maximum (dmax) to a value above 127"
            )
    return notes


def _workers(jobs: int, chunk_bytes: int) -> int:
    return max(1, min(jobs, _MEMORY // (_COPIES_OF_A_CHUNK * chunk_bytes)))


def _write_mrc(source: Source, store: Store, key: str, start: bytes, dtype: np.dtype[Any]) -> FileRecord:
    little = dtype.newbyteorder("<")
    with store.open_writer(key, durable=False) as writer:
        writer.write(start)
        for z0, z1, y0, y1 in blocks(source.shape, dtype.itemsize, _MRC_BLOCK):
            voxels = np.ascontiguousarray(source.read(z0, z1, y0, y1), little)
            writer.write(voxels.reshape(-1).view(np.uint8).data)
    return writer.record


def _write_metadata(
    store: Store,
    prefix: str,
    pyramid: tuple[Level, ...],
    chunks: tuple[int, int, int],
    source: Source,
    codec: ChunkCodec,
    kind: Kind,
) -> list[FileRecord]:
    """The JSON documents; ``.zgroup`` last, so that a group that can be opened is complete."""
    labels = source.labels if kind == "instance_mask" else None
    documents = {
        **{
            f"{number}/.zarray": array_metadata(level.shape, chunks, source.dtype, codec.config)
            for number, level in enumerate(pyramid)
        },
        ".zattrs": group_attributes(pyramid, labels=labels),
        ".zgroup": group_metadata(),
    }
    return [_write(store, f"{prefix}/{name}", data) for name, data in documents.items()]


def _write(store: Store, key: str, data: bytes) -> FileRecord:
    with store.open_writer(key, durable=False) as writer:
        writer.write(data)
    return writer.record


class _Scratch:
    """The work space of one thread."""

    def __init__(
        self, chunks: tuple[int, int, int], dtype: np.dtype[Any], factors: Factors, reduction: Reduction
    ) -> None:
        self.block = np.zeros(chunks, dtype)
        self.halve = Halving(chunks, dtype, factors, reduction)


_Task: TypeAlias = Callable[[_Scratch], None]


@dataclass
class _OpenChunk:
    """A chunk of a lower level that still waits for some of the level-0 chunks that it covers."""

    voxels: Voxels
    waiting: int


class _PyramidWriter:
    """Divides the volume into level-0 chunks and puts the pyramid together."""

    def __init__(
        self,
        source: Source,
        store: Store,
        prefix: str,
        pyramid: tuple[Level, ...],
        chunks: tuple[int, int, int],
        factors: Factors,
        reduction: Reduction,
        codec: ChunkCodec,
        progress: Progress | None,
    ) -> None:
        self._source, self._store, self._prefix, self._codec = source, store, prefix, codec
        self._shapes = [level.shape for level in pyramid]
        self._chunks, self._factors, self._reduction = chunks, factors, reduction
        self._dtype = source.dtype.newbyteorder("<")
        self._progress = progress
        self._done = 0
        self._total = int(np.prod(source.shape, dtype=object))
        self._lock = Lock()
        self._open: dict[tuple[int, Index], _OpenChunk] = {}
        self.records: list[FileRecord] = []
        self.chunk_bytes = int(np.prod(chunks, dtype=object)) * self._dtype.itemsize
        self._step, self._samples = _sampling(self._shapes[-1], self._dtype)

    def scratch(self) -> _Scratch:
        return _Scratch(self._chunks, self._dtype, self._factors, self._reduction)

    def contrast(self) -> tuple[float, float]:
        """Percentiles 1 and 99 of the coarsest level, of voxels on a regular grid where it is large."""
        low, high = np.percentile(self._samples.astype(np.float64, copy=False), [1, 99])
        return float(low), float(high)

    def tasks(self) -> Iterator[_Task]:
        """One task per level-0 chunk, sorted so that few chunks of the lower levels are open at a time."""
        last = len(self._shapes) - 1
        for coarse in self._grid(last):
            for index in self._children((coarse,), last):
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

    def _grid(self, level: int) -> Iterator[Index]:
        z, y, x = self._counts(level)
        return _indices(range(z), range(y), range(x))

    def _convert(self, index: Index, scratch: _Scratch) -> None:
        """Read one level-0 chunk, write it, and add its part to the lower levels."""
        (z0, y0, x0), (nz, ny, nx) = self._box(0, index)
        part = scratch.block[:nz, :ny, :nx]
        np.copyto(part, self._source.read(z0, z0 + nz, y0, y0 + ny, x0, x0 + nx))
        if (nz, ny, nx) != self._chunks:
            scratch.block[nz:] = 0
            scratch.block[:, ny:] = 0
            scratch.block[:, :, nx:] = 0
        self._write_chunk(0, index, scratch.block)
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
        self._write_chunk(level, parent, chunk.voxels)
        if level == len(self._shapes) - 1:
            self._sample(parent, chunk.voxels)

    def _sample(self, index: Index, voxels: Voxels) -> None:
        starts, held = self._box(len(self._shapes) - 1, index)
        step = self._step
        first = [-start % step for start in starts]
        found = voxels[tuple(slice(begin, size, step) for begin, size in zip(first, held, strict=True))]
        place = [-(-start // step) for start in starts]
        self._samples[tuple(slice(p, p + n) for p, n in zip(place, found.shape, strict=True))] = found

    def _write_chunk(self, level: int, index: Index, voxels: Voxels) -> None:
        """Compress and store a chunk; one that holds nothing but the fill value 0 is left out."""
        if not (voxels[0, 0].view(np.uint8).any() or voxels.view(np.uint8).any()):
            return
        record = _write(self._store, f"{self._prefix}/{chunk_key(level, index)}", self._codec.encode(voxels))
        with self._lock:
            self.records.append(record)


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


def _run(tasks: Iterator[_Task], scratch: Callable[[], _Scratch], workers: int) -> None:
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
