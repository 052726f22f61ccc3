"""Documents of picks as arrays: bytes in, arrays out, and back (reference copick-model, 10).

A regular document is decoded straight into arrays. One with keys that we do not know, NaN literals or numbers written
as text takes a slower way, on which nothing of it is lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import AnnotationError, FormatError

__all__ = [
    "DOCUMENT_KEYS",
    "IDENTITY",
    "Floats",
    "PickTable",
    "PicksDocument",
    "angstrom_per",
    "compact",
    "merge_tables",
    "non_rigid",
    "point_names",
    "read_picks",
    "table_of",
]

Floats = NDArray[np.float64]

_ROW = tuple[float, float, float, float]
_LAST_ROW: Final = np.array([0.0, 0.0, 0.0, 1.0])
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
_RIGID: Final = 1e-3  # how far the products of rows of a rotation may be from 0 and 1
_EXACT: Final = 1e-9
_MERGE_DECIMALS: Final = 4  # of Å and of rotation matrices: two points closer than that are the same point


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


IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
DOCUMENT_KEYS: Final = _Document.__struct_fields__
_DECODER = msgspec.json.Decoder(_Document)


@dataclass(frozen=True)
class PickTable:
    """The points of a document. Lengths in Å, order x, y, z; the arrays are not to be changed."""

    positions: Floats
    """(n, 3): locations, without the translation of the transformation."""
    transforms: Floats | None = None
    """(n, 4, 4), from the object into the tomogram; None if every one is the identity."""
    instance_ids: NDArray[np.int64] | None = None
    """(n,); None if all are 0."""
    scores: Floats | None = None
    """(n,); None if all are 1.0."""
    extras: tuple[dict[str, Any], ...] | None = None
    """What points hold beside that, per point; None if nothing."""

    @property
    def count(self) -> int:
        return len(self.positions)

    def all_transforms(self) -> Floats:
        """(n, 4, 4), identities included; a new array."""
        return _identities(self.count) if self.transforms is None else self.transforms.copy()

    def all_ids(self) -> NDArray[np.int64]:
        return np.zeros(self.count, np.int64) if self.instance_ids is None else self.instance_ids.copy()

    def all_scores(self) -> Floats:
        return np.ones(self.count) if self.scores is None else self.scores.copy()

    def same_as(self, other: PickTable) -> bool:
        """Whether both hold the same points in the same order."""
        pairs = (
            (self.positions, other.positions),
            (self.transforms, other.transforms),
            (self.instance_ids, other.instance_ids),
            (self.scores, other.scores),
        )
        for mine, theirs in pairs:
            if mine is not theirs and (
                mine is None or theirs is None or not np.array_equal(mine, theirs, equal_nan=True)
            ):
                return False
        return self.extras == other.extras

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> PickTable:
        """The points of these rows."""
        index = np.asarray(rows, dtype=np.int64)
        return compact(
            self.positions[index],
            None if self.transforms is None else self.transforms[index],
            None if self.instance_ids is None else self.instance_ids[index],
            None if self.scores is None else self.scores[index],
            None if self.extras is None else tuple(self.extras[row] for row in index),
        )


@dataclass(frozen=True)
class PicksDocument:
    """A document: its points, and its other keys as they stand."""

    table: PickTable
    fields: dict[str, Any] = field(default_factory=dict)


def read_picks(data: bytes, where: str) -> PicksDocument:
    """Decode a document. Raises :class:`FormatError` with the place in it.

    A unit other than Å is converted; what is no length is refused (C42).
    """
    try:
        found = _DECODER.decode(data)
    except msgspec.ValidationError:
        return _read_any(data, where)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_any(data, where)
    points = found.points or []
    fields = {name: getattr(found, name) for name in _Document.__struct_fields__ if name != "points"}
    return _scaled(PicksDocument(_table_of_structs(points), fields), where)


def _table_of_structs(points: list[_Point]) -> PickTable:
    count = len(points)
    positions = np.empty((count, 3))
    locations = [p.location for p in points]
    positions[:, 0] = [place.x for place in locations]
    positions[:, 1] = [place.y for place in locations]
    positions[:, 2] = [place.z for place in locations]
    ids = np.array([p.instance_id or 0 for p in points], np.int64)
    scores = np.array([1.0 if p.score is None else p.score for p in points], np.float64)
    matrices = [p.transformation_ or IDENTITY for p in points]
    numbers = chain.from_iterable(chain.from_iterable(matrices))
    transforms = np.fromiter(numbers, np.float64, 16 * count).reshape(count, 4, 4)
    return compact(positions, transforms, ids, scores, None)


def compact(
    positions: Floats,
    transforms: Floats | None,
    ids: NDArray[np.int64] | None,
    scores: Floats | None,
    extras: tuple[dict[str, Any], ...] | None,
) -> PickTable:
    """The table, with None for columns that hold nothing but the default."""
    return PickTable(
        positions,
        None if transforms is None or (transforms == IDENTITY).all() else transforms,
        None if ids is None or not ids.any() else ids,
        None if scores is None or (scores == 1.0).all() else scores,
        extras if extras is not None and any(extras) else None,
    )


def _read_any(data: bytes, where: str) -> PicksDocument:
    """Decode what is irregular, keeping every key."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        fix = "restore an earlier version from .history beside it, or copy the file again"
        raise FormatError(f"this is no JSON: {error}", where=where, fix=fix) from error
    if not isinstance(found, dict):
        raise FormatError("this is no JSON object", where=where, fix="remove it, or write it again")
    points = found.get("points") or []
    if not isinstance(points, list):
        raise _bad("points", "is no list", where)
    for name in ("pickable_object_name", "user_id", "session_id"):
        if not isinstance(found.get(name), str):
            raise _bad(name, "is missing" if found.get(name) is None else "is not text", where)
    count = len(points)
    positions, transforms = np.zeros((count, 3)), _identities(count)
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
            raise _bad(f"points[{row}]", f"is no point: {type(error).__name__}: {error}", where) from error
    fields = {key: value for key, value in found.items() if key != "points"}
    return _scaled(PicksDocument(compact(positions, transforms, ids, scores, tuple(extras)), fields), where)


