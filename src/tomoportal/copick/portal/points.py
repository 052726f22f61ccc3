"""Points of a portal's annotation files as picks: voxels become Å, rotations and instance ids are kept.

Reference copick-portal, 6. The type that each line states is not looked at: the portal's shape says what the file is.
"""

from __future__ import annotations

import msgspec
import numpy as np

from tomoportal.copick.pick_documents import PickTable, compact
from tomoportal.errors import FormatError
from tomoportal.formats.ndjson import decode_rows

__all__ = ["read_any_portal_points", "read_portal_points"]

_Row = tuple[float, float, float]


class _Location(msgspec.Struct, gc=False):
    x: float
    y: float
    z: float


class _Line(msgspec.Struct, gc=False):
    location: _Location
    xyz_rotation_matrix: tuple[_Row, _Row, _Row] | None = None
    instance_id: int | None = None


_DECODER = msgspec.json.Decoder(_Line)


def read_portal_points(data: bytes, voxel_spacing: float, where: str, *, oriented: bool) -> PickTable:
    """Decode ndjson; locations times ``voxel_spacing`` (Å), rotations of ``oriented`` files as transformations.

    Raises :class:`FormatError` with the number of a line that is no point.
    """
    return _table(decode_rows(_DECODER, data, where, fix=_FIX), voxel_spacing, where, oriented=oriented)


def read_any_portal_points(data: bytes, voxel_spacing: float, where: str) -> tuple[PickTable, bool]:
    """The same where nobody says whether the file is oriented: rotations count if any line has one.

    Other lines have the identity then. Returns whether there are rotations, too.
    """
    lines = decode_rows(_DECODER, data, where, fix=_FIX)
    oriented = any(each.xyz_rotation_matrix for each in lines)
    if oriented:
        for each in lines:
            each.xyz_rotation_matrix = each.xyz_rotation_matrix or _IDENTITY
    return _table(lines, voxel_spacing, where, oriented=oriented), oriented


def _table(lines: list[_Line], voxel_spacing: float, where: str, *, oriented: bool) -> PickTable:
    count = len(lines)
    positions = np.array([(each.location.x, each.location.y, each.location.z) for each in lines], np.float64)
    ids = np.array([each.instance_id or 0 for each in lines], np.int64)
    transforms = None
    if oriented:
        bare = next((number for number, each in enumerate(lines, 1) if each.xyz_rotation_matrix is None), None)
        if bare is not None:
            raise FormatError("an oriented point has no xyz_rotation_matrix", where=f"{where}:{bare}", fix=_FIX)
        transforms = np.zeros((count, 4, 4))
        transforms[:, :3, :3] = np.array([each.xyz_rotation_matrix for each in lines]).reshape(count, 3, 3)
        transforms[:, 3, 3] = 1.0
    return compact(positions.reshape(count, 3) * voxel_spacing, transforms, ids, None, None)


_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_FIX = "tell the portal's keepers; the other annotations of the run are not affected"
