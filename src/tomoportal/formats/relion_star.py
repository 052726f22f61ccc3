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
from tomoportal.formats.relion_columns import (
    ANGLES,
    CENTERED,
    IMAGE_PIXEL_SIZE,
    NAME,
    ORIGINS,
    PIXEL_SIZE,
    PIXELS,
    SUBTOMOGRAM,
    particle_pixel_sizes,
)
from tomoportal.formats.rotations import from_relion_angles
from tomoportal.formats.star import StarFile, StarTable

__all__ = [
    "FILTER_COLUMNS",
    "RelionFormat",
    "filter_counts",
    "relion5_points",
    "relion_points",
]

RelionFormat: TypeAlias = Literal["relion3_star", "tomoman_relion_star", "relion4_star"]

FILTER_COLUMNS: dict[str, str] = {
    "relion3_star": "rlnMicrographName",
    "tomoman_relion_star": "rlnTomoName",
    "relion4_star": "rlnTomoName",
}
"""The column that ``filter_value`` is compared with, by format."""

_ORIGINS_IN_PIXELS = ("rlnOriginX", "rlnOriginY", "rlnOriginZ")


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
    table = star.table_with(*PIXELS)
    angles = ANGLES if shape == "OrientedPoint" else ()
    origins, in_angstrom = _origin_columns(table, format)
    _require(table, angles, f"an {shape}")
    texts = [FILTER_COLUMNS[format]] if filter_value is not None else []
    _require(table, texts, f"filter_value ({format})")
    turns = _subtomogram_angles(table) if format == "relion4_star" else ()
    table.load(*PIXELS, *origins, *angles, *texts, *turns)

    rows = np.arange(len(table)) if filter_value is None else table.rows_with(FILTER_COLUMNS[format], filter_value)
    subtomograms = from_relion_angles(_columns(table, turns, rows)) if turns else None
    locations = _columns(table, PIXELS, rows)
    if origins:
        shift = _turned(subtomograms, _columns(table, origins, rows))
        if in_angstrom:
            unbinned = format == "relion4_star" and any(PIXEL_SIZE in one for one in star.tables)
            name = PIXEL_SIZE if unbinned else IMAGE_PIXEL_SIZE
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
    if not any(CENTERED[0] in table for table in star.tables):
        raise FormatError(
            f"No table has {CENTERED[0]}: the positions are not RELION 5's.",
            where=star.name,
            fix="Use relion4_star for rlnCoordinateX in pixels.",
        )
    table = star.table_with(*CENTERED)
    angles = ANGLES if shape == "OrientedPoint" else ()
    _require(table, angles, f"an {shape}")
    _require(table, [NAME] if filter_value is not None else [], "filter_value (relion5_star)")
    turns = _subtomogram_angles(table)
    origins = ORIGINS if any(column in table for column in ORIGINS) else ()
    _require(table, origins, "an origin")
    table.load(*CENTERED, *angles, *origins, *turns)

    rows = np.arange(len(table)) if filter_value is None else table.rows_with(NAME, filter_value)
    locations = _columns(table, CENTERED, rows) + np.asarray(tomogram_size, np.float64) / 2 * pixel_size
    subtomograms = from_relion_angles(_columns(table, turns, rows)) if turns else None
    if origins:
        locations = locations - _turned(subtomograms, _columns(table, origins, rows))
    if not angles:
        return AngstromPoints(locations)
    particles = from_relion_angles(_columns(table, angles, rows))
    return AngstromPoints(locations, particles if subtomograms is None else subtomograms @ particles)


def filter_counts(star: StarFile, format: RelionFormat) -> dict[str, int]:
    """How many particles each value of the format's filter column has; empty if there is no such column."""
    table = star.table_with(*PIXELS)
    column = FILTER_COLUMNS[format]
    return table.counts(column) if column in table else {}


def _origin_columns(table: StarTable, format: RelionFormat) -> tuple[tuple[str, ...], bool]:
    """The origin columns that are there, all three or none, and whether they are in Å."""
    candidates = (ORIGINS, _ORIGINS_IN_PIXELS) if format == "relion4_star" else (_ORIGINS_IN_PIXELS, ORIGINS)
    for columns in candidates:
        present = [column for column in columns if column in table]
        if present:
            _require(table, columns, "an origin")
            return columns, columns is ORIGINS
    return (), False


def _subtomogram_angles(table: StarTable) -> tuple[str, ...]:
    """The columns of the angles of subtomograms, all three or none."""
    present = any(column in table for column in SUBTOMOGRAM)
    _require(table, SUBTOMOGRAM if present else (), "the angles of subtomograms")
    return SUBTOMOGRAM if present else ()


def _turned(subtomograms: NDArray[np.float64] | None, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Origins (n, 3) from the axes of the subtomograms in those of the tomogram."""
    return shift if subtomograms is None else np.einsum("nij,nj->ni", subtomograms, shift)


def _columns(table: StarTable, names: tuple[str, ...], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.stack([table.numbers(name)[rows] for name in names], axis=1)


def _require(table: StarTable, columns: tuple[str, ...] | list[str], purpose: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise FormatError(
            f"For {purpose} the table data_{table.name} needs {', '.join(missing)}; it has {', '.join(table.columns)}.",
            where=f"{table.source}:{table.line}",
        )
