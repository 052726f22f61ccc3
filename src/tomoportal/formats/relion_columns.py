"""Labels of RELION's particle tables, and the pixel size of each particle."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.star import StarFile, StarTable

__all__ = [
    "ANGLES",
    "CENTERED",
    "GROUP",
    "IMAGE_PIXEL_SIZE",
    "NAME",
    "ORIGINS",
    "PIXELS",
    "PIXEL_SIZE",
    "SUBTOMOGRAM",
    "TRACK",
    "TUBE",
    "particle_pixel_sizes",
]

PIXELS: Final = ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ")
CENTERED: Final = ("rlnCenteredCoordinateXAngst", "rlnCenteredCoordinateYAngst", "rlnCenteredCoordinateZAngst")
ORIGINS: Final = ("rlnOriginXAngst", "rlnOriginYAngst", "rlnOriginZAngst")
ANGLES: Final = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
SUBTOMOGRAM: Final = ("rlnTomoSubtomogramRot", "rlnTomoSubtomogramTilt", "rlnTomoSubtomogramPsi")
PIXEL_SIZE: Final = "rlnTomoTiltSeriesPixelSize"
IMAGE_PIXEL_SIZE: Final = "rlnImagePixelSize"
"""Of the subtomograms as they are binned."""
NAME: Final = "rlnTomoName"
GROUP: Final = "rlnOpticsGroup"
TUBE: Final = "rlnHelicalTubeID"
TRACK: Final = "rlnHelicalTrackLengthAngst"


def particle_pixel_sizes(
    star: StarFile, table: StarTable, rows: NDArray[np.intp], name: str = IMAGE_PIXEL_SIZE
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
    if GROUP not in table or GROUP not in optics:
        if len(np.unique(sizes)) == 1:
            return np.full(len(rows), sizes[0])
        raise FormatError(
            f"There are {len(sizes)} optics groups, but no {GROUP} to tell which particle is of which.",
            where=star.name,
        )
    groups = optics.numbers(GROUP)
    if len(np.unique(groups)) < len(groups):
        raise FormatError("An optics group occurs twice.", where=f"{star.name}:{optics.line}")
    wanted = table.numbers(GROUP)[rows]
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
