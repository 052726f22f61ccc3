"""One module per file format: read and write, nothing else.

Volumes (:mod:`.volumes`, :mod:`.mrc`, :mod:`.convert`, :mod:`.masks`, :mod:`.omezarr`) stream block by block; small
files are read from ``(data, name)``. Names are imported when they are first used, so that a reader of text files does
not load NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomoportal.formats.acquisition import frame_doses, match_sections
    from tomoportal.formats.alignments import SectionAlignment, identity_affine
    from tomoportal.formats.convert import Converted, convert_volume
    from tomoportal.formats.imod import export_imod, imod_sections, read_tilt_com, read_xf
    from tomoportal.formats.keyphotos import render_key_photos
    from tomoportal.formats.masks import semantic_mask
    from tomoportal.formats.mdoc import Mdoc, format_mdoc, read_mdoc
    from tomoportal.formats.mrc import MrcHeader, MrcVolume, open_mrc
    from tomoportal.formats.ndjson import read_points, write_points
    from tomoportal.formats.points import AngstromPoints, Points, VoxelPoints
    from tomoportal.formats.points_csv import csv_points
    from tomoportal.formats.relion_star import filter_counts, relion_points
    from tomoportal.formats.star import StarFile, read_star
    from tomoportal.formats.tilt_angles import read_tilt_angles, write_tilt_angles
    from tomoportal.formats.volumes import ArrayVolume, Volume, header_spacing

__all__ = [
    "AngstromPoints",
    "ArrayVolume",
    "Converted",
    "Mdoc",
    "MrcHeader",
    "MrcVolume",
    "Points",
    "SectionAlignment",
    "StarFile",
    "Volume",
    "VoxelPoints",
    "convert_volume",
    "csv_points",
    "export_imod",
    "filter_counts",
    "format_mdoc",
    "frame_doses",
    "header_spacing",
    "identity_affine",
    "imod_sections",
    "match_sections",
    "open_mrc",
    "read_mdoc",
    "read_points",
    "read_star",
    "read_tilt_angles",
    "read_tilt_com",
    "read_xf",
    "relion_points",
    "render_key_photos",
    "semantic_mask",
    "write_points",
    "write_tilt_angles",
]

_HOMES = {
    "AngstromPoints": "points",
    "ArrayVolume": "volumes",
    "Converted": "convert",
    "Mdoc": "mdoc",
    "MrcHeader": "mrc",
    "MrcVolume": "mrc",
    "Points": "points",
    "SectionAlignment": "alignments",
    "StarFile": "star",
    "Volume": "volumes",
    "VoxelPoints": "points",
    "convert_volume": "convert",
    "csv_points": "points_csv",
    "export_imod": "imod",
    "filter_counts": "relion_star",
    "format_mdoc": "mdoc",
    "frame_doses": "acquisition",
    "header_spacing": "volumes",
    "identity_affine": "alignments",
    "imod_sections": "imod",
    "match_sections": "acquisition",
    "open_mrc": "mrc",
    "read_mdoc": "mdoc",
    "read_points": "ndjson",
    "read_star": "star",
    "read_tilt_angles": "tilt_angles",
    "read_tilt_com": "imod",
    "read_xf": "imod",
    "relion_points": "relion_star",
    "render_key_photos": "keyphotos",
    "semantic_mask": "masks",
    "write_points": "ndjson",
    "write_tilt_angles": "tilt_angles",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
