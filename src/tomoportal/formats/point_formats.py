"""Every source format of points under the name that a config's ``file_format`` gives it: one place to look readers up.

``read_point_file`` is what ingestion calls: whatever the file's unit, origin and axis order, it returns voxels of the
annotation's volume. Readers of the STAR family take a parsed file, so that one file which serves many runs is parsed
once; all others take bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from tomoportal.errors import FormatError
from tomoportal.formats.copick_picks import copick_points
from tomoportal.formats.cryolo import box_points, cbox_points
from tomoportal.formats.deepfinder_xml import deepfinder_points
from tomoportal.formats.dynamo import dynamo_points
from tomoportal.formats.eman2 import eman2_points
from tomoportal.formats.imod_model import imod_points
from tomoportal.formats.motivelist import motivelist_points
from tomoportal.formats.ndjson import read_points
from tomoportal.formats.points import KINDS, AngstromPoints, Points, VoxelPoints, axis_order, divided
from tomoportal.formats.points_csv import csv_points
from tomoportal.formats.pytom_xml import pytom_points
from tomoportal.formats.relion_star import filter_counts, relion5_points, relion_points
from tomoportal.formats.star import StarFile, read_star
from tomoportal.formats.stopgap import stopgap_counts, stopgap_points
from tomoportal.formats.tardis import tardis_points
from tomoportal.formats.tomotwin import is_pickle, refuse_pickle
from tomoportal.formats.warp_star import warp_counts, warp_points

__all__ = ["POINT_FORMATS", "PointFormat", "PointRequest", "matching_counts", "read_point_file"]

_POINT, _ORIENTED, _INSTANCE = "Point", "OrientedPoint", "InstanceSegmentation"


@dataclass(frozen=True, slots=True)
class PointRequest:
    """What a config says about a source of points, and the volume that the points lie in.

    ``binning`` is the file's unit per voxel of the annotation (``None``: 1 for files in voxels; ``voxel_spacing`` for
    files in Å, except copick and tardis, which the public portal divides by 1). ``volume_shape`` is (z, y, x).
    """

    shape: str
    filter_value: str | None = None
    binning: float | None = None
    order: str = "xyz"
    delimiter: str | None = None
    voxel_spacing: float | None = None
    volume_shape: tuple[int, int, int] | None = None

    @property
    def volume_size(self) -> tuple[int, int, int] | None:
        """Voxels of the volume in x, y, z."""
        return None if self.volume_shape is None else (self.volume_shape[2], self.volume_shape[1], self.volume_shape[0])


_Reader = Callable[[Any, str, PointRequest], Points]


@dataclass(frozen=True, slots=True)
class PointFormat:
    """A source format: its shapes, its unit and what its ``filter_value`` selects."""

    shapes: tuple[str, ...]
    unit: Literal["voxel", "angstrom", "either"]
    filter: str | None
    """What a plain ``filter_value`` is compared with; ``None`` if the format has no filter."""
    read: _Reader
    star: bool = False
    """The reader takes a parsed ``StarFile``."""
    needs_volume: bool = False
    """Positions count from the volume's centre: size and spacing of the volume are needed."""
    keeps_axes: bool = False
    """``order`` is not applied (the format knows its axes)."""
    spacing_by_default: bool = True
    """Å become voxels by the volume's spacing where the config gives no ``binning``."""
    needs_filter: bool = False
    """Without a filter the public portal's reader takes no row, and so does ours."""
    divides: bool = False
    """The reader itself divides by ``binning`` and orders the axes."""


def _csv(file_format: Literal["csv", "csv_with_header", "tsv"]) -> _Reader:
    def read(data: bytes, name: str, request: PointRequest) -> Points:
        return csv_points(
            data,
            name,
            format=file_format,
            columns=request.order,
            delimiter=request.delimiter,
            binning=1.0 if request.binning is None else request.binning,
        )

    return read


