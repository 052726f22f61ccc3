"""Documents of picks become tables (reference copick-model, 10).

A regular document is decoded straight into numbers. One with absent numbers takes a plainer way to the same table, one
with keys that we do not know, NaN literals or numbers written as text a third, on which nothing of it is lost.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.pick_documents import IDENTITY, Floats, PicksDocument, PickTable, compact
from tomoportal.errors import FormatError

__all__ = ["DOCUMENT_KEYS", "angstrom_per", "read_picks"]

_ROW = tuple[float, float, float, float]
_BOTTOM: Final = (0.0, 0.0, 0.0, 1.0)
_ANGSTROM_PER: Final = {
    "angstrom": 1.0,
    "angstroms": 1.0,
    "å": 1.0,
    "a": 1.0,
    "nanometer": 10.0,
    "nm": 10.0,
    "micrometer": 1e4,
    "um": 1e4,
}
_POINT_KEYS: Final = frozenset(("location", "transformation_", "instance_id", "score"))
_pack: Final = struct.Struct("16dq").pack
"""Location, score, the upper three rows of the matrix, instance id."""


class _Location(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    x: float
    y: float
    z: float


class _Point(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    location: _Location
    transformation_: tuple[_ROW, _ROW, _ROW, _ROW] | None = None
    instance_id: int | None = 0
    score: float | None = 1.0


class _Document(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    pickable_object_name: str
    user_id: str
    session_id: str
    run_name: str | None = None
    voxel_spacing: float | None = None
    unit: str = "angstrom"
    points: list[_Point] | None = None
    trust_orientation: bool | None = True


DOCUMENT_KEYS: Final = _Document.__struct_fields__
_DECODER = msgspec.json.Decoder(_Document)
_POINTS: Final = msgspec.json.Decoder(list[_Point])
_LARGE: Final = 32 * 1024 * 1024  # bytes: objects for all points of smaller documents are no burden, and faster
_BLOCK: Final = 20_000
"""Points that are decoded at a time in large documents."""


def read_picks(data: bytes, where: str) -> PicksDocument:
    """Decode a document. Raises :class:`FormatError` with the place in it.

    A unit other than Å is converted; what is no length is refused (C42).
    """
    large = _read_large(data, where) if len(data) > _LARGE else None
    if large is not None:
        return large
    try:
        found = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_any(data, where)
    points = found.points or []
    fields = {name: getattr(found, name) for name in DOCUMENT_KEYS if name != "points"}
    try:
        table = _packed(points)
    except (TypeError, struct.error):
        try:
            table = _table_of_structs(points, where)
        except OverflowError:
            return _read_any(data, where)
    return _scaled(PicksDocument(table, fields), where)


def _packed(points: list[_Point]) -> PickTable:
    """The fast way: one call per point. Raises TypeError or struct.error for what is not a regular number."""
    rows = []
    for point in points:
        place = point.location
        one, two, three, bottom = point.transformation_ or IDENTITY
        if bottom != _BOTTOM:
            raise TypeError("a matrix that has to be looked at")
        rows.append(_pack(place.x, place.y, place.z, point.score, *one, *two, *three, point.instance_id))
    columns = np.frombuffer(b"".join(rows)).reshape(len(points), 17)
    matrices = columns[:, 4:16].reshape(-1, 3, 4)
    ids: NDArray[np.int64] = columns.view(np.int64)[:, 16]
    return compact(columns[:, :3], matrices, ids, columns[:, 3], None)


def _table_of_structs(points: list[_Point], where: str) -> PickTable:
    """The plain way: one list per column."""
    count = len(points)
    places = [point.location for point in points]
    positions = np.array([(place.x, place.y, place.z) for place in places], np.float64).reshape(count, 3)
    ids = np.array([point.instance_id or 0 for point in points], np.int64)
    scores = np.array([1.0 if point.score is None else point.score for point in points], np.float64)
    matrices = [point.transformation_ or IDENTITY for point in points]
    numbers = chain.from_iterable(chain.from_iterable(matrices))
    transforms = np.fromiter(numbers, np.float64, 16 * count).reshape(count, 4, 4)
    return compact(positions, _affine(transforms, where), ids, scores, None)


def _read_any(data: bytes, where: str) -> PicksDocument:
    """Decode what is irregular, keeping every key."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _no_json(error, where) from error
    if not isinstance(found, dict):
        raise FormatError("this is no JSON object", where=where, fix="remove it, or write it again")
    points = found.get("points") or []
    if not isinstance(points, list):
        raise _bad("points", "is no list", where)
    fields = _checked_fields({key: value for key, value in found.items() if key != "points"}, where)
    return _scaled(PicksDocument(_table_of_any(points, where), fields), where)


