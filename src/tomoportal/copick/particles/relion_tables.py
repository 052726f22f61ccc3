"""Tables of RELION for picks of several runs, and what a tomograms.star says (``copick.util.formats``).

The same columns are written for every run: centred coordinates where the centre of every tomogram is known, pixels of
the tilt series where the pixel size of every one is, pixels of the tomogram only where neither is (reference
copick-model, 20).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from tomoportal.copick.logs import get_logger
from tomoportal.copick.particles import index_maps
from tomoportal.copick.particles.data_frames import pandas
from tomoportal.copick.particles.handlers import put_file
from tomoportal.copick.particles.relion_frames import (
    COORDINATES,
    FILAMENT_ANGLES,
    HALF_SETS,
    Center,
    build_relion_particles_df,
    check_relion_coordinates,
    check_relion_filament_options,
    filament_half_sets,
)
from tomoportal.copick.particles.relion_rows import RelionTomogram
from tomoportal.copick.particles.star_tables import star_bytes, write_star_particles
from tomoportal.errors import AnnotationError, FormatError
from tomoportal.formats.relion_columns import GROUP, NAME, PIXEL_SIZE
from tomoportal.formats.star import StarFile, StarTable, read_star

__all__ = [
    "RELION_COORDINATE_MODES",
    "RELION_FILAMENT_ANGLE_MODES",
    "RELION_HALF_SET_MODES",
    "RELION_IMPORT_INDEX_BLOCK",
    "build_relion_star_tables",
    "read_relion5_tomogram_centers",
    "read_relion_tomograms",
    "read_relion_tomograms_star",
    "write_relion_import_bundle",
    "write_star_particles_grouped",
]

RELION_COORDINATE_MODES: Final = COORDINATES
RELION_FILAMENT_ANGLE_MODES: Final = FILAMENT_ANGLES
RELION_HALF_SET_MODES: Final = HALF_SETS
RELION_IMPORT_INDEX_BLOCK: Final = "coordinate_files"
"""The table of an index of RELION's import of coordinates."""

ByRun = Mapping[str | None, Any]


# --- in


def read_relion_tomograms(tomograms_star_path: str) -> dict[str, RelionTomogram]:
    """Name → centre, pixel size and optics of a tomogram, from a tomograms.star."""

    def number(value: Any) -> float | None:
        return float(value) if value is not None else None

    found = {}
    for name, each in index_maps.read_relion_tomograms(tomograms_star_path).items():
        assert each.centre is not None  # both are there, or reading has failed
        assert each.pixel_size is not None
        optics = each.optics or {}
        found[name] = RelionTomogram(
            name,
            each.centre,
            each.pixel_size,
            number(optics.get("rlnVoltage")),
            number(optics.get("rlnSphericalAberration")),
            number(optics.get("rlnAmplitudeContrast")),
        )
    return found


def read_relion5_tomogram_centers(tomograms_star_path: str) -> dict[str, Center]:
    """Name → centre of a tomogram, x, y, z in Å, from a tomograms.star."""
    return {name: each.center_angstrom for name, each in read_relion_tomograms(tomograms_star_path).items()}


def read_relion_tomograms_star(
    path: str, half: str = "half1", base_dir: str | None = None
) -> dict[str, tuple[str, float]]:
    """Name → file and voxel size (Å) of a reconstruction, from a tomograms.star.

    ``half`` is half1 or half2; relative paths start at ``base_dir``, the folder of RELION's project. Raises
    :class:`FormatError` for what the file does not say.
    """
    if base_dir is None:
        raise AnnotationError("base_dir is required: paths in STAR files of RELION start at its project's folder.")
    if half.lower() not in ("half1", "half2"):
        raise AnnotationError(f"Invalid half '{half}'. Must be 'half1' or 'half2'.")
    table = _global(read_star(index_maps.read_bytes(Path(path)), Path(path).name))
    pixel = next((each for each in (PIXEL_SIZE, "rlnMicrographOriginalPixelSize") if each in table), PIXEL_SIZE)
    file = f"rlnTomoReconstructedTomogramHalf{half[-1]}"
    for column in (NAME, "rlnTomoTomogramBinning", pixel, file):
        if column not in table:
            raise FormatError(f"Column '{column}' not found in tomograms.star file", where=f"{path}:{table.line}")
    sizes = (table.numbers(pixel) * table.numbers("rlnTomoTomogramBinning")).tolist()
    found: dict[str, tuple[str, float]] = {}
    for row, (name, place, size) in enumerate(zip(table.text(NAME), table.text(file), sizes, strict=True)):
        if name in found:
            raise FormatError(f"Duplicate run name '{name}' in tomograms.star file", where=table.where(row))
        found[name] = (os.path.join(os.path.abspath(base_dir), place), size)
    return found


