"""Geometry of a tilt series, and projection of a specimen through it.

One rule holds in all modules of the demo. The specimen frame has its origin at the volume's centre, voxel
``(n - 1) / 2`` on each axis; x, y, z in Å; the tilt axis is y. A point is seen in the *aligned* image at
``(x cos θ + z sin θ, y)`` (IMOD's ``tilt``), and the row of the ``.xf`` file maps the raw image to the aligned one:
``aligned = A · raw + d`` with both measured from the image centre, ``A = [[cos φ, sin φ], [-sin φ, cos φ]]`` for a
tilt axis at φ degrees (IMOD's ``newstack``; reference: transforms.md 8.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Beads", "Geometry", "project", "splat_image", "splat_volume"]


@dataclass(frozen=True)
class Geometry:
    """Where every section of a stack was taken: refined tilt angles (n,) in degrees, ``.xf`` matrices and shifts.

    ``matrices`` is (n, 2, 2), ``shifts`` (n, 2) in pixels, both in the sense of an IMOD ``.xf`` file.
    """

    angles: NDArray[np.float64]
    matrices: NDArray[np.float64]
    shifts: NDArray[np.float64]

    def to_raw(self, section: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Raw image coordinates of aligned image coordinates; pixels from the image centre."""
        inverse = np.linalg.inv(self.matrices[section])
        dx, dy = self.shifts[section]
        return (
            inverse[0, 0] * (x - dx) + inverse[0, 1] * (y - dy),
            inverse[1, 0] * (x - dx) + inverse[1, 1] * (y - dy),
        )


@dataclass(frozen=True)
class Beads:
    """Scatterers of a specimen: positions (n, 3) x, y, z in Å from the centre, integrated potential (n,) in V·Å³."""

    positions: NDArray[np.float64]
    weights: NDArray[np.float64]

    def tiled(self, period: tuple[float, float], reach: tuple[float, float]) -> Beads:
        """The beads with their periodic images in x and y up to ``reach`` (Å from the centre), sorted by x.

        A real specimen goes on beyond the field of view: at 60° an image shows twice its width. Repeating the
        specimen keeps the borders of a tomogram free of an edge that no real one has.
        """
        positions, weights = [], []
        images = [int(np.ceil(r / p - 0.5)) for r, p in zip(reach, period, strict=True)]
        for i in range(-images[0], images[0] + 1):
            for j in range(-images[1], images[1] + 1):
                moved = self.positions + np.array([i * period[0], j * period[1], 0.0])
                keep = (np.abs(moved[:, 0]) <= reach[0]) & (np.abs(moved[:, 1]) <= reach[1])
                positions.append(moved[keep])
                weights.append(self.weights[keep])
        where, what = np.concatenate(positions), np.concatenate(weights)
        order = np.argsort(where[:, 0], kind="stable")
        return Beads(where[order], what[order])


def project(
    beads: Beads, geometry: Geometry, section: int, pixel: float, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Projected potential ``(y, x)`` in V·Å of one section on the raw image grid.

    ``beads`` come from :meth:`Beads.tiled` (sorted by x); ``pixel`` is in Å; ``shape`` may be larger than the raw
    image, with the same centre. Points are spread over four pixels, so no volume is resampled.
    """
    angle = np.radians(geometry.angles[section])
    cos, sin = np.cos(angle), np.sin(angle)
    height, width = shape
    depth = float(np.abs(beads.positions[:, 2]).max(initial=0.0))
    half = abs(geometry.matrices[section, 0]) @ [width / 2, height / 2] + abs(geometry.shifts[section, 0])
    reach = (half * pixel + depth * abs(sin)) / cos
    first, last = np.searchsorted(beads.positions[:, 0], [-reach, reach])
    x, y, z = (beads.positions[first:last, axis] for axis in range(3))
    column, row = geometry.to_raw(section, (x * cos + z * sin) / pixel, y / pixel)
    return splat_image(column + (width - 1) / 2, row + (height - 1) / 2, beads.weights[first:last] / pixel**2, shape)


def splat_image(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Sum of weighted points on a ``(y, x)`` grid, each shared linearly by its four pixels; outside is dropped."""
    height, width = shape
    keep = np.flatnonzero((x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1))
    x, y, weights = x[keep], y[keep], weights[keep]
    i, j = x.astype(np.intp), y.astype(np.intp)
    u, v = x - i, y - j
    base = j * width + i
    upper, lower = weights * v, weights * (1 - v)
    image = np.zeros(height * width)
    for offset, weight in ((0, lower * (1 - u)), (1, lower * u), (width, upper * (1 - u)), (width + 1, upper * u)):
        image += np.bincount(base + offset, weight, minlength=height * width)
    return image.reshape(shape).astype(np.float32)


def splat_volume(
    positions: NDArray[np.float64], weights: NDArray[np.float64], shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Sum of weighted points (n, 3) x, y, z in voxels on a ``(z, y, x)`` grid, each shared by its eight voxels."""
    depth, height, width = shape
    limits = np.array([width - 1, height - 1, depth - 1])
    keep = ((positions >= 0) & (positions < limits)).all(axis=1)
    positions, weights = positions[keep], weights[keep]
    corner = positions.astype(np.intp)
    part = positions - corner
    base = (corner[:, 2] * height + corner[:, 1]) * width + corner[:, 0]
    volume = np.zeros(depth * height * width)
    for k in (0, 1):
        for j in (0, 1):
            for i in (0, 1):
                share = np.prod(np.where([i, j, k], part, 1 - part), axis=1)
                offset = (k * height + j) * width + i
                volume += np.bincount(base + offset, weights * share, minlength=volume.size)
    return volume.reshape(shape).astype(np.float32)
