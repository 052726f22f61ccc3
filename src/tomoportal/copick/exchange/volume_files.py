"""Volumes from files into tomograms, segmentations and density maps, block by block (C68)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.names import checked_voxel_size
from tomoportal.copick.tomograms import CopickTomogram
from tomoportal.copick.volume_folders import replaced_folder
from tomoportal.errors import AnnotationError, FormatError
from tomoportal.formats.em import open_em
from tomoportal.formats.mapped_pages import MappedPages
from tomoportal.formats.mrc import open_mrc
from tomoportal.formats.omezarr import open_omezarr
from tomoportal.formats.omezarr.chunks import codec_for
from tomoportal.formats.omezarr.layouts import ChunkLayout
from tomoportal.formats.omezarr.metadata import array_metadata, group_attributes, group_metadata
from tomoportal.formats.omezarr.writer import PyramidWriter, run_tasks
from tomoportal.formats.opening import open_volume, volume_format
from tomoportal.formats.pyramid import Pyramid
from tomoportal.formats.spool import spooled
from tomoportal.formats.tiff import open_tiff
from tomoportal.formats.volumes import Volume, Voxels, header_spacing
from tomoportal.storage import Store, open_store

__all__ = [
    "OrientedVolume",
    "axes_of",
    "check_pyramid",
    "open_file",
    "read_whole",
    "spacing_of",
    "store_tomogram",
]

_OPENERS: Mapping[str, Callable[[Store, str], Volume]] = {
    "mrc": open_mrc,
    "map": open_mrc,
    "zarr": open_omezarr,
    "tiff": open_tiff,
    "em": open_em,
}


_MRC_ENDINGS = (".mrc", ".map", ".rec", ".st", ".ali")


def open_file(path: Path, file_type: str | None = None) -> Volume:
    """Open a volume of a local path: by what it holds, or as the type that is given. Reads the header only."""
    place = path.expanduser().absolute()
    store = open_store(place.parent, read_only=True, follow_links=True)
    if not place.exists():
        raise AnnotationError(f"File not found: {path}", fix="correct the path")
    if file_type is None:
        try:
            return open_volume(store, place.name)
        except FormatError as error:
            if place.suffix.lower() in _MRC_ENDINGS or volume_format(store, place.name) != "mrc":
                raise
            raise FormatError(  # what is nothing else was tried as MRC
                "Unsupported file type: this is no MRC, EM or TIFF file and no OME-Zarr folder",
                where=str(path),
                fix="check what wrote it; give --file-type if it is one",
            ) from error
    opener = _OPENERS.get(file_type)
    if opener is None:
        raise FormatError(f"Unsupported file type {file_type!r}", where=str(path), fix=f"use {', '.join(_OPENERS)}")
    return opener(store, place.name)


def spacing_of(volume: Volume, given: float | None) -> float:
    """The voxel size in Å: the one that is given, else the header's. Raises :class:`FormatError` if there is none."""
    if given is not None:
        return checked_voxel_size(given)
    try:
        return checked_voxel_size(header_spacing(volume))
    except FormatError as error:
        raise FormatError(error.what, where=error.where, fix="give --voxel-size") from error


def axes_of(transpose: str | None, flip: str | None) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """The order of axes and the reversed axes of ``"2,1,0"`` and ``"0,2"``."""
    try:
        order = tuple(int(each) for each in transpose.split(",")) if transpose else (0, 1, 2)
        flipped = tuple(int(each) for each in flip.split(",")) if flip else ()
    except ValueError as error:
        raise AnnotationError(f"{transpose or flip!r} is no list of axes.", fix="write it as 2,1,0") from error
    if sorted(order) != [0, 1, 2]:
        raise AnnotationError(f"{transpose!r} does not order three axes.", fix="name 0, 1 and 2 once each")
    if any(axis not in (0, 1, 2) for axis in flipped):
        raise AnnotationError(f"{flip!r} names axes that a volume has not.", fix="axes are 0, 1 and 2")
    return (order[0], order[1], order[2]), flipped


