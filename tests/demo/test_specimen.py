from __future__ import annotations

import numpy as np
import pytest

from tomoportal.demo.campaign import SCALES, Scale
from tomoportal.demo.masks import FILAMENT, MEMBRANE, segment
from tomoportal.demo.particles import phantom
from tomoportal.demo.specimen import Specimen, make_specimen, random_rotations


@pytest.fixture(scope="module")
def full() -> Scale:
    return SCALES["full"]()


@pytest.fixture(scope="module")
def cytosol(full: Scale) -> Specimen:
    run = full.runs[0]
    return make_specimen(run.recipe, run.seed)


def test_the_same_seed_gives_the_same_specimen(tiny: Scale) -> None:
    run = tiny.runs[0]
    first, second = make_specimen(run.recipe, 5).beads(), make_specimen(run.recipe, 5).beads()
    np.testing.assert_array_equal(first.positions, second.positions)
    assert not np.array_equal(first.positions[:50], make_specimen(run.recipe, 6).beads().positions[:50])


def test_everything_asked_for_is_there(cytosol: Specimen) -> None:
    found = {key: len(placement.positions) for key, placement in cytosol.placements.items()}
    assert found == cytosol.recipe.counts
    assert len(cytosol.vesicles) == cytosol.recipe.vesicles
    assert len(cytosol.filaments) == cytosol.recipe.filaments
    assert len(cytosol.gold) == cytosol.recipe.gold


def test_particles_neither_overlap_nor_leave_the_ice(cytosol: Specimen) -> None:
    box = np.array(cytosol.recipe.box)
    free = [key for key in cytosol.placements if key != "atp-synthase"]
    centres = np.concatenate([cytosol.placements[key].positions for key in free])
    radii = np.concatenate([[phantom(key).radius * 0.9] * len(cytosol.placements[key].positions) for key in free])
    offset = centres[:, None] - centres[None]
    offset[..., :2] -= np.round(offset[..., :2] / box[:2]) * box[:2]  # the specimen repeats
    distance = np.sqrt((offset**2).sum(axis=-1)) + np.eye(len(centres)) * 1e9
    assert (distance > radii[:, None] + radii[None]).all()
    assert (np.abs(centres[:, 2]) + radii <= cytosol.recipe.ice / 2 + 1).all()
    assert (np.abs(centres[:, :2]) < box[:2] / 2).all()
    for vesicle in cytosol.vesicles:
        assert (np.abs(vesicle.distance(centres, cytosol.period)) > radii + 19).all()


def test_atp_synthases_stand_upright_on_their_vesicles(cytosol: Specimen) -> None:
    placement = cytosol.placements["atp-synthase"]
    up = placement.rotations[:, :, 2]
    heights, climbs = [], []
    for vesicle in cytosol.vesicles:
        heights.append(vesicle.distance(placement.positions, cytosol.period))
        climbs.append(vesicle.distance(placement.positions + 5 * up, cytosol.period) - heights[-1])
    own = np.abs(np.array(climbs) - 5).argmin(axis=0)[None]
    np.testing.assert_allclose(np.take_along_axis(np.array(climbs), own, 0), 5, atol=0.2)
    height = np.take_along_axis(np.array(heights), own, 0)
    assert (height > 40).all()  # the centre of mass lies outside the membrane
    assert (height < 110).all()


def test_the_distance_from_a_membrane_is_measured_across_it(cytosol: Specimen) -> None:
    directions = random_rotations(np.random.default_rng(6), 500)[:, 0]
    for vesicle in cytosol.vesicles:
        mid = vesicle.centre + directions * vesicle.surface(directions)[:, None]
        outside = mid + 20 * vesicle.outward(directions)
        np.testing.assert_allclose(vesicle.distance(outside, (1e9, 1e9)), 20, atol=0.8)


def test_rotations_are_uniform_over_all_orientations() -> None:
    rotations = random_rotations(np.random.default_rng(3), 40_000)
    np.testing.assert_allclose(
        np.swapaxes(rotations, 1, 2) @ rotations, np.broadcast_to(np.eye(3), (40_000, 3, 3)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-12)
    np.testing.assert_allclose(rotations.mean(axis=0), 0, atol=0.02)
    # the angle of a uniform rotation has the density (1 - cos a) / pi
    angles = np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert angles.mean() == pytest.approx(np.pi / 2 + 2 / np.pi, abs=0.02)


def test_masks_lie_on_membranes_and_filaments(cytosol: Specimen, full: Scale) -> None:
    labels = segment(cytosol, full)
    centre = (np.array(full.shape) - 1) / 2
    at = np.argwhere(labels == MEMBRANE)[::997]
    points = ((at - centre) * full.pixel)[:, ::-1]
    near = np.array([np.abs(v.distance(points, cytosol.period)) for v in cytosol.vesicles]).min(axis=0)
    assert near.max() <= 27.0 + 1e-6
    axis = np.concatenate([filament.axis for filament in cytosol.filaments])
    index = np.rint(axis[:, ::-1] / full.pixel + centre).astype(int)
    assert (labels[tuple(index.T)] == FILAMENT).all()
    # the volume of a shell, cut by the tomogram's borders: no more than the closed vesicles have
    shells = sum(4 * np.pi * v.radius**2 * 54 for v in cytosol.vesicles) / full.pixel**3
    assert 0.5 * shells < (labels == MEMBRANE).sum() < 1.2 * shells