def _relion(file_format: Literal["relion3_star", "tomoman_relion_star", "relion4_star"]) -> _Reader:
    def read(star: StarFile, name: str, request: PointRequest) -> Points:
        return relion_points(
            star,
            format=file_format,
            shape=_poses(request),
            filter_value=request.filter_value,
            binning=1.0 if request.binning is None else request.binning,
            order=request.order,
        )

    return read


def _relion5(star: StarFile, name: str, request: PointRequest) -> Points:
    size, spacing = _volume(request, name)
    return relion5_points(
        star, shape=_poses(request), tomogram_size=size, pixel_size=spacing, filter_value=request.filter_value
    )


def _eman2(data: bytes, name: str, request: PointRequest) -> Points:
    return eman2_points(
        data,
        name,
        tomogram_size=request.volume_size,
        voxel_spacing=request.voxel_spacing,
        filter_value=request.filter_value,
    )


def _poses(request: PointRequest) -> Literal["Point", "OrientedPoint"]:
    return "OrientedPoint" if request.shape == _ORIENTED else "Point"


def _volume(request: PointRequest, name: str) -> tuple[tuple[int, int, int], float]:
    if request.volume_size is None or request.voxel_spacing is None:
        raise FormatError(
            "Positions count from the centre of the tomogram, whose size and voxel spacing are not known.",
            where=name,
            fix="Ingest the tomogram of this run and spacing with the annotation, or before it.",
        )
    return request.volume_size, request.voxel_spacing


def _by_pose(function: Callable[..., Points], *, star: bool = False) -> _Reader:
    def read(source: Any, name: str, request: PointRequest) -> Points:
        arguments = (source,) if star else (source, name)
        return function(*arguments, shape=request.shape, filter_value=request.filter_value)

    return read


_PICKED, _POSES = (_POINT,), (_POINT, _ORIENTED)
_ALL = (_POINT, _ORIENTED, _INSTANCE)

POINT_FORMATS: Mapping[str, PointFormat] = {
    "csv": PointFormat(_PICKED, "voxel", None, _csv("csv"), divides=True),
    "csv_with_header": PointFormat(_PICKED, "voxel", None, _csv("csv_with_header"), divides=True),
    "tsv": PointFormat(_PICKED, "voxel", None, _csv("tsv"), divides=True),
    "mod": PointFormat(_ALL, "voxel", "object number", _by_pose(imod_points)),
    "relion3_star": PointFormat(_POSES, "voxel", "rlnMicrographName", _relion("relion3_star"), star=True, divides=True),
    "tomoman_relion_star": PointFormat(
        _POSES, "voxel", "rlnTomoName", _relion("tomoman_relion_star"), star=True, divides=True
    ),
    "relion4_star": PointFormat(_POSES, "voxel", "rlnTomoName", _relion("relion4_star"), star=True, divides=True),
    "relion5_star": PointFormat(_POSES, "angstrom", "rlnTomoName", _relion5, star=True, needs_volume=True),
    "warp_star": PointFormat(_POSES, "either", "tomogram name", _by_pose(warp_points, star=True), star=True),
    "stopgap_star": PointFormat(
        _POSES, "voxel", "tomo_num", _by_pose(stopgap_points, star=True), star=True, needs_filter=True
    ),
    "copick": PointFormat(
        _ALL,
        "angstrom",
        None,
        lambda data, name, request: copick_points(data, name, shape=cast(Any, request.shape)),
        keeps_axes=True,
        spacing_by_default=False,
    ),
    "tardis": PointFormat(
        (_INSTANCE,),
        "either",
        None,
        lambda data, name, _request: tardis_points(data, name),
        keeps_axes=True,
        spacing_by_default=False,
    ),
    "dynamo": PointFormat(_POSES, "voxel", "tomogram number (column 20)", _by_pose(dynamo_points)),
    "motivelist": PointFormat(_POSES, "voxel", "tomogram number (row 5)", _by_pose(motivelist_points)),
    "cbox": PointFormat((_POINT, _INSTANCE), "voxel", "filament", _by_pose(cbox_points, star=True), star=True),
    "coords": PointFormat(_PICKED, "voxel", None, lambda data, name, _request: box_points(data, name)),
    "box": PointFormat(_PICKED, "voxel", None, lambda data, name, _request: box_points(data, name)),
    "eman2": PointFormat(_PICKED, "voxel", "class name", _eman2, needs_volume=True),
    "pytom": PointFormat(_POSES, "voxel", "Origin of the pick", _by_pose(pytom_points)),
    "deepfinder": PointFormat(_ALL, "voxel", "class_label", _by_pose(deepfinder_points)),
    "ndjson": PointFormat(
        _ALL, "voxel", None, lambda data, name, request: read_points(data, name, kind=KINDS[request.shape])
    ),
    "tloc": PointFormat(_PICKED, "voxel", None, lambda data, name, _request: refuse_pickle(data, name)),
}
"""The formats by name. Those of the public portal's configs come first, up to tardis."""


