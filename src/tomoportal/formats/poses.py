"""Particles as programs for averaging exchange them: where, how turned, how good, of which filament.

Unlike :class:`~tomoportal.formats.points.Points`, which are the rows of an annotation, these keep everything that a
particle list says: a refined shift apart from the picked position, a score, an instance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError

__all__ = ["Poses"]


@dataclass(frozen=True, eq=False)
class Poses:
    """n particles of one tomogram; lengths in Å from its first voxel, order x, y, z. Build it with :meth:`of`.

    A rotation is active and maps the reference into the tomogram; the centre is ``positions + shifts``.
    """

    positions: NDArray[np.float64]
    """(n, 3)"""
    rotations: NDArray[np.float64]
    """(n, 3, 3)"""
    shifts: NDArray[np.float64]
    """(n, 3)"""
    scores: NDArray[np.float64]
    """(n,)"""
    instance_ids: NDArray[np.int64]
    """(n,); 0 belongs to no instance"""

    @classmethod
    def of(
        cls,
        positions: Any,
        rotations: Any = None,
        shifts: Any = None,
        scores: Any = None,
        instance_ids: Any = None,
    ) -> Self:
        """Particles with what is not given at its default: not turned, not shifted, score 1, no instance.

        Raises :class:`FormatError` for arrays that do not belong together and numbers that are not finite.
        """
        places = np.asarray(positions, np.float64).reshape(-1, 3)
        count = len(places)
        return cls(
            _checked(places, (count, 3), "positions"),
            _checked(np.tile(np.eye(3), (count, 1, 1)) if rotations is None else rotations, (count, 3, 3), "rotations"),
            _checked(np.zeros((count, 3)) if shifts is None else shifts, (count, 3), "shifts"),
            _checked(np.ones(count) if scores is None else scores, (count,), "scores"),
            _checked(np.zeros(count) if instance_ids is None else instance_ids, (count,), "instance ids").astype(
                np.int64
            ),
        )

    @classmethod
    def joined(cls, parts: Sequence[Poses]) -> Self:
        """Several lists as one, in order."""
        if not parts:
            return cls.of(np.zeros((0, 3)))
        return cls(
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.rotations for part in parts]),
            np.concatenate([part.shifts for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.instance_ids for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def centres(self) -> NDArray[np.float64]:
        """(n, 3) in Å: position plus shift."""
        return self.positions + self.shifts

    def in_voxels(self, voxel_spacing: float) -> Poses:
        """The same with lengths in voxels of ``voxel_spacing`` Å. Raises :class:`FormatError` if that is no length."""
        if not (math.isfinite(voxel_spacing) and voxel_spacing > 0):
            raise FormatError(f"The voxel size {voxel_spacing} Å is not a positive length.", fix="give a length in Å")
        return replace(self, positions=self.positions / voxel_spacing, shifts=self.shifts / voxel_spacing)

    def select(self, rows: Any) -> Poses:
        """The particles of a mask, an array of indexes or a slice."""
        return Poses(
            self.positions[rows], self.rotations[rows], self.shifts[rows], self.scores[rows], self.instance_ids[rows]
        )

    def by_number(self, numbers: NDArray[Any]) -> dict[int, Poses]:
        """The particles of each tomogram, whose numbers (n,) are given; in order of the numbers."""
        return {int(number): self.select(numbers == number) for number in np.unique(numbers)}


def _checked(values: Any, shape: tuple[int, ...], what: str) -> NDArray[Any]:
    array = np.asarray(values, np.float64)
    if array.shape != shape:
        raise FormatError(f"The {what} have the shape {array.shape}, not {shape}.")
    if not np.isfinite(array).all():
        raise FormatError(f"The {what} hold a number that is not finite.")
    return array
