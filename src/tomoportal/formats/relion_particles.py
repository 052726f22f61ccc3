"""RELION 4 and 5 particle files of tomograms, in and out, with everything that a particle list says.

Positions are rlnCenteredCoordinate…Angst from the tomogram's centre, or rlnCoordinate… in pixels of the tilt series.
With S the matrix of the rlnTomoSubtomogram angles and P that of the rlnAngle ones, R = S·P, and the centre is
coordinate − S·origin (reference copick-model, 20; RELION 5, ``ParticleSet::getPosition``). Of helices, rlnHelicalTubeID
is the instance, and the reference's x axis is the filament's: S = R·Ry(90°), P = (0, 90, 0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.poses import Poses
from tomoportal.formats.relion_columns import (
    ANGLES,
    CENTERED,
    GROUP,
    NAME,
    ORIGINS,
    PIXEL_SIZE,
    PIXELS,
    SUBTOMOGRAM,
    TRACK,
    TUBE,
    particle_pixel_sizes,
)
from tomoportal.formats.rotations import about_y, from_relion_angles, orthonormal, to_relion_angles
from tomoportal.formats.star import StarFile, StarTable
from tomoportal.formats.star_output import Columns, write_star

__all__ = [
    "RY90",
    "RelionFilaments",
    "RelionTomogram",
    "filament_angles",
    "particle_columns",
    "relion_poses",
    "tomograms_of",
    "track_lengths",
    "tube_halves",
    "write_relion",
    "write_relion_import",
]

_AXES: Final = ("X", "Y", "Z")
RY90: Final[NDArray[np.float64]] = np.round(about_y([90.0])[0])
"""Turns the axis of a filament, z, into x, along which RELION expects it."""

Version: TypeAlias = Literal["auto", "relion4", "relion5"]


@dataclass(frozen=True)
class RelionTomogram:
    """What RELION has to know of a tomogram: its centre (x, y, z) in Å, Å per pixel of the tilt series, optics."""

    centre: tuple[float, float, float] | None = None
    pixel_size: float | None = None
    optics: Mapping[str, Any] | None = None
    """Further columns of its row in the optics table, such as rlnVoltage."""


@dataclass(frozen=True)
class RelionFilaments:
    """How particles of filaments are written: ``polar`` says of each tomogram which of its particles have a direction.

    ``angles`` "frame" writes subtomogram angles and priors, "pose" plain angles; ``half_sets`` divides whole tubes.
    """

    polar: Mapping[str, NDArray[np.bool_]]
    angles: Literal["frame", "pose"] = "frame"
    half_sets: bool = False


def tomograms_of(star: StarFile) -> dict[str, RelionTomogram]:
    """The tomograms of a ``tomograms.star``: centre is half of the unbinned size times the tilt series' pixel size."""
    table = star.table_with(NAME, "rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ")
    sizes = np.stack([table.numbers(f"rlnTomoSize{axis}") for axis in _AXES], axis=1)
    column = next((each for each in (PIXEL_SIZE, "rlnTiltSeriesPixelSize") if each in table), None)
    if column is None:
        raise FormatError(
            "The tomograms have no rlnTomoTiltSeriesPixelSize.", where=f"{star.name}:{table.line}", fix="add it"
        )
    pixels = table.numbers(column)
    optics = {each: table.text(each) for each in _OPTICS if each in table}
    return {
        name: RelionTomogram(
            tuple((sizes[row] / 2 * pixels[row]).tolist()),
            float(pixels[row]),
            {label: _value(texts[row]) for label, texts in optics.items()},
        )
        for row, name in enumerate(table.text(NAME))
    }


_OPTICS: Final = ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


# --- in


