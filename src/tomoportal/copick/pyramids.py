"""Arrays become OME-Zarr folders: NGFF 0.4 in Zarr version 2, or 0.5 in version 3 (reference copick-model, 12, 13).

Unlike the conversion of :mod:`tomoportal.formats.convert`, which streams three-dimensional volumes from files, the
array is in memory here, may have channels, and has as many levels as asked for. Chunks are compressed by threads; what
is in memory beside the array is its coarser levels and a few chunks.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.volume_folders import replaced_folder
from tomoportal.errors import AnnotationError
from tomoportal.formats.mapped_pages import MappedPages
from tomoportal.formats.omezarr.chunks import ChunkCodec, codec_for
from tomoportal.formats.pyramid import Halving
from tomoportal.storage import Store

if TYPE_CHECKING:
    from tomoportal.copick.volume_versions import VolumeVersions

__all__ = [
    "CHUNK",
    "PyramidLevel",
    "Reduction",
    "array_document",
    "array_document_3",
    "group_document_3",
    "halved",
    "levels_of",
    "pad_chunk",
    "write_pyramid",
]

CHUNK: Final = 128
Array: TypeAlias = NDArray[Any]
Reduction: TypeAlias = Literal["mean", "nearest"]
_AXES: Final = ("z", "y", "x")
_SLAB: Final = 16  # planes; an even number, so that the means of a slab are those of the volume
_BESIDE: Final = 3  # chunks of a mapped file that are read together, since rows of x share pages
_EXACT_SUMS: Final = 2  # bytes of the whole numbers whose sums of eight the kernel holds exactly


@dataclass(frozen=True)
class PyramidLevel:
    """One level: an array with the space axes last, scale and translation in Å of the space axes (isotropic)."""

    array: Array
    scale: float
    translation: float


def levels_of(array: Array, voxel_size: float, levels: int, reduction: Reduction) -> list[PyramidLevel]:
    """The pyramid of ``(…, z, y, x)``: means over the voxels that exist, or every second voxel for labels (C46).

    Sizes are halved and rounded up. A mean lies between the voxels that it was made of, which the translation says.
    """
    if levels < 1:
        raise AnnotationError(f"A volume has at least one level, not {levels}.", fix="give levels=1 or more")
    found = [PyramidLevel(array, voxel_size, 0.0)]
    for level in range(1, levels):
        moved = (2**level - 1) / 2 * voxel_size if reduction == "mean" else 0.0
        found.append(PyramidLevel(halved(found[-1].array, reduction), voxel_size * 2**level, moved))
    return found


def halved(array: Array, reduction: Reduction) -> Array:
    """Half the size along the last three axes."""
    if reduction == "nearest":
        return array[..., ::2, ::2, ::2]
    *channels, z, y, x = array.shape
    out = np.empty((*channels, -(-z // 2), -(-y // 2), -(-x // 2)), array.dtype)
    if array.dtype.kind in "iub" and array.dtype.itemsize > _EXACT_SUMS:
        for index in np.ndindex(*channels):
            out[index] = np.rint(_mean(array[index].astype(np.float64)))
        return out
    kernel = Halving((z, y, x), array.dtype, (2, 2, 2), "mean")
    pages = MappedPages(array)
    for index in np.ndindex(*channels):
        for start in range(0, z, _SLAB):
            slab = array[index][start : start + _SLAB]
            kernel(slab, out[index][start // 2 : (start + _SLAB) // 2])
            pages.drop()
    return out


def _mean(volume: Array) -> Array:
    out = np.empty([-(-size // 2) for size in volume.shape], volume.dtype)
    Halving((volume.shape[0], volume.shape[1], volume.shape[2]), volume.dtype, (2, 2, 2), "mean")(volume, out)
    return out


def write_pyramid(
    store: Store,
    key: str,
    levels: Sequence[PyramidLevel],
    *,
    is_labels: bool,
    channel: str | None = None,
    metadata: dict[str, Any] | None = None,
    chunk: int | Sequence[int] = CHUNK,
    zarr_format: int = 2,
    versions: VolumeVersions | None = None,
    overwrite: bool = False,
) -> None:
    """Replace the Zarr folder ``key``; ``channel`` names the first axis of four, ``metadata`` is the multiscale's.

    ``versions`` and ``overwrite`` as of :func:`.replaced_folder`.
    """

    def fill(place: Store, folder: str) -> None:
        _write(place, folder, levels, is_labels, channel, metadata, chunk, zarr_format)

    replaced_folder(store, key, fill, versions, overwrite=overwrite)


def _write(
    store: Store,
    key: str,
    levels: Sequence[PyramidLevel],
    is_labels: bool,
    channel: str | None,
    metadata: dict[str, Any] | None,
    chunk: int | Sequence[int],
    zarr_format: int,
) -> None:
    axes = [*[channel or "c"] * (levels[0].array.ndim - 3), *_AXES]
    with ThreadPoolExecutor(os.cpu_count() or 1, "chunks") as pool:
        for number, level in enumerate(levels):
            _write_array(store, f"{key}/{number}", level.array, is_labels, chunk, pool, zarr_format, axes)
    multiscale = _multiscale(levels, channel, metadata)
    if zarr_format == 3:
        store.put(f"{key}/zarr.json", group_document_3([multiscale]), durable=False)
    else:
        attributes = {"multiscales": [{**multiscale, "version": "0.4"}]}
        store.put(f"{key}/.zattrs", json.dumps(attributes, indent=4).encode(), durable=False)
        store.put(f"{key}/.zgroup", b'{\n    "zarr_format": 2\n}', durable=False)
    store.sync(key)


def _write_array(
    store: Store,
    key: str,
    array: Array,
    is_labels: bool,
    chunk: int | Sequence[int],
    pool: ThreadPoolExecutor,
    zarr_format: int,
    axes: Sequence[str],
) -> None:
    shape = array.shape
    edges = (chunk,) * 3 if isinstance(chunk, int) else tuple(chunk)
    chunks = (1,) * (len(shape) - len(edges)) + edges
    codec = codec_for(array.dtype, is_mask=is_labels)
    little = array.dtype.newbyteorder("<")
    pages = MappedPages(array)

    def write(indices: tuple[tuple[int, ...], ...]) -> None:
        boxes = [tuple(slice(n * size, (n + 1) * size) for n, size in zip(at, chunks, strict=True)) for at in indices]
        blocks = [array[box] for box in boxes]
        padded = [np.zeros(chunks, little) for _ in blocks]  # pages that nobody writes cost nothing
        pages.copy(blocks, [out[tuple(map(slice, block.shape))] for out, block in zip(padded, blocks, strict=True)])
        del blocks
        for index in indices:
            block = padded.pop(0)  # free as soon as it is stored
            if block[..., 0, :].any() or block.any():
                store.put(f"{key}/{'/'.join(map(str, index))}", codec.encode(block), durable=False)

    *others, last = (range(-(-size // edge)) for size, edge in zip(shape, chunks, strict=True))
    beside = _BESIDE if pages.is_mapped else 1
    # A failure cancels what has not begun.
    waiting = [
        pool.submit(write, tuple((*place, n) for n in last[start : start + beside]))
        for place in itertools.product(*others)
        for start in range(0, len(last), beside)
    ]
    try:
        for task in waiting:
            task.result()
    except BaseException:
        for task in waiting:
            task.cancel()
        raise
    if zarr_format == 3:
        store.put(f"{key}/zarr.json", array_document_3(shape, chunks, array.dtype, codec, axes), durable=False)
    else:
        store.put(f"{key}/.zarray", array_document(shape, chunks, array.dtype, codec), durable=False)


def pad_chunk(block: Array, chunks: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """The block in C order, filled up with 0 to the size of a chunk."""
    if block.shape == tuple(chunks):
        return np.ascontiguousarray(block, dtype)
    padded = np.zeros(chunks, dtype)  # pages that nobody writes cost nothing
    padded[tuple(slice(0, size) for size in block.shape)] = block
    return padded


def array_document_3(
    shape: Sequence[int], chunks: Sequence[int], dtype: np.dtype[Any], codec: ChunkCodec, axes: Sequence[str]
) -> bytes:
    """``zarr.json`` of an array: Zarr version 3 with the chunk keys of version 2, as upstream's 2.0 writes them."""
    order = {"configuration": {"endian": "little"}, "name": "bytes"}
    document = {
        "attributes": {},
        "chunk_grid": {"configuration": {"chunk_shape": list(chunks)}, "name": "regular"},
        "chunk_key_encoding": {"configuration": {"separator": "/"}, "name": "v2"},
        "codecs": [order, codec.version_3(dtype)],
        "data_type": dtype.name,
        "dimension_names": list(axes),
        "fill_value": 0.0 if dtype.kind == "f" else 0 if dtype.kind != "b" else False,
        "node_type": "array",
        "shape": list(shape),
        "zarr_format": 3,
    }
    return json.dumps(document, indent=4).encode()


