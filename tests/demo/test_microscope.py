from __future__ import annotations

import numpy as np
import pytest

from tomoportal.demo.microscope import (
    Defocus,
    Optics,
    counts,
    critical_dose_envelope,
    dose_symmetric,
    frequencies,
    gold_chords,
    image_contrast,
    phase_aberration,
)

OPTICS = Optics(10.08)
ROUND = Defocus(40_000.0, 40_000.0, 0.0)


def test_the_electron_wavelength_at_300_kv() -> None:
    assert OPTICS.wavelength == pytest.approx(0.019687, abs=2e-6)


def test_a_dose_symmetric_scheme_visits_every_angle_once_from_the_middle() -> None:
    scheme = dose_symmetric(60.0, 3.0, 2.9)
    assert sorted(scheme.angles) == list(np.arange(-60.0, 61.0, 3.0))
    assert scheme.angles[:7].tolist() == [0.0, 3.0, 6.0, -3.0, -6.0, 9.0, 12.0]
    assert (np.abs(scheme.angles[-4:]) >= 57.0).all()
    np.testing.assert_allclose(np.diff(scheme.accumulated), 2.9)


def test_the_first_zero_of_the_transfer_function() -> None:
    frequency = np.linspace(0.001, 0.05, 20_000, dtype=np.float32)[None]
    transfer = np.sin(phase_aberration(OPTICS, ROUND, frequency, np.zeros_like(frequency)))[0]
    first = float(frequency[0, np.flatnonzero(np.diff(np.sign(transfer)))[0]])
    wavelength, cs = OPTICS.wavelength, 2.7e7
    phase = np.pi * wavelength * first**2 * (40_000 - 0.5 * wavelength**2 * cs * first**2) + np.arcsin(0.1)
    assert phase == pytest.approx(np.pi, abs=1e-3)


def test_astigmatism_lies_along_its_azimuth() -> None:
    frequency, azimuth = frequencies((64, 64), 10.08)
    chi = phase_aberration(OPTICS, Defocus(44_000.0, 36_000.0, 90.0), frequency, azimuth)
    along_y, along_x = chi[10, 0], chi[0, 10]
    assert along_y > along_x


def test_protein_is_dark_under_focus_and_gold_is_darker() -> None:
    y, x = np.mgrid[:128, :128] - 63.5
    potential = (np.hypot(x, y) < 10).astype(np.float32) * 500.0  # 250 Å at 2 V
    contrast = image_contrast(potential, OPTICS, ROUND, 0.0, 84.1, 0.0)
    assert -0.6 < contrast[60:68, 60:68].mean() < -0.03
    chords = gold_chords(np.array([[63.5, 63.5]]), 50.0, 10.08, (128, 128))
    assert chords.max() == pytest.approx(100.0, rel=0.02)
    assert chords.sum() * 10.08**2 == pytest.approx(4 / 3 * np.pi * 50.0**3, rel=0.02)
    image = counts(contrast, chords, 300.0, 1000.0, 0.0, np.random.default_rng(0))
    assert image[62:66, 62:66].mean() < 0.4 * image.mean()


def test_the_defocus_gradient_follows_the_tilt() -> None:
    """At a steep tilt a point far from the axis has the transfer function of its own height."""
    potential = np.zeros((256, 256), np.float32)
    potential[128, 210] = 2000.0
    flat = image_contrast(potential, OPTICS, ROUND, 0.0, 0.0, 0.0)
    tilted = image_contrast(potential, OPTICS, ROUND, 0.0, 0.0, 45.0)
    height = (210 - 127.5) * 10.08 * np.tan(np.radians(45.0))
    exact = image_contrast(potential, OPTICS, Defocus(40_000 + height, 40_000 + height, 0.0), 0.0, 0.0, 0.0)
    window = (slice(112, 144), slice(194, 226))
    assert np.abs(tilted - exact)[window].sum() < 0.1 * np.abs(flat - exact)[window].sum()


def test_radiation_damage_takes_fine_detail_first() -> None:
    frequency = np.array([1 / 100, 1 / 20], np.float32)
    coarse, fine = critical_dose_envelope(frequency, 60.0)
    assert 0.8 < coarse < 1.0
    assert 0.3 < fine < 0.6
    assert critical_dose_envelope(frequency, 0.0) == pytest.approx([1.0, 1.0])


def test_noise_is_that_of_the_electrons_that_pass() -> None:
    nothing = np.zeros((400, 400), np.float32)
    level, steep = (
        counts(nothing, nothing, 300.0, 1000.0, angle, np.random.default_rng(4)).astype(float) for angle in (0.0, 60.0)
    )
    assert level.mean() == pytest.approx(300 * np.exp(-1000 / 3100), rel=0.002)
    assert steep.mean() == pytest.approx(300 * np.exp(-2000 / 3100), rel=0.002)
    assert level.var() == pytest.approx(level.mean(), rel=0.02)
