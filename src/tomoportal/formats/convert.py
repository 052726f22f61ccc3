"""A volume becomes an MRC file and an OME-Zarr pyramid, in bounded memory and with the same bytes every time.

How: one look at the source checks every voxel and yields the statistics that the MRC header needs; then the MRC file
is streamed in order while threads go through the chunks of level 0. Each chunk is read once, compressed, and halved
twice into the chunks of levels 1 and 2 that it belongs to; the one that completes such a chunk writes it. What is in
memory is a few chunks per thread, whatever the size of the volume.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from tomoportal.errors import SettingsError
from tomoportal.formats.mrc import MrcVolume
from tomoportal.formats.mrc_output import output_start
from tomoportal.formats.omezarr.chunks import ChunkCodec, codec_for
from tomoportal.formats.omezarr.layouts import ChunkLayout, Index, ShardLayout, write_object
from tomoportal.formats.omezarr.metadata import (
    array_document,
    array_metadata,
    group_attributes,
    group_document,
    group_metadata,
)
from tomoportal.formats.omezarr.writer import Progress, PyramidWriter, Task, run_tasks
from tomoportal.formats.pyramid import Factors, Pyramid, Reduction
from tomoportal.formats.source import Kind, NanPolicy, Source
from tomoportal.formats.statistics import Statistics
from tomoportal.formats.volumes import BLOCK_BYTES, Volume, blocks, header_spacing
from tomoportal.storage import FileRecord, Store

__all__ = ["DEFAULT_CHUNK_SIZE", "Converted", "Ngff", "convert_volume"]

Ngff: TypeAlias = Literal["0.4", "0.5"]

DEFAULT_CHUNK_SIZE = 128
"""Edge of a chunk in voxels; tilt series have chunks of 1 × 1024 × 1024."""

_CHUNK_SIZE_IN_SHARDS = 64
_TILT_SERIES_CHUNKS: dict[Ngff, tuple[int, int, int]] = {"0.4": (1, 1024, 1024), "0.5": (1, 256, 256)}
_SPACING_TOLERANCE = 0.001
_MEMORY = 200 * 1024 * 1024
_COPIES_OF_A_CHUNK = 4  # the block, what the compressor fills and what it returns, and a share of the lower levels
_LARGEST_MRC_LABEL = 65535
_MRC_BLOCK = 4 * 1024 * 1024
_REDUCTIONS: dict[Kind, Reduction] = {
    "tomogram": "mean",
    "tiltseries": "mean",
    "semantic_mask": "majority",
    "instance_mask": "stride",
}


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
    chunk_size: int | tuple[int, int, int] | None = None,
    ngff: Ngff = "0.4",
    dtype: str | None = None,
    jobs: int = 1,
    timestamp: int = 0,
    nan: NanPolicy = "error",
    skip_empty: bool = False,
    allow_anisotropic: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Write ``volume`` as MRC to ``mrc_key`` and as OME-Zarr below ``zarr_prefix``.

    ``voxel_spacing`` is in Å. ``ngff`` is the version of OME-Zarr: 0.4 (Zarr version 2, one object per chunk) or 0.5
    (Zarr version 3, chunks in shards of 4×4×4). ``chunk_size`` is the edge of cubic chunks (ignored for tilt series)
    or (z, y, x); by default 128, or 64 in shards.
    ``dtype="float32"`` widens whole numbers; by default the source's type is kept where both formats can hold it.
    ``jobs`` is the number of threads; fewer are used where their chunks would not fit into 300 MB. ``timestamp``
    (seconds since the epoch) goes into the MRC label. ``nan="zero"`` stores NaN and infinite voxels as 0 instead of
    refusing the volume. ``skip_empty`` writes nothing if no voxel differs from 0 (a mask without the label).
    ``allow_anisotropic`` accepts a header whose voxels are not cubes. ``progress(done, total)`` counts voxels.

    Objects are written without a flush to disk each; call ``store.sync(zarr_prefix)`` for that, or let publishing do
    it. Raises :class:`FormatError` before anything is written if the voxels cannot be stored as they are.
    """
    chunks = _chunk_shape(chunk_size, kind, ngff)
    notes = [*volume.notes, *_check_spacing(volume, voxel_spacing, kind, allow_anisotropic)]
    with Source(volume, kind, dtype=dtype, nan=nan, workers=_workers(jobs, BLOCK_BYTES)) as source:
        notes += [*source.notes, *_check_bytes(volume, source.statistics, kind)]
        factors: Factors = (1, 2, 2) if kind == "tiltseries" else (2, 2, 2)
        pyramid = Pyramid.of(volume.shape, factors, _REDUCTIONS[kind], voxel_spacing)
        contrast = (source.statistics.min, source.statistics.max)
        records: list[FileRecord] = []
        if not (skip_empty and source.statistics.min == source.statistics.max == 0):
            codec = codec_for(source.dtype, is_mask=kind in ("semantic_mask", "instance_mask"))
            layout = (
                ChunkLayout(store, zarr_prefix, chunks, codec)
                if ngff == "0.4"
                else ShardLayout(store, zarr_prefix, chunks, codec, pyramid)
            )
            writer = PyramidWriter(source, layout, pyramid, progress)
            tasks: list[Task] = []
            if max(source.labels, default=0) <= _LARGEST_MRC_LABEL:
                dtype_of_mrc = np.dtype("uint16") if kind == "instance_mask" else source.dtype
                start, more = output_start(
                    volume,
                    dtype_of_mrc,
                    source.statistics,
                    voxel_spacing=voxel_spacing,
                    is_stack=kind == "tiltseries",
                    timestamp=timestamp,
                )
                notes += more
                tasks.append(lambda _: records.append(_write_mrc(source, store, mrc_key, start, dtype_of_mrc)))
            else:
                notes.append(f"no MRC file: labels reach {source.labels[-1]}, MRC holds up to {_LARGEST_MRC_LABEL}")
            try:
                run_tasks(itertools.chain(tasks, writer.tasks()), writer.scratch, _workers(jobs, writer.block_bytes))
            except BaseException:
                layout.abort()
                raise
            if kind in ("tomogram", "tiltseries"):
                contrast = writer.contrast()
            records += layout.records
            labels = source.labels if kind == "instance_mask" else None
            documents = _documents(pyramid, layout, source.dtype, codec, labels)
            records += [write_object(store, f"{zarr_prefix}/{name}", data) for name, data in documents.items()]
    return Converted(
        shape=volume.shape,
        scales=tuple(level.shape for level in pyramid.levels),
        dtype=source.dtype.name,
        statistics=source.statistics,
        contrast=contrast,
        count=len(source.labels) if kind == "instance_mask" else source.nonzero,
        labels=source.labels,
        notes=tuple(notes),
        files=tuple(sorted(records)),
    )


