"""What a cryoET person would check: the missing wedge, places, poses, doses, and that the stated numbers are true."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from tomoportal.demo.campaign import CYTOSOL, Run, Scale
from tomoportal.demo.particles import phantom, render
from tomoportal.demo.picking import Score, score
from tomoportal.demo.simulation import PICKED
from tomoportal.formats.mdoc import read_mdoc
from tomoportal.formats.points_csv import csv_points
from tomoportal.formats.relion_star import relion_points
from tomoportal.formats.star import read_star
from tomoportal.formats.tilt_angles import read_tilt_angles

Voxels = Callable[[Path], NDArray[np.float32]]


def folder(lab: Path, run: Run) -> Path:
    return lab / run.dataset.folder / run.name


def truth(lab: Path, run: Run, key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions in voxels and rotations, read from the star file as ingestion does."""
    star = read_star((folder(lab, run) / f"particles/{key}.star").read_bytes(), key)
    style = "relion4_star" if run.dataset is CYTOSOL else "relion3_star"
    points = relion_points(star, format=style, shape="OrientedPoint", filter_value=run.name)
    assert points.rotations is not None
    return points.locations, points.rotations


def box_at(volume: NDArray[np.float32], centre: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """The box of whole voxels around a position (x, y, z); 0 beyond the volume."""
    padded = np.pad(volume, size)
    low = np.rint(centre[::-1] - (size - 1) / 2).astype(int) + size
    return padded[tuple(slice(k, k + size) for k in low)]


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_the_missing_wedge_is_empty(lab: Path, tiny: Scale, voxels: Voxels) -> None:
    volume = voxels(folder(lab, tiny.runs[0]) / "TS_001.rec")
    nz, _, nx = volume.shape
    window = np.hanning(nz)[:, None, None] * np.hanning(nx)[None, None, :]
    power = (np.abs(np.fft.fft2(volume * window, axes=(0, 2))) ** 2).mean(axis=1)
    kz, kx = np.fft.fftfreq(nz)[:, None], np.fft.fftfreq(nx)[None, :]
    ring = (np.hypot(kx, kz) > 0.08) & (np.hypot(kx, kz) < 0.3)
    tilt = np.degrees(np.arctan2(np.abs(kz), np.abs(kx)))
    missing, measured = power[ring & (tilt > 68)].mean(), power[ring & (tilt < 60)].mean()
    assert missing < 0.02 * measured


POSES = {
    "true": lambda rotation: rotation,
    "mirrored": lambda rotation: rotation @ np.diag([-1.0, 1.0, 1.0]),
    "inverse": lambda rotation: rotation.T,
    "upside down": lambda rotation: rotation @ np.diag([1.0, -1.0, -1.0]),
}


def poses(lab: Path, tiny: Scale, voxels: Voxels, keys: list[str]) -> dict[str, NDArray[np.float64]]:
    """Correlation of the template with the tomogram at every particle, in the true pose and in wrong ones."""
    found: dict[str, list[float]] = {name: [] for name in [*POSES, "elsewhere"]}
    rng = np.random.default_rng(0)
    for run in tiny.runs:
        volume = -voxels(folder(lab, run) / f"{run.name}_denoised.mrc")  # protein is dark
        volume = np.clip(volume, -4000, 8000)  # gold would outweigh everything
        for key in keys:
            if not (folder(lab, run) / f"particles/{key}.star").exists():
                continue
            made = phantom(key)
            size = 2 * int(made.radius / tiny.pixel) + 3
            for position, rotation in zip(*truth(lab, run, key), strict=True):
                box = box_at(volume, position, size)
                for name, pose in POSES.items():
                    found[name].append(correlation(box, render(made, pose(rotation), tiny.pixel, size)))
                place = rng.uniform(16, np.array(volume.shape[::-1]) - 16)
                template = render(made, rotation, tiny.pixel, size)
                found["elsewhere"].append(correlation(box_at(volume, place, size), template))
    return {name: np.array(values) for name, values in found.items()}


def test_particles_are_where_the_truth_says(lab: Path, tiny: Scale, voxels: Voxels) -> None:
    found = poses(lab, tiny, voxels, ["ribosome", "capsid", "ferritin", "proteasome"])
    assert len(found["true"]) >= 20
    assert found["true"].mean() > 0.4
    assert abs(found["elsewhere"].mean()) < 0.1
    assert np.percentile(found["true"], 10) > np.percentile(found["elsewhere"], 90)


def test_particles_are_turned_as_the_truth_says(lab: Path, tiny: Scale, voxels: Voxels) -> None:
    """The true pose beats the mirror image (handedness), the inverse (direction of the matrices) and a half turn."""
    found = poses(lab, tiny, voxels, ["ribosome", "thyroglobulin"])
    for wrong in ("mirrored", "inverse", "upside down"):
        assert (found["true"] > found[wrong]).mean() > 0.9, wrong
        assert found["true"].mean() > found[wrong].mean() + 0.04, wrong


def test_membranes_are_dark_where_the_mask_says(lab: Path, tiny: Scale, voxels: Voxels) -> None:
    run = tiny.runs[0]
    volume = voxels(folder(lab, run) / f"{run.name}_denoised.mrc")
    labels = voxels(folder(lab, run) / f"{run.name}_labels.mrc")
    assert set(np.unique(labels)) == {0, 1, 2}
    inner = (slice(8, -8), slice(12, -12), slice(12, -12))
    for label in (1, 2):
        assert volume[inner][labels[inner] == label].mean() < np.median(volume[inner]) - 0.2 * volume[inner].std()


def test_the_mdoc_tells_the_tilt_scheme(lab: Path, tiny: Scale) -> None:
    for run in tiny.runs:
        mdoc = read_mdoc((folder(lab, run) / f"{run.name}.mdoc").read_bytes(), run.name)
        sections = mdoc.exposures
        assert len(sections) == tiny.sections
        times = [section.acquired_at for section in sections]
        assert all(earlier < later for earlier, later in pairwise(times))  # type: ignore[operator]
        doses = np.array([section.exposure_dose for section in sections])
        assert doses.sum() == pytest.approx(120.0, abs=1.0)
        priors = np.array([section.prior_record_dose for section in sections])
        np.testing.assert_allclose(priors, np.cumsum(doses) - doses, atol=1e-3)
        angles = np.array([section.tilt_angle for section in sections])
        assert abs(angles[0]) < 0.1  # dose-symmetric: the untilted image first, the steepest last
        assert abs(angles[-1]) > 59
        stack = read_tilt_angles((folder(lab, run) / f"{run.name}.rawtlt").read_bytes(), "rawtlt")
        np.testing.assert_allclose(np.sort(angles), stack, atol=1e-6)
        names = [section.frame_name for section in sections]
        assert len(set(names)) == len(names)
        assert mdoc.tilt_axis == pytest.approx(run.tilt_axis)


def test_steep_images_are_darker_and_every_image_counts_electrons(lab: Path, tiny: Scale, voxels: Voxels) -> None:
    run = tiny.runs[0]
    stack = voxels(folder(lab, run) / f"{run.name}.st")
    means = stack.mean(axis=(1, 2))
    assert means.argmax() in range(tiny.sections // 2 - 2, tiny.sections // 2 + 3)
    assert means[0] < 0.93 * means.max()
    assert means.max() < tiny.dose * tiny.pixel**2
    assert stack.min() >= 0


def test_the_confidence_of_the_automatic_annotation_is_true(config: Path, lab: Path, tiny: Scale) -> None:
    total = Score(0, 0, 0)
    for run in tiny.runs:
        table = (folder(lab, run) / f"picks/{PICKED}_blob_picker.csv").read_bytes()
        picks = csv_points(table, "picks", format="csv_with_header").locations
        total += score(picks, truth(lab, run, PICKED)[0], 100.0 / tiny.pixel)
    entries = yaml.safe_load(config.read_text())["annotations"]
    stated = next(each["metadata"]["confidence"] for each in entries if "confidence" in each["metadata"])
    assert stated["precision"] == pytest.approx(total.precision, abs=0.01)
    assert stated["recall"] == pytest.approx(total.recall, abs=0.01)


def test_a_particle_is_matched_once_by_the_better_pick() -> None:
    true = np.array([[10.0, 10.0, 10.0], [50.0, 50.0, 20.0]])
    picks = np.array([[11.0, 10.0, 10.0], [9.0, 10.0, 10.0], [80.0, 80.0, 10.0]])
    assert score(picks, true, 5.0) == Score(matched=1, picked=3, true=2)
    assert score(np.zeros((0, 3)), true, 5.0) == Score(0, 0, 2)
    assert Score(1, 3, 2).precision == pytest.approx(33.33, abs=0.01)
    assert Score(1, 3, 2).recall == 50.0
