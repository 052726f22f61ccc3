"""Points of an annotation: one in-memory form for every source format.

Locations are x, y, z; the unit is part of the type, so that a function that needs voxels cannot be given ångström.
A voxel *centre* has integer coordinates and a physical position is coordinate × voxel spacing (one rule everywhere).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.rotations import reverse_axes

__all__ = ["KINDS", "AngstromPoints", "AxisOrder", "PointKind", "Points", "VoxelPoints", "axis_order", "divided"]

PointKind: TypeAlias = Literal["point", "orientedPoint", "instancePoint"]
AxisOrder: TypeAlias = Literal["xyz", "zyx"]

KINDS: dict[str, PointKind] = {
    "Point": "point",
    "OrientedPoint": "orientedPoint",
    "InstanceSegmentation": "instancePoint",
}
"""The row type of each annotation shape that is made of points."""

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Points:
    """Locations (n, 3) float64 in x, y, z; with them rotations (n, 3, 3) or instance ids (n,), or neither.

    A rotation is active and maps the reference particle into the tomogram: its columns are the particle's x, y and z
    axes. Arrays are read-only. Build a ``VoxelPoints`` or an ``AngstromPoints``; raises ``FormatError`` when shapes
    do not fit or a number is not finite.
    """

    unit: ClassVar[Literal["voxel", "angstrom"]]

    locations: NDArray[np.float64]
    rotations: NDArray[np.float64] | None = None
    instance_ids: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        count = len(self.locations)
        object.__setattr__(self, "locations", _frozen(self.locations, (count, 3), np.float64, "locations"))
        if self.rotations is not None:
            object.__setattr__(self, "rotations", _frozen(self.rotations, (count, 3, 3), np.float64, "rotations"))
        if self.instance_ids is not None:
            object.__setattr__(self, "instance_ids", _frozen(self.instance_ids, (count,), np.int64, "instance ids"))
        if self.rotations is not None and self.instance_ids is not None:
            raise FormatError("Points have rotations or instance ids, not both.")

    @classmethod
    def empty(cls, kind: PointKind = "point") -> Self:
        """No points of the given kind."""
        return cls(
            np.zeros((0, 3)),
            np.zeros((0, 3, 3)) if kind == "orientedPoint" else None,
            np.zeros(0, np.int64) if kind == "instancePoint" else None,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """All points of several lists of one kind, in order; raises ``FormatError`` when the kinds differ."""
        if not parts:
            return cls.empty()
        if len({part.kind for part in parts}) > 1:
            raise FormatError("Points of different kinds cannot be put into one list.")
        return cls(
            np.concatenate([part.locations for part in parts]),
            _joined(part.rotations for part in parts),
            _joined(part.instance_ids for part in parts),
        )

    def __len__(self) -> int:
        return len(self.locations)

    @property
    def kind(self) -> PointKind:
        """The row type of these points in ndjson."""
        if self.rotations is not None:
            return "orientedPoint"
        return "point" if self.instance_ids is None else "instancePoint"

    @property
    def object_count(self) -> int:
        """Number of objects: distinct instance ids where there are any, else the number of points."""
        return len(self) if self.instance_ids is None else len(np.unique(self.instance_ids))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """The points of a boolean mask, an index array or a slice."""
        return type(self)(
            self.locations[rows],
            None if self.rotations is None else self.rotations[rows],
            None if self.instance_ids is None else self.instance_ids[rows],
        )

    def with_axes_reversed(self) -> Self:
        """The same points after x and z have changed places (P·x, and P·R·P for rotations)."""
        rotations = None if self.rotations is None else reverse_axes(self.rotations)
        return type(self)(self.locations[:, ::-1], rotations, self.instance_ids)


class VoxelPoints(Points):
    """Points whose locations are in voxels of one volume."""

    unit = "voxel"

    def in_angstrom(self, voxel_spacing: float) -> AngstromPoints:
        """The same points in Å; ``voxel_spacing`` in Å per voxel."""
        return AngstromPoints(self.locations * _positive(voxel_spacing), self.rotations, self.instance_ids)

    def in_voxels(self, voxel_spacing: float) -> VoxelPoints:
        """These points: they are in voxels already."""
        return self

    def outside(self, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
        """Mask (n,) of the points whose nearest voxel is not in a volume of this shape (z, y, x)."""
        nearest = np.rint(self.locations[:, ::-1])
        outside: NDArray[np.bool_] = np.any((nearest < 0) | (nearest >= np.asarray(shape)), axis=1)
        return outside


class AngstromPoints(Points):
    """Points whose locations are in Å."""

    unit = "angstrom"

    def in_voxels(self, voxel_spacing: float) -> VoxelPoints:
        """The same points in voxels; ``voxel_spacing`` in Å per voxel."""
        return VoxelPoints(self.locations / _positive(voxel_spacing), self.rotations, self.instance_ids)

    def in_angstrom(self, voxel_spacing: float) -> AngstromPoints:
        """These points: they are in Å already."""
        return self


def axis_order(order: str) -> AxisOrder:
    """``order`` if it is an axis order that sources may have; raises ``FormatError`` otherwise."""
    if order == "xyz":
        return "xyz"
    if order == "zyx":
        return "zyx"
    raise FormatError(f"The column order {order!r} is unknown.", fix="Use xyz or zyx.")


def divided(locations: ArrayLike, binning: float) -> NDArray[np.float64]:
    """Locations divided by the binning between the source's unit and the annotation's voxels."""
    if not (np.isfinite(binning) and binning > 0):
        raise FormatError(f"A binning of {binning} is not possible.", fix="Give a number above 0.")
    return np.asarray(locations, np.float64) / binning


def _positive(voxel_spacing: float) -> float:
    if not (np.isfinite(voxel_spacing) and voxel_spacing > 0):
        raise FormatError(f"A voxel spacing of {voxel_spacing} Å is not possible.", fix="Give a number above 0.")
    return voxel_spacing


def _frozen(values: ArrayLike, shape: tuple[int, ...], dtype: type[np.generic], what: str) -> NDArray[np.generic]:
    array = np.asarray(values, dtype)
    if array.shape != shape:
        raise FormatError(f"The {what} have the shape {array.shape}, not {shape}.")
    if not np.isfinite(array).all():
        raise FormatError(f"The {what} hold a number that is not finite.")
    if dtype is np.int64 and not np.array_equal(array, np.asarray(values)):
        raise FormatError(f"The {what} hold a number that is not whole.")
    view = array.view()
    view.flags.writeable = False
    return view


def _joined(parts: Iterable[NDArray[_T] | None]) -> NDArray[_T] | None:
    """The arrays of one kind in one, ``None`` when the kind has none."""
    arrays = [part for part in parts if part is not None]
    return np.concatenate(arrays) if arrays else None
