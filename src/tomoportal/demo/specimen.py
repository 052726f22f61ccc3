"""The specimen: particles, vesicles, filaments, crowders and gold placed in a slab of ice without overlap.

Positions are x, y, z in Å from the centre of the volume. The specimen repeats itself in x and y (see
:meth:`tomoportal.demo.projection.Beads.tiled`), and the distances that keep things apart know it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tomoportal.demo.particles import actin_subunit, crowder, phantom
from tomoportal.demo.projection import Beads

__all__ = ["Filament", "Placement", "Recipe", "Specimen", "Vesicle", "make_specimen", "random_rotations"]

Array = NDArray[np.float64]

_LEAFLET_OFFSET = 19.0  # Å from the mid-plane of a bilayer to its head groups
_HEAD_POTENTIAL = 36.0  # V·Å of a head-group layer above ice (12 Å at 3 V)
_TAIL_POTENTIAL = -14.0  # V·Å of the two tail layers together, less dense than ice
_AREA_PER_BEAD = 130.0  # Å² of a leaflet per bead
_ACTIN_RISE, _ACTIN_TURN = 27.5, -166.6  # Å and degrees per subunit
_GAP = 6.0  # Å between two bounding spheres
_WITHIN = 0.49  # of the box: centres stay inside the tomogram's voxel centres


@dataclass(frozen=True)
class Recipe:
    """What a specimen is made of. ``box`` is x, y, z in Å (the volume), ``ice`` the slab's thickness in Å."""

    box: tuple[float, float, float]
    ice: float
    counts: dict[str, int]
    vesicles: int = 0
    vesicle_radius: tuple[float, float] = (350.0, 600.0)
    filaments: int = 0
    filament_length: float = 2400.0
    crowders: int = 0
    gold: int = 0
    gold_diameter: float = 100.0


@dataclass(frozen=True)
class Placement:
    """All particles of one species: centres (n, 3) in Å, rotations (n, 3, 3) from particle to tomogram."""

    positions: Array
    rotations: Array


@dataclass(frozen=True)
class Vesicle:
    """A closed, slightly deformed bilayer: centre in Å, mean radius in Å, amplitudes (k,) and axes (k, 3)."""

    centre: Array
    radius: float
    amplitudes: Array
    axes: Array

    def surface(self, directions: Array) -> Array:
        """Radius in Å of the bilayer's mid-plane along unit vectors (n, 3)."""
        along = directions @ self.axes.T
        return np.asarray(self.radius * (1.0 + (self.amplitudes * (1.5 * along**2 - 0.5)).sum(axis=1)))

    def slope(self, directions: Array) -> Array:
        """Gradient (n, 3) of the surface's radius over the unit sphere, divided by that radius."""
        along = directions @ self.axes.T
        steep = 3.0 * self.amplitudes * along
        gradient = steep @ self.axes - (steep * along).sum(axis=1)[:, None] * directions
        return np.asarray(gradient * (self.radius / self.surface(directions))[:, None])

    def steepness(self, directions: Array) -> Array:
        """Å along the radius for one Å across the membrane, at least 1."""
        return np.asarray(np.sqrt(1.0 + (self.slope(directions) ** 2).sum(axis=1)))

    def distance(self, points: Array, period: tuple[float, float]) -> Array:
        """Distance in Å of points (n, 3) from the mid-plane, negative inside; exact near the membrane."""
        offset = _nearest_image(points - self.centre, period)
        radius = np.maximum(np.sqrt((offset**2).sum(axis=1)), 1e-9)
        directions = offset / radius[:, None]
        return np.asarray((radius - self.surface(directions)) / self.steepness(directions))

    def outward(self, directions: Array) -> Array:
        """Unit normals (n, 3) of the mid-plane along unit vectors."""
        normals = directions - self.slope(directions)
        return np.asarray(normals / np.linalg.norm(normals, axis=1)[:, None])


@dataclass(frozen=True)
class Filament:
    """A worm-like actin filament: axis points (n, 3) in Å, one per subunit, and its beads."""

    axis: Array
    beads: Beads


