"""Projection and reconstruction agree with each other and with the IMOD files that describe them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoportal.demo.campaign import Scale
from tomoportal.demo.projection import Beads, Geometry, project, splat_image, splat_volume
from tomoportal.demo.reconstruction import aligned_section, back_project, ramp
from tomoportal.demo.simulation import tilt_series
from tomoportal.formats.imod import read_xf
from tomoportal.formats.tilt_angles import read_tilt_angles

PIXEL = 10.0
AXIS = np.radians(84.1)
MATRIX = np.array([[np.cos(AXIS), np.sin(AXIS)], [-np.sin(AXIS), np.cos(AXIS)]])


def geometry(angles: np.ndarray, seed: int = 0) -> Geometry:
    shifts = np.random.default_rng(seed).normal(scale=3.0, size=(len(angles), 2))
    return Geometry(angles, np.repeat(MATRIX[None], len(angles), axis=0), shifts)


@given(angle=st.floats(-60, 60), x=st.floats(-150, 150), y=st.floats(-150, 150), z=st.floats(-100, 100))
@settings(max_examples=40)
def test_a_point_is_seen_where_the_xf_row_says(angle: float, x: float, y: float, z: float) -> None:
    where = geometry(np.array([angle]))
    image = project(Beads(np.array([[x, y, z]]), np.array([1.0])), where, 0, PIXEL, (96, 96))
    rows, columns = np.nonzero(image)
    raw = np.array([(image[rows, columns] * columns).sum(), (image[rows, columns] * rows).sum()]) / image.sum() - 47.5
    turn = np.radians(angle)
    aligned = MATRIX @ raw + where.shifts[0]  # newstack: x' = A x + d about the centres
    np.testing.assert_allclose(aligned, [(x * np.cos(turn) + z * np.sin(turn)) / PIXEL, y / PIXEL], atol=1e-4)


def test_back_projection_brings_points_back_to_where_they_were() -> None:
    points = np.array([[110.0, -140.0, 90.0], [-160.0, 120.0, -70.0], [40.0, 60.0, 0.0]])
    shape = (40, 64, 64)
    where = geometry(np.arange(-60.0, 61.0, 3.0))
    beads = Beads(points[np.argsort(points[:, 0])], np.ones(3))
    images = [
        aligned_section(project(beads, where, section, PIXEL, (72, 72)), where, section, shape[1:])
        for section in range(len(where.angles))
    ]
    volume = np.empty(shape, np.float32)
    back_project(images, where.angles, shape, volume.__setitem__)
    for x, y, z in points:
        at = [z / PIXEL + 19.5, y / PIXEL + 31.5, x / PIXEL + 31.5]
        low = [int(c) - 3 for c in at]
        block = volume[tuple(slice(c, c + 8) for c in low)]
        peak = np.array(np.unravel_index(block.argmax(), block.shape)) + low
        np.testing.assert_allclose(peak, at, atol=0.75)
        assert block.max() > 0.5 * volume.max()


def test_alignment_leaves_out_what_the_raw_image_does_not_show() -> None:
    where = geometry(np.array([0.0]))
    flat = aligned_section(np.ones((64, 64), np.float32), where, 0, (64, 64))
    assert flat[32, 32] == pytest.approx(1.0, abs=0.02)
    assert (flat[:2, :2] == 0).any() or (flat[-2:, -2:] == 0).any()


def test_the_ramp_rises_to_its_cutoff_and_falls_behind_it() -> None:
    weights = ramp(400)
    frequency = np.fft.rfftfreq(400)
    assert weights[0] == pytest.approx(0.2 / 400)
    inside = (frequency > 0) & (frequency <= 0.35)
    np.testing.assert_allclose(weights[inside], frequency[inside], rtol=1e-6)
    assert weights[-1] < 0.02


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_splatting_conserves_weight_and_centre(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, weights = rng.uniform(1, 8, (20, 3)), rng.uniform(0.1, 1, 20)
    volume = splat_volume(points, weights, (10, 10, 10))
    z, y, x = np.meshgrid(*[np.arange(10)] * 3, indexing="ij")
    assert volume.sum() == pytest.approx(weights.sum(), rel=1e-5)
    centre = [(volume * axis).sum() / volume.sum() for axis in (x, y, z)]
    np.testing.assert_allclose(centre, np.average(points, axis=0, weights=weights), rtol=1e-4)
    image = splat_image(points[:, 0], points[:, 1], weights, (10, 10))
    np.testing.assert_allclose(image, volume.sum(axis=0), atol=1e-5)


def test_tiling_repeats_the_specimen_without_touching_it() -> None:
    beads = Beads(np.array([[0.0, 0.0, 5.0], [40.0, -30.0, 0.0]]), np.array([1.0, 2.0]))
    tiled = beads.tiled((100.0, 100.0), (160.0, 60.0))
    assert (np.diff(tiled.positions[:, 0]) >= 0).all()
    assert {tuple(row) for row in beads.positions} <= {tuple(row) for row in tiled.positions}
    assert (-100.0, 0.0, 5.0) in {tuple(row) for row in tiled.positions}
    assert (np.abs(tiled.positions[:, :2]) <= [160.0, 60.0]).all()


def test_the_files_hold_the_geometry_that_was_simulated(lab: Path, tiny: Scale) -> None:
    for run in tiny.runs:
        folder = lab / run.dataset.folder / run.name
        series = tilt_series(tiny, run)
        rows = read_xf((folder / f"{run.name}.xf").read_bytes(), "xf")
        np.testing.assert_array_equal(rows[:, :4].reshape(-1, 2, 2), series.geometry.matrices)
        np.testing.assert_array_equal(rows[:, 4:], series.geometry.shifts)
        angles = read_tilt_angles((folder / f"{run.name}.tlt").read_bytes(), "tlt")
        np.testing.assert_array_equal(angles, series.geometry.angles)
