"""Objects of DeepFinder lists (``<objlist>``): voxels numbered from 0 as in its arrays, one class label per object.

Angles, where the list has them, follow R = Rz(psi)·Rx(the)·Rz(phi), as in the SHREC data that DeepFinder learnt from.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.point_selection import Selectable, parse_conditions, selected
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.rotations import from_zxz_angles
from tomoportal.formats.rows import whole
from tomoportal.formats.xml_attributes import Attributes, read_elements

__all__ = ["deepfinder_points"]

_SELECTABLE = ("class_label", "tomo_idx", "cluster_size", "score", "obj_id")


def deepfinder_points(
    data: bytes,
    name: str,
    *,
    shape: Literal["Point", "OrientedPoint", "InstanceSegmentation"] = "Point",
    filter_value: str | None = None,
) -> VoxelPoints:
    """Objects with the class label ``filter_value`` (or by ``tomo_idx=…``, ``cluster_size>=…``), in voxels.

    ``InstanceSegmentation`` takes obj_id as instance id, else the object's place in the list. Raises ``FormatError``
    for objects without a position or, where ``shape`` needs them, without angles.
    """
    rows: list[tuple[float, float, float]] = []
    angles: list[tuple[float, float, float]] = []
    described: dict[str, list[float]] = {column: [] for column in _SELECTABLE}

    def start(tag: str, attributes: Attributes) -> None:
        if tag != "object":
            return
        rows.append((attributes.number("x"), attributes.number("y"), attributes.number("z")))
        if shape == "OrientedPoint":
            angles.append((attributes.number("phi"), attributes.number("the"), attributes.number("psi")))
        for column, values in described.items():
            if attributes.text(column) not in (None, "", "None"):
                values.append(attributes.number(column))

    read_elements(data, name, root="objlist", start=start)
    columns: dict[str, Selectable] = {
        column: np.array(values, np.float64) for column, values in described.items() if len(values) == len(rows)
    }
    chosen = selected(parse_conditions(filter_value, default="class_label"), columns, len(rows), name)
    locations = np.array(rows, np.float64).reshape(-1, 3)[chosen]
    if shape == "OrientedPoint":
        return VoxelPoints(locations, from_zxz_angles(angles)[chosen])
    if shape == "Point":
        return VoxelPoints(locations)
    numbers = columns.get("obj_id", np.arange(len(rows), dtype=np.float64))
    ids = [whole(float(value)) for value in numbers]
    if None in ids:
        raise FormatError("obj_id holds a number that is not whole.", where=name)
    return VoxelPoints(locations, None, np.array(ids, np.int64)[chosen])
