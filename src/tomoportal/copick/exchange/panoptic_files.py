"""Panoptic segmentations in files: one of two channels, or the pair that exports of other formats write.

OME-Zarr folders with the axes c, z, y, x and TIFF files of two channels hold labels and instances together. MRC and EM
files hold no channels: ``NAME_label.mrc`` and ``NAME_instance.mrc`` beside each other are one segmentation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.exchange.volume_files import open_file, read_whole, spacing_of
from tomoportal.copick.labels import PANOPTIC_CHANNELS
from tomoportal.copick.names import voxel_key
from tomoportal.copick.zarr_folders import ZarrFolder
from tomoportal.errors import AnnotationError
from tomoportal.formats.omezarr.array import read_document
from tomoportal.formats.tiff import is_tiff, open_tiff_channels
from tomoportal.formats.volumes import Volume
from tomoportal.storage import open_store

__all__ = ["both_channels", "check_channels", "panoptic_name", "panoptic_spacing"]

_LABEL, _INSTANCE = (f"_{channel}" for channel in PANOPTIC_CHANNELS)


def panoptic_name(path: Path) -> str | None:
    """The name that the run is taken from: without its ending and ``_label``; None for the other file of a pair."""
    if path.stem.endswith(_INSTANCE) and _other(path, _INSTANCE, _LABEL).exists():
        return None
    return path.stem.removesuffix(_LABEL) if _other(path, _LABEL, _INSTANCE).exists() else path.stem


def both_channels(path: Path, file_type: str | None = None) -> NDArray[Any]:
    """Labels and instances, ``(2, z, y, x)``."""
    source = _source(path, file_type)
    if isinstance(source, ZarrFolder):
        return source.read("0", None)
    try:
        return np.stack([read_whole(each) for each in source])
    finally:
        for each in source:
            each.close()


def panoptic_spacing(path: Path, file_type: str | None = None, voxel_size: float | None = None) -> float:
    """The voxel size in Å: the one that is given, else the file's. Raises :class:`TomoportalError` if it has none."""
    source = _source(path, file_type)
    if isinstance(source, ZarrFolder):
        return voxel_size if voxel_size is not None else _spacing_of_folder(source, path)
    sizes = [spacing_of(each, voxel_size) for each in source]
    if voxel_key(sizes[0]) != voxel_key(sizes[1]):
        raise AnnotationError(
            f"The labels have voxels of {sizes[0]:g} Å, the instances of {sizes[1]:g} Å.",
            where=str(path),
            fix="give the one that is right with --voxel-size",
        )
    return sizes[0]


def _other(path: Path, suffix: str, other: str) -> Path:
    """The file of the other channel; a path that does not exist for files that are none of a pair."""
    return path.with_name(f"{path.stem.removesuffix(suffix)}{other}{path.suffix}") if path.stem.endswith(suffix) else (
        path / other
    )  # fmt: skip


def _source(path: Path, file_type: str | None) -> ZarrFolder | tuple[Volume, Volume]:
    """The folder, or labels and instances. Raises :class:`AnnotationError` for anything else."""
    place = path.expanduser().absolute()
    instances = _other(place, _LABEL, _INSTANCE)
    if instances.exists():
        pair = open_file(place, file_type), open_file(instances, file_type)
        if pair[0].shape != pair[1].shape:
            raise AnnotationError(
                f"The labels have the shape {pair[0].shape}, the instances {pair[1].shape}.",
                where=str(path),
                fix="export both from one segmentation",
            )
        return pair
    store = open_store(place.parent, read_only=True, follow_links=True)
    if place.is_dir():
        folder = ZarrFolder(store, place.name, str(place), read_only=True)
        if len(folder.array("0").shape) == 4:
            return folder
    elif is_tiff(store.get_range(place.name, 0, 4)):
        channels = open_tiff_channels(store, place.name)
        if len(channels) == 2:
            return channels[0], channels[1]
    raise _no_channels(str(path))


def check_channels(pattern: str, file_type: str | None) -> None:
    """Raise :class:`AnnotationError` for one file of a type without channels, before it is looked for."""
    is_pair = Path(pattern).stem.endswith((_LABEL, _INSTANCE)) or any(char in pattern for char in "*?[")
    if file_type in ("mrc", "em") and not is_pair:
        raise _no_channels(pattern)


def _no_channels(place: str) -> AnnotationError:
    return AnnotationError(
        "A panoptic segmentation has two channels; this holds no channels.",
        where=place,
        fix="give an OME-Zarr folder with the axes c, z, y, x, a TIFF file of two channels, or the file NAME_label of a"
        " pair NAME_label and NAME_instance",
    )


def _spacing_of_folder(folder: ZarrFolder, path: Path) -> float:
    document = read_document(folder.store, f"{folder.key}/.zattrs") or {}
    if not document:
        attributes = (read_document(folder.store, f"{folder.key}/zarr.json") or {}).get("attributes", {})
        document = attributes.get("ome", attributes)
    try:
        multiscale = document["multiscales"][0]
        unit = multiscale["axes"][-1].get("unit", "angstrom")
        scale = float(multiscale["datasets"][0]["coordinateTransformations"][0]["scale"][-1])
    except (KeyError, IndexError, TypeError, ValueError):
        scale, unit = 0.0, "angstrom"
    if not scale > 0 or unit != "angstrom":
        raise AnnotationError("The folder does not state a voxel size.", where=str(path), fix="give --voxel-size")
    return scale
