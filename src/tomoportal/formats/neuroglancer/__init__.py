"""What Neuroglancer reads: viewer states, annotation layers, colours and shaders.

Building a state is a pure function (layers in, state out); annotation layers are arrays of records, served piece by
piece or written as files. Names are imported when they are first used: a state needs no NumPy.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "AnnotationLayer": "annotations",
    "Layer": "state",
    "MaskLayer": "state",
    "MeshLayer": "state",
    "PointLayer": "state",
    "Tomogram": "state",
    "annotation_layer": "annotations",
    "build_state": "state",
    "color_of": "palette",
    "contrast_3d": "state",
    "layer_name": "state",
    "segment_properties": "annotations",
    "with_base": "state",
    "write_point_layer": "annotations",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