@dataclass
class Specimen:
    """A filled slab of ice; see :class:`Recipe`."""

    recipe: Recipe
    placements: dict[str, Placement] = field(default_factory=dict)
    vesicles: list[Vesicle] = field(default_factory=list)
    filaments: list[Filament] = field(default_factory=list)
    crowders: Beads = field(default_factory=lambda: Beads(np.zeros((0, 3)), np.zeros(0)))
    gold: Array = field(default_factory=lambda: np.zeros((0, 3)))
    lipids: Beads = field(default_factory=lambda: Beads(np.zeros((0, 3)), np.zeros(0)))

    @property
    def period(self) -> tuple[float, float]:
        """The specimen repeats after this many Å in x and y."""
        return self.recipe.box[:2]

    def beads(self) -> Beads:
        """Every scatterer but the gold."""
        positions, weights = (
            [self.crowders.positions, self.lipids.positions],
            [self.crowders.weights, self.lipids.weights],
        )
        for filament in self.filaments:
            positions.append(filament.beads.positions)
            weights.append(filament.beads.weights)
        for key, placement in self.placements.items():
            made = phantom(key)
            turned = np.einsum("nij,kj->nki", placement.rotations, made.beads) + placement.positions[:, None]
            positions.append(turned.reshape(-1, 3))
            weights.append(np.tile(made.weights, len(placement.positions)))
        return Beads(np.concatenate(positions), np.concatenate(weights))


def random_rotations(rng: np.random.Generator, count: int) -> Array:
    """``count`` rotation matrices (n, 3, 3), uniform over SO(3): normal quaternions, normalised (Shoemake 1992)."""
    w, x, y, z = (q := rng.normal(size=(count, 4))).T / np.linalg.norm(q, axis=1)
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=-1),
            np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=-1),
            np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=-1),
        ],
        axis=1,
    )


def make_specimen(recipe: Recipe, seed: int) -> Specimen:
    """Fill the slab: vesicles first, then filaments, membrane proteins, particles (large first), crowders, gold.

    The same recipe and seed give the same specimen. A species gets fewer particles than asked for when the slab is
    full: placement gives up after a fixed number of attempts.
    """
    rng = np.random.default_rng([seed, 1])
    specimen = Specimen(recipe)
    taken = _Taken(specimen)
    _add_vesicles(specimen, rng)
    _add_gold(specimen, taken, rng)
    _add_filaments(specimen, taken, rng)
    if "atp-synthase" in recipe.counts:
        _add_membrane_proteins(specimen, taken, rng)
    free = [key for key in recipe.counts if key != "atp-synthase"]
    for key in sorted(free, key=lambda key: -phantom(key).radius):
        _add_particles(specimen, taken, rng, key)
    specimen.lipids = _lipids(specimen, rng)
    specimen.crowders = _crowders(specimen, taken, rng)
    return specimen


class _Taken:
    """Spheres that are occupied already."""

    def __init__(self, specimen: Specimen) -> None:
        self._specimen = specimen
        self._centres = np.zeros((0, 3))
        self._radii = np.zeros(0)

    def add(self, centres: Array, radius: float) -> None:
        self._centres = np.concatenate([self._centres, np.atleast_2d(centres)])
        self._radii = np.concatenate([self._radii, np.full(len(np.atleast_2d(centres)), radius)])

    def outside(self, points: Array, margin: float) -> NDArray[np.bool_]:
        keep = np.ones(len(points), bool)
        for centre, radius in zip(self._centres, self._radii, strict=True):
            offset = _nearest_image(points - centre, self._specimen.period)
            keep &= (offset**2).sum(axis=1) > (radius + margin) ** 2
        return keep

    def clear_of_spheres(self, point: Array, radius: float) -> bool:
        gap = np.sqrt((_nearest_image(self._centres - point, self._specimen.period) ** 2).sum(axis=1)) - self._radii
        return not gap.size or bool(gap.min() > radius + _GAP)

    def free(self, point: Array, radius: float) -> bool:
        margin = radius + _LEAFLET_OFFSET + _GAP
        return self.clear_of_spheres(point, radius) and all(
            abs(v.distance(point[None], self._specimen.period)[0]) > margin for v in self._specimen.vesicles
        )


def _nearest_image(offset: Array, period: tuple[float, float]) -> Array:
    offset = offset.copy()
    for axis in (0, 1):
        offset[:, axis] -= np.round(offset[:, axis] / period[axis]) * period[axis]
    return offset


