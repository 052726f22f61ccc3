"""Points of IMOD models (``.mod``): contour points, and oriented points from slicer angles.

The file is big-endian: ``IMODV1.x``, a 232-byte header, then chunks. ``OBJT`` has 176 bytes, ``CONT`` and ``MESH``
begin with their own counts, every other chunk begins with its length (IMOD's description of the binary model file);
``SLAN`` holds a position and the angles of the Slicer window. Meshes are passed over.

Coordinates are taken as they stand, in pixels of the image that the model was made on, as the public portal does. IMOD
itself lays the centre of the first voxel at (0.5, 0.5, 0): ``first_voxel`` subtracts that where it matters.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.point_selection import Selectable, parse_conditions, selected
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.poses import Poses
from tomoportal.formats.rotations import from_slicer_angles, to_slicer_angles

__all__ = [
    "IMOD_FIRST_VOXEL",
    "ImodModel",
    "SlicerView",
    "imod_points",
    "imod_poses",
    "read_imod_model",
    "write_imod_model",
]

IMOD_FIRST_VOXEL = (0.5, 0.5, 0.0)
"""Where IMOD's own programs put the centre of the first voxel (x, y, z)."""

_HEADER = 240
_MOST_CONTOURS = 1_000_000
_OBJECT = 176
_CONTOUR = struct.Struct(">iIii")
_MESH = struct.Struct(">iiIhh")
_SLICER = struct.Struct(">i3f3f32s")
_MODEL = struct.Struct(">128s4iI4i3f3f5ifii3f")
_OBJECT_BODY = struct.Struct(">64s64xiIii3fi8B2i")
_MODEL_FLAGS = 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15  # as 3dmod sets them in a model that it saves
_OPEN, _SCATTERED = 1 << 3, 1 << 9
_ANGSTROM = -10


@dataclass(frozen=True, slots=True)
class SlicerView:
    """One saved view of the Slicer window: centre (x, y, z) in pixels, angles about x, y, z in degrees."""

    centre: tuple[float, float, float]
    angles: tuple[float, float, float]
    label: str


@dataclass(frozen=True, slots=True)
class ImodModel:
    """Contours (n, 3) float64 in x, y, z, the object (from 1) that each belongs to, and the slicer views."""

    contours: tuple[NDArray[np.float64], ...]
    objects: tuple[int, ...]
    object_names: tuple[str, ...]
    slicer_views: tuple[SlicerView, ...]


def read_imod_model(data: bytes, name: str) -> ImodModel:
    """Parse a model; raises ``FormatError`` for other files, truncated ones, and counts larger than the file."""
    if data[:4] != b"IMOD":
        raise FormatError("This is no IMOD model: it does not begin with IMOD.", where=name)
    if len(data) < _HEADER:
        raise FormatError("The header of the model is cut off.", where=name)
    contours: list[NDArray[np.float64]] = []
    objects: list[int] = []
    names: list[str] = []
    views: list[SlicerView] = []
    for tag, body in _chunks(data, name):
        if tag == b"OBJT":
            names.append(_text(body[:64]))
        elif tag == b"CONT":
            if not names:
                raise FormatError("The model has a contour before its first object.", where=name)
            if len(contours) >= _MOST_CONTOURS:
                raise FormatError(f"The model has more than {_MOST_CONTOURS} contours.", where=name)
            with np.errstate(invalid="ignore"):  # a signalling nan is refused in the next line
                points = np.frombuffer(body, ">f4", offset=_CONTOUR.size).reshape(-1, 3).astype(np.float64)
            if not np.isfinite(points).all():
                raise FormatError(f"Contour {len(contours) + 1} holds a number that is not finite.", where=name)
            contours.append(points)
            objects.append(len(names))
        elif tag == b"SLAN" and len(body) >= _SLICER.size:
            _, ax, ay, az, cx, cy, cz, label = _SLICER.unpack_from(body)
            if not np.isfinite([ax, ay, az, cx, cy, cz]).all():
                raise FormatError(f"Slicer view {len(views) + 1} holds a number that is not finite.", where=name)
            views.append(SlicerView((cx, cy, cz), (ax, ay, az), _text(label)))
    return ImodModel(tuple(contours), tuple(objects), tuple(names), tuple(views))


def imod_points(
    data: bytes,
    name: str,
    *,
    shape: Literal["Point", "OrientedPoint", "InstanceSegmentation"],
    instances: Literal["contour", "object"] = "contour",
    filter_value: str | None = None,
    first_voxel: Sequence[float] = (0.0, 0.0, 0.0),
) -> VoxelPoints:
    """Every contour point; or every slicer view with its orientation; or contour points by contour or object.

    ``filter_value`` is the number of an object (from 1) or ``name=…``; instance ids count contours or objects of the
    whole model from 1. Raises ``FormatError`` for a model without slicer views when orientations are asked for, and
    for a filter on these, which belong to no object.
    """
    model = read_imod_model(data, name)
    if shape == "OrientedPoint":
        if filter_value is not None:
            raise FormatError("Slicer views belong to no object: they cannot be filtered.", where=name)
        if not model.slicer_views:
            raise FormatError(
                "The model has no slicer angles, so its points have no orientation.",
                where=name,
                fix="Use the shape Point, or save slicer angles in 3dmod.",
            )
        centres = np.array([view.centre for view in model.slicer_views], np.float64)
        rotations = from_slicer_angles([view.angles for view in model.slicer_views])
        return VoxelPoints(centres - np.asarray(first_voxel, np.float64), rotations)
    columns: dict[str, Selectable] = {
        "object": np.arange(1, len(model.object_names) + 1, dtype=np.float64),
        "name": model.object_names,
    }
    conditions = parse_conditions(filter_value, default="object")
    wanted = selected(conditions, columns, len(model.object_names), name)
    chosen = [
        (number, owner, points)
        for number, (owner, points) in enumerate(zip(model.objects, model.contours, strict=True), start=1)
        if wanted[owner - 1]
    ]
    locations = np.concatenate([np.zeros((0, 3)), *(points for _, _, points in chosen)])
    locations = locations - np.asarray(first_voxel, np.float64)
    if shape == "Point":
        return VoxelPoints(locations)
    ids = [np.full(len(points), number if instances == "contour" else owner) for number, owner, points in chosen]
    return VoxelPoints(locations, None, np.concatenate([np.zeros(0, np.int64), *ids]).astype(np.int64))


