"""Lists of tilt angles: ``.rawtlt``, ``.tlt``, ``.xtilt`` — one number of degrees per line, one line per section."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError

__all__ = ["read_tilt_angles", "write_tilt_angles"]


def read_tilt_angles(data: bytes, name: str) -> NDArray[np.float64]:
    """Angles (n,) in degrees, in the order of the stack's sections.

    Blank lines and ``#`` comments are skipped. Raises ``FormatError`` with the line number of anything but one number
    between −180 and 180, and for a list without angles.
    """
    angles = []
    for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            angle = float(text) if "_" not in text else math.nan
        except ValueError:
            angle = math.nan
        if not abs(angle) <= 180:
            raise FormatError(
                f"{text[:40]!r} is not one angle between -180 and 180 degrees.",
                where=f"{name}:{number}",
                fix="A list of tilt angles has one number on each line.",
            )
        angles.append(angle)
    if not angles:
        raise FormatError("The list holds no tilt angle.", where=name)
    return np.array(angles, np.float64)


def write_tilt_angles(angles: Iterable[float]) -> bytes:
    """The list in IMOD's layout (width 7, two decimals); with all decimals where two would lose any."""
    values = [float(angle) for angle in angles]
    short = all(round(angle, 2) == angle for angle in values)
    return "".join(f"{angle:7.2f}\n" if short else f"{angle!r}\n" for angle in values).encode("ascii")
