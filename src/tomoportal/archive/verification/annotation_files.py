"""Annotations: rows, orientations, masks, meshes and captions against the tomogram that they belong to."""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tomoportal.archive.findings import Finding, finding, several
from tomoportal.archive.verification.images import Image
from tomoportal.archive.verification.view import LARGEST_TEXT, Entity, View, number, rows, size_of
from tomoportal.archive.verification.volumes import shape_of, stored_volumes
from tomoportal.errors import FormatError
from tomoportal.formats.ndjson import read_points
from tomoportal.formats.points import PointKind, VoxelPoints
from tomoportal.storage import Store

__all__ = ["check", "mesh_bounds", "mesh_findings", "object_findings", "point_findings"]

Shape = tuple[int, int, int]

_KINDS: dict[str, PointKind] = {
    "Point": "point",
    "OrientedPoint": "orientedPoint",
    "InstanceSegmentation": "instancePoint",
}
_ORTHONORMAL = 1e-3
_MANY = 20
_MESH_MARGIN = 0.02
_LONGEST_HEADER = 64 * 1024 * 1024


def check(view: View) -> list[Finding]:
    """Every annotation of a run, and its identified objects."""
    found: list[Finding] = []
    masks = {volume.entity.key: volume for volume in stored_volumes(view)}
    for entity in view.of("annotation"):
        shape = _tomogram_shape(view, entity)
        counts: dict[str, int] = {}
        for row in rows(entity.content, "files"):
            key, kind = view.file(row.get("path")), str(row.get("shape"))
            if key is None:
                continue
            count = _file(view, entity, key, kind, row, shape, found)
            if count is not None:
                counts[kind] = count
                stated = number(row, "object_count")
                if stated is not None and stated != count:
                    found.append(finding("V802", key, f"it holds {count} objects, object_count says {stated:g}"))
        volume = masks.get(entity.key)
        if volume is not None:
            size = shape_of(view, volume)
            if size is not None and shape is not None and size != shape:
                text = f"the mask has {size} voxels (z, y, x), its tomogram {shape}"
                found.append(finding("V807", volume.place, text))
            image = view.memory.get(("zarr", volume.zarr))
            if volume.kind == "instance_mask" and isinstance(image, Image) and image.labels is not None:
                counts["InstanceSegmentationMask"] = len(image.labels)
        found += _total(entity, counts)
    for entity in view.of("identified_objects"):
        found += _identified(view, entity)
    return found


def _total(entity: Entity, counts: Mapping[str, int]) -> Iterator[Finding]:
    """``object_count`` is the largest count of a data file; captions do not count (F31)."""
    stated = number(entity.content, "object_count")
    if not counts or stated is None:
        return
    listed = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    if stated not in counts.values():
        yield finding("V802", entity.key, f"object_count is {stated:g}; the files hold {listed}")


def _tomogram_shape(view: View, entity: Entity) -> Shape | None:
    """(z, y, x) of the tomogram of the same alignment and spacing, else of the same alignment at another spacing."""
    alignment, spacing = entity.content.get("alignment_metadata_path"), entity.place.spacing
    same = [each for each in view.of("tomogram") if each.content.get("alignment_metadata_path") == alignment]
    for tomogram in same:
        if tomogram.place.spacing == spacing:
            return size_of(tomogram.content.get("size"))
    for tomogram in same:
        size = size_of(tomogram.content.get("size"))
        if size and spacing and tomogram.place.spacing:
            ratio = tomogram.place.spacing / spacing
            z, y, x = (math.ceil(count * ratio) for count in size)
            return z, y, x
    return None


def _file(
    view: View, entity: Entity, key: str, kind: str, row: Mapping[str, Any], shape: Shape | None, found: list[Finding]
) -> int | None:
    """Check one file; the number of its objects, None where that is not counted here."""
    if kind in _KINDS and key in view.sizes:
        return _points(view, key, _KINDS[kind], shape, entity.place.spacing, found)
    if key.endswith(".glb") and key in view.sizes:
        _mesh(view.store, key, view.sizes[key], shape, found)
    elif kind in ("GlobalCaption", "AnnotationCaption") and key in view.sizes:
        found += _captions(view, entity, key, kind)
    return None


# --- points


