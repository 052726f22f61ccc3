"""Additions to a project from arrays: runs, voxel spacings, tomograms, feature maps, objects (``copick.ops.add``).

``log=True`` says on the logger of this package what was added. ``transpose`` is an order of axes such as ``"2,1,0"``,
``flip`` a list of axes such as ``"0,2"``. What exists already is an error, unless ``exist_ok`` or ``overwrite``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tomoportal.copick.logs import get_logger
from tomoportal.copick.pyramids import CHUNK, PyramidLevel, levels_of
from tomoportal.errors import AnnotationError

if TYPE_CHECKING:
    from tomoportal.copick.config import FilamentSpec
    from tomoportal.copick.features import CopickFeatures
    from tomoportal.copick.objects import CopickObject
    from tomoportal.copick.pyramids import Array
    from tomoportal.copick.root import CopickRoot
    from tomoportal.copick.runs import CopickRun
    from tomoportal.copick.spacings import CopickVoxelSpacing
    from tomoportal.copick.tomograms import CopickTomogram

__all__ = [
    "add_features",
    "add_object",
    "add_object_volume",
    "add_run",
    "add_tomogram",
    "add_voxelspacing",
    "get_or_create_run",
    "get_or_create_voxelspacing",
    "turned",
]

_CHUNKS = (CHUNK, CHUNK, CHUNK)


def _say(log: bool, what: str) -> None:
    if log:
        get_logger("tomoportal.copick").info("%s", what)


def _axes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError as error:
        raise AnnotationError(f"{text!r} is no list of axes.", fix="write numbers with commas, as 2,1,0") from error


def turned(volume: Array, transpose: str | None, flip: str | None, *, first: int = 0) -> Array:
    """The volume with its axes in another order and reversed; the ``first`` axes (channels) stay as they are."""
    if transpose:
        order = _axes(transpose)
        if sorted(order) != list(range(volume.ndim - first)):
            raise AnnotationError(
                f"{transpose!r} does not order {volume.ndim - first} axes.", fix="give each axis once"
            )
        volume = np.transpose(volume, (*range(first), *(axis + first for axis in order)))
    if flip:
        axes = _axes(flip)
        if any(not 0 <= axis < volume.ndim - first for axis in axes):
            raise AnnotationError(f"{flip!r} names axes that the volume has not.", where=f"shape {volume.shape}")
        volume = np.flip(volume, tuple(axis + first for axis in axes))
    return volume


def add_run(root: CopickRoot, name: str, exist_ok: bool = False, log: bool = False) -> CopickRun:
    """A new run."""
    run = root.new_run(name, exist_ok=exist_ok)
    _say(log, f"Added run {name}.")
    return run


def get_or_create_run(root: CopickRoot, name: str, create: bool = True, log: bool = False) -> CopickRun:
    """The run of this name, made if it is not there and may be made."""
    run = root.get_run(name)
    if run is not None:
        return run
    if not create:
        raise AnnotationError(f"Could not find run {name}.", fix="correct the name, or say create=True")
    return add_run(root, name, log=log)


def add_voxelspacing(
    root: CopickRoot, run: str, voxel_spacing: float, create: bool = True, exist_ok: bool = False, log: bool = False
) -> CopickVoxelSpacing:
    """A new voxel spacing (Å) of a run."""
    made = get_or_create_run(root, run, create=create, log=log).new_voxel_spacing(voxel_spacing, exist_ok=exist_ok)
    _say(log, f"Added voxel spacing {voxel_spacing} to run {run}.")
    return made


def get_or_create_voxelspacing(
    run: CopickRun, voxel_size: float, create: bool = True, log: bool = False
) -> CopickVoxelSpacing:
    """The voxel spacing of this size (Å), made if it is not there and may be made."""
    found = run.get_voxel_spacing(voxel_size)
    if found is not None:
        return found
    if not create:
        raise AnnotationError(f"Could not find voxel spacing {voxel_size} in run {run.name}.", fix="say create=True")
    return add_voxelspacing(run.root, run.name, voxel_size, log=log)


def add_tomogram(
    root: CopickRoot,
    run: str,
    tomo_type: str,
    volume: Array | Mapping[float, Array],
    voxel_spacing: float | None = None,
    create: bool = True,
    exist_ok: bool = False,
    overwrite: bool = False,
    create_pyramid: bool = False,
    pyramid_levels: int = 3,
    chunks: Sequence[int] = _CHUNKS,
    transpose: str | None = None,
    flip: str | None = None,
    meta: dict[str, Any] | None = None,
    log: bool = False,
) -> CopickTomogram:
    """A tomogram ``(z, y, x)`` with voxels of ``voxel_spacing`` Å, or its levels by their voxel sizes.

    ``meta`` is kept with the volume. Raises :class:`AnnotationError` for an array without a spacing, a spacing that
    the levels do not have, and a volume that exists, unless ``overwrite`` replaces it.
    """
    if isinstance(volume, Mapping):
        given = {float(size): turned(np.asarray(each), transpose, flip) for size, each in volume.items()}
        size = min(given) if voxel_spacing is None else float(voxel_spacing)
        if size not in given:
            raise AnnotationError(f"Voxel spacing {size} not found in provided pyramid (contains {list(given)}).")
        given = {size: given.pop(size), **given}
    else:
        if voxel_spacing is None:
            raise AnnotationError("Voxel spacing must be provided if volume is an array.", fix="give it in Å")
        size = float(voxel_spacing)
        given = {size: turned(np.asarray(volume), transpose, flip)}
    spacing = get_or_create_voxelspacing(get_or_create_run(root, run, create=create, log=log), size, create=create)
    tomogram = spacing.new_tomogram(tomo_type, exist_ok=exist_ok or overwrite)
    if not overwrite and not tomogram._folder.is_empty():
        raise AnnotationError(
            f"Tomogram type {tomo_type} already exists for this voxel spacing.",
            where=tomogram._folder.where,
            fix="say overwrite=True",
        )
    arrays = {each: tomogram._checked(array, (3,), None) for each, array in given.items()}
    if create_pyramid:
        levels = levels_of(arrays[size].astype(np.float32, copy=False), size, pyramid_levels, "mean")
    else:
        levels = [PyramidLevel(array, each, 0.0) for each, array in arrays.items()]
    tomogram._write_levels(levels, "mean", metadata=meta, chunk=chunks)
    _say(log, f"Added tomogram {tomo_type} to run {run}.")
    return tomogram


def add_features(
    root: CopickRoot,
    run: str,
    voxel_spacing: float,
    tomo_type: str,
    feature_type: str,
    features_vol: Array,
    exist_ok: bool = False,
    overwrite: bool = False,
    chunks: Sequence[int] = _CHUNKS,
    meta: dict[str, Any] | None = None,
    log: bool = False,
) -> CopickFeatures:
    """Features ``(z, y, x)`` or ``(feature, z, y, x)`` of the tomogram at this voxel spacing (Å; C52)."""
    spacing = get_or_create_voxelspacing(get_or_create_run(root, run, create=False), voxel_spacing, create=False)
    tomogram = next(iter(spacing.get_tomograms(tomo_type)), None)
    if tomogram is None:
        raise AnnotationError(f"Could not find tomogram {tomo_type} in run {run}.", fix="add the tomogram first")
    features = tomogram.new_features(feature_type, exist_ok=exist_ok or overwrite)
    if not overwrite and not features._folder.is_empty():
        raise AnnotationError(
            f"Feature type {feature_type} already exists for this tomogram.", where=features.path, fix="overwrite=True"
        )
    features._replace(
        features_vol, spacing.voxel_size, 1, None, "mean", channel="feature", axes=(3, 4), chunk=chunks, metadata=meta
    )
    _say(log, f"Added features {feature_type} to tomogram {tomo_type} in run {run}.")
    return features


def add_object(
    root: CopickRoot,
    name: str,
    is_particle: bool,
    label: int | None = None,
    color: tuple[int, int, int, int] | None = None,
    emdb_id: str | None = None,
    pdb_id: str | None = None,
    identifier: str | None = None,
    map_threshold: float | None = None,
    radius: float | None = None,
    volume: Array | None = None,
    voxel_size: float | None = None,
    metadata: dict[str, Any] | None = None,
    exist_ok: bool = False,
    save_config: bool = False,
    config_path: str | os.PathLike[str] | None = None,
    log: bool = False,
    filament: FilamentSpec | dict[str, Any] | None = None,
) -> CopickObject:
    """A pickable object, with its density map if there is one; the config is saved if asked for.

    What is None is the default, or stays as it is with ``exist_ok``.
    """
    if volume is not None and voxel_size is None:
        raise AnnotationError("voxel_size must be provided if volume is provided.", fix="give it in Å")
    if save_config and config_path is None:
        raise AnnotationError("config_path must be provided if save_config is True.")
    given: dict[str, Any] = {
        "label": label,
        "color": color,
        "emdb_id": emdb_id,
        "pdb_id": pdb_id,
        "identifier": identifier,
        "map_threshold": map_threshold,
        "radius": radius,
        "metadata": metadata,
        "filament": filament,
    }
    told: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    found = root.new_object(name, is_particle, exist_ok=exist_ok, **told)
    if volume is not None and voxel_size is not None:
        found.from_numpy(volume, voxel_size)
    if config_path is not None and save_config:
        root.save_config(config_path)
    _say(log, f"Added object {name} to root configuration.")
    return found


def add_object_volume(
    root: CopickRoot, object_name: str, volume: Array, voxel_size: float, log: bool = False
) -> CopickObject:
    """The density map ``(z, y, x)`` of an object, with voxels of ``voxel_size`` Å."""
    found = root.get_object(object_name)
    if found is None:
        raise AnnotationError(f"Object {object_name} not found in root configuration.", fix="add the object first")
    if not found.is_particle:
        raise AnnotationError(f"Object {object_name} is not a particle object and cannot have volume data.")
    if found.read_only:
        raise AnnotationError(f"Object {object_name} is read-only and cannot be modified.", where=found.path)
    found.from_numpy(volume, voxel_size)
    _say(log, f"Added volume data to object {object_name}.")
    return found
