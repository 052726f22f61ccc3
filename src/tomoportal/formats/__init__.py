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
    from tomoportal.formats.aretomo import AretomoAlignment, read_aretomo
    from tomoportal.formats.convert import Converted, convert_volume
    from tomoportal.formats.copick_csv import copick_csv_poses, write_copick_csv
    from tomoportal.formats.copick_picks import CopickPicks, copick_points, read_copick_picks
    from tomoportal.formats.cryolo import box_points, cbox_points
    from tomoportal.formats.ctf import CtfSection, CtfTable, read_ctf
    from tomoportal.formats.deepfinder_xml import deepfinder_points
    from tomoportal.formats.digital_micrograph import open_dm
    from tomoportal.formats.dynamo import dynamo_points, dynamo_poses, dynamo_tomograms, write_dynamo
    from tomoportal.formats.em import EmHeader, open_em
    from tomoportal.formats.eman2 import eman2_points
    from tomoportal.formats.gains import ConvertedGain, convert_gain, gain_name
    from tomoportal.formats.imod import export_imod, imod_sections, read_tilt_com, read_xf
    from tomoportal.formats.imod_model import imod_points, read_imod_model, write_imod_model
    from tomoportal.formats.keyphotos import render_key_photos
    from tomoportal.formats.label_volume import LabelVolume
    from tomoportal.formats.masks import instance_mask, semantic_mask
    from tomoportal.formats.mdoc import Mdoc, format_mdoc, read_mdoc
    from tomoportal.formats.meshes import MESH_FORMATS, Mesh, mesh_format, outside_volume, read_mesh, write_glb
    from tomoportal.formats.motivelist import motivelist_points, motivelist_poses, write_motivelist
    from tomoportal.formats.mrc import MrcHeader, MrcVolume, open_mrc
    from tomoportal.formats.ndjson import read_points, write_points
    from tomoportal.formats.omezarr import OmeZarrVolume, level_shapes, open_omezarr
    from tomoportal.formats.opening import open_volume, volume_format
    from tomoportal.formats.point_formats import (
        POINT_FORMATS,
        PointFormat,
        PointRequest,
        matching_counts,
        read_point_file,
    )
    from tomoportal.formats.points import AngstromPoints, Points, VoxelPoints
    from tomoportal.formats.points_csv import csv_points
    from tomoportal.formats.poses import Poses
    from tomoportal.formats.pytom_xml import pytom_points
    from tomoportal.formats.relion_particles import (
        RelionFilaments,
        RelionTomogram,
        relion_poses,
        tomograms_of,
        write_relion,
        write_relion_import,
    )
    from tomoportal.formats.relion_star import filter_counts, relion5_points, relion_points
    from tomoportal.formats.spool import spooled
    from tomoportal.formats.star import StarFile, read_star
    from tomoportal.formats.star_output import write_star
    from tomoportal.formats.stopgap import stopgap_points, stopgap_poses, write_stopgap
    from tomoportal.formats.tardis import tardis_points
    from tomoportal.formats.tiff import TiffVolume, open_tiff
    from tomoportal.formats.tilt_angles import read_tilt_angles, write_tilt_angles
    from tomoportal.formats.volumes import ArrayVolume, Volume, header_spacing
    from tomoportal.formats.warp_star import warp_points

__all__ = [
    "MESH_FORMATS",
    "POINT_FORMATS",
    "AngstromPoints",
    "AretomoAlignment",
    "ArrayVolume",
    "Converted",
    "ConvertedGain",
    "CopickPicks",
    "CtfSection",
    "CtfTable",
    "EmHeader",
    "LabelVolume",
    "Mdoc",
    "Mesh",
    "MrcHeader",
    "MrcVolume",
    "OmeZarrVolume",
    "PointFormat",
    "PointRequest",
    "Points",
    "Poses",
    "RelionFilaments",
    "RelionTomogram",
    "SectionAlignment",
    "StarFile",
    "TiffVolume",
    "Volume",
    "VoxelPoints",
    "box_points",
    "cbox_points",
    "convert_gain",
    "convert_volume",
    "copick_csv_poses",
    "copick_points",
    "csv_points",
    "deepfinder_points",
    "dynamo_points",
    "dynamo_poses",
    "dynamo_tomograms",
    "eman2_points",
    "export_imod",
    "filter_counts",
    "format_mdoc",
    "frame_doses",
    "gain_name",
    "header_spacing",
    "identity_affine",
    "imod_points",
    "imod_sections",
    "instance_mask",
    "level_shapes",
    "match_sections",
    "matching_counts",
    "mesh_format",
    "motivelist_points",
    "motivelist_poses",
    "open_dm",
    "open_em",
    "open_mrc",
    "open_omezarr",
    "open_tiff",
    "open_volume",
    "outside_volume",
    "pytom_points",
    "read_aretomo",
    "read_copick_picks",
    "read_ctf",
    "read_imod_model",
    "read_mdoc",
    "read_mesh",
    "read_point_file",
    "read_points",
    "read_star",
    "read_tilt_angles",
    "read_tilt_com",
    "read_xf",
    "relion5_points",
    "relion_points",
    "relion_poses",
    "render_key_photos",
    "semantic_mask",
    "spooled",
    "stopgap_points",
    "stopgap_poses",
    "tardis_points",
    "tomograms_of",
    "volume_format",
    "warp_points",
    "write_copick_csv",
    "write_dynamo",
    "write_glb",
    "write_imod_model",
    "write_motivelist",
    "write_points",
    "write_relion",
    "write_relion_import",
    "write_star",
    "write_stopgap",
    "write_tilt_angles",
]

