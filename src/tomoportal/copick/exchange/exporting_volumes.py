"""Tomograms, segmentations and meshes into files of other programs, as tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from tomoportal.copick.labels import PANOPTIC_CHANNELS
from tomoportal.copick.names import SEGMENTATION_FOLDERS, voxel_spacing_folder
from tomoportal.copick.pyramids import PyramidLevel, write_pyramid
from tomoportal.copick.root import CopickRoot
from tomoportal.copick.segmentations import CopickSegmentation
from tomoportal.copick.tasks import Task
from tomoportal.copick.tomograms import CopickTomogram
from tomoportal.copick.uri import no_match, resolve_copick_objects, serialize_copick_uri
from tomoportal.copick.zarr_copies import copy_folder
from tomoportal.copick.zarr_folders import ZarrFolder
from tomoportal.errors import AnnotationError, FormatError
from tomoportal.formats.meshes import read_mesh
from tomoportal.formats.meshes.output import MESH_WRITERS
from tomoportal.formats.spool import spooled
from tomoportal.formats.volume_output import TiffCompression, write_em, write_mrc, write_tiff
from tomoportal.formats.volumes import ArrayVolume, Chunked, Volume, Voxels
from tomoportal.storage import Store, open_store

__all__ = ["VolumeExport", "plan_meshes_export", "plan_segmentations_export", "plan_tomograms_export", "write_volume"]

_EXACT_IN_FLOAT32: Final = 2**24
_ENDINGS: Final = {"mrc": ".mrc", "tiff": ".tiff", "zarr": ".zarr", "em": ".em"}


@dataclass(frozen=True)
class VolumeExport:
    """What is exported and how. ``level`` counts from the finest; Zarr folders go with all levels, or that one."""

    uri: str
    output_format: str
    level: int = 0
    copy_all_levels: bool = True
    compression: TiffCompression = "none"
    run_names: Sequence[str] | None = None
    channel: Literal["label", "instance"] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """What runs are called in files, where not by their own names."""

    def name(self, run: str) -> str:
        """In files."""
        return self.names.get(run, run)

    def found(self, root: CopickRoot, object_type: str) -> list[tuple[str, Any]]:
        """Runs and what the URI names in them."""
        unknown = [name for name in self.run_names or () if root.get_run(name) is None]
        if unknown:
            raise AnnotationError(f"Unknown runs: {', '.join(unknown)}", fix="names of runs are case-sensitive")
        chosen = root.runs if self.run_names is None else filter(None, map(root.get_run, self.run_names))
        names = dict.fromkeys(run.name for run in chosen)
        found = [(name, each) for name in names for each in resolve_copick_objects(self.uri, root, object_type, name)]
        if not found:
            raise no_match(object_type, self.uri)
        return found


class _FolderVolume:
    """A level of a stored volume, read slab by slab."""

    value_offset = 0
    mapped = False
    notes: tuple[str, ...] = ()

    def __init__(self, folder: ZarrFolder, level: int, voxel_size: float) -> None:
        array = folder.array(str(level))
        z, y, x = array.shape[-3:]
        self.shape = (z, y, x)
        self.dtype = array.dtype.newbyteorder("=")
        self.voxel_size = (voxel_size, voxel_size, voxel_size)
        self.name = folder.where
        depth, height, width = array.chunks[-3:]
        self.chunks = (depth, height, width)
        self._folder, self._level = folder, str(level)

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        found = self._folder.read(self._level, (slice(z0, z1), slice(y0, y1), slice(x0, x1)))
        return found.astype(self.dtype, copy=False)

    def close(self) -> None:
        """Nothing to let go of."""


def plan_tomograms_export(root: CopickRoot, export: VolumeExport, output_dir: Path) -> list[Task]:
    """``run/VoxelSpacing10.000/type.mrc`` for every tomogram of the URI, as float32."""
    tasks = []
    for run, tomogram in export.found(root, "tomogram"):
        size = tomogram.voxel_spacing.voxel_size
        key = f"{export.name(run)}/{voxel_spacing_folder(size)}/{tomogram.tomo_type}"
        tasks.append(_task(tomogram, key, run, export, output_dir))
    return tasks


def plan_segmentations_export(root: CopickRoot, export: VolumeExport, output_dir: Path) -> list[Task]:
    """``run/Segmentations/name_user_session.mrc`` for every segmentation of the URI, every label unchanged.

    Where two would have one name, the voxel size stands before it. Panoptic ones become a file per channel, but for
    Zarr.
    """
    found = export.found(root, "segmentation")
    keys = [_segmentation_key(export.name(run), each) for run, each in found]
    tasks = []
    for (run, each), key in zip(found, keys, strict=True):
        if keys.count(key) > 1:
            folder, _, name = key.rpartition("/")
            kind = "-multilabel" if each.is_multilabel else ""
            key = f"{folder}/{each.voxel_size:.3f}_{name}{kind}"
        if not each.is_panoptic or export.output_format == "zarr":
            tasks.append(_task(each, key, run, export, output_dir))
            continue
        for channel in PANOPTIC_CHANNELS:
            if export.channel in (None, channel):
                one = replace(export, channel=channel)
                tasks.append(_task(each, f"{key}_{channel}", run, one, output_dir))
    return tasks


def _segmentation_key(run: str, each: CopickSegmentation) -> str:
    folder = SEGMENTATION_FOLDERS[each.segmentation_type]
    return f"{run}/{folder}/{each.name}_{each.user_id}_{each.session_id}"


def _task(entity: CopickTomogram | CopickSegmentation, key: str, run: str, export: VolumeExport, folder: Path) -> Task:
    path = key + _ending(export)
    return Task("export", path, run, lambda: write_volume(entity, folder, path, export), serialize_copick_uri(entity))


def write_volume(entity: CopickTomogram | CopickSegmentation, folder: Path, key: str, export: VolumeExport) -> None:
    """Write a volume to the file (or Zarr folder) ``key`` in ``folder``, as ``export`` says.

    Raises :class:`FormatError` for labels that the format cannot hold, and for both channels of a panoptic one at once;
    :class:`AnnotationError` for a format that there is not, and a channel where there is none to choose.
    """
    _ending(export)
    if isinstance(entity, CopickSegmentation) and export.channel is not None:
        if export.output_format == "zarr":
            raise AnnotationError("Zarr output keeps every channel.", where=entity.path, fix="choose no channel")
        if not entity.is_panoptic:
            raise AnnotationError(
                f"A {entity.segmentation_type} segmentation has no channels.", where=entity.path, fix="choose none"
            )
    target = open_store(folder, create=True)
    is_tomogram = isinstance(entity, CopickTomogram)
    size = entity.voxel_spacing.voxel_size if isinstance(entity, CopickTomogram) else entity.voxel_size
    spacing = size * 2**export.level
    if export.output_format == "zarr":
        _copy_zarr(entity._folder, target, key, export, size)
        return
    if isinstance(entity, CopickSegmentation) and entity.is_panoptic:
        if export.channel is None:
            raise FormatError(
                f"{export.output_format.upper()} holds no channels.", where=entity.path, fix="choose one with --channel"
            )
        voxels = entity.numpy(str(export.level), channel=export.channel)
        volume: Volume = ArrayVolume(voxels, spacing, name=entity.path)
    else:
        volume = _FolderVolume(entity._folder, export.level, spacing)
    typed = _floats if is_tomogram else _labels
    _write(typed(volume, export.output_format), target, key, export, spacing)


def _ending(export: VolumeExport) -> str:
    ending = _ENDINGS.get(export.output_format)
    if ending is None:
        raise AnnotationError(f"Unsupported output format: {export.output_format}", fix=f"use {', '.join(_ENDINGS)}")
    return ending


def _write(volume: Volume, store: Store, key: str, export: VolumeExport, spacing: float) -> None:
    source = spooled(volume, workers=os.cpu_count() or 1)  # each chunk is decoded once
    try:
        _write_file(source, store, key, export, spacing)
    finally:
        source.close()


def _write_file(volume: Volume, store: Store, key: str, export: VolumeExport, spacing: float) -> None:
    if export.output_format == "mrc":
        write_mrc(volume, store, key, voxel_spacing=spacing)
    elif export.output_format == "em":
        write_em(volume, store, key, voxel_spacing=spacing)
    else:
        write_tiff(volume, store, key, voxel_spacing=spacing, compression=export.compression)


class _Typed:
    """A stored volume in another type that holds all its values."""

    value_offset = 0

    def __init__(self, volume: Volume, dtype: np.dtype[Any]) -> None:
        self._volume, self.dtype = volume, dtype
        self.shape, self.voxel_size, self.name = volume.shape, volume.voxel_size, volume.name
        self.notes, self.mapped = volume.notes, volume.mapped
        self.chunks = volume.chunks if isinstance(volume, Chunked) else volume.shape

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        return self._volume.read(z0, z1, y0, y1, x0, x1).astype(self.dtype, copy=False)

    def close(self) -> None:
        self._volume.close()


def _floats(volume: Volume, output_format: str) -> Volume:
    """Tomograms are written as float32, unless their own type goes into the file."""
    held = {"mrc": ("int8", "int16", "uint16", "float32"), "em": ("int8", "int16", "float32")}
    is_held = volume.dtype.name in held.get(output_format, (volume.dtype.name,))
    return volume if is_held else _Typed(volume, np.dtype(np.float32))


def _labels(volume: Volume, output_format: str) -> Volume:
    """Labels in a type of the format that holds each of them. Raises :class:`FormatError` if there is none."""
    if output_format == "tiff":
        return volume
    labels: NDArray[Any] = np.asarray(volume.read(0, volume.shape[0]))
    low, high = (int(labels.min()), int(labels.max())) if labels.dtype.kind != "f" else (0, _EXACT_IN_FLOAT32)
    fits = {
        "mrc": (("int16", -(2**15), 2**15 - 1), ("uint16", 0, 2**16 - 1)),
        "em": (),
    }[output_format]
    dtype = next((name for name, least, most in fits if least <= low and high <= most), None)
    if dtype is None and max(-low, high) <= _EXACT_IN_FLOAT32:
        dtype = "float32"
    if dtype is None and output_format == "em" and low >= -(2**31) and high < 2**31:
        dtype = "int32"
    if dtype is None or labels.dtype.kind == "f":
        if labels.dtype.kind == "f":
            return _Typed(volume, np.dtype(np.float32))
        raise FormatError(
            f"Segmentation values in [{low}, {high}] cannot be written to {output_format.upper()} without changing"
            " labels.",
            where=volume.name,
            fix="export to TIFF or Zarr",
        )
    return ArrayVolume(labels.astype(dtype), volume.voxel_size, name=volume.name)


def _copy_zarr(folder: ZarrFolder, store: Store, key: str, export: VolumeExport, size: float) -> None:
    if export.copy_all_levels:
        copy_folder(folder.store, folder.key, store, key)
        return
    array = folder.read(str(export.level), None)
    level = PyramidLevel(array, size * 2**export.level, 0.0)
    is_labels = array.dtype.kind in "iub"
    write_pyramid(store, key, [level], is_labels=is_labels, channel="c" if array.ndim == 4 else None)


# --- meshes


def plan_meshes_export(root: CopickRoot, export: VolumeExport, output_dir: Path) -> list[Task]:
    """``run_object_user_session.glb`` (or obj, stl, ply) for every mesh of the URI, coordinates in Å."""
    if export.output_format not in ("glb", *MESH_WRITERS):
        raise AnnotationError(
            f"Unsupported output format: {export.output_format}", fix=f"use glb, {', '.join(MESH_WRITERS)}"
        )
    tasks = []
    for run, mesh in export.found(root, "mesh"):
        names = (export.name(run), mesh.pickable_object_name, mesh.user_id, mesh.session_id)
        tasks.append(_mesh_task(mesh, "_".join(names) + f".{export.output_format}", run, export, output_dir))
    return tasks


def _mesh_task(mesh: Any, file: str, run: str, export: VolumeExport, output_dir: Path) -> Task:
    def write() -> None:
        data = mesh._read()
        if export.output_format != "glb":
            data = MESH_WRITERS[export.output_format](read_mesh(data, os.path.basename(mesh.path), file_format="glb"))
        open_store(output_dir, create=True).put(file, data)

    return Task("export", file, run, write, export.uri)