def read_point_file(file_format: str, source: bytes | StarFile, name: str, request: PointRequest) -> VoxelPoints:
    """Points in voxels of the annotation's volume, from the bytes of a file (or the parsed file, if it is STAR).

    Raises ``FormatError`` for an unknown format, a shape that the format does not have, a filter on a format without
    one, a pickle under whatever name, and everything that the format's reader refuses.
    """
    known = POINT_FORMATS.get(file_format)
    if known is None:
        raise FormatError(
            f"The point format {file_format!r} is unknown.", where=name, fix=f"Use one of {', '.join(POINT_FORMATS)}."
        )
    if isinstance(source, bytes) and is_pickle(source):
        refuse_pickle(source, name)
    if request.shape not in known.shapes:
        raise FormatError(
            f"{file_format} has no {request.shape}.", where=name, fix=f"Use the shape {' or '.join(known.shapes)}."
        )
    if request.filter_value is not None and known.filter is None:
        raise FormatError(
            f"{file_format} has no rows of several runs that filter_value {request.filter_value!r} could select.",
            where=name,
            fix="Leave filter_value out.",
        )
    if known.star and isinstance(source, bytes):
        source = read_star(source, name)
    elif isinstance(source, StarFile) and not known.star:
        raise FormatError(f"{file_format} is not read from a STAR file.", where=name)
    order = axis_order(request.order)
    try:
        points = known.read(source, name, request)
        if not known.divides:
            points = _in_voxels(points, known, request, name)
            if order == "zyx" and not known.keeps_axes:
                points = points.with_axes_reversed()
    except FormatError as error:
        if error.where is not None:
            raise
        raise FormatError(error.what, where=name, fix=error.fix) from error
    return cast(VoxelPoints, points)


def matching_counts(file_format: str, star: StarFile) -> dict[str, int]:
    """How many rows each value of a STAR format's filter has: what to show when ``filter_value`` matched nothing."""
    if file_format == "stopgap_star":
        return stopgap_counts(star)
    if file_format in ("relion3_star", "tomoman_relion_star", "relion4_star"):
        return filter_counts(star, cast(Any, file_format))
    if file_format == "warp_star":
        return warp_counts(star)
    if file_format == "relion5_star":
        table = next((one for one in star.tables if "rlnTomoName" in one and len(one)), None)
        return {} if table is None else table.counts("rlnTomoName")
    return {}


def _in_voxels(points: Points, known: PointFormat, request: PointRequest, name: str) -> VoxelPoints:
    binning = request.binning
    if binning is None:
        binning = 1.0
        if isinstance(points, AngstromPoints) and known.spacing_by_default:
            if request.voxel_spacing is None:
                raise FormatError(
                    "The positions are in Å and the voxel spacing is not known.",
                    where=name,
                    fix="Set binning to the voxel spacing.",
                )
            binning = request.voxel_spacing
    return VoxelPoints(divided(points.locations, binning), points.rotations, points.instance_ids)
