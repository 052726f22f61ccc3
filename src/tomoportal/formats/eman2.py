"""Particles of EMAN2's tomography ``_info.json``: ``boxes_3d`` of x, y, z, method, score, class.

With ``apix_unbin`` in the file coordinates are unbinned pixels from the centre of the tomogram, whose coordinate is
half its size (EMAN2's e2spt_tempmatch and e2spt_boxer); files without it, from before 2019, hold voxels from the
corner. Orientations are not part of the file.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.point_selection import Selectable, parse_conditions, selected
from tomoportal.formats.points import VoxelPoints

__all__ = ["eman2_points"]


class _Class(msgspec.Struct):
    name: str | int = ""


class _Info(msgspec.Struct):
    boxes_3d: list[list[float | int | str | None]] | None = None
    class_list: dict[str, _Class] = {}
    apix_unbin: float | None = None


def eman2_points(
    data: bytes,
    name: str,
    *,
    tomogram_size: tuple[int, int, int] | None = None,
    voxel_spacing: float | None = None,
    filter_value: str | None = None,
) -> VoxelPoints:
    """Box centres in voxels of a tomogram of ``tomogram_size`` (x, y, z) voxels and ``voxel_spacing`` in Å.

    ``filter_value`` is the name of a class (or ``class=0``, ``score>=4``); without one all boxes are taken. Both sizes
    are needed for files with ``apix_unbin``. Raises ``FormatError`` for anything else than an info file with boxes.
    """
    try:
        info = msgspec.json.decode(data, type=_Info)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"This is no info file of EMAN2: {error}.", where=name) from error
    if info.boxes_3d is None:
        raise FormatError("The info file has no boxes_3d.", where=name)
    locations, scores, classes, names = [], [], [], []
    for number, box in enumerate(info.boxes_3d, start=1):
        x, y, z = (_number(value) for value in (*box[:3], *[None] * (3 - len(box))))
        score = _number(box[4]) if len(box) > 4 else 0.0
        kind = _number(box[5]) if len(box) > 5 else 0.0
        if x is None or y is None or z is None or kind is None or kind != int(kind):
            raise FormatError(f"Box {number} is not x, y, z, method, score, class.", where=name)
        locations.append((x, y, z))
        scores.append(np.nan if score is None else score)
        classes.append(kind)
        entry = info.class_list.get(str(int(kind)))
        names.append("" if entry is None else str(entry.name))
    columns: dict[str, Selectable] = {
        "name": names,
        "class": np.array(classes, np.float64),
        "score": np.array(scores, np.float64),
    }
    conditions = parse_conditions(filter_value, default="name")
    rows = selected(conditions, columns, len(names), name)
    return VoxelPoints(
        _voxels(np.array(locations, np.float64).reshape(-1, 3), info, name, tomogram_size, voxel_spacing)[rows]
    )


def _voxels(
    locations: NDArray[np.float64],
    info: _Info,
    name: str,
    tomogram_size: tuple[int, int, int] | None,
    voxel_spacing: float | None,
) -> NDArray[np.float64]:
    if info.apix_unbin is None:
        return locations
    if not (np.isfinite(info.apix_unbin) and info.apix_unbin > 0):
        raise FormatError(f"apix_unbin is {info.apix_unbin}, not a pixel size.", where=name)
    if tomogram_size is None or voxel_spacing is None or not voxel_spacing > 0:
        raise FormatError(
            "The boxes are given from the centre of the tomogram, whose size and voxel spacing are not known.",
            where=name,
            fix="Ingest the tomogram of this run and spacing with the annotation, or before it.",
        )
    return locations * (info.apix_unbin / voxel_spacing) + np.asarray(tomogram_size, np.float64) / 2


def _number(value: float | int | str | None) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if np.isfinite(number) else None
