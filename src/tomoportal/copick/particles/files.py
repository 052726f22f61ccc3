"""Files of picks in every format that is read, as particles by run or by tomogram number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tomoportal.copick.particles.index_maps import read_bytes
from tomoportal.errors import FormatError
from tomoportal.formats.copick_csv import copick_csv_poses, has_header, is_copick_csv, is_whole_csv
from tomoportal.formats.dynamo import dynamo_poses
from tomoportal.formats.imod_model import imod_poses
from tomoportal.formats.motivelist import motivelist_poses
from tomoportal.formats.point_formats import POINT_FORMATS, PointRequest
from tomoportal.formats.points import AngstromPoints
from tomoportal.formats.poses import Poses
from tomoportal.formats.relion_particles import RelionTomogram, Version, relion_poses
from tomoportal.formats.star import StarFile, read_star
from tomoportal.formats.stopgap import stopgap_poses
from tomoportal.formats.tomotwin import is_pickle, refuse_pickle

__all__ = ["PARTICLE_TYPES", "Particles", "ReadOptions", "particle_type", "read_particles"]

_ENDINGS: Final = {
    ".em": "em", ".star": "star", ".tbl": "dynamo", ".csv": "csv", ".tsv": "tsv", ".mod": "imod", ".ndjson": "ndjson",
    ".json": "copick", ".cbox": "cbox", ".coords": "coords", ".box": "box", ".tloc": "tloc",
}  # fmt: skip
_REGISTERED: Final = {
    "csv_plain": "csv", "tsv": "tsv", "ndjson": "ndjson", "copick": "copick", "tardis": "tardis", "warp": "warp_star",
    "cbox": "cbox", "coords": "coords", "box": "box", "eman2": "eman2", "pytom": "pytom", "deepfinder": "deepfinder",
    "relion3": "relion3_star", "tomoman": "tomoman_relion_star", "tloc": "tloc",
}  # fmt: skip
"""Types that are read as ingestion reads them, by their names there."""
_NUMBERED: Final = ("em", "dynamo", "stopgap")
_NAMED: Final = ("star", "csv")
PARTICLE_TYPES: Final = ("em", "star", "dynamo", "csv", "stopgap", "imod", *_REGISTERED)
_BEST: Final = ("OrientedPoint", "InstanceSegmentation", "Point")


@dataclass(frozen=True)
class ReadOptions:
    """What a file does not say. Lengths in Å; ``volume_shapes`` (z, y, x) and ``tomograms`` are by run."""

    voxel_size: float | None = None
    tilt_series_pixel_size: float | None = None
    tomograms: Mapping[str, RelionTomogram] = field(default_factory=dict)
    volume_shapes: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    relion_version: Version = "auto"
    tomogram_row: int = 4
    """Of an EM motivelist, counted from 0."""
    shape: str | None = None
    """"Point", "OrientedPoint" or "InstanceSegmentation"; None takes the most that the file has."""


@dataclass(frozen=True)
class Particles:
    """What a file holds: by run name, or by tomogram number, or (``""``) without saying of which tomogram."""

    by_name: Mapping[str, Poses]
    by_number: Mapping[int, Poses]
    oriented: bool


def particle_type(path: Path) -> str:
    """The type of a file by the ending of its name, and by what it holds where an ending means several.

    Raises :class:`FormatError` if it cannot be told.
    """
    found = _ENDINGS.get(path.suffix.lower())
    if path.suffix.lower() == ".xml":
        start = read_bytes(path)[:4000]
        return "deepfinder" if b"<objlist" in start else "pytom"
    if found == "csv" and not is_copick_csv(read_bytes(path)):
        return "tardis" if read_bytes(path)[:40].upper().startswith(b"IDS") else "csv_plain"
    if found == "copick" and b'"boxes_3d"' in read_bytes(path):
        return "eman2"
    if found != "star":
        if found is None:
            raise FormatError(
                f"Could not determine file type of {path.name}.",
                where=str(path),
                fix=f"give --file-type, one of {', '.join(PARTICLE_TYPES)}",
            )
        return found
    star = read_star(read_bytes(path), path.name)
    labels = {label for table in star.tables for label in table.columns}
    if star.table("stopgap_motivelist") is not None:
        return "stopgap"
    if any(label.startswith("wrp") for label in labels):
        return "warp"
    if star.table("cryolo") is not None:
        return "cbox"
    return "relion3" if "rlnMicrographName" in labels and "rlnTomoName" not in labels else "star"


def read_particles(path: Path, file_type: str, options: ReadOptions, *, run: str = "") -> Particles:
    """Read a file. ``run`` is the run that it is of, for formats that do not say.

    Raises :class:`FormatError` for what the format's reader refuses and for lengths that are missing.
    """
    data, name = read_bytes(path), path.name
    if is_pickle(data):
        refuse_pickle(data, name)
    if file_type in _NUMBERED:
        size = _needed(options.voxel_size, file_type, name)
        numbered = {
            "em": lambda: motivelist_poses(data, name, voxel_spacing=size, tomogram_row=options.tomogram_row),
            "dynamo": lambda: dynamo_poses(data, name, voxel_spacing=size),
            "stopgap": lambda: stopgap_poses(read_star(data, name), voxel_spacing=size),
        }
        return Particles({}, numbered[file_type](), oriented=True)
    if file_type == "csv":
        if options.voxel_size is not None and not is_whole_csv(data):
            raise FormatError(
                "The table names x, y and z, which are Å in copick's tables, but a voxel size is given.",
                where=name,
                fix="leave --voxel-size out, or say --file-type csv_plain if the numbers are voxels",
            )
        return Particles(copick_csv_poses(data, name), {}, oriented=b"transform_00" in data[:1000])
    if file_type == "star":
        return _relion(read_star(data, name), options, run)
    if file_type == "imod":
        poses, oriented = imod_poses(data, name, voxel_spacing=_needed(options.voxel_size, file_type, name))
        return Particles({"": poses}, {}, oriented)
    if file_type in _REGISTERED:
        return _registered(file_type, data, name, options, run)
    raise FormatError(
        f"Unsupported file type {file_type!r}", where=name, fix=f"choose one of {', '.join(PARTICLE_TYPES)}"
    )


def _needed(size: float | None, file_type: str, name: str) -> float:
    if size is None:
        raise FormatError(
            f"Files of the type {file_type} count voxels, whose size they do not state.",
            where=name,
            fix="give --voxel-size in Å",
        )
    if not size > 0:
        raise FormatError(f"A voxel size of {size} Å is not possible.", where=name)
    return size


def _relion(star: StarFile, options: ReadOptions, run: str) -> Particles:
    tomograms = dict(options.tomograms)
    if run in tomograms:
        tomograms.setdefault("", tomograms[run])
    found = relion_poses(
        star,
        tomograms=tomograms,
        tilt_series_pixel_size=options.tilt_series_pixel_size,
        voxel_spacing=options.voxel_size,
        version=options.relion_version,
    )
    has_angles = any(label in table for table in star.tables for label in ("rlnAngleRot", "rlnTomoSubtomogramRot"))
    return Particles(found, {}, has_angles)


def _registered(file_type: str, data: bytes, name: str, options: ReadOptions, run: str) -> Particles:
    """As ingestion reads it; of the shapes that the format has the first that the file can fill."""
    kind = _REGISTERED[file_type]
    if kind == "csv" and has_header(data):
        kind = "csv_with_header"
    known = POINT_FORMATS[kind]
    source: Any = read_star(data, name) if known.star else data
    shapes = [options.shape] if options.shape else [shape for shape in _BEST if shape in known.shapes]
    last: FormatError | None = None
    for shape in shapes:
        if shape not in known.shapes:
            raise FormatError(f"{file_type} has no {shape}.", where=name, fix=f"use {' or '.join(known.shapes)}")
        request = PointRequest(
            shape, binning=1.0, voxel_spacing=options.voxel_size, volume_shape=options.volume_shapes.get(run)
        )
        try:
            points = known.read(source, name, request)
        except FormatError as error:
            last = last or error
            continue
        scale = 1.0 if isinstance(points, AngstromPoints) else _needed(options.voxel_size, file_type, name)
        ids = points.instance_ids
        if ids is not None and len(ids) and not ids.min() > 0:
            ids = ids - ids.min() + 1  # 0 means no instance in copick
        poses = Poses.of(points.locations * scale, points.rotations, instance_ids=ids)
        return Particles({"": poses}, {}, points.rotations is not None)
    raise last or FormatError(f"{file_type} has no points.", where=name)
