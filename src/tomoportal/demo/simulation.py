"""One run, from the recipe to the files that a laboratory would hold of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.demo.campaign import CYTOSOL, Run, Scale
from tomoportal.demo.lab_files import (
    ctffind_table,
    mdoc_text,
    points_csv,
    relion3_star,
    relion4_star,
    write_mrc,
)
from tomoportal.demo.masks import segment
from tomoportal.demo.microscope import (
    Defocus,
    Optics,
    TiltScheme,
    counts,
    critical_dose_envelope,
    dose_symmetric,
    frequencies,
    gold_chords,
    gold_potential,
    image_contrast,
    phase_aberration,
)
from tomoportal.demo.particles import phantom
from tomoportal.demo.picking import bin_twice, pick, score
from tomoportal.demo.projection import Beads, Geometry, project
from tomoportal.demo.reconstruction import aligned_section, back_project
from tomoportal.demo.specimen import Specimen, make_specimen
from tomoportal.formats.imod import write_xf
from tomoportal.formats.tilt_angles import write_tilt_angles
from tomoportal.storage import FileRecord, Store

__all__ = ["NOTES", "PICKED", "TiltSeries", "expose", "recipe_digest", "reconstruct", "simulate_run", "tilt_series"]

NOTES = "simulation.json"
"""File of a run's folder that is written last: what was simulated, and the digest of every other file."""

PICKED = "ribosome"
_PICK_WITHIN = 100.0  # Å between a pick and the particle that it counts for

_MARGIN = 24  # pixels around the detector, so that the CTF finds what lies just outside
DOSE_RATE = 3.66  # e⁻/Å²/s
DETECTOR_BINNING = 2
_CONTRAST_SD = 1000.0  # grey values per standard deviation in the int16 tomograms


@dataclass(frozen=True)
class TiltSeries:
    """How one tilt series was taken. Per-section values are in the order of the stack (by angle).

    ``order`` (n,) is the position of every section in the order of acquisition; ``stage`` the angles that the stage
    reported; ``geometry`` the refined alignment; ``prior`` the dose before each section in e⁻/Å².
    """

    scheme: TiltScheme
    order: NDArray[np.intp]
    stage: NDArray[np.float64]
    geometry: Geometry
    defoci: tuple[Defocus, ...]
    prior: NDArray[np.float64]


def tilt_series(scale: Scale, run: Run) -> TiltSeries:
    """Draw stage errors, shifts and defocus of a run; angles and matrices are those of the files, rounding included."""
    rng = np.random.default_rng([run.seed, 2])
    scheme = dose_symmetric(scale.tilt_limit, scale.tilt_step, scale.dose)
    count = len(scheme.angles)
    order = np.argsort(scheme.angles)
    stage = np.round(scheme.angles[order] + rng.uniform(-0.02, 0.02, count), 2)
    refined = np.round(stage + rng.normal(scale=0.04, size=count), 2)
    axis = np.radians(run.tilt_axis + rng.normal(scale=0.05, size=count))
    matrices = np.stack([np.cos(axis), np.sin(axis), -np.sin(axis), np.cos(axis)], axis=1).reshape(-1, 2, 2)
    drift = np.cumsum(rng.normal(scale=0.5, size=(count, 2)), axis=0)  # neighbours in time drift together
    shifts = drift[order] + rng.normal(scale=1.2, size=(count, 2))
    defoci = []
    for _ in range(count):
        mean, astigmatism = run.defocus + rng.normal(scale=250.0), rng.uniform(100.0, 300.0)
        defoci.append(
            Defocus(round(mean + astigmatism / 2, 1), round(mean - astigmatism / 2, 1), round(35 + rng.normal() * 6, 1))
        )
    geometry = Geometry(refined, np.round(matrices, 7), np.round(shifts, 3))
    return TiltSeries(scheme, order, stage, geometry, tuple(defoci), scheme.accumulated[order])


