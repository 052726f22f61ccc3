"""Viewer states: a tomogram and its annotation layers in, Neuroglancer's JSON out.

A pure function without NumPy. Sources are keys of the archive and appear as ``archive://<key>``; ``with_base`` puts a
host in their place. A source that is a URL already (layers that a server makes on request) is taken as it is.

Every coordinate is in voxels of the displayed tomogram. A source of another spacing needs nothing but its own
``inputDimensions``: the viewer scales by the ratio, and voxel centres stay at integers (viewer facts: zarr sources of
OME-Zarr are shifted by half a voxel by Neuroglancer itself).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from tomoportal.formats.neuroglancer import shaders

__all__ = [
    "ARCHIVE",
    "Layer",
    "Layout",
    "MaskLayer",
    "MeshLayer",
    "PointLayer",
    "Tomogram",
    "build_state",
    "contrast_3d",
    "dimensions",
    "layer_name",
    "voxel_range",
    "with_base",
]

ARCHIVE = "archive://"
"""Base of a key whose host is not known yet."""

Json: TypeAlias = Any
Layout: TypeAlias = Literal["4panel", "xy", "xz", "yz", "3d", "xy-3d"]
Range: TypeAlias = tuple[float, float]

_SHAPE_WORDS = {
    "Point": "point",
    "OrientedPoint": "orientedpoint",
    "InstanceSegmentation": "instancesegmentation",
    "SegmentationMask": "segmentation",
    "InstanceSegmentationMask": "instancesegmentation",
    "TriangularMesh": "mesh",
    "Mesh": "mesh",
    "OrientedMesh": "orientedmesh",
}


@dataclass(frozen=True, slots=True)
class Tomogram:
    """The image layer: ``source`` an OME-Zarr, ``shape`` (z, y, x) in voxels, ``voxel_spacing`` in Å.

    ``contrast`` and ``contrast_3d`` are grey values (black, white); without them 0 … 1. Volumes of whole numbers need
    their ``voxel_range``: the viewer drops all controls of a layer whose limits their type cannot hold (verified).
    """

    name: str
    source: str
    shape: tuple[int, int, int]
    voxel_spacing: float
    contrast: Range | None = None
    contrast_3d: Range | None = None
    voxel_range: tuple[int, int] | None = None
    volume_rendering: bool = False


@dataclass(frozen=True, slots=True)
class PointLayer:
    """An annotation layer of points, lines of oriented points, or points coloured by instance."""

    name: str
    source: str
    voxel_spacing: float
    color: str
    kind: Literal["point", "orientedPoint", "instancePoint"] = "point"
    visible: bool = False


@dataclass(frozen=True, slots=True)
class MaskLayer:
    """A label volume (OME-Zarr); with a colour it is one object, without one every label has its own colour.

    ``mesh_source`` and ``names_source`` are optional ``precomputed`` sources for 3D and for the list of labels.
    """

    name: str
    source: str
    voxel_spacing: float
    color: str | None = None
    mesh_source: str | None = None
    names_source: str | None = None
    visible: bool = False


@dataclass(frozen=True, slots=True)
class MeshLayer:
    """A surface, segment 1 of a ``precomputed`` mesh source with vertices in voxels of ``voxel_spacing``."""

    name: str
    source: str
    voxel_spacing: float
    color: str
    render_scale: float = 2.0
    visible: bool = False


Layer: TypeAlias = PointLayer | MaskLayer | MeshLayer


def build_state(tomogram: Tomogram, layers: Sequence[Layer] = (), *, layout: Layout = "4panel") -> dict[str, Json]:
    """The state of a viewer that shows a tomogram with its annotations, the view at the centre of the volume.

    Layers keep their order below the image; a name that occurs again gets a number, since the viewer needs unique
    names. The same input gives the same state.
    """
    size = tomogram.shape[::-1]
    largest = max(size)
    state: dict[str, Json] = {
        "dimensions": dimensions(tomogram.voxel_spacing),
        "position": [length / 2 for length in size],
        "crossSectionScale": max(largest / 400, 1.0),
        "projectionScale": largest * 11 / 10,
        "projectionOrientation": [0.3826834323650898, 0.0, 0.0, 0.9238795325112867],  # 45° about x
        "layers": _unique_names([_image(tomogram), *(_layer(layer, tomogram.voxel_spacing) for layer in layers)]),
        # Of the panels only the list of layers is open; the controls of the image are one click away.
        "selectedLayer": {"visible": False, "layer": tomogram.name, "side": "left"},
        "crossSectionBackgroundColor": "#000000",
        "hideCrossSectionBackground3D": True,
        "layout": layout,
        "showSlices": not tomogram.volume_rendering,
        "showAxisLines": True,
        "layerListPanel": {"side": "left", "row": 1, "visible": True},
        "helpPanel": {"side": "right", "row": 0},
        "settingsPanel": {"side": "right", "row": 1},
        "selection": {"row": 2, "visible": False},
        "toolPalettes": {
            "Position": {
                "side": "bottom",
                "row": 1,
                "size": 100,
                "visible": False,
                "query": "type:dimension",
                "verticalStacking": False,
            }
        },
        "gpuMemoryLimit": 1_500_000_000,
    }
    return state


def with_base(state: Json, base_url: str) -> Json:
    """A copy of a state (or a part of one) with ``base_url`` in the place of ``archive://``."""
    base = base_url.rstrip("/") + "/"

    def replaced(node: Json) -> Json:
        if isinstance(node, dict):
            return {key: replaced(value) for key, value in node.items()}
        if isinstance(node, list):
            return [replaced(value) for value in node]
        if isinstance(node, str):
            scheme, found, key = node.partition("://" + ARCHIVE)
            return f"{scheme}://{base}{key}" if found else node
        return node

    return replaced(state)


