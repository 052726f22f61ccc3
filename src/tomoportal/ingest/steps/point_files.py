"""Points of a source file, whatever its format; the registry of readers is `formats.point_formats`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.errors import IngestError
from tomoportal.formats.point_formats import POINT_FORMATS, PointRequest, matching_counts, read_point_file
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.star import StarFile, read_star
from tomoportal.ingest.bench import Bench

__all__ = ["read_source_points"]

_LISTED = 5
_KEPT = 6


def read_source_points(
    shape: str,
    key: str,
    arguments: Mapping[str, Any],
    spacing: float,
    volume_shape: tuple[int, int, int] | None,
    bench: Bench,
    warnings: list[str],
) -> VoxelPoints:
    """Points in voxels of the annotation, whose spacing is in Å; ``volume_shape`` (z, y, x) is that of its tomogram."""
    file_format = arguments["file_format"]
    known = POINT_FORMATS.get(file_format)
    if known is None:
        raise IngestError(f"point format {file_format} is not read by this version", where=key)
    binning = arguments.get("binning")
    request = PointRequest(
        shape=shape,
        filter_value=arguments.get("filter_value"),
        binning=None if binning is None else float(binning),
        order=arguments.get("order") or arguments.get("columns") or "xyz",
        delimiter=arguments.get("delimiter"),
        voxel_spacing=spacing,
        volume_shape=volume_shape,
    )
    star = _star(key, bench) if known.star else None
    points = read_point_file(file_format, bench.read(key) if star is None else star, key, request)
    if star is not None and request.filter_value and not len(points):
        found = list(matching_counts(file_format, star))
        listed = ", ".join(found[:_LISTED]) + (", …" if len(found) > _LISTED else "")
        warnings.append(f"{key}: no row has the filter_value {request.filter_value!r} (there are: {listed or 'none'})")
    return points


def _star(key: str, bench: Bench) -> StarFile:
    """The parsed star file; one that serves many runs is parsed once per process (F63).

    Annotations take turns from run to run, so that a few files are kept; the one not used for longest goes first.
    """
    kept: dict[tuple[str, str], StarFile] = bench.memory.setdefault("stars", {})
    version = (key, bench.digest(key))
    star = kept.pop(version, None)
    if star is None:
        star = read_star(bench.read(key), key)
        while len(kept) >= _KEPT:
            del kept[next(iter(kept))]
    kept[version] = star
    return star