def expose(scale: Scale, run: Run, specimen: Specimen, series: TiltSeries) -> NDArray[np.int16]:
    """The raw stack ``(section, y, x)`` int16: electrons counted per pixel, sorted by angle."""
    optics = Optics(scale.pixel)
    side, geometry, recipe = scale.shape[2], series.geometry, run.recipe
    canvas = side + 2 * _MARGIN
    steepest = np.radians(np.abs(geometry.angles).max())
    reach_y = canvas * scale.pixel * 0.56 + 100.0
    reach_x = (reach_y + recipe.box[2] / 2 * np.sin(steepest)) / np.cos(steepest)
    beads = specimen.beads().tiled(specimen.period, (reach_x, reach_y))
    gold = Beads(specimen.gold, np.zeros(len(specimen.gold))).tiled(specimen.period, (reach_x, reach_y)).positions
    inner = slice(_MARGIN, -_MARGIN)
    stack = np.empty((len(geometry.angles), side, side), np.int16)
    for section, angle in enumerate(geometry.angles):
        potential = project(beads, geometry, section, scale.pixel, (canvas, canvas))
        turn = np.radians(angle)
        across = (gold[:, 0] * np.cos(turn) + gold[:, 2] * np.sin(turn)) / scale.pixel
        centres = np.stack(geometry.to_raw(section, across, gold[:, 1] / scale.pixel), axis=1) + (canvas - 1) / 2
        chords = gold_chords(centres, recipe.gold_diameter / 2, scale.pixel, (canvas, canvas))
        potential += gold_potential(chords)
        defocus, prior = series.defoci[section], float(series.prior[section])
        contrast = image_contrast(potential, optics, defocus, prior, run.tilt_axis, float(angle))
        stack[section] = counts(
            contrast[inner, inner],
            chords[inner, inner],
            scale.dose * scale.pixel**2,
            recipe.ice,
            float(angle),
            np.random.default_rng([run.seed, 3, section]),
        )
    return stack


def reconstruct(
    scale: Scale, run: Run, stack: NDArray[np.int16], series: TiltSeries, *, denoised: bool
) -> NDArray[np.float32]:
    """A tomogram ``(z, y, x)`` float32 from the raw stack, protein dark.

    Without ``denoised``: phases flipped, ramp-weighted back-projection. With it every image goes through a Wiener-like
    filter first, which knows the CTF, the dose and a falling signal-to-noise ratio, and is isotropic in the slice
    that an image fills: the same as filtering the volume.
    """
    optics, geometry = Optics(scale.pixel), series.geometry
    frequency, azimuth = frequencies(stack.shape[1:], scale.pixel)
    images = []
    for section, raw in enumerate(stack):
        image = raw.astype(np.float32)
        image = image / image.mean(dtype=np.float64).astype(np.float32) - 1
        transfer = np.sin(phase_aberration(optics, series.defoci[section], frequency, azimuth))
        if denoised:
            transfer = transfer * critical_dose_envelope(frequency, float(series.prior[section]))
            transfer *= np.exp(-2 * (np.pi * optics.blur * frequency) ** 2)
            ratio = np.exp(-frequency * np.float32(150.0)) * (1 - np.exp(-((frequency * np.float32(600.0)) ** 2)))
            ratio *= np.float32(100.0 * np.cos(np.radians(geometry.angles[section])))
            transfer = transfer * ratio / (transfer**2 * ratio + 1)
        else:
            transfer = np.sign(transfer)
        images.append(aligned_section(image, geometry, section, scale.shape[1:], transfer))
    volume = np.empty(scale.shape, np.float32)
    back_project(images, geometry.angles, scale.shape, volume.__setitem__)
    return volume


