"""Particles of PyTom particle lists (``<ParticleList>``).

A position is PickPosition + Shift in voxels of the tomogram that was picked in, numbered from 0; the rotation is
``<Rotation Z1 Z2 X>`` = phi, psi, theta with R = Rz(Z2)·Rx(X)·Rz(Z1) (PyTom's structures and its TOM heritage).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.point_selection import Selectable, parse_conditions, selected
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.rotations import from_zxz_angles
from tomoportal.formats.xml_attributes import Attributes, read_elements

__all__ = ["pytom_points"]


@dataclass(slots=True)
class _Particle:
    where: str
    position: tuple[float, float, float] | None = None
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    angles: tuple[float, float, float] | None = None
    origin: str = ""
    binning: float = 1.0
    score: float = 0.0
    kind: str = ""


def pytom_points(
    data: bytes, name: str, *, shape: Literal["Point", "OrientedPoint"], filter_value: str | None = None
) -> VoxelPoints:
    """Particles of one tomogram (``filter_value`` is the Origin of the pick; or ``class=…``, ``score>=…``), in voxels.

    Raises ``FormatError`` for particles without a position (or rotation, where ``shape`` needs one), positions at
    several binnings in one list, and XML that is not PyTom's.
    """
    particles = _particles(data, name)
    columns: dict[str, Selectable] = {
        "origin": [particle.origin for particle in particles],
        "class": [particle.kind for particle in particles],
        "score": np.array([particle.score for particle in particles], np.float64),
    }
    rows = selected(parse_conditions(filter_value, default="origin"), columns, len(particles), name)
    chosen = [particle for particle, row in zip(particles, rows, strict=True) if row]
    if len({particle.binning for particle in chosen}) > 1:
        raise FormatError("The positions of this list are given at several binnings.", where=name)
    locations, angles = [], []
    for particle in chosen:
        if particle.position is None:
            raise FormatError("The particle has no PickPosition.", where=particle.where)
        locations.append(np.add(particle.position, particle.shift))
        if shape == "OrientedPoint":
            if particle.angles is None:
                raise FormatError("The particle has no Rotation.", where=particle.where)
            angles.append(particle.angles)
    rotations = from_zxz_angles(angles) if shape == "OrientedPoint" else None
    return VoxelPoints(np.array(locations, np.float64).reshape(-1, 3), rotations)


def _particles(data: bytes, name: str) -> list[_Particle]:
    particles: list[_Particle] = []
    inside: list[str] = []

    def start(tag: str, attributes: Attributes) -> None:
        inside.append(tag)
        if tag == "Particle" and len(inside) == 1:
            particles.append(_Particle(attributes.where))
        elif len(inside) == 2 and inside[0] == "Particle":
            _describe(particles[-1], tag, attributes)

    def end(_tag: str) -> None:
        inside.pop()

    read_elements(data, name, root="ParticleList", start=start, end=end)
    return particles


def _describe(particle: _Particle, tag: str, attributes: Attributes) -> None:
    if tag == "PickPosition":
        particle.position = (attributes.number("X"), attributes.number("Y"), attributes.number("Z"))
        particle.origin = attributes.text("Origin", "Filename") or ""
        particle.binning = attributes.number("Binning", 1.0)
    elif tag == "Shift":
        particle.shift = (attributes.number("X"), attributes.number("Y"), attributes.number("Z"))
    elif tag == "Rotation":
        if (attributes.text("Paradigm") or "ZXZ") != "ZXZ":
            raise FormatError(
                f"Rotations of the paradigm {attributes.text('Paradigm')!r} are unknown.", where=attributes.where
            )
        particle.angles = (attributes.number("Z1"), attributes.number("X"), attributes.number("Z2"))
    elif tag == "Score":
        particle.score = attributes.number("Value", 0.0)
    elif tag == "Class":
        particle.kind = attributes.text("Name") or ""