_HOMES = {
    "MESH_FORMATS": "meshes",
    "POINT_FORMATS": "point_formats",
    "AngstromPoints": "points",
    "AretomoAlignment": "aretomo",
    "ArrayVolume": "volumes",
    "Converted": "convert",
    "ConvertedGain": "gains",
    "CopickPicks": "copick_picks",
    "CtfSection": "ctf",
    "CtfTable": "ctf",
    "EmHeader": "em",
    "LabelVolume": "label_volume",
    "Mdoc": "mdoc",
    "Mesh": "meshes",
    "MrcHeader": "mrc",
    "MrcVolume": "mrc",
    "OmeZarrVolume": "omezarr",
    "PointFormat": "point_formats",
    "PointRequest": "point_formats",
    "Points": "points",
    "Poses": "poses",
    "RelionFilaments": "relion_particles",
    "RelionTomogram": "relion_particles",
    "SectionAlignment": "alignments",
    "StarFile": "star",
    "TiffVolume": "tiff",
    "Volume": "volumes",
    "VoxelPoints": "points",
    "box_points": "cryolo",
    "cbox_points": "cryolo",
    "convert_gain": "gains",
    "convert_volume": "convert",
    "copick_csv_poses": "copick_csv",
    "copick_points": "copick_picks",
    "csv_points": "points_csv",
    "deepfinder_points": "deepfinder_xml",
    "dynamo_points": "dynamo",
    "dynamo_poses": "dynamo",
    "dynamo_tomograms": "dynamo",
    "eman2_points": "eman2",
    "export_imod": "imod",
    "filter_counts": "relion_star",
    "format_mdoc": "mdoc",
    "frame_doses": "acquisition",
    "gain_name": "gains",
    "header_spacing": "volumes",
    "identity_affine": "alignments",
    "imod_points": "imod_model",
    "imod_sections": "imod",
    "instance_mask": "masks",
    "level_shapes": "omezarr",
    "match_sections": "acquisition",
    "matching_counts": "point_formats",
    "mesh_format": "meshes",
    "motivelist_points": "motivelist",
    "motivelist_poses": "motivelist",
    "open_dm": "digital_micrograph",
    "open_em": "em",
    "open_mrc": "mrc",
    "open_omezarr": "omezarr",
    "open_tiff": "tiff",
    "open_volume": "opening",
    "outside_volume": "meshes",
    "pytom_points": "pytom_xml",
    "read_aretomo": "aretomo",
    "read_copick_picks": "copick_picks",
    "read_ctf": "ctf",
    "read_imod_model": "imod_model",
    "read_mdoc": "mdoc",
    "read_mesh": "meshes",
    "read_point_file": "point_formats",
    "read_points": "ndjson",
    "read_star": "star",
    "read_tilt_angles": "tilt_angles",
    "read_tilt_com": "imod",
    "read_xf": "imod",
    "relion5_points": "relion_star",
    "relion_points": "relion_star",
    "relion_poses": "relion_particles",
    "render_key_photos": "keyphotos",
    "semantic_mask": "masks",
    "spooled": "spool",
    "stopgap_points": "stopgap",
    "stopgap_poses": "stopgap",
    "tardis_points": "tardis",
    "tomograms_of": "relion_particles",
    "volume_format": "opening",
    "warp_points": "warp_star",
    "write_copick_csv": "copick_csv",
    "write_dynamo": "dynamo",
    "write_glb": "meshes",
    "write_imod_model": "imod_model",
    "write_motivelist": "motivelist",
    "write_points": "ndjson",
    "write_relion": "relion_particles",
    "write_relion_import": "relion_particles",
    "write_star": "star_output",
    "write_stopgap": "stopgap",
    "write_tilt_angles": "tilt_angles",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