def relion_poses(
    star: StarFile,
    *,
    tomograms: Mapping[str, RelionTomogram] | None = None,
    tilt_series_pixel_size: float | None = None,
    voxel_spacing: float | None = None,
    version: Version = "auto",
) -> dict[str, Poses]:
    """Particles by rlnTomoName (``""`` where the file names no tomogram), in Å, ordered along filaments.

    Centred coordinates count wherever every tomogram's centre is known; then pixels of the tilt series, whose size is
    ``tilt_series_pixel_size``, the optics table's or the tomogram's; then pixels of ``voxel_spacing``. Raises
    :class:`FormatError` when neither centre nor pixel size is known, and for columns that are missing.
    """
    table = _particles(star)
    names = np.array(table.text(NAME) if NAME in table else [""] * len(table))
    tomograms = tomograms or {}
    positions = _positions(star, table, names, tomograms, tilt_series_pixel_size, voxel_spacing, version)
    frames = _turned(table, SUBTOMOGRAM)
    if any(column in table for column in ORIGINS):
        shift = _columns(table, ORIGINS)
        positions = positions - (shift if frames is None else np.einsum("nij,nj->ni", frames, shift))
    rotations = _turned(table, ANGLES)
    if rotations is not None and frames is not None:
        rotations = frames @ rotations
    tubes = table.numbers(TUBE) if TUBE in table else None
    poses = Poses.of(positions, frames if rotations is None else rotations, None, None, tubes)
    order = np.arange(len(table))
    if tubes is not None and TRACK in table:
        order = np.lexsort((table.numbers(TRACK), tubes))
    return {name: poses.select(order[names[order] == name]) for name in dict.fromkeys(names.tolist())}


def _particles(star: StarFile) -> StarTable:
    for columns in (CENTERED, PIXELS):
        found = [table for table in star.tables if all(column in table for column in columns)]
        if len(found) == 1:
            return found[0]
    raise FormatError(
        f"No table has {CENTERED[0]} … or {PIXELS[0]} ….",
        where=star.name,
        fix="give a file of RELION 4 or 5 particles",
    )


def _positions(
    star: StarFile,
    table: StarTable,
    names: NDArray[np.str_],
    tomograms: Mapping[str, RelionTomogram],
    tilt_series_pixel_size: float | None,
    voxel_spacing: float | None,
    version: Version,
) -> NDArray[np.float64]:
    has_centred = all(column in table for column in CENTERED)
    has_pixels = all(column in table for column in PIXELS)
    if version == "relion5" and not has_centred:
        raise FormatError(f"The particles have no {CENTERED[0]}: they are not RELION 5's.", where=star.name)
    if has_centred and version != "relion4":
        known = {name: tomogram.centre for name, tomogram in tomograms.items() if tomogram.centre is not None}
        missing = sorted(set(names.tolist()) - set(known))
        if not missing:
            centres = np.array([known[name] for name in names.tolist()], np.float64).reshape(-1, 3)
            return _columns(table, CENTERED) + centres
        if version == "relion5" or not has_pixels:
            raise FormatError(
                f"RELION 5's coordinates count from the centre of the tomogram, which is not known of"
                f" {', '.join(name or 'this file' for name in missing[:5])}.",
                where=star.name,
                fix="give --tomograms-star, or add the tomograms to the project first",
            )
    if not has_pixels:
        raise FormatError(f"The particles have no {PIXELS[0]}: they are not RELION 4's.", where=star.name)
    sizes = _pixel_sizes(star, table, names, tomograms, tilt_series_pixel_size)
    if sizes is None:
        if voxel_spacing is not None:
            return _columns(table, PIXELS) * voxel_spacing
        raise FormatError(
            f"{PIXELS[0]} counts pixels whose size the file does not state.",
            where=star.name,
            fix="give --tilt-series-pixel-size, --tomograms-star, or --voxel-size if they are pixels of the tomogram",
        )
    return _columns(table, PIXELS) * sizes[:, None]


def _pixel_sizes(
    star: StarFile,
    table: StarTable,
    names: NDArray[np.str_],
    tomograms: Mapping[str, RelionTomogram],
    given: float | None,
) -> NDArray[np.float64] | None:
    """Å per pixel of the tilt series of each particle, or None where nothing states it."""
    if given is not None:
        return np.full(len(table), given)
    if PIXEL_SIZE in table:
        return table.numbers(PIXEL_SIZE)
    optics = next((one for one in star.tables if one is not table and PIXEL_SIZE in one), None)
    if optics is not None:
        sizes = optics.numbers(PIXEL_SIZE)
        if len(np.unique(sizes)) == 1:
            return np.full(len(table), sizes[0])
        return particle_pixel_sizes(star, table, np.arange(len(table)), PIXEL_SIZE)
    known = {name: tomogram.pixel_size for name, tomogram in tomograms.items() if tomogram.pixel_size is not None}
    if len(table) and set(names.tolist()) <= set(known):
        return np.array([known[name] for name in names.tolist()], np.float64)
    return None