def dimensions(voxel_spacing: float) -> dict[str, Json]:
    """Neuroglancer's coordinate space of a volume: axes x, y, z with the voxel size in metres."""
    # Shifting the decimal point, not multiplying: 13.48 Å is 1.348e-09 m, not 1.3480000000000002e-09.
    metres = float(Decimal(repr(float(voxel_spacing))).scaleb(-10))
    return {axis: [metres, "m"] for axis in "xyz"}


def layer_name(annotation_id: int, object_name: str, shape: str) -> str:
    """Name of an annotation's layer: id, object and shape, as in ``100 cytosolic ribosome point``."""
    return f"{annotation_id} {object_name} {_SHAPE_WORDS.get(shape, shape.lower())}"


def voxel_range(kind: str, itemsize: int) -> tuple[int, int] | None:
    """Lowest and highest value of a type of voxels, by NumPy's ``dtype.kind`` and ``dtype.itemsize``; floats: None."""
    if kind == "i":
        return -(2 ** (8 * itemsize - 1)), 2 ** (8 * itemsize - 1) - 1
    return (0, 2 ** (8 * itemsize) - 1) if kind == "u" else None


def contrast_3d(mean: float, deviation: float) -> Range:
    """Grey values for volume rendering, which shows dark densities inverted: mean − 3 sd … mean + 0.5 sd."""
    return mean - 3 * deviation, mean + 0.5 * deviation


def _image(tomogram: Tomogram) -> dict[str, Json]:
    return {
        "type": "image",
        "name": tomogram.name,
        "source": _source("zarr", tomogram.source, tomogram.voxel_spacing, tomogram.voxel_spacing),
        "opacity": 1.0,
        "blend": "additive",
        "tab": "rendering",
        "visible": True,
        "volumeRendering": "on" if tomogram.volume_rendering else "off",
        "volumeRenderingGain": -7.8,
        "volumeRenderingDepthSamples": 128,
        "codeVisible": False,
        "shader": shaders.TOMOGRAM,
        "shaderControls": {
            "contrast": _limits(tomogram.contrast, 0.2, tomogram.voxel_range),
            "invert_contrast": False,
            "contrast_3D": _limits(tomogram.contrast_3d, 2.0, tomogram.voxel_range),
            "invert_contrast_3D": True,
            "hide_values_outside_limits_3D": False,
        },
    }


