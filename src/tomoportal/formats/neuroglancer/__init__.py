"""What Neuroglancer reads: viewer states, annotation layers, meshes, colours and shaders.

Building a state is a pure function (layers in, state out); annotation layers are arrays of records, served piece by
piece or written as files. Names are imported when they are first used: a state needs no NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomoportal.formats.neuroglancer.annotations import (
        AnnotationLayer,
        annotation_layer,
        segment_properties,
        write_point_layer,
    )
    from tomoportal.formats.neuroglancer.meshes import MESH_INFO, mesh_fragment, mesh_manifest, write_mesh_layer
    from tomoportal.formats.neuroglancer.palette import PALETTE, color_of, colors_of
    from tomoportal.formats.neuroglancer.sharding import SHARDING
    from tomoportal.formats.neuroglancer.state import (
        Layer,
        MaskLayer,
        MeshLayer,
        PointLayer,
        Tomogram,
        build_state,
        contrast_3d,
        layer_name,
        voxel_range,
        with_base,
    )

__all__ = [
    "MESH_INFO",
    "PALETTE",
    "SHARDING",
    "AnnotationLayer",
    "Layer",
    "MaskLayer",
    "MeshLayer",
    "PointLayer",
    "Tomogram",
    "annotation_layer",
    "build_state",
    "color_of",
    "colors_of",
    "contrast_3d",
    "layer_name",
    "mesh_fragment",
    "mesh_manifest",
    "segment_properties",
    "voxel_range",
    "with_base",
    "write_mesh_layer",
    "write_point_layer",
]

_HOMES = {
    "MESH_INFO": "meshes",
    "PALETTE": "palette",
    "SHARDING": "sharding",
    "AnnotationLayer": "annotations",
    "Layer": "state",
    "MaskLayer": "state",
    "MeshLayer": "state",
    "PointLayer": "state",
    "Tomogram": "state",
    "annotation_layer": "annotations",
    "build_state": "state",
    "color_of": "palette",
    "colors_of": "palette",
    "contrast_3d": "state",
    "layer_name": "state",
    "mesh_fragment": "meshes",
    "mesh_manifest": "meshes",
    "segment_properties": "annotations",
    "voxel_range": "state",
    "with_base": "state",
    "write_mesh_layer": "meshes",
    "write_point_layer": "annotations",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