class OrientedVolume:
    """A volume with its axes in another order and some of them reversed; and without the offset of unsigned bytes."""

    value_offset = 0

    def __init__(self, volume: Volume, order: tuple[int, int, int], flipped: Sequence[int]) -> None:
        self._volume, self._order, self._flipped = volume, order, frozenset(flipped)
        z, y, x = (volume.shape[axis] for axis in order)
        self.shape = (z, y, x)
        self.dtype = np.dtype("int16") if volume.value_offset else volume.dtype
        sizes = volume.voxel_size[::-1]  # of z, y, x
        size_z, size_y, size_x = (sizes[axis] for axis in order)
        self.voxel_size = (size_x, size_y, size_z)
        self.name, self.notes, self.mapped = volume.name, volume.notes, volume.mapped

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``."""
        bounds = [
            slice(start, stop).indices(size)[:2]
            for start, stop, size in zip((z0, y0, x0), (z1, y1, x1), self.shape, strict=True)
        ]
        box: list[tuple[int, int]] = [(0, 0)] * 3
        for axis, (start, stop) in enumerate(bounds):
            size = self.shape[axis]
            box[self._order[axis]] = (size - stop, size - start) if axis in self._flipped else (start, stop)
        (a0, a1), (b0, b1), (c0, c1) = box
        found = self._volume.read(a0, a1, b0, b1, c0, c1).transpose(self._order)
        found = found[tuple(slice(None, None, -1 if axis in self._flipped else 1) for axis in range(3))]
        return found.astype(self.dtype) + self._volume.value_offset if self._volume.value_offset else found

    def close(self) -> None:
        self._volume.close()


def read_whole(volume: Volume) -> NDArray[Any]:
    """All voxels ``(z, y, x)``."""
    return np.ascontiguousarray(volume.read(0, volume.shape[0]))


class _AsFloat:
    """What the pyramid is made of: the volume as float32; mapped pages are given back behind the reader."""

    dtype = np.dtype(np.float32)

    def __init__(self, volume: Volume) -> None:
        self._volume, self.shape = volume, volume.shape
        self._pages: MappedPages | None = None

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        found = self._volume.read(z0, z1, y0, y1, x0, x1)
        if self._pages is None:
            self._pages = MappedPages(found)
        return self._pages.copied(found)


def check_pyramid(levels: int, chunks: tuple[int, int, int]) -> None:
    """Raise :class:`AnnotationError` for chunks that cannot be halved as often as there are levels."""
    if levels < 1:
        raise AnnotationError(f"A volume has at least one level, not {levels}.", fix="give 1 or more")
    if min(chunks) < 1 or any(edge % 2 ** (levels - 1) for edge in chunks):
        raise AnnotationError(
            f"Chunks of {' × '.join(map(str, chunks))} voxels cannot be halved {levels - 1} times.",
            fix=f"use multiples of {2 ** (levels - 1)}, for instance 128,128,128",
        )


def store_tomogram(
    tomogram: CopickTomogram,
    volume: Volume,
    *,
    levels: int = 3,
    chunks: tuple[int, int, int] = (128, 128, 128),
) -> None:
    """Replace a tomogram by a volume, as float32 with a pyramid of means; a few chunks per thread are in memory.

    The old content stays until the new is complete (C7). Raises :class:`AnnotationError` for chunks that cannot be
    halved as often as there are levels, and in a read-only source.
    """
    check_pyramid(levels, chunks)
    tomogram._refuse_if_read_only("store")
    spacing = tomogram.voxel_spacing.voxel_size
    source = spooled(volume, workers=os.cpu_count() or 1)
    pyramid = Pyramid.of(volume.shape, (2, 2, 2), "mean", spacing, levels=levels)

    def fill(store: Store, key: str) -> None:
        codec = codec_for(_AsFloat.dtype, is_mask=False)
        writer = PyramidWriter(_AsFloat(source), ChunkLayout(store, key, chunks, codec), pyramid, None)
        workers = max(1, min(os.cpu_count() or 1, 200 * 1024 * 1024 // (4 * writer.block_bytes)))
        run_tasks(writer.tasks(), writer.scratch, workers)
        for number, level in enumerate(pyramid.levels):
            document = array_metadata(level.shape, chunks, _AsFloat.dtype, codec.config)
            store.put(f"{key}/{number}/.zarray", document, durable=False)
        store.put(f"{key}/.zattrs", group_attributes(pyramid.levels), durable=False)
        store.put(f"{key}/.zgroup", group_metadata(), durable=False)
        store.sync(key)

    try:
        replaced_folder(tomogram._source.store, tomogram._key, fill)
    finally:
        if source is not volume:
            source.close()
