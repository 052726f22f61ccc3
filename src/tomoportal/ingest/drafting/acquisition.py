"""What an mdoc tells about a tilt series, and which of a config's fields stay unknown."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tomoportal.formats.mdoc import Mdoc

__all__ = ["Acquisition", "read_acquisition"]

_CAMERAS = {
    (5760, 4092): ("Gatan", "K3"),
    (11520, 8184): ("Gatan", "K3"),
    (3838, 3710): ("Gatan", "K2"),
    (7676, 7420): ("Gatan", "K2"),
    (3710, 3838): ("Gatan", "K2"),
    (4096, 4096): ("TFS", "FALCON 4i"),
}
_MICROSCOPES = (
    ("krios", "TFS", "Krios"),
    ("glacios", "TFS", "Glacios"),
    ("talos", "TFS", "Talos"),
    ("titan", "TFS", "Titan"),
    ("tecnai", "FEI", "Tecnai"),
    ("jeol", "JEOL", "not_reported"),
    ("cryo arm", "JEOL", "CRYO ARM"),
)


@dataclass
class Acquisition:
    """Values of one tilt series; ``unknown`` names the fields that the mdoc does not tell and that hold a stand-in."""

    values: dict[str, Any] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)


def read_acquisition(mdoc: Mdoc, spacing: float | None) -> Acquisition:
    """Fields of a tilt series entry. ``spacing`` is that of the stack's header in Å, which wins over the mdoc's."""
    found = Acquisition()
    sections = mdoc.exposures
    titles = " ".join(mdoc.titles)
    angles = sorted(section.tilt_angle for section in sections if section.tilt_angle is not None)
    steps = [round(after - before, 1) for before, after in pairwise(angles) if after - before > 0.2]
    voltage = mdoc.number("Voltage") or next(
        (value for section in sections if (value := section.number("Voltage"))), None
    )
    _put(found, "acceleration_voltage", int(voltage * 1000) if voltage else None, 300000)
    pixel = (
        spacing or mdoc.pixel_spacing or next((value for section in sections if (value := section.pixel_spacing)), None)
    )
    _put(found, "pixel_spacing", round(pixel, 3) if pixel else None, None)
    axis = mdoc.tilt_axis
    if axis is None:
        axis = next((value for section in sections if (value := section.rotation_angle) is not None), None)
    _put(found, "tilt_axis", round(axis, 2) if axis is not None else None, 0.0)
    _put(found, "tilt_min", round(angles[0], 2) if angles else None, -60.0)
    _put(found, "tilt_max", round(angles[-1], 2) if angles else None, 60.0)
    _put(found, "tilt_step", statistics.median(steps) if steps else None, 0.0)
    doses = [section.exposure_dose or 0.0 for section in sections]
    _put(found, "total_flux", round(sum(doses), 2) if sum(doses) > 0 else None, 0.0)
    _put(found, "dose_rate", _dose_rate(mdoc), 1.0)
    _put(found, "tilting_scheme", "Dose symmetric" if "dosym" in titles.lower() else None, "not_reported")
    software = "SerialEM" if "serialem" in titles.lower() else "Tomography" if "tomography" in titles.lower() else None
    _put(found, "data_acquisition_software", software, "not_reported")
    camera = _camera(mdoc)
    _put(found, "camera_manufacturer", camera[0] if camera else None, "Gatan")
    _put(found, "camera_model", camera[1] if camera else None, "K3")
    microscope = next((entry for entry in _MICROSCOPES if entry[0] in titles.lower()), None)
    _put(found, "microscope_manufacturer", microscope[1] if microscope else None, "TFS")
    _put(found, "microscope_model", microscope[2] if microscope else None, "not_reported")
    slit = next((text for section in sections if (text := section.get("FilterSlitAndLoss"))), None)
    _put(
        found,
        "energy_filter",
        f"slit {slit.split()[0]} eV" if slit and slit.split()[0] not in ("0", "-1") else None,
        "not_reported",
    )
    _put(found, "spherical_aberration_constant", None, 2.7)
    _put(found, "tilt_series_quality", None, 3)
    return found


def acquired_on(mdoc: Mdoc) -> str | None:
    """Day of the first exposure, ``YYYY-MM-DD``."""
    times = [section.acquired_at for section in mdoc.exposures]
    days = sorted(time.date().isoformat() for time in times if time is not None)
    return days[0] if days else None


def _put(found: Acquisition, name: str, value: Any, stand_in: Any) -> None:
    if value is None:
        found.unknown.add(name)
        value = stand_in
    found.values[name] = value


def _dose_rate(mdoc: Mdoc) -> float | None:
    """Dose per second and Å² where the mdoc gives dose and time of the exposures."""
    rates = []
    for section in mdoc.exposures:
        dose, time = section.exposure_dose, section.exposure_time
        if dose and time and dose > 0 and time > 0:
            rates.append(dose / time)
    return round(statistics.median(rates), 4) if rates else None


def _camera(mdoc: Mdoc) -> tuple[str, str] | None:
    for entries in (*mdoc.exposures[:1], mdoc):
        for key in ("UncroppedSize", "ImageSize"):
            words = (entries.get(key) or "").split()
            if len(words) == 2 and all(word.lstrip("-").isdigit() for word in words):
                size = abs(int(words[0])), abs(int(words[1]))
                if size in _CAMERAS:
                    return _CAMERAS[size]
    return None
