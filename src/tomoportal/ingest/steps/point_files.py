"""Points of a source file in any of the formats that this version reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tomoportal.errors import IngestError
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.points_csv import CsvFormat, csv_points
from tomoportal.formats.relion_star import FILTER_COLUMNS, RelionFormat, relion_points
from tomoportal.formats.star import StarFile, read_star
from tomoportal.ingest.bench import Bench

__all__ = ["read_source_points"]

_CSV_FORMATS = ("csv", "csv_with_header", "tsv")


def read_source_points(shape: str, key: str, arguments: Mapping[str, Any], bench: Bench) -> VoxelPoints:
    """Points in voxels of the annotation's spacing: the file's coordinates divided by ``binning``."""
    file_format = arguments["file_format"]
    binning = float(arguments.get("binning", 1))
    if file_format in _CSV_FORMATS:
        return csv_points(
            bench.read(key),
            key,
            format=cast(CsvFormat, file_format),
            columns=arguments.get("columns") or "xyz",
            delimiter=arguments.get("delimiter"),
            binning=binning,
        )
    if file_format in FILTER_COLUMNS:
        return relion_points(
            _star(key, bench),
            format=cast(RelionFormat, file_format),
            shape="OrientedPoint" if shape == "OrientedPoint" else "Point",
            filter_value=arguments.get("filter_value"),
            binning=binning,
            order=arguments.get("order") or arguments.get("columns") or "xyz",
        )
    raise IngestError(f"point format {file_format} is not read by this version", where=key)


def _star(key: str, bench: Bench) -> StarFile:
    """The parsed star file; one that serves many runs is parsed once per process (F63)."""
    digest = bench.digest(key)
    known = bench.memory.get("star")
    if known is None or known[0] != (key, digest):
        known = ((key, digest), read_star(bench.read(key), key))
        bench.memory["star"] = known
    star: StarFile = known[1]
    return star
