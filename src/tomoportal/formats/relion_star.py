"""Particles of RELION star files (3.0, 3.1, 4, 5) as points.

Positions are rlnCoordinate − origin, in the pixels of the coordinates: rlnOrigin (RELION 3.0) is in pixels,
rlnOriginAngst (since 3.1) in Å and divided by the pixel size of the particle's own optics group (F33). Missing origins
are 0. Rotations: :mod:`tomoportal.formats.rotations`.

RELION 4 counts coordinates in unbinned pixels of the tilt series, whatever the binning of the subtomograms; so its
origins are divided by rlnTomoTiltSeriesPixelSize. rlnImagePixelSize is that of the binned subtomograms: it serves where
a file has nothing else, as those of RELION 3.1. A particle may be turned twice: with S the matrix of the
rlnTomoSubtomogram angles and P that of the rlnAngle ones, R = S·P and position = coordinate − S·origin (RELION 4,
``ParticleSet::getPosition`` and ``getMatrix3x3``). The 1 that RELION 4 adds to positions is a matter of its projection
matrices, and gone in RELION 5.

RELION 5 gives positions in Å from the centre of the tomogram (rlnCenteredCoordinate…Angst), the centre being half of
its unbinned size; otherwise they are those of RELION 4.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.points import AngstromPoints, VoxelPoints, axis_order, divided
from tomoportal.formats.rotations import from_relion_angles
from tomoportal.formats.star import StarFile, StarTable

__all__ = [
    "FILTER_COLUMNS",
    "RelionFormat",
    "filter_counts",
    "particle_pixel_sizes",
    "relion5_points",
    "relion_points",
    "relion_tomograms",
]

RelionFormat: TypeAlias = Literal["relion3_star", "tomoman_relion_star", "relion4_star"]

FILTER_COLUMNS: dict[str, str] = {
    "relion3_star": "rlnMicrographName",
    "tomoman_relion_star": "rlnTomoName",
    "relion4_star": "rlnTomoName",
}
"""The column that ``filter_value`` is compared with, by format."""

_COORDINATES = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
_ORIGINS = ("rlnOriginX", "rlnOriginY", "rlnOriginZ")
_ORIGINS_ANGST = ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")
_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
_CENTERED = ("rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst")
_SUBTOMOGRAM_ANGLES = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")
_TOMOGRAM = "rlnTomoName"
_GROUP = "rlnOpticsGroup"
_PIXEL_SIZE = "rlnImagePixelSize"
_TILT_SERIES_PIXEL_SIZE = "rlnTomoTiltSeriesPixelSize"


def relion_points(
    star: StarFile,
    *,
    format: RelionFormat,
    shape: Literal["Point", "OrientedPoint"],
    filter_value: str | None = None,
    binning: float = 1.0,
    order: str = "xyz",
) -> VoxelPoints:
    """Particles of one tomogram (all of them without ``filter_value``) in voxels, coordinates divided by ``binning``.

    The same ``StarFile`` serves every run: its columns are parsed once. A filter that matches nothing gives no points;
    ``filter_counts`` says what the column holds instead. Raises ``FormatError`` for missing columns (angles only
    for ``OrientedPoint``), a particle of an unknown optics group and values that are no numbers.
    """
    order = axis_order(order)
    table = star.table_with(*_COORDINATES)
    angles = _ANGLES if shape == "OrientedPoint" else ()
    origins, in_angstrom = _origin_columns(table, format)
    _require(table, angles, f"an {shape}")
    texts = [FILTER_COLUMNS[format]] if filter_value is not None else []
    _require(table, texts, f"filter_value ({format})")
    turns = _subtomogram_angles(table) if format == "relion4_star" else ()
    table.load(*_COORDINATES, *origins, *angles, *texts, *turns)

    rows = np.arange(len(table)) if filter_value is None else table.rows_with(FILTER_COLUMNS[format], filter_value)
    subtomograms = from_relion_angles(_columns(table, turns, rows)) if turns else None
    locations = _columns(table, _COORDINATES, rows)
    if origins:
        shift = _turned(subtomograms, _columns(table, origins, rows))
        if in_angstrom:
            unbinned = format == "relion4_star" and any(_TILT_SERIES_PIXEL_SIZE in one for one in star.tables)
            name = _TILT_SERIES_PIXEL_SIZE if unbinned else _PIXEL_SIZE
            shift = shift / particle_pixel_sizes(star, table, rows, name)[:, np.newaxis]
        locations = locations - shift
    rotations = None
    if angles:
        particles = from_relion_angles(_columns(table, angles, rows))
        rotations = particles if subtomograms is None else subtomograms @ particles
    points = VoxelPoints(divided(locations, binning), rotations)
    return points.with_axes_reversed() if order == "zyx" else points


def relion5_points(
    star: StarFile,
    *,
    shape: Literal["Point", "OrientedPoint"],
    tomogram_size: tuple[float, float, float],
    pixel_size: float,
    filter_value: str | None = None,
) -> AngstromPoints:
    """Particles of one tomogram (rlnTomoName is ``filter_value``; all without one) in Å from its first voxel.

    ``tomogram_size`` (x, y, z) and ``pixel_size`` in Å belong together: RELION's are the unbinned size and the pixel
    size of the tilt series. Raises ``FormatError`` for missing columns and values that are no numbers.
    """
    if not (np.isfinite(pixel_size) and pixel_size > 0 and np.isfinite(tomogram_size).all()):
        raise FormatError(f"A tomogram of {tomogram_size} pixels of {pixel_size} Å is not possible.", where=star.name)
    if not any(_CENTERED[0] in table for table in star.tables):
        raise FormatError(
            f"No table has {_CENTERED[0]}: the positions are not RELION 5's.",
            where=star.name,
            fix="Use relion4_star for rlnCoordinateX in pixels.",
        )
    table = star.table_with(*_CENTERED)
    angles = _ANGLES if shape == "OrientedPoint" else ()
    _require(table, angles, f"an {shape}")
    _require(table, [_TOMOGRAM] if filter_value is not None else [], "filter_value (relion5_star)")
    turns = _subtomogram_angles(table)
    origins = _ORIGINS_ANGST if any(column in table for column in _ORIGINS_ANGST) else ()
    _require(table, origins, "an origin")
    table.load(*_CENTERED, *angles, *origins, *turns)

    rows = np.arange(len(table)) if filter_value is None else table.rows_with(_TOMOGRAM, filter_value)
    locations = _columns(table, _CENTERED, rows) + np.asarray(tomogram_size, np.float64) / 2 * pixel_size
    subtomograms = from_relion_angles(_columns(table, turns, rows)) if turns else None
    if origins:
        locations = locations - _turned(subtomograms, _columns(table, origins, rows))
    if not angles:
        return AngstromPoints(locations)
    particles = from_relion_angles(_columns(table, angles, rows))
    return AngstromPoints(locations, particles if subtomograms is None else subtomograms @ particles)


def relion_tomograms(star: StarFile) -> dict[str, tuple[tuple[float, float, float], float]]:
    """Unbinned size (x, y, z) in pixels and pixel size in Å of every tomogram of a ``tomograms.star``."""
    columns = ("rlnTomoSizeX", "rlnTomoSizeY", "rlnTomoSizeZ", "rlnTomoTiltSeriesPixelSize")
    table = star.table_with(_TOMOGRAM, *columns)
    x, y, z, pixel = (table.numbers(column).tolist() for column in columns)
    return {name: ((x[row], y[row], z[row]), pixel[row]) for row, name in enumerate(table.text(_TOMOGRAM))}


def filter_counts(star: StarFile, format: RelionFormat) -> dict[str, int]:
    """How many particles each value of the format's filter column has; empty if there is no such column."""
    table = star.table_with(*_COORDINATES)
    column = FILTER_COLUMNS[format]
    return table.counts(column) if column in table else {}


