"""Particle phantoms: recognisable macromolecules made of beads.

A phantom is a cloud of beads of about 2 kDa in the particle's own frame, in Å, x, y, z order. Its shape is drawn
procedurally (ellipsoids, rings, shells), so nothing is copied from a structure database; sizes and symmetries are
those of the real complexes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoportal.demo.projection import splat_volume

__all__ = ["SPECIES", "Phantom", "Species", "actin_subunit", "crowder", "phantom", "render"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_Inside = Callable[[Array], Mask]
_Ellipsoid = tuple[tuple[float, float, float], tuple[float, float, float]]

_BEAD_VOLUME = 2420.0  # Å³: 2 kDa of protein at 1.21 Å³/Da
_PROTEIN_EXCESS = 2.0  # V above vitreous ice; the inner potentials are about 7 V and 4.9 V
_RNA_FACTOR = 1.6  # phosphorus scatters more than the light atoms of a protein
_LATTICE = _BEAD_VOLUME ** (1 / 3)


@dataclass(frozen=True)
class Phantom:
    """Beads (n, 3) in Å around the particle's centre, integrated excess potential per bead (n,) in V·Å³."""

    beads: Array
    weights: Array

    @property
    def radius(self) -> float:
        """Radius in Å of the sphere around the centre that holds all beads."""
        return float(np.sqrt((self.beads**2).sum(axis=1).max()) + _LATTICE / 2)


@dataclass(frozen=True)
class Species:
    """One kind of particle: its key in file names, its ontology term, and a sentence for the annotation."""

    key: str
    object_id: str
    object_name: str
    description: str


SPECIES: dict[str, Species] = {
    species.key: species
    for species in (
        Species(
            "ribosome",
            "GO:0022626",
            "cytosolic ribosome",
            "80S ribosome: two subunits of unlike size, about 250 Å across",
        ),
        Species(
            "proteasome",
            "GO:0005839",
            "proteasome core complex",
            "20S particle: a barrel of four seven-membered rings, 150 Å long",
        ),
        Species(
            "ferritin",
            "GO:0070288",
            "ferritin complex",
            "Hollow sphere of 24 subunits, 124 Å in diameter, without its iron core",
        ),
        Species(
            "atp-synthase",
            "GO:0045259",
            "proton-transporting ATP synthase complex",
            "Membrane-bound rotor with its catalytic head outside the vesicle",
        ),
        Species(
            "capsid", "GO:0170047", "virus-like capsid", "Empty icosahedral shell with knobs on its axes, about 300 Å"
        ),
        Species(
            "beta-galactosidase",
            "UniProtKB:P00722",
            "Beta-galactosidase",
            "Tetramer with three twofold axes (D2), about 180 Å long",
        ),
        Species(
            "thyroglobulin",
            "UniProtKB:P01267",
            "Thyroglobulin",
            "Dimer of two elongated halves with one twofold axis (C2), about 240 Å",
        ),
    )
}


def phantom(key: str) -> Phantom:
    """The phantom of a species; always the same beads for the same key (``KeyError`` for an unknown key)."""
    makers: dict[str, Callable[[np.random.Generator], Phantom]] = {
        "ribosome": _ribosome,
        "proteasome": _proteasome,
        "ferritin": _ferritin,
        "atp-synthase": _atp_synthase,
        "capsid": _capsid,
        "beta-galactosidase": _beta_galactosidase,
        "thyroglobulin": _thyroglobulin,
    }
    made = makers[key](np.random.default_rng([7001, sorted(makers).index(key)]))
    centre = np.average(made.beads, axis=0, weights=made.weights)
    return Phantom(made.beads - centre, made.weights)


def actin_subunit() -> Phantom:
    """One subunit (42 kDa) of an actin filament in the frame of the filament: axis along z, off the axis in x."""
    rng = np.random.default_rng(7101)
    beads = _fill(rng, _ellipsoids([((16.0, 0.0, 0.0), (17.0, 20.0, 28.0))]))
    return Phantom(beads, _protein(beads))