def _turned(table: StarTable, labels: Sequence[str]) -> NDArray[np.float64] | None:
    if not any(label in table for label in labels):
        return None
    return from_relion_angles(_columns(table, labels))


def _columns(table: StarTable, labels: Sequence[str]) -> NDArray[np.float64]:
    missing = [label for label in labels if label not in table]
    if missing:
        raise FormatError(f"The particles lack {', '.join(missing)}.", where=f"{table.source}:{table.line}")
    return np.stack([table.numbers(label) for label in labels], axis=1).reshape(-1, 3)


# --- out


def write_relion(
    particles: Mapping[str, Poses],
    tomograms: Mapping[str, RelionTomogram],
    *,
    voxel_spacing: float | None = None,
    include_optics: bool = True,
    coordinates: Literal["auto", "centered"] = "auto",
    filaments: RelionFilaments | None = None,
) -> bytes:
    """A particle file: centred coordinates where every centre is known, pixels too where every pixel size is.

    Where neither is known, pixels of ``voxel_spacing``. Shifts are added to the positions. With pixels come an optics
    table, one group per tomogram, unless ``include_optics`` is false. Raises :class:`FormatError` for matrices that
    are no rotations (C54) and where a centre or an instance is needed and missing.
    """
    columns, groups = particle_columns(particles, tomograms, voxel_spacing, include_optics, coordinates, filaments)
    return write_star({**({"optics": groups} if groups else {}), "particles": columns})


def write_relion_import(
    particles: Mapping[str, Poses],
    tomograms: Mapping[str, RelionTomogram],
    *,
    folder: str = "coordinates",
    voxel_spacing: float | None = None,
    coordinates: Literal["auto", "centered"] = "auto",
    filaments: RelionFilaments | None = None,
) -> tuple[bytes, dict[str, bytes]]:
    """RELION 5's import of coordinates: the index, and one file per tomogram, named by its path in ``folder``."""
    columns, _ = particle_columns(particles, tomograms, voxel_spacing, False, coordinates, filaments)
    names = np.array(columns[NAME])
    files = {}
    for name in particles:
        if "/" in name or "\\" in name:
            raise FormatError(f"The tomogram {name!r} cannot be the name of a file.", fix="rename the run")
        rows = np.flatnonzero(names == name)
        part = {label: np.asarray(values)[rows] for label, values in columns.items()}
        files[f"{folder}/{name}.star"] = write_star({"particles": part})
    index = {NAME: list(particles), "rlnTomoImportParticleFile": list(files)}
    return write_star({"coordinate_files": index}), files


def particle_columns(
    particles: Mapping[str, Poses],
    tomograms: Mapping[str, RelionTomogram],
    voxel_spacing: float | None,
    include_optics: bool,
    coordinates: str,
    filaments: RelionFilaments | None,
) -> tuple[dict[str, Any], Columns]:
    """The columns of the particles, and of the optics (none without pixel sizes); raises as :func:`write_relion`."""
    known = {name: tomograms.get(name, RelionTomogram()) for name in particles}
    uncentred = sorted(name for name, tomogram in known.items() if tomogram.centre is None)
    if coordinates == "centered" and uncentred:
        raise FormatError(
            f"No tomogram center for {len(uncentred)} run(s): {', '.join(uncentred[:5])}.",
            fix="give --tomograms-star, or add the tomograms to the project",
        )
    sized = all(tomogram.pixel_size for tomogram in known.values())
    names = [name for name, poses in particles.items() for _ in range(len(poses))]
    joined = Poses.joined(list(particles.values()))
    for name, poses in particles.items():
        orthonormal(poses.rotations, f"points of {name}")
    columns: dict[str, Any] = {} if set(particles) == {""} else {NAME: np.array(names, object)}
    if coordinates != "centered" and (sized or uncentred):
        if not sized and voxel_spacing is None:
            raise FormatError(
                "Neither the centre of the tomograms nor a pixel size is known.",
                where=", ".join(uncentred[:5]),
                fix="give --tilt-series-pixel-size, --tomograms-star or --voxel-size, or add the tomograms",
            )
        sizes = [float((known[name].pixel_size if sized else voxel_spacing) or 0) for name in names]
        pixels = joined.centres / np.array(sizes, np.float64)[:, None]
        columns |= {label: pixels[:, axis] for axis, label in enumerate(PIXELS)}
    columns |= _angle_columns(joined.rotations, filaments)
    if filaments is not None:
        columns |= _filament_columns(particles, filaments)
    if not uncentred:
        centred = joined.centres - np.array([known[name].centre for name in names], np.float64).reshape(-1, 3)
        columns |= {label: centred[:, axis] for axis, label in enumerate(CENTERED)}
    groups: dict[str, Any] = {}
    if include_optics and sized:
        numbers = {name: number for number, name in enumerate(known, start=1)}
        columns[GROUP] = np.array([numbers[name] for name in names], np.int64)
        groups = _optics(known)
    if filaments is not None and filaments.half_sets:
        columns["rlnRandomSubset"] = tube_halves(names, joined.instance_ids)
    return columns, groups


