"""Annotation layers in Neuroglancer's precomputed format: ``info``, spatial cells and single records.

Coordinates are voxels of the annotation's spacing, x, y, z, unchanged (centres at integers). A record is the geometry
(float32), then the properties with all 4-byte types first, then 2-byte, then 1-byte and colours, each group in the
order of ``info``, padded to 4 bytes. Points give one record, oriented points three lines along the particle's x
(red), y (green) and z (blue) axes.

Up to 100,000 records are one cell. Beyond that there are levels of ever smaller cells, each holding a sample that is
spread by a fixed hash of the record number: the viewer loads as much detail as fits the view.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import NotFoundError
from tomoportal.formats.neuroglancer.palette import PALETTE, rgb
from tomoportal.formats.neuroglancer.sharding import SHARDING, pack_shard
from tomoportal.formats.neuroglancer.state import dimensions
from tomoportal.formats.points import VoxelPoints

if TYPE_CHECKING:
    from tomoportal.storage import FileRecord, Store

__all__ = ["AnnotationLayer", "annotation_layer", "segment_properties", "write_point_layer"]

_ONE_CELL = 100_000
_PER_CELL = 20_000
_DEEPEST = 10
_DEFAULT_DIAMETER = 10.0
_LINE_LENGTH = 1.5
_AXIS_COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


@dataclass(frozen=True, eq=False)
class _Level:
    """One level of the spatial index: a grid of cells and the records of each that is not empty."""

    grid: tuple[int, int, int]
    chunk_size: tuple[float, float, float]
    cells: dict[tuple[int, int, int], NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class AnnotationLayer:
    """All records of one annotation file, ready to be served piece by piece or written.

    ``records`` (n, size) uint8 are the encoded annotations, their ids are 0 … n−1; ``lower`` and ``upper`` are the
    bounds in voxels, x, y, z, never of zero extent.
    """

    annotation_type: Literal["point", "line"]
    properties: tuple[dict[str, Any], ...]
    records: NDArray[np.uint8]
    ends: NDArray[np.float32]
    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    voxel_spacing: float

    def info(self, *, sharded: bool = False) -> dict[str, Any]:
        """The ``info`` document; ``sharded`` for the files of ``write_point_layer``, else one file per record."""
        return {
            "@type": "neuroglancer_annotations_v1",
            "dimensions": dimensions(self.voxel_spacing),
            "lower_bound": list(self.lower),
            "upper_bound": list(self.upper),
            "annotation_type": self.annotation_type,
            "properties": list(self.properties),
            "relationships": [],
            "by_id": {"key": "by_id", "sharding": SHARDING} if sharded else {"key": "by_id"},
            "spatial": [
                {
                    "key": f"spatial{number}",
                    "grid_shape": list(level.grid),
                    "chunk_size": list(level.chunk_size),
                    "limit": max([1, *(len(rows) for rows in level.cells.values())]),
                }
                for number, level in enumerate(self._levels)
            ],
        }

    def cell(self, level: int, cell: str) -> bytes:
        """All annotations of a cell such as ``0_0_0``; raises ``NotFoundError`` for a cell outside the grid."""
        try:
            x, y, z = (int(part) for part in cell.split("_"))
        except ValueError:
            x, y, z = -1, -1, -1
        where = f"spatial{level}/{cell}"
        if not 0 <= level < len(self._levels):
            raise NotFoundError(f"There are {len(self._levels)} levels.", where=where)
        grid = self._levels[level].grid
        if not all(0 <= part < count for part, count in zip((x, y, z), grid, strict=True)):
            raise NotFoundError(f"The grid of this level is {grid}.", where=where)
        rows = self._levels[level].cells.get((x, y, z), np.zeros(0, np.intp))
        return b"".join([len(rows).to_bytes(8, "little"), self.records[rows].tobytes(), rows.astype("<u8").tobytes()])

    def record(self, number: int) -> bytes:
        """One annotation by its id (no relationships follow it); raises ``NotFoundError`` for an unknown id."""
        if not 0 <= number < len(self.records):
            raise NotFoundError(f"There are {len(self.records)} annotations.", where=f"by_id/{number}")
        data: bytes = self.records[number].tobytes()
        return data

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Relative key and bytes of every file of the layer, ``info`` last."""
        yield "by_id/0.shard", pack_shard(np.arange(len(self.records), dtype=np.uint64), self.records)
        for number, level in enumerate(self._levels):
            for x, y, z in np.ndindex(*level.grid):
                yield f"spatial{number}/{x}_{y}_{z}", self.cell(number, f"{x}_{y}_{z}")
        yield "info", json.dumps(self.info(sharded=True)).encode("ascii")

    @cached_property
    def _levels(self) -> list[_Level]:
        lower, upper = np.array(self.lower), np.array(self.upper)
        extent = upper - lower
        count = len(self.records)
        if count <= _ONE_CELL:
            return [_Level((1, 1, 1), _xyz(extent), {(0, 0, 0): np.arange(count)})]
        centres = (self.ends.mean(axis=1) - lower) / extent
        remaining = np.argsort(np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15), kind="stable")
        grid = np.ones(3, np.intp)
        levels: list[_Level] = []
        while len(remaining):
            cells = np.minimum((centres[remaining] * grid).astype(np.intp), grid - 1)
            flat = np.ravel_multi_index(tuple(cells.T), tuple(grid))
            by_cell = np.argsort(flat, kind="stable")
            _, first, inverse = np.unique(flat[by_cell], return_index=True, return_inverse=True)
            chosen = np.zeros(len(remaining), bool)
            chosen[by_cell] = np.arange(len(by_cell)) - first[inverse] < _PER_CELL
            if len(levels) == _DEEPEST:  # only points that lie on top of each other get here
                chosen[:] = True
            levels.append(self._level(np.sort(remaining[chosen]), grid, lower, extent))
            remaining = remaining[~chosen]
            sizes = extent / grid
            grid = np.where(sizes > sizes.max() / 2, grid * 2, grid)
        return levels

    def _level(
        self, rows: NDArray[np.intp], grid: NDArray[np.intp], lower: NDArray[np.float64], extent: NDArray[np.float64]
    ) -> _Level:
        """A level that lists every record in each cell that its bounding box touches."""
        positions = (self.ends[rows] - lower) / extent * grid
        begin = np.clip(np.floor(positions.min(axis=1)).astype(np.intp), 0, grid - 1)
        steps = np.clip(np.floor(positions.max(axis=1)).astype(np.intp), 0, grid - 1) - begin + 1
        copies = steps.prod(axis=1)
        source = np.repeat(np.arange(len(rows)), copies)
        nth = np.arange(len(source)) - np.repeat(np.cumsum(copies) - copies, copies)
        step = steps[source]
        offset = np.stack([nth % step[:, 0], nth // step[:, 0] % step[:, 1], nth // (step[:, 0] * step[:, 1])], axis=1)
        flat = np.ravel_multi_index(tuple((begin[source] + offset).T), tuple(grid))
        order = np.argsort(flat, kind="stable")
        keys, first = np.unique(flat[order], return_index=True)
        groups = np.split(rows[source[order]], first[1:])
        x, y, z = (axis.tolist() for axis in np.unravel_index(keys, tuple(grid)))
        size = (int(grid[0]), int(grid[1]), int(grid[2]))
        return _Level(size, _xyz(extent / grid), dict(zip(zip(x, y, z, strict=True), groups, strict=True)))


def annotation_layer(
    points: VoxelPoints,
    *,
    voxel_spacing: float,
    object_name: str,
    color: str,
    shape: tuple[int, int, int] | None = None,
    diameter: float | None = None,
) -> AnnotationLayer:
    """Records of an annotation file's points.

    ``voxel_spacing`` in Å; ``color`` ``#rrggbb`` of the object (instances have the palette's colours in turn);
    ``shape`` (z, y, x) of the tomogram widens the bounds to the whole volume; ``diameter`` of the object in Å, a tenth
    of which is the size of its marker (10 without it) and two thirds of the length in voxels of an orientation's line.
    """
    count = len(points)
    size = diameter / 10 if diameter else _DEFAULT_DIAMETER
    ends = points.locations[:, np.newaxis, :]
    index = np.arange(count)
    labels, names, colors = [object_name], np.zeros(count, np.intp), np.full((count, 3), rgb(color), np.uint8)
    properties: list[tuple[str, str, Any]] = [("diameter", "float32", size), ("point_index", "float32", index)]
    if points.rotations is not None:
        tips = points.locations[:, np.newaxis, :] + _LINE_LENGTH * size * np.swapaxes(points.rotations, 1, 2)
        ends = np.stack([np.broadcast_to(ends, tips.shape), tips], axis=2).reshape(3 * count, 2, 3)
        index, names, colors = np.repeat(index, 3), np.repeat(names, 3), np.repeat(colors, 3, axis=0)
        lines = np.tile(np.array(_AXIS_COLORS, np.uint8), (count, 1))
        properties = [properties[0], ("point_index", "float32", index)]
        properties += [("point_color", "rgb", colors), ("line_color", "rgb", lines)]
    else:
        if points.instance_ids is not None:
            instances, names = np.unique(points.instance_ids, return_inverse=True)
            labels = [f"object {number}" for number in instances.tolist()] or labels
            table = np.array([rgb(entry) for entry in PALETTE], np.uint8)
            colors = table[points.instance_ids % len(PALETTE)]
        properties.append(("color", "rgb", colors))
    name_type = "uint8" if len(labels) <= 255 else "uint16" if len(labels) <= 65_535 else "uint32"
    properties.insert(0, ("name", name_type, names))
    lower, upper = _bounds(ends, shape)
    name_property = {
        "id": "name",
        "type": name_type,
        "enum_values": list(range(len(labels))),
        "enum_labels": labels,
    }
    return AnnotationLayer(
        annotation_type="point" if points.rotations is None else "line",
        properties=(name_property, *({"id": key, "type": kind} for key, kind, _ in properties[1:])),
        records=_encoded(ends.astype("<f4"), properties),
        ends=ends.astype(np.float32),
        lower=lower,
        upper=upper,
        voxel_spacing=voxel_spacing,
    )


def write_point_layer(store: Store, prefix: str, layer: AnnotationLayer) -> list[FileRecord]:
    """Write a layer's files below ``prefix`` of a store: records in one shard, spatial cells, ``info`` last."""
    from tomoportal.storage import FileRecord

    written = []
    for relative, data in layer.files():
        key = f"{prefix.rstrip('/')}/{relative}"
        store.put(key, data)
        written.append(FileRecord(key, len(data), hashlib.sha256(data).hexdigest()))
    return written


def segment_properties(names: dict[int, str]) -> dict[str, Any]:
    """The ``info`` of a list of segment names, for a searchable list beside a mask or mesh."""
    ordered = sorted(names.items())
    return {
        "@type": "neuroglancer_segment_properties",
        "inline": {
            "ids": [str(number) for number, _ in ordered],
            "properties": [{"id": "label", "type": "label", "values": [name for _, name in ordered]}],
        },
    }


_NUMPY_TYPES: dict[str, tuple[str, int]] = {
    "float32": ("<f4", 4),
    "uint32": ("<u4", 4),
    "uint16": ("<u2", 2),
    "uint8": ("u1", 1),
    "rgb": ("u1", 1),
}


def _encoded(ends: NDArray[np.float32], properties: list[tuple[str, str, Any]]) -> NDArray[np.uint8]:
    """Records (n, size) uint8: geometry, properties by falling size of their type, zeros up to a multiple of 4."""
    fields: list[tuple[Any, ...]] = [("geometry", "<f4", ends.shape[1] * 3)]
    ordered = sorted(properties, key=lambda entry: -_NUMPY_TYPES[entry[1]][1])
    fields += [
        (key, _NUMPY_TYPES[kind][0], 3) if kind == "rgb" else (key, _NUMPY_TYPES[kind][0]) for key, kind, _ in ordered
    ]
    size = np.dtype(fields).itemsize
    if size % 4:
        fields.append(("padding", "u1", 4 - size % 4))
    records = np.zeros(len(ends), np.dtype(fields))
    records["geometry"] = ends.reshape(len(ends), ends.shape[1] * 3)
    for key, _, values in ordered:
        records[key] = values
    return records.view(np.uint8).reshape(len(ends), records.dtype.itemsize)


def _bounds(
    ends: NDArray[np.float64], shape: tuple[int, int, int] | None
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    corners = ends.reshape(-1, 3).astype(np.float32).astype(np.float64)
    if shape is not None or not len(corners):
        corners = np.vstack([corners, np.zeros((1, 3)), np.array([(shape or (0, 0, 0))[::-1]], np.float64)])
    lower, upper = corners.min(axis=0), corners.max(axis=0)
    return _xyz(lower), _xyz(np.where(upper > lower, upper, lower + 1))


def _xyz(values: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
