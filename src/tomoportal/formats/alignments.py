"""Per-section alignment parameters, the form that every alignment format is read into.

A section is aligned by rotating and shifting its image: ``in_plane_rotation`` is the 2×2 matrix and (x_offset,
y_offset) the offset in Å, both as the archive's ``per_section_alignment_parameters`` store them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Matrix2", "SectionAlignment", "identity_affine"]

Matrix2: TypeAlias = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class SectionAlignment:
    """Alignment of one section; field names are those of the archive's document, offsets in Å, angles in degrees."""

    z_index: int
    tilt_angle: float
    volume_x_rotation: float
    in_plane_rotation: Matrix2
    x_offset: float
    y_offset: float


def identity_affine() -> list[list[int]]:
    """The 4×4 identity: ``affine_transformation_matrix`` of an alignment that names none."""
    return [[int(row == column) for column in range(4)] for row in range(4)]