def crowder(rng: np.random.Generator, mass: float) -> Phantom:
    """A globular protein of ``mass`` kDa as a handful of heavier beads: the background of a cytosol."""
    radius = (mass * 1210.0 * 3 / (4 * np.pi)) ** (1 / 3)
    axes = radius * np.exp(rng.normal(scale=0.2, size=3))
    beads = _fill(rng, _ellipsoids([((0.0, 0.0, 0.0), (axes[0], axes[1], axes[2]))]), 2 * radius, 1.3 * _LATTICE)
    return Phantom(beads, np.full(len(beads), mass * 1210.0 / len(beads) * _PROTEIN_EXCESS))


def render(made: Phantom, rotation: Array, voxel: float, size: int) -> NDArray[np.float32]:
    """Density ``(z, y, x)`` float32 of a phantom turned by ``rotation`` (3, 3), in a cube of ``size`` voxels.

    The particle's centre lies at voxel ``(size - 1) / 2``; ``voxel`` is in Å. Values are mean excess potential in V.
    """
    positions = made.beads @ rotation.T / voxel + (size - 1) / 2
    return splat_volume(positions, made.weights / voxel**3, (size, size, size))


def _protein(beads: Array, factor: float = 1.0) -> Array:
    return np.full(len(beads), _BEAD_VOLUME * _PROTEIN_EXCESS * factor)


def _fill(rng: np.random.Generator, inside: _Inside, reach: float = 170.0, step: float = _LATTICE) -> Array:
    """Beads on a jittered cubic lattice, those for which ``inside`` holds: even density, no visible order."""
    steps = np.arange(-reach, reach + step, step)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points: Array = grid + rng.uniform(-0.4, 0.4, size=grid.shape) * step
    return points[inside(points)]


def _ellipsoids(shapes: list[_Ellipsoid]) -> _Inside:
    """Test for the union of axis-aligned ellipsoids, each (centre, half axes) in Å."""

    def inside(points: Array) -> Mask:
        found = np.zeros(len(points), bool)
        for centre, axes in shapes:
            found |= (((points - np.array(centre)) / np.array(axes)) ** 2).sum(axis=1) <= 1.0
        return found

    return inside


def _turn_z(points: Array, degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]))


def _ribosome(rng: np.random.Generator) -> Phantom:
    large = _fill(
        rng,
        _ellipsoids(
            [
                ((0, 0, 38), (108, 92, 72)),
                ((26, 90, 34), (28, 32, 26)),  # central protuberance
                ((-112, 42, 24), (32, 21, 21)),  # L1 stalk
                ((114, 14, 16), (32, 11, 11)),  # P stalk
            ]
        ),
    )
    large = large[large[:, 2] > -2.0]  # the flat face towards the small subunit
    small = _fill(
        rng,
        _ellipsoids(
            [
                ((20, -36, -42), (50, 70, 32)),  # body
                ((-22, 62, -48), (44, 34, 32)),  # head
                ((34, 82, -56), (34, 12, 12)),  # beak
                ((-46, 8, -32), (28, 26, 22)),  # platform
                ((48, -98, -48), (24, 22, 18)),  # foot
            ]
        ),
    )
    small = small[small[:, 2] < -7.0]
    beads = np.concatenate([large, small])
    rna = np.concatenate([(large / [78, 66, 52] - [0, 0, 0.7]) ** 2, (small / [40, 90, 22] + [0, 0, 2.0]) ** 2])
    core = rna.sum(axis=1) < 1.0
    return Phantom(beads, _protein(beads) * np.where(core, _RNA_FACTOR, 1.0))


