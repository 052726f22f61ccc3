"""Particles of Warp, WarpTools and M star files.

M's species files (``wrpCoordinateX1 …``, ``wrpAngleRot1 …``) hold Å from the lower corner of the volume; of a
trajectory over the exposure the first position counts. Warp's and WarpTools' own exports use RELION's labels with
positions in pixels of the exported images, rlnImagePixelSize in Å of the particle's optics group (in Warp 1
rlnDetectorPixelSize · 10⁴ / rlnMagnification). Angles are RELION's in both.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.points import AngstromPoints, Points, VoxelPoints
from tomoportal.formats.relion_columns import particle_pixel_sizes
from tomoportal.formats.rotations import from_relion_angles
from tomoportal.formats.star import StarFile, StarTable

__all__ = ["warp_counts", "warp_points"]

_NAMES = ("wrpSourceName", "rlnTomoName", "rlnMicrographName")
_PIXEL_SIZE = "rlnImagePixelSize"


def warp_points(star: StarFile, *, shape: Literal["Point", "OrientedPoint"], filter_value: str | None = None) -> Points:
    """Particles of one tomogram (wrpSourceName, rlnTomoName or rlnMicrographName is ``filter_value``; else all).

    In Å wherever the file tells the pixel size, in voxels otherwise. Raises ``FormatError`` for missing columns and
    values that are no numbers.
    """
    table, position, angle = _labels(star)
    angles = tuple(angle.format(angle=name) for name in ("Rot", "Tilt", "Psi")) if shape == "OrientedPoint" else ()
    positions = tuple(position.format(axis=axis) for axis in "XYZ")
    missing = [column for column in (*positions, *angles) if column not in table]
    if missing:
        raise FormatError(f"The particles lack {', '.join(missing)}.", where=f"{star.name}:{table.line}")
    table.load(*positions, *angles)
    rows = np.arange(len(table))
    if filter_value is not None:
        rows = table.rows_with(_name_column(table), filter_value)
    locations = _columns(table, positions, rows)
    rotations = from_relion_angles(_columns(table, angles, rows)) if angles else None
    if position.startswith("wrp"):
        return AngstromPoints(locations, rotations)
    sizes = _pixel_sizes(star, table, rows)
    if sizes is None:
        return VoxelPoints(locations, rotations)
    origins = tuple(f"rlnOrigin{axis}Angst" for axis in "XYZ")
    shift = _columns(table, origins, rows) if all(origin in table for origin in origins) else 0.0
    return AngstromPoints(locations * sizes[:, np.newaxis] - shift, rotations)


def warp_counts(star: StarFile) -> dict[str, int]:
    """How many particles each tomogram has."""
    table = _labels(star)[0]
    column = next((name for name in _NAMES if name in table), None)
    return table.counts(column) if column else {}


def _labels(star: StarFile) -> tuple[StarTable, str, str]:
    """The table of particles and the patterns of its labels."""
    for position, angle in (
        ("wrpCoordinate{axis}1", "wrpAngle{angle}1"),
        ("wrpCoordinate{axis}", "wrpAngle{angle}"),
        ("rlnCoordinate{axis}", "rlnAngle{angle}"),
    ):
        if any(position.format(axis="X") in table for table in star.tables):
            return star.table_with(*(position.format(axis=axis) for axis in "XYZ")), position, angle
    raise FormatError("No table has wrpCoordinateX1, wrpCoordinateX or rlnCoordinateX.", where=star.name)


def _name_column(table: StarTable) -> str:
    column = next((name for name in _NAMES if name in table), None)
    if column is None:
        raise FormatError(
            f"The particles do not say their tomogram ({', '.join(_NAMES)}).", where=f"{table.source}:{table.line}"
        )
    return column


def _pixel_sizes(star: StarFile, table: StarTable, rows: NDArray[np.intp]) -> NDArray[np.float64] | None:
    if any(_PIXEL_SIZE in one for one in star.tables):
        return particle_pixel_sizes(star, table, rows)
    if "rlnDetectorPixelSize" in table and "rlnMagnification" in table:
        detector, magnification = table.numbers("rlnDetectorPixelSize")[rows], table.numbers("rlnMagnification")[rows]
        if not ((detector > 0).all() and (magnification > 0).all()):
            raise FormatError("A pixel size or magnification is not above 0.", where=f"{star.name}:{table.line}")
        return np.asarray(detector * 1e4 / magnification)
    return None


def _columns(table: StarTable, names: tuple[str, ...], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.stack([table.numbers(name)[rows] for name in names], axis=1)