def _global(star: StarFile) -> StarTable:
    found = star.table("global") or next(iter(star.tables), None)
    if found is None:
        raise FormatError("the file has no table", where=star.name)
    return found


# --- out


def build_relion_star_tables(
    runs: Mapping[str | None, Any],
    *,
    voxel_spacing: float | None = None,
    tomogram_centers: ByRun | None = None,
    tilt_series_pixel_size: float | ByRun | None = None,
    tomograms: Mapping[str, RelionTomogram] | None = None,
    include_optics: bool = True,
    instance_ids: ByRun | None = None,
    filament: bool = False,
    polarity_known: Any = False,
    coordinates: str = "auto",
    filament_angles: Literal["frame", "pose"] = "frame",
    half_sets: Literal["filament"] | None = None,
) -> tuple[Any, Any]:
    """Frames of the particles and of the optics (or None), from run → (positions in Å, transformations).

    The run None writes no name of a tomogram. Entries of ``tomograms`` count before centres, given pixel sizes before
    those of ``tomograms``. Optics are written where every pixel size is known, one group per run. Raises
    :class:`AnnotationError` where ``coordinates="centered"`` lacks a centre.
    """
    check_relion_coordinates(coordinates)
    check_relion_filament_options(filament_angles, half_sets)
    known = {name: (tomograms or {}).get(name) if name is not None else None for name in runs}
    centers = {n: t.center_angstrom if t is not None else (tomogram_centers or {}).get(n) for n, t in known.items()}
    sizes = {name: _pixel_size(name, tilt_series_pixel_size, tomogram) for name, tomogram in known.items()}
    uncentred = sorted(str(name) for name, center in centers.items() if center is None)
    unsized = sorted(str(name) for name, size in sizes.items() if size is None)
    if coordinates == "centered" and uncentred:
        raise AnnotationError(
            f"No tomogram center for {len(uncentred)} run(s): {', '.join(uncentred)}.",
            fix="give a tomograms.star or centres, or add the tomograms to the project",
        )
    if unsized and len(unsized) < len(sizes):
        get_logger("tomoportal.copick").warning(
            "the pixel size of the tilt series of %s is unknown: neither pixels nor optics are written for any run",
            ", ".join(unsized),
        )
    package, frames, optics = pandas(), [], []
    for number, (name, (positions, transforms)) in enumerate(runs.items(), start=1):
        frame = build_relion_particles_df(
            positions,
            transforms,
            tomo_name=name,
            tomogram_center=centers[name] if not uncentred else None,
            tilt_series_pixel_size=sizes[name] if not unsized else None,
            legacy_voxel_spacing=voxel_spacing if uncentred and unsized else None,
            instance_ids=(instance_ids or {}).get(name),
            filament=filament,
            polarity_known=polarity_known.get(name, False) if isinstance(polarity_known, Mapping) else polarity_known,
            coordinates=coordinates,
            filament_angles=filament_angles,
        )
        if include_optics and not unsized:
            frame[GROUP] = number
            optics.append(_optics_group(number, name or "opticsGroup1", sizes[name] or 0.0, known[name]))
        frames.append(frame)
    particles = package.concat(frames, ignore_index=True) if frames else package.DataFrame()
    if half_sets is not None and len(particles):
        particles["rlnRandomSubset"] = filament_half_sets(particles)
    return particles, package.DataFrame(optics) if optics else None


