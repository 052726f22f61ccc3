"""Picks of copick (``{user}_{session}_{object}.json``): positions in Å from the centre of the first voxel.

A point has a location, a 4×4 ``transformation_`` whose left upper 3×3 part maps the particle into the tomogram and
whose last column is added to the location, an instance id and a score (reference: copick-model; transforms, 5 and 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError
from tomoportal.formats.points import AngstromPoints
from tomoportal.formats.rotations import orthonormal

__all__ = ["CopickPicks", "copick_points", "read_copick_picks"]

_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Row = tuple[float, float, float, float]
_IDENTITY: tuple[_Row, _Row, _Row, _Row] = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))


class _Location(msgspec.Struct, gc=False):
    x: float
    y: float
    z: float


class _Point(msgspec.Struct, gc=False):
    location: _Location
    transformation_: tuple[_Row, _Row, _Row, _Row] | None = None
    instance_id: _Id | None = None
    score: float | None = None


class _Picks(msgspec.Struct):
    pickable_object_name: str | None = None
    user_id: str | int | None = None
    session_id: str | int | None = None
    run_name: str | None = None
    voxel_spacing: float | None = None
    unit: str | None = None
    points: list[_Point] | None = None


@dataclass(frozen=True, slots=True)
class CopickPicks:
    """A file of picks: arrays over its points, positions in Å in x, y, z, and what the file says about itself."""

    locations: NDArray[np.float64]
    """(n, 3): location plus the translation of ``transformation_``."""
    transformations: NDArray[np.float64]
    """(n, 4, 4) as written; the identity where a point has none."""
    instance_ids: NDArray[np.int64] | None
    """(n,), or ``None`` unless every point has one."""
    scores: NDArray[np.float64]
    """(n,); nan where a point has none."""
    object_name: str | None
    user_id: str | None
    session_id: str | None
    run_name: str | None
    voxel_spacing: float | None


def read_copick_picks(data: bytes, name: str) -> CopickPicks:
    """Parse a file of picks; ``points: null`` is a file without points.

    Raises ``FormatError`` for anything but such a JSON document, and for positions that are not in Å.
    """
    try:
        picks = msgspec.json.decode(data, type=_Picks)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"This is no file of copick picks: {error}.", where=name) from error
    if picks.unit not in (None, "angstrom"):
        raise FormatError(f"The unit of the picks is {picks.unit!r}, not angstrom.", where=name)
    points = picks.points or []
    locations = np.array([(p.location.x, p.location.y, p.location.z) for p in points], np.float64).reshape(-1, 3)
    transformations = np.array([p.transformation_ or _IDENTITY for p in points], np.float64).reshape(-1, 4, 4)
    ids = [p.instance_id for p in points if p.instance_id is not None]
    return CopickPicks(
        locations=locations + transformations[:, :3, 3],
        transformations=transformations,
        instance_ids=np.array(ids, np.int64) if len(ids) == len(points) else None,
        scores=np.array([np.nan if p.score is None else p.score for p in points], np.float64),
        object_name=picks.pickable_object_name,
        user_id=None if picks.user_id is None else str(picks.user_id),
        session_id=None if picks.session_id is None else str(picks.session_id),
        run_name=picks.run_name,
        voxel_spacing=picks.voxel_spacing,
    )


def copick_points(
    data: bytes, name: str, *, shape: Literal["Point", "OrientedPoint", "InstanceSegmentation"]
) -> AngstromPoints:
    """Points in Å, with orientations or instance ids as ``shape`` asks (F34).

    Instance ids are the file's where every point has one and they tell points apart (copick writes 0 for all by
    default), else the place in the list. Raises ``FormatError`` for a matrix that is no rotation, and as
    ``read_copick_picks``.
    """
    picks = read_copick_picks(data, name)
    if shape == "OrientedPoint":
        return AngstromPoints(picks.locations, orthonormal(picks.transformations[:, :3, :3], name))
    if shape == "Point":
        return AngstromPoints(picks.locations)
    ids = picks.instance_ids
    if ids is None or not ids.any():
        ids = np.arange(len(picks.locations), dtype=np.int64)
    return AngstromPoints(picks.locations, None, ids)