def _points(
    view: View, key: str, kind: PointKind, shape: Shape | None, spacing: float | None, found: list[Finding]
) -> int | None:
    data = view.read(key)
    if data is None:
        found.append(finding("V801", key, f"it has {view.sizes[key]} bytes; at most {LARGEST_TEXT} are read"))
        return None
    try:
        points = read_points(data, key, kind=kind)
    except FormatError as error:
        found.append(finding("V801", key, f"{error.where or key}: {error.what}"))
        return None
    found += point_findings(points, key, shape, spacing)
    return len(set(points.instance_ids.tolist())) if points.instance_ids is not None else len(points)


def point_findings(points: VoxelPoints, path: str, shape: Shape | None, spacing: float | None) -> Iterator[Finding]:
    """Points in voxels against a tomogram (z, y, x) whose voxels have ``spacing`` Å; their orientations."""
    if not len(points):
        return
    if shape is not None:
        outside = points.outside(shape)
        if outside.any():
            first = points.locations[int(np.argmax(outside))]
            text = (
                f"{int(outside.sum())} of {len(points)} points, the first at {_place(first)} voxels (x, y, z);"
                f" the tomogram has {shape[2]} × {shape[1]} × {shape[0]}"
            )
            yield finding("V803", path, text + _cause(points, shape, spacing))
        else:
            reach = points.locations.max(axis=0) / np.array(shape[::-1])
            if len(points) >= _MANY and reach.max() < 0.5:
                text = f"{len(points)} points reach only up to {_place(points.locations.max(axis=0))} voxels (x, y, z)"
                yield finding("V805", path, f"{text} of {shape[2]} × {shape[1]} × {shape[0]}")
    if points.rotations is not None:
        yield from _orientations(points, path)


def _cause(points: VoxelPoints, shape: Shape, spacing: float | None) -> str:
    """What would put nearly all points inside, and not all of them into one corner."""
    if points.outside(shape).sum() <= 0.1 * len(points):
        return ""  # a few at the border have no common cause
    candidates = {"the axes are in the order z, y, x": points.with_axes_reversed()}
    for factor in (2, 4, 8):
        candidates[f"the numbers are for voxels {factor} times smaller"] = VoxelPoints(points.locations / factor)
    if spacing:
        candidates[f"the numbers are Å, to be divided by {spacing:g}"] = VoxelPoints(points.locations / spacing)
    for text, each in candidates.items():
        inside = each.outside(shape).sum() <= 0.01 * len(points)
        if inside and (each.locations.max(axis=0) / np.array(shape[::-1])).max() > 0.4:
            return f"; perhaps {text}"
    return ""


def _place(location: Any) -> str:
    return ", ".join(f"{value:.1f}" for value in location)


def _orientations(points: VoxelPoints, path: str) -> Iterator[Finding]:
    rotations = points.rotations
    assert rotations is not None
    determinants = np.linalg.det(rotations)
    mirrored = determinants < 0
    if mirrored.any():
        row = int(np.argmax(mirrored)) + 1
        text = f"{int(mirrored.sum())} of {len(points)} mirror (determinant {determinants[mirrored][0]:.3f}), first in"
        yield finding("V804", path, f"{text} row {row}: the hand is turned over")
    deviation = np.abs(np.einsum("nij,nkj->nik", rotations, rotations) - np.eye(3)).max(axis=(1, 2))
    wrong = (deviation > _ORTHONORMAL) & ~mirrored
    if wrong.any():
        row = int(np.argmax(wrong)) + 1
        text = f"{int(wrong.sum())} of {len(points)} are not orthonormal (by up to {deviation[wrong].max():.3g})"
        yield finding("V804", path, f"{text}, first in row {row}")
    elif len(points) >= _MANY and np.abs(rotations - rotations[0]).max() < 1e-9:
        yield finding("V806", path, f"all {len(points)} rows have one matrix")


# --- meshes, captions, identified objects


def _mesh(store: Store, key: str, size: int, shape: Shape | None, found: list[Finding]) -> None:
    try:
        low, high, count = mesh_bounds(store, key, size)
    except FormatError as error:
        found.append(finding("V801", key, error.what))
        return
    found += mesh_findings(low, high, count, key, shape)