def imod_poses(data: bytes, name: str, *, voxel_spacing: float) -> tuple[Poses, bool]:
    """All contour points in Å, with the contour's number as instance where there are several; and if they are turned.

    Points are turned where every point has a view of the Slicer window at its place, as :func:`write_imod_model`
    writes them.
    """
    model = read_imod_model(data, name)
    points = np.concatenate([np.zeros((0, 3)), *model.contours])
    lengths = [len(contour) for contour in model.contours]
    ids = np.repeat(np.arange(1, len(lengths) + 1) if len(lengths) > 1 else np.zeros(len(lengths)), lengths)
    rotations = None
    if len(points) and len(model.slicer_views) == len(points):
        views = {view.centre: view.angles for view in model.slicer_views}  # both are float32 in the file
        angles = [views.get((x, y, z)) for x, y, z in points.tolist()]
        known = [each for each in angles if each is not None]
        rotations = from_slicer_angles(known) if len(known) == len(points) else None
    return Poses.of(points * voxel_spacing, rotations, instance_ids=ids), rotations is not None


def write_imod_model(
    poses: Poses,
    *,
    voxel_spacing: float,
    object_name: str,
    size: tuple[int, int, int] = (0, 0, 0),
    color: Sequence[int] = (0, 255, 0),
    radius: float = 0.0,
    first_voxel: Sequence[float] = (0.0, 0.0, 0.0),
) -> bytes:
    """A model of one object: scattered points in one contour, or one open contour per instance where there are some.

    Coordinates are in voxels of ``voxel_spacing`` Å of an image of ``size`` (x, y, z); spheres of ``radius`` Å are
    drawn. Where points are turned, each has a view of the Slicer window, in their order. Numbers become float32.
    """
    centres = poses.in_voxels(voxel_spacing).centres + np.asarray(first_voxel, np.float64)
    ids = np.unique(poses.instance_ids)
    contours = [centres[poses.instance_ids == each] for each in ids.tolist()]
    flags = _OPEN if ids.any() else _OPEN | _SCATTERED
    name = object_name.encode("latin-1", "replace")
    pieces = [
        b"IMODV1.2",
        _MODEL.pack(
            *(name[:127], *size, 1, _MODEL_FLAGS, 1, 1, 0, 255, 0, 0, 0, 1, 1, 1, 0, -1, -1, 3, 128),
            *(voxel_spacing, _ANGSTROM, 0, 0, 0, 0),
        ),
        b"OBJT",
        _OBJECT_BODY.pack(
            *(name[:63], len(contours), flags, 0, 1, *(value / 255 for value in color[:3])),
            *(max(0, round(radius / voxel_spacing)), 1, 3, 1, 1, 0, 0, 0, 0, 0, 0),
        ),
    ]
    for points in contours:
        pieces += [b"CONT", _CONTOUR.pack(len(points), 0, 0, 0), points.astype(">f4").tobytes()]
    if len(poses) and not np.allclose(poses.rotations, np.eye(3), rtol=0, atol=1e-9):
        for centre, angles in zip(centres.tolist(), to_slicer_angles(poses.rotations).tolist(), strict=True):
            pieces += [b"SLAN", struct.pack(">i", _SLICER.size), _SLICER.pack(1, *angles, *centre, b"")]
    return b"".join([*pieces, b"IEOF"])


def _chunks(data: bytes, name: str) -> Iterator[tuple[bytes, memoryview]]:
    view = memoryview(data)
    position = _HEADER
    while position + 4 <= len(data):
        tag = data[position : position + 4]
        position += 4
        if tag == b"IEOF":
            return
        length = _length(data, position, tag, name)
        if tag not in (b"OBJT", b"CONT", b"MESH"):
            position += 4
        if length < 0 or position + length > len(data):
            raise FormatError(
                f"The chunk {tag!r} claims {length} bytes, the file has {len(data) - position} left (byte {position}).",
                where=name,
            )
        yield tag, view[position : position + length]
        position += length


def _length(data: bytes, position: int, tag: bytes, name: str) -> int:
    """Bytes of a chunk's body: known, told by its counts, or written before it."""
    try:
        if tag == b"OBJT":
            return _OBJECT
        if tag == b"CONT":
            points = _CONTOUR.unpack_from(data, position)[0]
            return _CONTOUR.size + 12 * points if points >= 0 else -1
        if tag == b"MESH":
            vertices, indices = _MESH.unpack_from(data, position)[:2]
            return _MESH.size + 12 * vertices + 4 * indices if vertices >= 0 and indices >= 0 else -1
        length: int = struct.unpack_from(">i", data, position)[0]
    except struct.error as error:
        raise FormatError(f"The model ends within the chunk {tag!r}.", where=name) from error
    return length


def _text(raw: bytes | memoryview) -> str:
    return bytes(raw).split(b"\0", 1)[0].decode("latin-1").strip()
