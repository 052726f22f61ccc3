"""An honest automatic annotation: blobs that look like a species, found in the denoised tomogram, and how well.

The picker knows only the average radial profile of the particle, so it is as wrong as such pickers are: it misses
what touches a neighbour or lies in the missing wedge's smear, and takes other dense things for the particle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoportal.demo.particles import Phantom

__all__ = ["Picks", "Score", "bin_twice", "pick", "score"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Picks:
    """Positions (n, 3) x, y, z in voxels of the tomogram, correlation scores (n,), best first."""

    voxels: Array
    scores: Array


@dataclass(frozen=True)
class Score:
    """Picks against truth: how many picks are right, how many there are, how many particles there were."""

    matched: int
    picked: int
    true: int

    def __add__(self, other: Score) -> Score:
        return Score(self.matched + other.matched, self.picked + other.picked, self.true + other.true)

    @property
    def precision(self) -> float:
        """Percent of the picks that are right."""
        return 100.0 * self.matched / max(self.picked, 1)

    @property
    def recall(self) -> float:
        """Percent of the particles that were found."""
        return 100.0 * self.matched / max(self.true, 1)


def bin_twice(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of 2 × 2 × 2 voxels; all axes even."""
    z, y, x = volume.shape
    halves = volume.reshape(z // 2, 2, y // 2, 2, x // 2, 2)
    return np.asarray(halves.mean(axis=(1, 3, 5), dtype=np.float32))


def pick(binned: NDArray[np.float32], pixel: float, made: Phantom, threshold: float) -> Picks:
    """Find dark blobs with the phantom's radial profile in a volume ``(z, y, x)`` binned twice.

    ``pixel`` is that of the unbinned tomogram in Å; ``threshold`` counts robust standard deviations of the
    correlation map. Two picks are at least one particle radius apart.
    """
    voxel = 2 * pixel
    spread = 1.4826 * float(np.median(np.abs(binned - np.median(binned))))
    grey = np.clip((np.median(binned) - binned) / spread, -4.0, 16.0)  # dark becomes positive; gold loses its weight
    map_ = np.fft.irfftn(np.fft.rfftn(grey) * _profile_transform(made, voxel, grey.shape), grey.shape, axes=(0, 1, 2))
    map_ /= 1.4826 * np.median(np.abs(map_ - np.median(map_)))
    found = np.argwhere(map_ > threshold)
    heights = map_[tuple(found.T)]
    order = np.lexsort((*found.T, -heights))
    apart = (made.radius / voxel) ** 2
    candidates, kept = found[order], []
    while len(candidates):
        kept.append(candidates[0])
        candidates = candidates[((candidates - candidates[0]) ** 2).sum(axis=1) > apart]
    at = np.array(kept, float).reshape(-1, 3)
    scores = np.array([map_[tuple(place)] for place in kept])
    return Picks(at[:, ::-1] * 2 + 0.5, scores)  # the centre of two voxels lies half a voxel from the first


def score(picks: Array, truth: Array, within: float) -> Score:
    """Match picks (n, 3), best first, to true positions (m, 3), each used once, at most ``within`` apart."""
    free = np.ones(len(truth), bool)
    for place in picks:
        distance = np.where(free, np.sqrt(((truth - place) ** 2).sum(axis=1)), np.inf)
        if distance.size and distance.min() <= within:
            free[int(distance.argmin())] = False
    return Score(int((~free).sum()), len(picks), len(truth))


def _profile_transform(made: Phantom, voxel: float, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Real transfer function of the phantom's radial average, blurred by a voxel and without its mean."""
    radii = np.sqrt((made.beads**2).sum(axis=1))
    axes = [np.fft.fftfreq(count, voxel) for count in shape[:-1]] + [np.fft.rfftfreq(shape[-1], voxel)]
    frequency = np.sqrt(sum(axis.reshape([-1 if k == i else 1 for k in range(3)]) ** 2 for i, axis in enumerate(axes)))
    steps = np.linspace(0.0, float(frequency.max()), 400)
    # the transform of a bead spread over its sphere is sin(qr)/qr
    profile = np.array([np.average(np.sinc(2 * step * radii), weights=made.weights) for step in steps])
    profile *= np.exp(-2 * (np.pi * voxel * 0.5 * steps) ** 2)
    transfer = np.interp(frequency, steps, profile)
    transfer *= 1 - np.exp(-((frequency * 3.2 * made.radius) ** 2))  # a local background is taken away
    return np.asarray(transfer, np.float32)