def _origin_columns(table: StarTable, format: RelionFormat) -> tuple[tuple[str, ...], bool]:
    """The origin columns that are there, all three or none, and whether they are in Å."""
    candidates = (_ORIGINS_ANGST, _ORIGINS) if format == "relion4_star" else (_ORIGINS, _ORIGINS_ANGST)
    for columns in candidates:
        present = [column for column in columns if column in table]
        if present:
            _require(table, columns, "an origin")
            return columns, columns is _ORIGINS_ANGST
    return (), False


def _subtomogram_angles(table: StarTable) -> tuple[str, ...]:
    """The columns of the angles of subtomograms, all three or none."""
    present = any(column in table for column in _SUBTOMOGRAM_ANGLES)
    _require(table, _SUBTOMOGRAM_ANGLES if present else (), "the angles of subtomograms")
    return _SUBTOMOGRAM_ANGLES if present else ()


def _turned(subtomograms: NDArray[np.float64] | None, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Origins (n, 3) from the axes of the subtomograms in those of the tomogram."""
    return shift if subtomograms is None else np.einsum("nij,nj->ni", subtomograms, shift)


def particle_pixel_sizes(
    star: StarFile, table: StarTable, rows: NDArray[np.intp], name: str = _PIXEL_SIZE
) -> NDArray[np.float64]:
    """Å per pixel of the particles in ``rows``: the column ``name`` of each one's optics group."""
    optics = next((one for one in star.tables if one is not table and name in one), None)
    if optics is None:
        if name in table:  # files of some converters hold everything in one table
            return _positive(table, name)[rows]
        raise FormatError(
            f"Origins in Å need {name}, which no table has.",
            where=star.name,
            fix="Give a file with its data_optics block.",
        )
    sizes = _positive(optics, name)
    if _GROUP not in table or _GROUP not in optics:
        if len(np.unique(sizes)) == 1:
            return np.full(len(rows), sizes[0])
        raise FormatError(
            f"There are {len(sizes)} optics groups, but no {_GROUP} to tell which particle is of which.",
            where=star.name,
        )
    groups = optics.numbers(_GROUP)
    if len(np.unique(groups)) < len(groups):
        raise FormatError("An optics group occurs twice.", where=f"{star.name}:{optics.line}")
    wanted = table.numbers(_GROUP)[rows]
    unknown = ~np.isin(wanted, groups)
    if unknown.any():
        first = int(np.argmax(unknown))
        raise FormatError(
            f"Optics group {wanted[first]:g} is not in the optics table.", where=table.where(int(rows[first]))
        )
    order = np.argsort(groups)
    by_group: NDArray[np.float64] = sizes[order][np.searchsorted(groups, wanted, sorter=order)]
    return by_group


def _positive(table: StarTable, name: str) -> NDArray[np.float64]:
    sizes = table.numbers(name)
    if len(sizes) and not (sizes > 0).all():
        raise FormatError(f"{name} is not above 0.", where=table.where(int(np.argmin(sizes))))
    return sizes


def _columns(table: StarTable, names: tuple[str, ...], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.stack([table.numbers(name)[rows] for name in names], axis=1)


def _require(table: StarTable, columns: tuple[str, ...] | list[str], purpose: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise FormatError(
            f"For {purpose} the table data_{table.name} needs {', '.join(missing)}; it has {', '.join(table.columns)}.",
            where=f"{table.source}:{table.line}",
        )
