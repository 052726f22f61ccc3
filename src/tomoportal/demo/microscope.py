"""The microscope: tilt scheme, contrast transfer, radiation damage, and electrons counted on a detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Defocus", "Optics", "TiltScheme", "counts", "critical_dose_envelope", "dose_symmetric", "image_contrast"]

INTERACTION = 6.526e-4  # rad/(V·Å) at 300 kV
_INELASTIC_PATH = 3100.0  # Å in vitreous ice at 300 kV, electrons that an energy filter takes away
_GOLD_PATH = 55.0  # Å of gold that let 1/e of the electrons through the objective aperture
_GOLD_EXCESS = 6.0  # V: the weak-phase part of gold; most of its contrast is amplitude


@dataclass(frozen=True)
class Optics:
    """Constants of the instrument: volts, mm, fraction; ``pixel`` in Å of the (binned) tilt series."""

    pixel: float
    voltage: float = 300_000.0
    spherical_aberration: float = 2.7
    amplitude_contrast: float = 0.1
    blur: float = 5.5  # Å: standard deviation of a bead's density (atoms of 2 kDa), envelope of optics and detector

    @property
    def wavelength(self) -> float:
        """Relativistic electron wavelength in Å."""
        return float(12.2642596 / np.sqrt(self.voltage * (1.0 + 0.978475598e-6 * self.voltage)))


@dataclass(frozen=True)
class Defocus:
    """Defocus of one section: major and minor in Å (underfocus positive), azimuth of the major axis in degrees."""

    major: float
    minor: float
    azimuth: float


@dataclass(frozen=True)
class TiltScheme:
    """A tilt scheme in the order of acquisition: nominal angles (n,) in degrees, e⁻/Å² per section."""

    angles: NDArray[np.float64]
    dose: float

    @property
    def accumulated(self) -> NDArray[np.float64]:
        """Dose in e⁻/Å² before each section, in the order of acquisition."""
        return np.arange(len(self.angles), dtype=np.float64) * self.dose


def dose_symmetric(limit: float, step: float, dose: float, group: int = 2) -> TiltScheme:
    """Dose-symmetric scheme (Hagen et al. 2017): 0, then groups of ``group`` tilts on alternating sides."""
    count = round(limit / step)
    sides = [[side * step * (k + 1) for k in range(count)] for side in (1.0, -1.0)]
    angles = [0.0]
    for start in range(0, count, group):
        for side in sides:
            angles += side[start : start + group]
    return TiltScheme(np.array(angles), dose)


def frequencies(shape: tuple[int, int], pixel: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Spatial frequency in 1/Å and its azimuth in radians on the half plane of ``rfft2`` of a ``(y, x)`` image."""
    fy = np.fft.fftfreq(shape[0], pixel).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(shape[1], pixel).astype(np.float32)[None, :]
    return np.hypot(fx, fy), np.arctan2(fy, fx)


def phase_aberration(
    optics: Optics, defocus: Defocus, frequency: NDArray[np.float32], azimuth: NDArray[np.float32]
) -> NDArray[np.float32]:
    """χ in radians, amplitude contrast included, so that the transfer is sin χ (Rohou, Grigorieff 2015)."""
    mean, half = (defocus.major + defocus.minor) / 2, (defocus.major - defocus.minor) / 2
    at = mean + half * np.cos(2 * (azimuth - np.float32(np.radians(defocus.azimuth))))
    squared = frequency**2
    wavelength, cs = optics.wavelength, optics.spherical_aberration * 1e7
    chi = np.pi * wavelength * squared * (at - 0.5 * wavelength**2 * cs * squared)
    return np.asarray(chi + np.arcsin(optics.amplitude_contrast), np.float32)


