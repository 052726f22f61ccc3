"""Ground-truth segmentation of membranes and filaments on the tomogram's grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tomoportal.demo.specimen import Specimen, Vesicle

if TYPE_CHECKING:
    from tomoportal.demo.campaign import Scale

__all__ = ["FILAMENT", "MEMBRANE", "segment"]

MEMBRANE, FILAMENT = 1, 2
_HALF_MEMBRANE = 27.0  # Å: both leaflets with their head groups
_FILAMENT_RADIUS = 38.0  # Å


def segment(specimen: Specimen, scale: Scale) -> NDArray[np.int8]:
    """Labels ``(z, y, x)`` int8: 1 membrane, 2 actin filament, 0 everything else."""
    labels = np.zeros(scale.shape, np.int8)
    for filament in specimen.filaments:
        for point in filament.axis:
            _stamp(labels, point, scale)
    for vesicle in specimen.vesicles:
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                shift = np.array([i * specimen.period[0], j * specimen.period[1], 0.0])
                _draw(labels, vesicle, vesicle.centre + shift, scale)
    return labels


def _draw(labels: NDArray[np.int8], vesicle: Vesicle, centre: NDArray[np.float64], scale: Scale) -> None:
    """One periodic image of a vesicle, slice by slice."""
    bulge = vesicle.radius * np.abs(vesicle.amplitudes).sum() + 2 * _HALF_MEMBRANE
    inner, reach = vesicle.radius - bulge, vesicle.radius + bulge
    box = _box(centre, reach, scale)
    if box is None:
        return
    (z0, z1), (y0, y1), (x0, x1) = box
    middle = (np.array(scale.shape) - 1) / 2
    y, x = np.meshgrid(np.arange(y0, y1) - middle[1], np.arange(x0, x1) - middle[2], indexing="ij")
    for z in range(z0, z1):
        points = np.stack([x, y, np.full_like(x, z - middle[0])], axis=-1).reshape(-1, 3) * scale.pixel
        offset = points - centre
        radius = np.maximum(np.sqrt((offset**2).sum(axis=1)), 1e-9)
        near = np.flatnonzero((radius > inner) & (radius < reach))  # most of the box is far from the membrane
        directions = offset[near] / radius[near, None]
        away = np.abs(radius[near] - vesicle.surface(directions))
        shell = near[away <= _HALF_MEMBRANE * vesicle.steepness(directions)]
        labels[z, y0:y1, x0:x1].flat[shell] = MEMBRANE


def _stamp(labels: NDArray[np.int8], point: NDArray[np.float64], scale: Scale) -> None:
    box = _box(point, _FILAMENT_RADIUS, scale)
    if box is None:
        return
    middle = (np.array(scale.shape) - 1) / 2
    axes = [np.arange(low, high) for low, high in box]
    z, y, x = ((axis - middle[k]) * scale.pixel - point[2 - k] for k, axis in enumerate(axes))
    inside = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2 <= _FILAMENT_RADIUS**2
    (z0, z1), (y0, y1), (x0, x1) = box
    labels[z0:z1, y0:y1, x0:x1][inside] = FILAMENT


def _box(centre: NDArray[np.float64], reach: float, scale: Scale) -> list[tuple[int, int]] | None:
    """Index ranges (z, y, x) around a point in Å, cut to the volume; None if there is nothing left."""
    ranges = []
    for axis, count in enumerate(scale.shape):
        at = centre[2 - axis] / scale.pixel + (count - 1) / 2
        low, high = (
            max(int(np.floor(at - reach / scale.pixel)), 0),
            min(int(np.ceil(at + reach / scale.pixel)) + 1, count),
        )
        if low >= high:
            return None
        ranges.append((low, high))
    return ranges
