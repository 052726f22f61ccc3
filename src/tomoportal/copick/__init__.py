"""copick projects: what is annotated in tomograms, with the names and the files of the PyPI package ``copick``.

    import tomoportal.copick as copick

    root = copick.from_file("copick_config.json")
    run = root.get_run("TS_001")
    picks = run.new_picks("ribosome", session_id="1", user_id="ada")
    picks.from_numpy(positions)                       # (n, 3), Å, x, y, z from the corner of the volume
    positions, transforms = picks.numpy()
    picks.history(); picks.restore(1); picks.diff(1)  # every save keeps the state before it

A save that would replace what somebody else saved since it was loaded raises ``ConflictError``; ``store(merge=True)``
keeps both. :func:`install` makes ``import copick`` mean this room, for released plug-ins. Names are imported when they
are first used: importing the room costs milliseconds.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from tomoportal import __version__
from tomoportal.copick.drop_in import install

if TYPE_CHECKING:
    from tomoportal.copick.config import CopickConfig, CopickConfigFSSpec, FilamentSpec, PickableObject
    from tomoportal.copick.features import CopickFeatures, CopickFeaturesMeta
    from tomoportal.copick.filament_documents import CopickFilament, CopickFilamentCurve, CopickFilamentsFile
    from tomoportal.copick.filaments import CopickFilaments
    from tomoportal.copick.meshes import CopickMesh, CopickMeshMeta
    from tomoportal.copick.names import sanitize_name
    from tomoportal.copick.objects import CopickObject
    from tomoportal.copick.opening import from_croissant, from_file, from_string, new_config
    from tomoportal.copick.picks import CopickPicks, PickArrays, PicksDifference
    from tomoportal.copick.points import CopickLocation, CopickPicksFile, CopickPoint
    from tomoportal.copick.portal.opening import from_czcdp_datasets
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun, CopickRunMeta
    from tomoportal.copick.segmentations import CopickSegmentation, CopickSegmentationMeta
    from tomoportal.copick.spacings import CopickVoxelSpacing, CopickVoxelSpacingMeta
    from tomoportal.copick.tomograms import CopickTomogram, CopickTomogramMeta
    from tomoportal.copick.uri import (
        get_copick_objects_by_type,
        parse_copick_uri,
        resolve_copick_objects,
        serialize_copick_uri,
    )
    from tomoportal.copick.uri_expansion import expand_output_uri
    from tomoportal.copick.versions import Version

    COPICK_TYPES: tuple[type, ...]

_HOMES = {
    "config": ("CopickConfig", "CopickConfigFSSpec", "FilamentSpec", "PickableObject"),
    "features": ("CopickFeatures", "CopickFeaturesMeta"),
    "filament_documents": ("CopickFilament", "CopickFilamentCurve", "CopickFilamentsFile"),
    "filaments": ("CopickFilaments",),
    "meshes": ("CopickMesh", "CopickMeshMeta"),
    "names": ("sanitize_name",),
    "objects": ("CopickObject",),
    "opening": ("from_croissant", "from_file", "from_string", "new_config"),
    "picks": ("CopickPicks", "PickArrays", "PicksDifference"),
    "points": ("CopickLocation", "CopickPicksFile", "CopickPoint"),
    "portal.opening": ("from_czcdp_datasets",),
    "root": ("CopickRoot",),
    "runs": ("CopickRun", "CopickRunMeta"),
    "segmentations": ("CopickSegmentation", "CopickSegmentationMeta"),
    "spacings": ("CopickVoxelSpacing", "CopickVoxelSpacingMeta"),
    "tomograms": ("CopickTomogram", "CopickTomogramMeta"),
    "uri": ("get_copick_objects_by_type", "parse_copick_uri", "resolve_copick_objects", "serialize_copick_uri"),
    "uri_expansion": ("expand_output_uri",),
    "versions": ("Version",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}
_TYPES = (
    "CopickRoot",
    "CopickRun",
    "CopickVoxelSpacing",
    "CopickTomogram",
    "CopickFeatures",
    "CopickPicks",
    "CopickMesh",
    "CopickSegmentation",
    "CopickObject",
    "CopickFilaments",
)

__all__ = [
    "COPICK_TYPES",
    "CopickConfig",
    "CopickConfigFSSpec",
    "CopickFeatures",
    "CopickFeaturesMeta",
    "CopickFilament",
    "CopickFilamentCurve",
    "CopickFilaments",
    "CopickFilamentsFile",
    "CopickLocation",
    "CopickMesh",
    "CopickMeshMeta",
    "CopickObject",
    "CopickPicks",
    "CopickPicksFile",
    "CopickPoint",
    "CopickRoot",
    "CopickRun",
    "CopickRunMeta",
    "CopickSegmentation",
    "CopickSegmentationMeta",
    "CopickTomogram",
    "CopickTomogramMeta",
    "CopickVoxelSpacing",
    "CopickVoxelSpacingMeta",
    "FilamentSpec",
    "PickArrays",
    "PickableObject",
    "PicksDifference",
    "Version",
    "__version__",
    "expand_output_uri",
    "from_croissant",
    "from_czcdp_datasets",
    "from_file",
    "from_string",
    "get_copick_objects_by_type",
    "install",
    "new_config",
    "parse_copick_uri",
    "resolve_copick_objects",
    "sanitize_name",
    "serialize_copick_uri",
]


def __getattr__(name: str) -> Any:
    if name == "COPICK_TYPES":
        return tuple(__getattr__(each) for each in _TYPES)
    try:
        module = _MODULE_OF[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


if os.environ.get("TOMOPORTAL_AS_COPICK", "").lower() in ("1", "true", "yes"):
    install()