def _chunk_shape(chunk_size: int | tuple[int, int, int] | None, kind: Kind, ngff: Ngff) -> Index:
    if ngff not in _TILT_SERIES_CHUNKS:
        raise SettingsError(f"OME-Zarr {ngff} cannot be written", where="ngff", fix="choose 0.4 or 0.5")
    if isinstance(chunk_size, tuple):
        chunks = chunk_size
    elif kind == "tiltseries":
        chunks = _TILT_SERIES_CHUNKS[ngff]
    else:
        default = DEFAULT_CHUNK_SIZE if ngff == "0.4" else _CHUNK_SIZE_IN_SHARDS
        edge = default if chunk_size is None else chunk_size
        chunks = (edge, edge, edge)
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
        header_spacing(volume, in_plane=kind == "tiltseries")
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


def _documents(
    pyramid: Pyramid,
    layout: ChunkLayout | ShardLayout,
    dtype: np.dtype[Any],
    codec: ChunkCodec,
    labels: tuple[int, ...] | None,
) -> dict[str, bytes]:
    """The JSON documents by name; the group's own comes last, so that a group that can be opened is complete."""
    levels = list(enumerate(pyramid.levels))
    if isinstance(layout, ChunkLayout):
        return {
            **{
                f"{number}/.zarray": array_metadata(level.shape, layout.block, dtype, codec.config)
                for number, level in levels
            },
            ".zattrs": group_attributes(pyramid.levels, labels=labels),
            ".zgroup": group_metadata(),
        }
    compressor = codec.version_3(dtype)
    return {
        **{
            f"{number}/zarr.json": array_document(level.shape, layout.chunks, layout.shard, dtype, compressor)
            for number, level in levels
        },
        "zarr.json": group_document(pyramid.levels, labels=labels),
    }