def critical_dose_envelope(frequency: NDArray[np.float32], dose: float) -> NDArray[np.float32]:
    """Amplitude that is left after ``dose`` e⁻/Å² at 300 kV (Grant, Grigorieff 2015)."""
    critical = 0.245 * np.maximum(frequency, 1e-4) ** -1.665 + 2.81
    return np.asarray(np.exp(-dose / (2 * critical)), np.float32)


def image_contrast(
    potential: NDArray[np.float32], optics: Optics, defocus: Defocus, dose: float, tilt_axis: float, angle: float
) -> NDArray[np.float32]:
    """Relative intensity change of a weak phase object, dark for protein under focus.

    ``potential`` ``(y, x)`` in V·Å on the raw image grid; ``dose`` e⁻/Å² taken before this section; ``tilt_axis`` and
    ``angle`` in degrees. Away from the tilt axis the specimen is higher or lower by x·tan: the transfer function
    follows it to first order, sin(χ + δ) = sin χ + δ cos χ with δ = π λ s² Δz.
    """
    height, width = potential.shape
    frequency, azimuth = frequencies(potential.shape, optics.pixel)
    chi = phase_aberration(optics, defocus, frequency, azimuth)
    envelope = np.exp(-2 * (np.pi * optics.blur * frequency) ** 2) * critical_dose_envelope(frequency, dose)
    spectrum = np.fft.rfft2(potential * np.float32(-2 * INTERACTION)) * envelope
    flat = np.fft.irfft2(spectrum * np.sin(chi), potential.shape)
    if abs(angle) < 1.0:
        return np.asarray(flat, np.float32)
    slope = np.fft.irfft2(
        spectrum * (np.cos(chi) * np.float32(np.pi * optics.wavelength) * frequency**2), potential.shape
    )
    axis = np.radians(tilt_axis)
    y = (np.arange(height) - (height - 1) / 2)[:, None] * optics.pixel
    x = (np.arange(width) - (width - 1) / 2)[None, :] * optics.pixel
    across = np.cos(axis) * x + np.sin(axis) * y  # x of the aligned image
    return np.asarray(flat + slope * (across * np.tan(np.radians(angle))), np.float32)


def gold_chords(
    centres: NDArray[np.float64], radius: float, pixel: float, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Path through gold in Å on a ``(y, x)`` grid: spheres of ``radius`` Å at ``centres`` (n, 2) x, y in pixels."""
    height, width = shape
    chords = np.zeros(shape, np.float32)
    reach = int(np.ceil(radius / pixel)) + 1
    for x, y in centres:
        i, j = round(float(x)), round(float(y))
        if not (reach <= i < width - reach and reach <= j < height - reach):
            continue
        fine = (np.arange(-3 * reach - 1, 3 * reach + 2)) / 3.0  # three samples per pixel keep the rim smooth
        square = ((fine[:, None] + j - y) ** 2 + (fine[None, :] + i - x) ** 2) * pixel**2
        chord = 2 * np.sqrt(np.maximum(radius**2 - square, 0.0))
        block = chord.reshape(2 * reach + 1, 3, 2 * reach + 1, 3).mean(axis=(1, 3))
        chords[j - reach : j + reach + 1, i - reach : i + reach + 1] += block
    return chords


def gold_potential(chords: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weak-phase part of gold in V·Å."""
    return chords * np.float32(_GOLD_EXCESS)


def counts(
    contrast: NDArray[np.float32],
    chords: NDArray[np.float32],
    electrons: float,
    thickness: float,
    angle: float,
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """Electrons counted per pixel: shot noise on what passes ``thickness`` Å of ice at ``angle`` degrees.

    ``electrons`` is the dose per pixel before the specimen; gold takes electrons away as exp(-chord / 55 Å).
    """
    through = electrons * np.exp(-thickness / (_INELASTIC_PATH * np.cos(np.radians(angle))))
    expected = through * np.clip(1.0 + contrast, 0.03, 3.0) * np.exp(-chords / np.float32(_GOLD_PATH))
    return np.asarray(np.minimum(rng.poisson(expected), 32767), np.int16)
