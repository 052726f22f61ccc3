"""The archive's annotation rows: one JSON object per line, coordinates in voxels of the annotation's spacing.

Three row types: ``point``, ``orientedPoint`` (with ``xyz_rotation_matrix``) and ``instancePoint`` (with
``instance_id``); a file holds one of them. No newline follows the last line, an annotation without rows is an empty
file. Numbers are written in the shortest form that reads back to the same float64, as Python's ``json`` does.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

import msgspec
import numpy as np

from tomoportal.errors import FormatError
from tomoportal.formats.points import PointKind, VoxelPoints

__all__ = ["decode_rows", "read_points", "write_points"]

_LOCATION = '"location": {"x": %r, "y": %r, "z": %r}'
_POINT = '{"type": "point", ' + _LOCATION + "}"
_ORIENTED = (
    '{"type": "orientedPoint", ' + _LOCATION + ', "xyz_rotation_matrix": [[%r, %r, %r], [%r, %r, %r], [%r, %r, %r]]}'
)
_INSTANCE = '{"type": "instancePoint", ' + _LOCATION + ', "instance_id": %d}'

_T = TypeVar("_T")
_Row3: TypeAlias = tuple[float, float, float]
_Id: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Location(msgspec.Struct, gc=False):
    x: float
    y: float
    z: float


class _Point(msgspec.Struct, tag="point", gc=False):
    location: _Location


class _Oriented(msgspec.Struct, tag="orientedPoint", gc=False):
    location: _Location
    xyz_rotation_matrix: tuple[_Row3, _Row3, _Row3]


class _Instance(msgspec.Struct, tag="instancePoint", gc=False):
    location: _Location
    instance_id: _Id


_Row: TypeAlias = _Point | _Oriented | _Instance


def write_points(points: VoxelPoints) -> bytes:
    """The ndjson bytes of points; equal points give equal bytes on every machine."""
    if points.rotations is not None:
        table = np.hstack([points.locations, points.rotations.reshape(-1, 9)]).tolist()
        lines = [_ORIENTED % tuple(row) for row in table]
    elif points.instance_ids is not None:
        ids = points.instance_ids.tolist()
        lines = [_INSTANCE % (x, y, z, n) for (x, y, z), n in zip(points.locations.tolist(), ids, strict=True)]
    else:
        lines = [_POINT % tuple(row) for row in points.locations.tolist()]
    return "\n".join(lines).encode("ascii")


def read_points(data: bytes, name: str, *, kind: PointKind | None = None) -> VoxelPoints:
    """Points of an ndjson file; blank lines are skipped.

    With ``kind`` the rows have to be of that type, and a file without rows gives no points of that type. Raises
    ``FormatError`` with the number of a bad line, and for rows of several types or of another one.
    """
    rows = decode_rows(msgspec.json.Decoder(_Row), data, name)
    kinds = {type(row) for row in rows}
    if len(kinds) > 1:
        names = ", ".join(sorted(str(kind.__struct_config__.tag) for kind in kinds))
        raise FormatError(
            f"The rows are of different types ({names}).", where=name, fix="Put each type into a file of its own."
        )
    if not rows:
        return VoxelPoints.empty(kind or "point")
    found = rows[0].__struct_config__.tag
    if kind is not None and found != kind:
        raise FormatError(f"The rows are of the type {found}, not {kind}.", where=name)
    try:
        return _points(rows)
    except FormatError as error:
        raise FormatError(error.what, where=name) from error


def _points(rows: list[_Row]) -> VoxelPoints:
    locations = np.array([(row.location.x, row.location.y, row.location.z) for row in rows], np.float64)
    rotations = [row.xyz_rotation_matrix for row in rows if isinstance(row, _Oriented)]
    instance_ids = [row.instance_id for row in rows if isinstance(row, _Instance)]
    return VoxelPoints(
        locations.reshape(-1, 3),
        np.array(rotations, np.float64) if rotations else None,
        np.array(instance_ids, np.int64) if instance_ids else None,
    )


def decode_rows(decoder: msgspec.json.Decoder[_T], data: bytes, name: str, *, fix: str | None = None) -> list[_T]:
    """The rows of a file, blank lines skipped. Raises :class:`FormatError` with the number of the first bad line."""
    bad_line = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
    try:
        return decoder.decode_lines(data)
    except bad_line as error:
        for number, line in enumerate(data.split(b"\n"), start=1):
            try:
                if line.strip():
                    decoder.decode(line)
            except bad_line as bad:
                raise FormatError(f"The row cannot be read: {bad}.", where=f"{name}:{number}", fix=fix) from error
        raise FormatError(f"The rows cannot be read: {error}.", where=name, fix=fix) from error