def _layer(layer: Layer, spacing: float) -> dict[str, Json]:
    if isinstance(layer, PointLayer):
        return _points(layer, spacing)
    return _mask(layer, spacing) if isinstance(layer, MaskLayer) else _mesh(layer, spacing)


def _points(layer: PointLayer, spacing: float) -> dict[str, Json]:
    controls = {"pointScale": 1.0, "opacity": 1.0}
    shader = {"point": shaders.POINTS, "instancePoint": shaders.INSTANCE_POINTS}.get(layer.kind)
    return {
        "type": "annotation",
        "name": layer.name,
        "source": _source("precomputed", layer.source, spacing, layer.voxel_spacing),
        "tab": "rendering",
        "annotationColor": layer.color,
        "visible": layer.visible,
        "codeVisible": False,
        "shader": shader or shaders.ORIENTED_POINTS,
        "shaderControls": controls if shader else {**controls, "lineWidth": 1.0},
    }


def _mask(layer: MaskLayer, spacing: float) -> dict[str, Json]:
    sources: list[Json] = [_source("zarr", layer.source, spacing, layer.voxel_spacing)]
    if layer.mesh_source is not None:
        sources.append(_source("precomputed", layer.mesh_source, spacing, layer.voxel_spacing))
    if layer.names_source is not None:
        sources.append(_url("precomputed", layer.names_source))
    state = {
        "type": "segmentation",
        "name": layer.name,
        "source": sources,
        "tab": "rendering",
        "selectedAlpha": 0.5,
        "hoverHighlight": False,
        "pick": False,  # a double click would hide the mask
        "meshRenderScale": 2.0,
        "visible": layer.visible,
    }
    if layer.color is not None:
        # Instances list no segments: an empty set shows all of them, and a list of thousands breaks the viewer's URL.
        state |= {"segments": ["1"], "segmentDefaultColor": layer.color}
    return state


def _mesh(layer: MeshLayer, spacing: float) -> dict[str, Json]:
    return {
        "type": "segmentation",
        "name": layer.name,
        "source": [_source("precomputed", layer.source, spacing, layer.voxel_spacing)],
        "tab": "rendering",
        "hoverHighlight": False,
        "pick": False,
        "meshRenderScale": layer.render_scale,
        "segments": ["1"],
        "segmentDefaultColor": layer.color,
        "visible": layer.visible,
    }


def _source(kind: str, source: str, output_spacing: float, input_spacing: float) -> dict[str, Json]:
    return {
        "url": _url(kind, source),
        "transform": {
            "outputDimensions": dimensions(output_spacing),
            "inputDimensions": dimensions(input_spacing),
        },
    }


def _url(kind: str, source: str) -> str:
    where = source if "://" in source else ARCHIVE + quote(source)
    return f"{kind}://{where.rstrip('/')}/"


def _limits(limits: Range | None, margin: float, voxel_range: tuple[int, int] | None) -> dict[str, Json]:
    low, high = limits or voxel_range or (0.0, 1.0)
    if not high > low:
        low, high = min(low, high), min(low, high) + 1.0
    width = (high - low) * margin
    if voxel_range is None:
        return {"range": [_short(low), _short(high)], "window": [_short(low - width), _short(high + width)]}
    lowest, highest = voxel_range
    dark = min(max(round(low), lowest), highest - 1)
    bright = max(min(round(high), highest), dark + 1)
    return {
        "range": [dark, bright],
        "window": [max(min(round(low - width), dark), lowest), min(max(round(high + width), bright), highest)],
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _unique_names(layers: list[dict[str, Json]]) -> list[dict[str, Json]]:
    used: set[str] = set()
    for layer in layers:
        name, number = layer["name"], 2
        while layer["name"] in used:
            layer["name"] = f"{name} ({number})"
            number += 1
        used.add(layer["name"])
    return layers
