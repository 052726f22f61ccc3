"""An OME-Zarr image as it lies in an archive: what its metadata say, level by level, nothing corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tomoportal.errors import FormatError
from tomoportal.formats.omezarr.array import ZarrArray, read_document
from tomoportal.storage import Store

__all__ = ["Image", "Level", "read_image"]


@dataclass(frozen=True, slots=True)
class Level:
    """One level: ``scale`` and ``translation`` as written (z, y, x), None where they are missing or no numbers."""

    path: str
    array: ZarrArray
    scale: tuple[float, ...] | None
    translation: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Image:
    """``axes`` are (name, type, unit) as written; ``labels`` the image-label part, None without one."""

    axes: tuple[tuple[Any, Any, Any], ...]
    levels: tuple[Level, ...]
    labels: tuple[Any, ...] | None


def read_image(store: Store, key: str) -> Image:
    """Read the metadata of the first image in a group and of all its levels. Raises :class:`FormatError`."""
    version_3 = read_document(store, f"{key}/zarr.json")
    attributes: Any = read_document(store, f"{key}/.zattrs") if version_3 is None else version_3.get("attributes")
    if isinstance(attributes, dict) and isinstance(attributes.get("ome"), dict):
        attributes = attributes["ome"]
    if not isinstance(attributes, dict):
        raise FormatError("there is no OME-Zarr metadata", where=key)
    if version_3 is None and read_document(store, f"{key}/.zgroup") is None:
        raise FormatError("there is no .zgroup", where=key)
    multiscales = attributes.get("multiscales")
    first = multiscales[0] if isinstance(multiscales, list) and multiscales else None
    datasets = first.get("datasets") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(datasets, list) or not datasets:
        raise FormatError("the metadata describe no image (multiscales[0].datasets)", where=key)
    levels = tuple(_level(store, key, dataset) for dataset in datasets[:16])
    axes = first.get("axes")
    named = axes if isinstance(axes, list) else []
    return Image(
        tuple((axis.get("name"), axis.get("type"), axis.get("unit")) for axis in named if isinstance(axis, dict)),
        levels,
        _labels(attributes, first),
    )


def _level(store: Store, key: str, dataset: Any) -> Level:
    path = dataset.get("path") if isinstance(dataset, dict) else None
    if not isinstance(path, str) or not path or path.startswith("/") or ".." in path.split("/"):
        raise FormatError(f"a dataset of the image has the path {path!r}", where=key)
    folder = f"{key}/{path}"
    document = read_document(store, f"{folder}/zarr.json") or read_document(store, f"{folder}/.zarray")
    if document is None:
        raise FormatError(f"level {path} is not there", where=key)
    steps = dataset.get("coordinateTransformations")
    found: dict[str, tuple[float, ...]] = {}
    for step in steps if isinstance(steps, list) else []:
        kind = step.get("type") if isinstance(step, dict) else None
        values = step.get(kind) if isinstance(kind, str) else None
        if isinstance(values, list) and all(type(value) in (int, float) for value in values):
            found.setdefault(str(kind), tuple(float(value) for value in values))
    return Level(path, ZarrArray(store, folder, document, folder), found.get("scale"), found.get("translation"))


def _labels(attributes: Mapping[str, Any], multiscale: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The label values, wherever writers put them."""
    for place in (attributes, multiscale, multiscale.get("metadata")):
        part = place.get("image-label") if isinstance(place, Mapping) else None
        if isinstance(part, Mapping):
            colors = part.get("colors")
            return tuple(
                color.get("label-value")
                for color in (colors if isinstance(colors, list) else [])
                if isinstance(color, dict)
            )
    return None