def _proteasome(rng: np.random.Generator) -> Phantom:
    unit = _fill(rng, _ellipsoids([((40, 0, 0), (25, 21, 20))]))
    rings = []
    for level, (height, turn) in enumerate(((-58.0, 0.0), (-19.5, 14.0), (19.5, -14.0), (58.0, 0.0))):
        narrowing = 0.92 if level in (0, 3) else 1.0
        ring = unit * [narrowing, 1.0, 1.0 if height > 0 else -1.0] + [0.0, 0.0, height]
        rings += [_turn_z(ring, turn + 360.0 / 7 * step) for step in range(7)]
    beads = np.concatenate(rings)
    return Phantom(beads, _protein(beads))


def _ferritin(rng: np.random.Generator) -> Phantom:
    def shell(points: Array) -> Mask:
        radius = np.sqrt((points**2).sum(axis=1))
        unit = np.abs(points / np.maximum(radius, 1e-9)[:, None])
        fourfold = unit.max(axis=1) > 0.985  # pores along the six fourfold axes
        return np.asarray((radius > 40) & (radius < 62) & ~fourfold)

    beads = _fill(rng, shell, 70.0)
    return Phantom(beads, _protein(beads))


def _atp_synthase(rng: np.random.Generator) -> Phantom:
    sector = _fill(rng, _ellipsoids([((31, 0, 128), (22, 20, 42))]))
    head = np.concatenate([_turn_z(sector, 60.0 * step) for step in range(6)])
    rest = _fill(
        rng,
        _ellipsoids(
            [
                ((0, 0, 62), (13, 13, 60)),  # central stalk
                ((0, 0, 0), (27, 27, 30)),  # c-ring in the membrane
                ((38, 0, 2), (22, 17, 24)),  # subunit a
                ((56, 0, 82), (9, 9, 84)),  # peripheral stalk
            ]
        ),
    )
    beads = np.concatenate([head, rest])
    return Phantom(beads, _protein(beads))


def _capsid(rng: np.random.Generator) -> Phantom:
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array([(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)], float)
    corners = np.concatenate([corners, corners[:, [2, 0, 1]], corners[:, [1, 2, 0]]])
    corners /= np.linalg.norm(corners, axis=1)[:, None]
    near = corners @ corners.T > 0.4
    pairs = [(i, j) for i in range(12) for j in range(i) if near[i, j]]
    faces = [(i, j, k) for i, j in pairs for k in range(j) if near[i, k] and near[j, k]]
    knobs = np.array(
        [corners[i] for i in range(12)]
        + [corners[i] + corners[j] for i, j in pairs]
        + [corners[i] + corners[j] + corners[k] for i, j, k in faces]
    )
    knobs /= np.linalg.norm(knobs, axis=1)[:, None]

    def shell(points: Array) -> Mask:
        radius = np.sqrt((points**2).sum(axis=1))
        unit = points / np.maximum(radius, 1e-9)[:, None]
        knob = (unit @ knobs.T).max(axis=1) > 0.987
        return np.asarray((radius > 112) & (radius < np.where(knob, 152, 134)))

    beads = _fill(rng, shell)
    return Phantom(beads, _protein(beads))


def _beta_galactosidase(rng: np.random.Generator) -> Phantom:
    unit = _fill(rng, _ellipsoids([((30, 42, 16), (34, 42, 24)), ((12, 74, 2), (18, 16, 20))]))
    flips = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)], float)
    beads = np.concatenate([unit * flip for flip in flips])
    return Phantom(beads, _protein(beads))


def _thyroglobulin(rng: np.random.Generator) -> Phantom:
    unit = _fill(
        rng,
        _ellipsoids(
            [
                ((52, 20, 0), (46, 26, 30)),
                ((86, -16, 14), (28, 34, 22)),
                ((20, -26, -18), (26, 22, 20)),
                ((108, 22, -16), (18, 18, 24)),
            ]
        ),
    )
    beads = np.concatenate([unit, unit * [-1.0, -1.0, 1.0]])
    return Phantom(beads, _protein(beads))
