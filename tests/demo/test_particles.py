from __future__ import annotations

import numpy as np
import pytest

from tomoportal.demo.particles import SPECIES, crowder, phantom, render
from tomoportal.demo.specimen import random_rotations

# Largest extent in Å of the real complexes, give or take what a bead model may differ.
EXTENTS = {
    "ribosome": (230, 300),
    "proteasome": (140, 175),
    "ferritin": (110, 140),
    "atp-synthase": (170, 240),
    "capsid": (270, 320),
    "beta-galactosidase": (160, 200),
    "thyroglobulin": (220, 270),
}


@pytest.mark.parametrize("key", SPECIES)
def test_a_phantom_has_the_size_of_its_complex_and_is_the_same_every_time(key: str) -> None:
    made, again = phantom(key), phantom(key)
    np.testing.assert_array_equal(made.beads, again.beads)
    directions = random_rotations(np.random.default_rng(0), 200)[:, 0]
    along = made.beads @ directions.T
    longest = (along.max(axis=0) - along.min(axis=0)).max()
    low, high = EXTENTS[key]
    assert low <= longest <= high
    np.testing.assert_allclose(np.average(made.beads, axis=0, weights=made.weights), 0, atol=1e-9)


def test_every_species_has_an_extent_in_this_test() -> None:
    assert set(EXTENTS) == set(SPECIES)


def test_the_ribosome_is_not_its_own_mirror_image() -> None:
    made = phantom("ribosome")
    identity = np.eye(3)
    own = render(made, identity, 10.0, 32)
    best = 0.0
    for rotation in random_rotations(np.random.default_rng(1), 300):
        best = max(best, _correlation(own, render(made, rotation @ np.diag([-1.0, 1.0, 1.0]), 10.0, 32)))
    assert best < 0.8


def test_the_barrel_has_four_rings_and_a_channel() -> None:
    density = render(phantom("proteasome"), np.eye(3), 5.0, 48)
    profile = density.sum(axis=(1, 2))
    profile = np.convolve(profile, np.ones(3) / 3, mode="same")
    peaks = [k for k in range(1, 47) if profile[k] > profile[k - 1] and profile[k] >= profile[k + 1]]
    high = [k for k in peaks if profile[k] > 0.6 * profile.max()]
    assert len(high) == 4
    assert density[14:34, 23:25, 23:25].mean() < 0.15 * density[14:34].max(axis=(1, 2)).mean()


def test_ferritin_is_hollow() -> None:
    radii = np.sqrt((phantom("ferritin").beads ** 2).sum(axis=1))
    assert radii.min() > 35
    assert radii.max() < 70


def test_render_conserves_the_potential() -> None:
    made = phantom("capsid")
    density = render(made, np.eye(3), 10.0, 48)
    assert density.sum() * 10.0**3 == pytest.approx(made.weights.sum(), rel=1e-5)


def test_a_crowder_has_the_potential_of_its_mass() -> None:
    rng = np.random.default_rng(2)
    light, heavy = crowder(rng, 25.0), crowder(rng, 150.0)
    assert heavy.weights.sum() / light.weights.sum() == pytest.approx(6.0)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