def _optics(known: Mapping[str, RelionTomogram]) -> dict[str, Any]:
    groups: dict[str, Any] = {
        GROUP: np.arange(1, len(known) + 1),
        "rlnOpticsGroupName": [name or "opticsGroup1" for name in known],
        PIXEL_SIZE: np.array([tomogram.pixel_size for tomogram in known.values()], np.float64),
    }
    for label in _OPTICS:
        values = [(tomogram.optics or {}).get(label) for tomogram in known.values()]
        if all(value is not None for value in values):
            groups[label] = values
    return groups


def _angle_columns(rotations: NDArray[np.float64], filaments: RelionFilaments | None) -> dict[str, Any]:
    if filaments is None or filaments.angles == "pose":
        angles = to_relion_angles(rotations)
        return {label: angles[:, axis] for axis, label in enumerate(ANGLES)}
    return filament_angles(rotations)


def filament_angles(rotations: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Columns of angles for filaments: the subtomogram turned along the filament, the particle by (0, 90, 0)."""
    matrices = np.asarray(rotations, np.float64).reshape(-1, 3, 3)
    frames = to_relion_angles(matrices @ RY90)
    zeros, right = np.zeros(len(matrices)), np.full(len(matrices), 90.0)
    return {
        **{label: frames[:, axis] for axis, label in enumerate(SUBTOMOGRAM)},
        **dict(zip(ANGLES, (zeros, right, zeros), strict=True)),
        "rlnAngleTiltPrior": right,
        "rlnAnglePsiPrior": zeros,
    }


def track_lengths(positions: NDArray[np.float64], instance_ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """``(n,)``: the length in Å along each filament up to each of its points, from 0."""
    places, ids = np.asarray(positions, np.float64).reshape(-1, 3), np.asarray(instance_ids)
    lengths = np.zeros(len(places))
    for tube in np.unique(ids):
        rows = np.flatnonzero(ids == tube)
        lengths[rows[1:]] = np.cumsum(np.linalg.norm(np.diff(places[rows], axis=0), axis=1))
    return lengths


def _filament_columns(particles: Mapping[str, Poses], filaments: RelionFilaments) -> dict[str, Any]:
    tracks, ratios = [], []
    for name, poses in particles.items():
        loose = int((poses.instance_ids < 1).sum())
        if loose:
            raise FormatError(
                f"{loose} of {len(poses)} picks in {name} have no filament ID (instance_id < 1).",
                fix="give them the ids of their filaments, or --filament-columns off",
            )
        tracks.append(track_lengths(poses.centres, poses.instance_ids))
        polar = filaments.polar.get(name)
        ratios.append(np.where(np.zeros(len(poses), np.bool_) if polar is None else polar, 0.0, 0.5))
    joined = Poses.joined(list(particles.values()))
    return {
        TUBE: joined.instance_ids,
        TRACK: np.concatenate(tracks or [np.zeros(0)]),
        "rlnAnglePsiFlipRatio": np.concatenate(ratios or [np.zeros(0)]),
    }


def tube_halves(names: Sequence[str], tubes: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 or 2 for each particle: whole filaments, largest first, each to the half that has fewer particles so far."""
    keys = list(zip(names, tubes.tolist(), strict=True))
    counts: dict[tuple[str, int], int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    loads = {1: 0, 2: 0}
    half = {}
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        half[key] = 1 if loads[1] <= loads[2] else 2
        loads[half[key]] += count
    return np.array([half[key] for key in keys], np.int64)