def simulate_run(scale: Scale, run: Run, store: Store) -> dict[str, Any]:
    """Simulate a run and write its files below ``<lab folder>/<run>`` of ``store``; returns what ``NOTES`` holds."""
    specimen = make_specimen(run.recipe, run.seed)
    series = tilt_series(scale, run)
    files: list[FileRecord] = []
    prefix = f"{run.dataset.folder}/{run.name}"

    def text(name: str, data: bytes) -> None:
        with store.open_writer(f"{prefix}/{name}") as writer:
            writer.write(data)
        files.append(writer.record)

    def volume(name: str, voxels: NDArray[Any], title: str, *, is_stack: bool = False) -> None:
        files.append(write_mrc(store, f"{prefix}/{name}", voxels, scale.pixel, title, is_stack=is_stack))

    stack = expose(scale, run, specimen, series)
    volume(f"{run.name}.st", stack, "tomoportal demo: simulated tilt series", is_stack=True)
    _write_acquisition(scale, run, series, text)
    raw = reconstruct(scale, run, stack, series, denoised=False)
    volume(f"{run.name}.rec", _grey(raw), "tomoportal demo: weighted back-projection")
    denoised = reconstruct(scale, run, stack, series, denoised=True)
    volume(f"{run.name}_denoised.mrc", _grey(denoised), "tomoportal demo: Wiener-like filter, back-projection")
    centre = (np.array(scale.shape[::-1]) - 1) / 2
    truth = {}
    for key, placement in specimen.placements.items():
        truth[key] = placement.positions / scale.pixel + centre
        if run.dataset is CYTOSOL:
            star = relion4_star(run.name, truth[key], placement.rotations, scale.pixel)
        else:
            star = relion3_star(run.name, truth[key], placement.rotations)
        text(f"particles/{key}.star", star)
    if specimen.vesicles or specimen.filaments:
        volume(f"{run.name}_labels.mrc", segment(specimen, scale), "tomoportal demo: 1 membrane, 2 actin filament")
    picks = pick(bin_twice(denoised), scale.pixel, phantom(PICKED), scale.pick_threshold)
    text(f"picks/{PICKED}_blob_picker.csv", points_csv(picks.voxels, picks.scores))
    found = score(np.round(picks.voxels, 2), truth[PICKED], _PICK_WITHIN / scale.pixel)
    notes = {
        "run": run.name,
        "recipe": recipe_digest(scale, run),
        "particles": {key: len(where) for key, where in truth.items()},
        "vesicles": len(specimen.vesicles),
        "filaments": len(specimen.filaments),
        "picks": {"species": PICKED, "matched": found.matched, "picked": found.picked, "true": found.true},
        "tilt_min": float(series.stage.min()),
        "tilt_max": float(series.stage.max()),
        "files": {record.key: record.sha256 for record in files},
    }
    store.put(f"{prefix}/{NOTES}", json.dumps(notes, indent=2).encode("ascii"))
    return notes


def recipe_digest(scale: Scale, run: Run) -> str:
    """Changes with the run, the scale and the code of the demo: whether files on disk are still what it would make."""
    digest = hashlib.sha256(
        repr(
            (scale.name, scale.shape, scale.pixel, scale.tilt_limit, scale.tilt_step, scale.pick_threshold, run)
        ).encode()
    )
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()


def _write_acquisition(scale: Scale, run: Run, series: TiltSeries, text: Any) -> None:
    """The small files beside the stack: mdoc, angles, alignment, CTF."""
    geometry = series.geometry
    when = np.argsort(series.order)  # section of the stack for each exposure
    detector = scale.shape[2] * DETECTOR_BINNING
    mdoc = mdoc_text(
        run.name,
        series.scheme,
        series.stage[when],
        [series.defoci[section] for section in when],
        tilt_axis=run.tilt_axis,
        frame_pixel=scale.pixel / DETECTOR_BINNING,
        detector=(detector, detector),
        dose_rate=DOSE_RATE,
        target_defocus=run.defocus,
        begin=datetime(2025, 1, 14, 9 + run.seed % 10, 12, 5),
    )
    text(f"{run.name}.mdoc", mdoc)
    text(f"{run.name}.rawtlt", write_tilt_angles(series.stage))
    text(f"{run.name}.tlt", write_tilt_angles(geometry.angles))
    rows = np.concatenate([geometry.matrices.reshape(-1, 4), geometry.shifts], axis=1)
    text(f"{run.name}.xf", write_xf(rows))
    resolution = 2 * scale.pixel
    limits = [round(resolution * (1.05 + 0.5 * (1 - np.cos(np.radians(angle)))), 2) for angle in geometry.angles]
    text(f"{run.name}_ctffind4.txt", ctffind_table(series.defoci, limits))


def _grey(volume: NDArray[np.float32]) -> NDArray[np.int16]:
    """int16 grey values around 0; gold is cut off far outside the range of everything else."""
    spread = 1.4826 * np.median(np.abs(volume[::4, ::4, ::4]))
    return np.asarray(np.rint(np.clip(volume * np.float32(_CONTRAST_SD / spread), -32000, 32000)), np.int16)