def _bad(place: str, what: str, where: str) -> FormatError:
    return FormatError(f"{place} {what}", where=where, fix="correct it, or restore an earlier version from .history")


def angstrom_per(unit: object) -> float | None:
    """Å in a unit of length, which is Å if none is given; None for what is no unit of length."""
    return _ANGSTROM_PER.get(str(unit).lower()) if unit is not None else 1.0


def _scaled(document: PicksDocument, where: str) -> PicksDocument:
    unit = document.fields.get("unit", "angstrom")
    factor = angstrom_per(unit)
    table = document.table
    if table.transforms is not None and not np.array_equal(
        table.transforms[:, 3], np.broadcast_to(_LAST_ROW, (table.count, 4))
    ):
        rows = np.flatnonzero(~np.isclose(table.transforms[:, 3], _LAST_ROW).all(axis=1))
        if len(rows):
            raise _bad(
                f"points[{rows[0]}].transformation_",
                "is not affine: Last row of transformation matrix must be [0, 0, 0, 1].",
                where,
            )
    if factor == 1.0:
        return document
    if factor is None:
        fix = "convert the positions to Å and set unit to angstrom"
        raise FormatError(f"the unit of the points is {unit!r}, which is no length that we know", where=where, fix=fix)
    transforms = table.transforms
    if transforms is not None:
        transforms = transforms.copy()
        transforms[:, :3, 3] *= factor
    scaled = replace(table, positions=table.positions * factor, transforms=transforms)
    return PicksDocument(scaled, {**document.fields, "unit": "angstrom"})


def table_of(
    positions: Any,
    transforms: Any = None,
    instance_ids: Any = None,
    scores: Any = None,
    extras: tuple[dict[str, Any], ...] | None = None,
) -> PickTable:
    """Check arrays that somebody gave; ``(n, 3)`` or ``(n, m ≥ 3)`` positions in Å, the others per point.

    Raises :class:`AnnotationError` in upstream's words.
    """
    places = np.array(positions, dtype=np.float64)
    places = places.reshape(0, 3) if places.size == 0 else places
    if places.ndim != 2 or places.shape[1] < 3:
        raise AnnotationError(
            f"Positions must have shape (N, 3), not {places.shape}.", fix="give x, y, z in Å per point"
        )
    places = np.ascontiguousarray(places[:, :3])
    count = len(places)
    if not np.isfinite(places).all():
        raise AnnotationError(
            f"Position {int(np.flatnonzero(~np.isfinite(places).all(axis=1))[0])} must be finite.", fix="leave it out"
        )
    return compact(
        places, _checked_transforms(transforms, count), _checked_ids(instance_ids, count),
        _checked_scores(scores, count), extras,
    )  # fmt: skip


def _checked_transforms(transforms: Any, count: int) -> Floats | None:
    if transforms is None:
        return None
    matrices = np.array(transforms, dtype=np.float64)
    matrices = matrices.reshape(0, 4, 4) if matrices.size == 0 else matrices
    if len(matrices) != count:
        raise AnnotationError("Number of positions and transforms must be the same.", fix="give one matrix per point")
    if matrices.shape[1:] != (4, 4):
        raise AnnotationError("transformation must be a 4x4 matrix.", where=f"shape {matrices.shape}")
    finite = np.isfinite(matrices).all(axis=(1, 2))
    if not finite.all():
        raise AnnotationError(f"Transformation {int(np.flatnonzero(~finite)[0])} must be finite.", fix="leave it out")
    if (matrices[:, 3, 3] != 1.0).any():
        raise AnnotationError("Last element of transformation matrix must be 1.0.")
    if not np.allclose(matrices[:, 3], _LAST_ROW):
        raise AnnotationError("Last row of transformation matrix must be [0, 0, 0, 1].")
    return matrices