def mesh_findings(low: list[float], high: list[float], count: int, path: str, shape: Shape | None) -> Iterator[Finding]:
    """A mesh of ``count`` vertices from ``low`` to ``high`` (x, y, z) in voxels, against a tomogram (z, y, x)."""
    if count == 0 or not all(map(math.isfinite, (*low, *high))):
        yield finding("V808", path, "there are no vertices" if not count else "a vertex is not finite")
    elif shape is not None:
        margin = [_MESH_MARGIN * n for n in shape[::-1]]
        beyond = [lo < -m or hi > n + m for lo, hi, n, m in zip(low, high, shape[::-1], margin, strict=True)]
        if any(beyond):
            text = f"it reaches from {_place(low)} to {_place(high)} voxels (x, y, z); the tomogram has"
            yield finding("V809", path, f"{text} {shape[2]} × {shape[1]} × {shape[0]}")


def mesh_bounds(store: Store, key: str, size: int) -> tuple[list[float], list[float], int]:
    """Lowest and highest vertex (x, y, z) and their number, as the accessors of a glb file state them.

    Node transforms are not applied: exporters of meshes write none. Raises :class:`FormatError`.
    Format: glTF 2.0, section 4 (GLB); minimum and maximum of POSITION are mandatory there.
    """
    head = store.get_range(key, 0, 20)
    if len(head) < 20 or head[:4] != b"glTF" or head[16:20] != b"JSON":
        raise FormatError("it is no glb file", where=key)
    version, length, json_length = struct.unpack("<III", head[4:16])
    if version != 2 or length > size or json_length > min(length, _LONGEST_HEADER):
        raise FormatError(f"it is cut off, or no glTF 2.0: {size} bytes, the header says {length}", where=key)
    try:
        document = json.loads(store.get_range(key, 20, json_length))
        accessors = document["accessors"]
        used = {primitive["attributes"]["POSITION"] for mesh in document["meshes"] for primitive in mesh["primitives"]}
        positions = [accessors[index] for index in used]
        low = [min(float(each["min"][axis]) for each in positions) for axis in range(3)]
        high = [max(float(each["max"][axis]) for each in positions) for axis in range(3)]
        return low, high, sum(int(each["count"]) for each in positions)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise FormatError("its JSON part names no mesh with bounds", where=key) from error


def _captions(view: View, entity: Entity, key: str, kind: str) -> Iterator[Finding]:
    name = "captions" if kind == "GlobalCaption" else "objects"
    document = _json(view, key)
    entries = document.get(name) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        yield finding("V810", key, f"it is not a JSON object with a list {name!r}")
        return
    bad = [
        at
        for at, each in enumerate(entries)
        if type(each.get("id")) is not int or not isinstance(each.get("text"), str)
    ]
    if bad:
        yield finding("V810", key, f"the entries {several(bad)} lack a whole-number id or a text")
    repeated = [one for one, times in Counter(str(each.get("id")) for each in entries).items() if times > 1]
    if repeated:
        yield finding("V810", key, f"the id {several(repeated)} occurs more than once")
    if kind == "AnnotationCaption":
        data = [row for row in rows(entity.content, "files") if row.get("shape") not in ("GlobalCaption", kind)]
        if not any(view.file(row.get("path")) for row in data):
            yield finding("V811", key, "the annotation has no other file whose objects they could describe")


def _identified(view: View, entity: Entity) -> Iterator[Finding]:
    key = f"{entity.folder}/identified_objects.json"
    document = _json(view, key) if key in view.sizes else None
    if not isinstance(document, list):
        what = "it is not a JSON list" if key in view.sizes else "the file is not there"
        yield finding("V812", key, what)
        return
    yield from object_findings(document, key)
    stated = number(entity.content, "object_count")
    if stated is not None and stated != len(document):
        yield finding("V812", key, f"it holds {len(document)} objects, object_count says {stated:g}")


def object_findings(rows: Sequence[Any], path: str) -> Iterator[Finding]:
    """Identified objects, as the rows of their table: each has an ontology id and a name."""
    bad = [
        at
        for at, each in enumerate(rows)
        if not isinstance(each, dict)
        or not isinstance(each.get("object_id"), str)
        or not isinstance(each.get("object_name"), str)
        or (":" not in each["object_id"] and not each["object_id"].startswith("PDB-"))
    ]
    if bad:
        text = f"the entries {several(bad)} lack an object_id such as GO:0005739 or an object_name"
        yield finding("V812", path, text)


def _json(view: View, key: str) -> Any:
    data = view.read(key)
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return None