def _directions(rng: np.random.Generator, count: int) -> Array:
    """Even directions on the sphere (a Fibonacci spiral with a random turn)."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    turn = index * np.pi * (3 - np.sqrt(5)) + rng.uniform(0, 2 * np.pi)
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)


def _add_vesicles(specimen: Specimen, rng: np.random.Generator) -> None:
    recipe = specimen.recipe
    for _ in range(400):
        if len(specimen.vesicles) == recipe.vesicles:
            return
        low, high = recipe.vesicle_radius
        radius = rng.uniform(low, high)
        room = recipe.ice / 2 - 0.55 * radius  # a large vesicle is flattened by the film; it may touch its surface
        centre = np.array([*(rng.uniform(-0.5, 0.5, 2) * recipe.box[:2]), rng.uniform(-1, 1) * max(room, 0.0)])
        squeeze = min(0.0, (recipe.ice / 2 - 40.0 - abs(centre[2])) / radius - 1.0)
        axes = np.concatenate([[[0.0, 0.0, 1.0]], random_rotations(rng, 1)[0]])
        vesicle = Vesicle(centre, radius, np.concatenate([[squeeze], rng.uniform(-0.06, 0.06, 3)]), axes)
        apart = all(
            np.sqrt((_nearest_image((centre - v.centre)[None], specimen.period) ** 2).sum()) > 1.2 * (radius + v.radius)
            for v in specimen.vesicles
        )
        if apart:
            specimen.vesicles.append(vesicle)


def _add_gold(specimen: Specimen, taken: _Taken, rng: np.random.Generator) -> None:
    recipe, radius = specimen.recipe, specimen.recipe.gold_diameter / 2
    found: list[Array] = []
    for _ in range(60 * recipe.gold):
        if len(found) == recipe.gold:
            break
        side = 1.0 if rng.random() < 0.7 else -1.0
        height = side * (recipe.ice / 2 - radius - rng.uniform(0, 20))
        point = np.array([*(rng.uniform(-0.46, 0.46, 2) * recipe.box[:2]), height])
        if taken.free(point, radius):
            taken.add(point, radius)
            found.append(point)
    specimen.gold = np.array(found).reshape(-1, 3)


def _add_filaments(specimen: Specimen, taken: _Taken, rng: np.random.Generator) -> None:
    unit, recipe = actin_subunit(), specimen.recipe
    reach = unit.radius
    for _ in range(300 * recipe.filaments):
        if len(specimen.filaments) == recipe.filaments:
            return
        count = int(recipe.filament_length * rng.uniform(0.6, 1.0) / _ACTIN_RISE)
        bend = np.cumsum(rng.normal(scale=0.0065, size=(count, 2)), axis=0)  # persistence length about 10 µm, softened
        heading = rng.uniform(0, 2 * np.pi) + bend[:, 0]
        pitch = rng.uniform(-0.12, 0.12) + 0.5 * bend[:, 1]
        along = np.stack([np.cos(pitch) * np.cos(heading), np.cos(pitch) * np.sin(heading), np.sin(pitch)], axis=1)
        start = np.array([*(rng.uniform(-0.5, 0.5, 2) * recipe.box[:2]), rng.uniform(-0.3, 0.3) * recipe.ice])
        axis = start + np.cumsum(along * _ACTIN_RISE, axis=0) - along.sum(axis=0) * _ACTIN_RISE / 2
        inside = (np.abs(axis[:, :2]) < np.array(recipe.box[:2]) * 0.48).all() and (
            np.abs(axis[:, 2]) < recipe.ice / 2 - reach
        ).all()
        if not inside or not all(taken.free(point, reach) for point in axis):
            continue
        side = np.cross(along, [0.0, 0.0, 1.0])
        side /= np.linalg.norm(side, axis=1)[:, None]
        frames = np.stack([side, np.cross(along, side), along], axis=2)
        turn = np.radians(_ACTIN_TURN) * np.arange(count)
        spin = np.zeros((count, 3, 3))
        spin[:, 0, 0] = spin[:, 1, 1] = np.cos(turn)
        spin[:, 1, 0], spin[:, 0, 1], spin[:, 2, 2] = np.sin(turn), -np.sin(turn), 1.0
        beads = (np.einsum("nij,njk,mk->nmi", frames, spin, unit.beads) + axis[:, None]).reshape(-1, 3)
        specimen.filaments.append(Filament(axis, Beads(beads, np.tile(unit.weights, count))))
        taken.add(axis, reach)


def _add_membrane_proteins(specimen: Specimen, taken: _Taken, rng: np.random.Generator) -> None:
    """ATP synthases stand on the vesicles: particle z axis along the outward normal."""
    made = phantom("atp-synthase")
    foot = -made.beads[:, 2].min() - 30.0  # the c-ring reaches 30 Å below the mid-plane
    positions: list[Array] = []
    rotations: list[Array] = []
    for _ in range(80 * specimen.recipe.counts["atp-synthase"]):
        if len(positions) == specimen.recipe.counts["atp-synthase"] or not specimen.vesicles:
            break
        vesicle = specimen.vesicles[int(rng.integers(len(specimen.vesicles)))]
        direction = random_rotations(rng, 1)[0, :, 0][None]
        normal = vesicle.outward(direction)[0]
        mid = vesicle.centre + direction[0] * vesicle.surface(direction)[0]
        point = mid + normal * foot
        head = point + normal * (made.beads[:, 2].max() - 45.0)
        spin = rng.uniform(0, 2 * np.pi)
        inside = abs(head[2]) < specimen.recipe.ice / 2 - 50.0
        clear = all(abs(v.distance(head[None], specimen.period)[0]) > 75.0 for v in specimen.vesicles)
        if not (inside and clear and taken.clear_of_spheres(head, 60.0)):
            continue
        point = _nearest_image(point[None], specimen.period)[0]
        if (np.abs(point[:2]) > _WITHIN * np.array(specimen.period)).any():
            continue
        side = np.cross(normal, [1.0, 0.0, 0.0] if abs(normal[0]) < 0.9 else [0.0, 1.0, 0.0])
        side /= np.linalg.norm(side)
        frame = np.stack([side, np.cross(normal, side), normal], axis=1)
        c, s = np.cos(spin), np.sin(spin)
        positions.append(point)
        rotations.append(frame @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]))
        taken.add(head, 60.0)
    specimen.placements["atp-synthase"] = Placement(
        np.array(positions).reshape(-1, 3), np.array(rotations).reshape(-1, 3, 3)
    )


def _add_particles(specimen: Specimen, taken: _Taken, rng: np.random.Generator, key: str) -> None:
    recipe, radius = specimen.recipe, phantom(key).radius * 0.9  # elongated particles may interlock a little
    positions: list[Array] = []
    room = np.array([*(_WITHIN * np.array(recipe.box[:2])), max(recipe.ice / 2 - radius, 0.0)])
    for _ in range(60 * recipe.counts[key]):
        if len(positions) == recipe.counts[key]:
            break
        point = rng.uniform(-1, 1, 3) * room
        inside_vesicle = any(v.distance(point[None], specimen.period)[0] < 0 for v in specimen.vesicles)
        if not inside_vesicle and taken.free(point, radius):
            taken.add(point, radius)
            positions.append(point)
    rotations = random_rotations(rng, len(positions))
    specimen.placements[key] = Placement(np.array(positions).reshape(-1, 3), rotations)


def _lipids(specimen: Specimen, rng: np.random.Generator) -> Beads:
    positions, weights = [np.zeros((0, 3))], [np.zeros(0)]
    for vesicle in specimen.vesicles:
        area = 4 * np.pi * vesicle.radius**2
        count = int(area / _AREA_PER_BEAD)
        for offset, potential in (
            (_LEAFLET_OFFSET, _HEAD_POTENTIAL),
            (-_LEAFLET_OFFSET, _HEAD_POTENTIAL),
            (0.0, _TAIL_POTENTIAL),
        ):
            directions = _directions(rng, count)
            shift = vesicle.steepness(directions) * (offset + rng.normal(scale=2.5, size=count))
            positions.append(vesicle.centre + directions * (vesicle.surface(directions) + shift)[:, None])
            weights.append(np.full(count, potential * area / count))
    return Beads(np.concatenate(positions), np.concatenate(weights))


def _crowders(specimen: Specimen, taken: _Taken, rng: np.random.Generator) -> Beads:
    recipe = specimen.recipe
    room = np.array([*(np.array(recipe.box[:2]) / 2), recipe.ice / 2 - 30.0])
    points = rng.uniform(-1, 1, (recipe.crowders, 3)) * room
    keep = taken.outside(points, 20.0)
    for vesicle in specimen.vesicles:
        keep &= vesicle.distance(points, specimen.period) > 45.0
    shapes = [crowder(rng, mass) for mass in (25.0, 40.0, 60.0, 90.0, 150.0)]
    positions, weights = [np.zeros((0, 3))], [np.zeros(0)]
    kind = rng.integers(len(shapes), size=len(points))
    rotations = random_rotations(rng, len(points))
    for index, made in enumerate(shapes):
        chosen = keep & (kind == index)
        turned = np.einsum("nij,kj->nki", rotations[chosen], made.beads) + points[chosen][:, None]
        positions.append(turned.reshape(-1, 3))
        weights.append(np.tile(made.weights, int(chosen.sum())))
    return Beads(np.concatenate(positions), np.concatenate(weights))