def array_document(shape: Sequence[int], chunks: Sequence[int], dtype: np.dtype[Any], codec: ChunkCodec) -> bytes:
    """``.zarray``."""
    document = {
        "chunks": list(chunks),
        "compressor": codec.config,
        "dimension_separator": "/",
        "dtype": dtype.newbyteorder("<").str,
        "fill_value": 0.0 if dtype.kind == "f" else 0 if dtype.kind != "b" else False,
        "filters": None,
        "order": "C",
        "shape": list(shape),
        "zarr_format": 2,
    }
    return json.dumps(document, indent=4).encode()


def group_document_3(multiscales: Sequence[dict[str, Any]] = ()) -> bytes:
    """``zarr.json`` of a group: NGFF 0.5, or an empty group."""
    attributes = {"ome": {"version": "0.5", "multiscales": list(multiscales)}} if multiscales else {}
    return json.dumps({"attributes": attributes, "node_type": "group", "zarr_format": 3}, indent=4).encode()


def _multiscale(levels: Sequence[PyramidLevel], channel: str | None, metadata: dict[str, Any] | None) -> dict[str, Any]:
    others = levels[0].array.ndim - 3
    axes: list[dict[str, str]] = [{"name": channel or "c", "type": "channel"}] * others
    axes = [*axes, *({"name": axis, "type": "space", "unit": "angstrom"} for axis in _AXES)]
    datasets = [
        {"coordinateTransformations": list(_transformations(level, others)), "path": str(number)}
        for number, level in enumerate(levels)
    ]
    return {"axes": axes, "datasets": datasets, "metadata": metadata or {}, "name": "/"}


def _transformations(level: PyramidLevel, others: int) -> Iterator[dict[str, Any]]:
    yield {"scale": [1.0] * others + [level.scale] * 3, "type": "scale"}
    if level.translation:
        yield {"translation": [0.0] * others + [level.translation] * 3, "type": "translation"}