def non_rigid(table: PickTable) -> NDArray[np.int64]:
    """Rows whose 3×3 part is no rotation: not orthonormal to 1e-3, or a reflection (C42)."""
    if table.transforms is None or _are_exact(table.transforms):
        return np.empty(0, np.int64)
    a, b, c = (np.ascontiguousarray(table.transforms[:, row, :3].T) for row in range(3))  # rows, as columns of x, y, z
    cross = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    right = (cross[0] * c[0] + cross[1] * c[1] + cross[2] * c[2]) > 0
    for one, other, expected in ((a, a, 1), (b, b, 1), (c, c, 1), (a, b, 0), (a, c, 0), (b, c, 0)):
        right &= np.abs((one * other).sum(axis=0) - expected) < _RIGID
    return np.flatnonzero(~right).astype(np.int64)


def _are_exact(transforms: Floats) -> bool:
    """Whether all are rotations to the last digits: by Hadamard, rows of length 1 are orthogonal if the volume is 1."""
    q = np.ascontiguousarray(transforms.reshape(-1, 16).T)
    squares = q[:11] * q[:11]
    lengths = squares[0:3] + squares[4:7] + squares[8:11]  # of columns, which do as well as rows
    volume = (
        q[0] * (q[5] * q[10] - q[6] * q[9]) - q[1] * (q[4] * q[10] - q[6] * q[8]) + q[2] * (q[4] * q[9] - q[5] * q[8])
    )
    return bool((np.abs(lengths - 1) < _EXACT).all() and (np.abs(volume - 1) < _EXACT).all())


def _checked_ids(instance_ids: Any, count: int) -> NDArray[np.int64] | None:
    if instance_ids is None:
        return None
    given = np.asarray(instance_ids)
    if given.shape != (count,):
        raise AnnotationError(
            f"instance_ids must have shape ({count},), not {given.shape}.", fix="give one id per point"
        )
    if count == 0:
        return None
    if given.dtype.kind not in "iub" and not (given.dtype.kind == "f" and np.array_equal(given, np.rint(given))):
        raise AnnotationError("instance_ids must be integers.", fix="round them")
    if (given < 0).any():
        raise AnnotationError("instance_ids must be >= 0.", fix="use 0 for points that belong to no instance")
    return given.astype(np.int64)


def _checked_scores(scores: Any, count: int) -> Floats | None:
    if scores is None:
        return None
    given = np.array(scores, dtype=np.float64)
    if given.shape != (count,):
        raise AnnotationError(f"scores must have shape ({count},), not {given.shape}.", fix="give one score per point")
    if not np.isfinite(given).all():
        raise AnnotationError("scores must be finite.", fix="use 1.0 for points without a score")
    return given


# --- merging


def merge_tables(base: PickTable, mine: PickTable, theirs: PickTable) -> PickTable:
    """What two people made of one list, put together: a point is its location and orientation.

    Points that I added are added to theirs, those that I took away are taken away; of a point that both kept, id and
    score are mine where I changed them.
    """
    old, new, other = (dict(zip(point_names(table), range(table.count), strict=True)) for table in (base, mine, theirs))
    kept: list[tuple[bool, int]] = []  # whether the point is mine, and its row
    for name, row in other.items():
        if name in old and name not in new:
            continue
        is_mine = name in new and (name not in old or not _same_point(base, old[name], mine, new[name]))
        kept.append((True, new[name]) if is_mine else (False, row))
    kept += [(True, row) for name, row in new.items() if name not in other and name not in old]
    both = _joined(theirs, mine)
    return both.take([row + theirs.count if is_mine else row for is_mine, row in kept])


def point_names(table: PickTable) -> list[tuple[bytes, int]]:
    """What makes a point: location and matrix, rounded, and its number among equal ones."""
    rows = np.concatenate([table.positions, table.all_transforms()[:, :3].reshape(-1, 12)], axis=1)
    rounded = np.round(rows, _MERGE_DECIMALS) + 0.0
    seen: dict[bytes, int] = {}
    names = []
    for row in rounded:
        text = row.tobytes()
        number = seen.get(text, 0)
        seen[text] = number + 1
        names.append((text, number))
    return names


def _same_point(one: PickTable, row: int, other: PickTable, other_row: int) -> bool:
    return one.take([row]).same_as(other.take([other_row]))


def _joined(one: PickTable, other: PickTable) -> PickTable:
    extras = None
    if one.extras or other.extras:
        extras = (one.extras or ({},) * one.count) + (other.extras or ({},) * other.count)
    return compact(
        np.concatenate([one.positions, other.positions]),
        np.concatenate([one.all_transforms(), other.all_transforms()]),
        np.concatenate([one.all_ids(), other.all_ids()]),
        np.concatenate([one.all_scores(), other.all_scores()]),
        extras,
    )


def _identities(count: int) -> Floats:
    return np.tile(np.eye(4), (count, 1, 1))
