"""Points of picks as arrays: what they are, how arrays that somebody gave are checked, how two lists are merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import AnnotationError

__all__ = [
    "IDENTITY",
    "Floats",
    "PickTable",
    "PicksDocument",
    "compact",
    "merge_tables",
    "non_rigid",
    "point_names",
    "table_of",
]

Floats = NDArray[np.float64]

IDENTITY: Final = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
_EYE: Final = np.eye(3)
_LAST_ROW: Final = np.array(IDENTITY[3])
_RIGID: Final = 1e-3  # how far the products of rows of a rotation may be from 0 and 1
_EXACT: Final = 1e-9
_MERGE_DECIMALS: Final = 4  # of Å and of rotation matrices: two points closer than that are the same point


@dataclass(frozen=True, slots=True)
class PickTable:
    """The points of a document. Lengths in Å, order x, y, z; the arrays are not to be changed."""

    positions: Floats
    """(n, 3): locations, without the translation of the transformation."""
    rotations: Floats | None = None
    """(n, 3, 3), from the object into the tomogram; None if every one is the identity."""
    translations: Floats | None = None
    """(n, 3); None if all are 0."""
    instance_ids: NDArray[np.int64] | None = None
    """(n,); None if all are 0."""
    scores: Floats | None = None
    """(n,); None if all are 1.0."""
    extras: tuple[dict[str, Any], ...] | None = None
    """What points hold beside that, per point; None if nothing."""

    @property
    def count(self) -> int:
        return len(self.positions)

    @property
    def has_transforms(self) -> bool:
        """Whether a point has a transformation other than the identity."""
        return self.rotations is not None or self.translations is not None

    def all_transforms(self) -> Floats:
        """(n, 4, 4): rotation, translation and a last row 0, 0, 0, 1; a new array."""
        transforms = np.zeros((self.count, 4, 4))
        transforms[:, :3, :3] = _EYE if self.rotations is None else self.rotations
        if self.translations is not None:
            transforms[:, :3, 3] = self.translations
        transforms[:, 3, 3] = 1.0
        return transforms

    def all_rotations(self) -> Floats:
        """(n, 3, 3), identities included; a new array."""
        return np.tile(_EYE, (self.count, 1, 1)) if self.rotations is None else self.rotations.copy()

    def all_translations(self) -> Floats:
        """(n, 3); a new array."""
        return np.zeros((self.count, 3)) if self.translations is None else self.translations.copy()

    def all_ids(self) -> NDArray[np.int64]:
        return np.zeros(self.count, np.int64) if self.instance_ids is None else self.instance_ids.copy()

    def all_scores(self) -> Floats:
        return np.ones(self.count) if self.scores is None else self.scores.copy()

    def same_as(self, other: PickTable) -> bool:
        """Whether both hold the same points in the same order."""
        pairs = (
            (self.positions, other.positions),
            (self.rotations, other.rotations),
            (self.translations, other.translations),
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
            self.all_transforms()[index] if self.has_transforms else None,
            None if self.instance_ids is None else self.instance_ids[index],
            None if self.scores is None else self.scores[index],
            None if self.extras is None else tuple(self.extras[row] for row in index),
        )


@dataclass(frozen=True, slots=True)
class PicksDocument:
    """A document: its points, and its other keys as they stand."""

    table: PickTable
    fields: dict[str, Any] = field(default_factory=dict)


def compact(
    positions: Floats,
    transforms: Floats | None,
    ids: NDArray[np.int64] | None,
    scores: Floats | None,
    extras: tuple[dict[str, Any], ...] | None,
) -> PickTable:
    """The table, with None for columns that hold nothing but the default.

    Matrices are ``(n, 4, 4)``, the last row of which is not looked at, or ``(n, 3, 4)``. Views become copies.
    """
    rotations, translations = None, None
    if transforms is not None and len(transforms):
        if (transforms[0, :3, :3] != _EYE).any() or (transforms[:, :3, :3] != _EYE).any():
            rotations = transforms[:, :3, :3].copy()
        if transforms.view(np.int64)[:, :3, 3].any():  # not by value: -0.0 is kept
            translations = transforms[:, :3, 3].copy()
    return PickTable(
        _own(positions),
        rotations,
        translations,
        None if ids is None or not ids.any() else _own(ids),
        None if scores is None or (scores == 1.0).all() else _own(scores),
        extras if extras is not None and any(extras) else None,
    )


def _own(column: NDArray[Any]) -> NDArray[Any]:
    return column if column.base is None else column.copy()


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
    if table.rotations is None or _are_exact(table.rotations):
        return np.empty(0, np.int64)
    a, b, c = (np.ascontiguousarray(table.rotations[:, row].T) for row in range(3))  # rows, as columns of x, y, z
    cross = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    right = (cross[0] * c[0] + cross[1] * c[1] + cross[2] * c[2]) > 0
    for one, other, expected in ((a, a, 1), (b, b, 1), (c, c, 1), (a, b, 0), (a, c, 0), (b, c, 0)):
        right &= np.abs((one * other).sum(axis=0) - expected) < _RIGID
    return np.flatnonzero(~right).astype(np.int64)


def _are_exact(rotations: Floats) -> bool:
    """Whether all are rotations to the last digits: by Hadamard, rows of length 1 are orthogonal if the volume is 1."""
    q = np.ascontiguousarray(rotations.reshape(-1, 9).T)
    squares = q * q
    lengths = squares[0:3] + squares[3:6] + squares[6:9]  # of columns, which do as well as rows
    volume = (
        q[0] * (q[4] * q[8] - q[5] * q[7]) - q[1] * (q[3] * q[8] - q[5] * q[6]) + q[2] * (q[3] * q[7] - q[4] * q[6])
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