def _pixel_size(name: str | None, given: float | ByRun | None, tomogram: RelionTomogram | None) -> float | None:
    size = given.get(name) if isinstance(given, Mapping) else given
    return tomogram.tilt_series_pixel_size if size is None and tomogram is not None else size


def _optics_group(number: int, name: str, pixel_size: float, tomogram: RelionTomogram | None) -> dict[str, Any]:
    found: dict[str, Any] = {GROUP: number, "rlnOpticsGroupName": name, PIXEL_SIZE: float(pixel_size)}
    more = {
        "rlnVoltage": tomogram.voltage if tomogram is not None else None,
        "rlnSphericalAberration": tomogram.spherical_aberration if tomogram is not None else None,
        "rlnAmplitudeContrast": tomogram.amplitude_contrast if tomogram is not None else None,
    }
    return {**found, **{label: float(value) for label, value in more.items() if value is not None}}


def write_star_particles_grouped(
    path: str,
    grouped_data: Mapping[str, Any],
    voxel_spacing: float | None = None,
    optics_group: Any = None,
    *,
    tomogram_centers: ByRun | None = None,
    tilt_series_pixel_size: float | ByRun | None = None,
    tomograms: Mapping[str, RelionTomogram] | None = None,
    include_optics: bool = True,
    instance_ids: ByRun | None = None,
    filament: bool = False,
    polarity_known: Any = False,
    coordinates: str = "auto",
    filament_angles: Literal["frame", "pose"] = "frame",
    half_sets: Literal["filament"] | None = None,
) -> None:
    """One file of several runs, from run → (positions, transformations, scores); the rest as in
    :func:`build_relion_star_tables`. ``optics_group`` is not looked at, and says so."""
    if optics_group is not None:
        warnings.warn("optics_group is ignored: the pixel sizes make the optics.", DeprecationWarning, stacklevel=2)
    tables = build_relion_star_tables(
        {run: (positions, transforms) for run, (positions, transforms, *_) in grouped_data.items()},
        voxel_spacing=voxel_spacing,
        tomogram_centers=tomogram_centers,
        tilt_series_pixel_size=tilt_series_pixel_size,
        tomograms=tomograms,
        include_optics=include_optics,
        instance_ids=instance_ids,
        filament=filament,
        polarity_known=polarity_known,
        coordinates=coordinates,
        filament_angles=filament_angles,
        half_sets=half_sets,
    )
    write_star_particles(path, *tables)


def write_relion_import_bundle(
    index_path: str, particles: Any, *, coordinates_dir: str | None = None
) -> tuple[str, dict[str, str]]:
    """A frame of particles as the input of RELION's import of coordinates: an index, and a file for each tomogram.

    The files lie in ``coordinates`` beside the index unless a folder is given, and are named in the index as that
    folder is written, with forward slashes. Returns the index and tomogram → file. The index is written last. Raises
    :class:`AnnotationError` for particles without tomograms and names that no file can have.
    """
    folder = os.path.join(os.path.dirname(index_path), "coordinates") if coordinates_dir is None else coordinates_dir
    table = particles.drop(columns=[GROUP], errors="ignore")
    if len(table) and NAME not in table.columns:
        raise AnnotationError(f"The particle table has no {NAME}, which an import-coordinates index needs.")
    names = table[NAME].astype(str) if len(table) else []
    unique = list(dict.fromkeys(names))
    for name in unique:
        if name in ("", ".", "..") or "/" in name or os.sep in name or "\0" in name:
            raise AnnotationError(f"Run name {name!r} cannot name a coordinate file.", fix="rename the run")
    files = {}
    for name in unique:
        place = os.path.join(folder, f"{name}.star")
        put_file(place, star_bytes({"particles": table[names == name]}))
        files[name] = place.replace(os.sep, "/")
    index = pandas().DataFrame({NAME: list(files), "rlnTomoImportParticleFile": list(files.values())})
    put_file(index_path, star_bytes({RELION_IMPORT_INDEX_BLOCK: index}))
    return index_path, files