def _read_large(data: bytes, where: str) -> PicksDocument | None:
    """Decode some points at a time: as objects, all of them would take ten times the memory of the document.

    None for documents that are no objects with a list of points, and for literals that are no JSON (NaN).
    """
    try:
        outer = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        points = msgspec.json.decode(outer.pop("points", b"null"), type=list[msgspec.Raw] | None) or []
        fields = {key: json.loads(bytes(value)) for key, value in outer.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    blocks = []
    for start in range(0, len(points), _BLOCK):
        text = b"[%b]" % b",".join(points[start : start + _BLOCK])
        try:
            blocks.append(_packed(_POINTS.decode(text)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, struct.error):
            try:
                some = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise _no_json(error, where) from error
            blocks.append(_table_of_any(some, where, start))
    return _scaled(PicksDocument(_stacked(blocks), _checked_fields(fields, where)), where)


def _stacked(blocks: list[PickTable]) -> PickTable:
    """One table of several, in their order."""
    if len(blocks) < 2:
        return blocks[0] if blocks else PickTable(np.zeros((0, 3)))

    def column(name: str, whole: str) -> NDArray[Any] | None:
        if all(getattr(block, name) is None for block in blocks):
            return None
        return np.concatenate([getattr(block, whole)() for block in blocks])

    extras = None
    if any(block.extras for block in blocks):
        extras = tuple(chain.from_iterable(block.extras or ({},) * block.count for block in blocks))
    return PickTable(
        np.concatenate([block.positions for block in blocks]),
        column("rotations", "all_rotations"),
        column("translations", "all_translations"),
        column("instance_ids", "all_ids"),
        column("scores", "all_scores"),
        extras,
    )


def _table_of_any(points: list[Any], where: str, first: int = 0) -> PickTable:
    """Points as they stand; ``first`` is the number of the first one in the document."""
    count = len(points)
    positions, transforms = np.zeros((count, 3)), np.tile(np.eye(4), (count, 1, 1))
    ids, scores = np.zeros(count, np.int64), np.ones(count)
    extras: list[dict[str, Any]] = []
    for row, point in enumerate(points):
        try:
            place = point["location"]
            positions[row] = [float(place["x"]), float(place["y"]), float(place["z"])]
            if "transformation_" in point:
                transforms[row] = np.array(point["transformation_"], dtype=float)
            ids[row] = 0 if point.get("instance_id") is None else point["instance_id"]
            scores[row] = 1.0 if point.get("score") is None else float(point["score"])
            extra = {key: value for key, value in point.items() if key not in _POINT_KEYS}
            if more := {key: value for key, value in place.items() if key not in ("x", "y", "z")}:
                extra["location"] = more
            extras.append(extra)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            what = f"is no point: {type(error).__name__}: {error}"
            raise _bad(f"points[{first + row}]", what, where) from error
    return compact(positions, _affine(transforms, where, first), ids, scores, tuple(extras))


def _checked_fields(fields: dict[str, Any], where: str) -> dict[str, Any]:
    for name in ("pickable_object_name", "user_id", "session_id"):
        if not isinstance(fields.get(name), str):
            raise _bad(name, "is missing" if fields.get(name) is None else "is not text", where)
    return fields


def _no_json(error: Exception, where: str) -> FormatError:
    what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    fix = "restore an earlier version from .history beside it, or copy the file again"
    return FormatError(f"this is no JSON: {what}", where=where, fix=fix)


def _bad(place: str, what: str, where: str) -> FormatError:
    return FormatError(f"{place} {what}", where=where, fix="correct it, or restore an earlier version from .history")


def _affine(transforms: Floats, where: str, first: int = 0) -> Floats:
    rows = np.flatnonzero(~np.isclose(transforms[:, 3], _BOTTOM).all(axis=1))
    if len(rows):
        what = "is not affine: Last row of transformation matrix must be [0, 0, 0, 1]."
        raise _bad(f"points[{first + rows[0]}].transformation_", what, where)
    return transforms


def angstrom_per(unit: object) -> float | None:
    """Å in a unit of length, which is Å if none is given; None for what is no unit of length."""
    return _ANGSTROM_PER.get(str(unit).lower()) if unit is not None else 1.0


def _scaled(document: PicksDocument, where: str) -> PicksDocument:
    unit = document.fields.get("unit", "angstrom")
    factor = angstrom_per(unit)
    if factor == 1.0:
        return document
    if factor is None:
        fix = "convert the positions to Å and set unit to angstrom"
        raise FormatError(f"the unit of the points is {unit!r}, which is no length that we know", where=where, fix=fix)
    table = document.table
    translations = table.translations * factor if table.translations is not None else None
    scaled = replace(table, positions=table.positions * factor, translations=translations)
    return PicksDocument(scaled, {**document.fields, "unit": "angstrom"})
