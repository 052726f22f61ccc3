"""Masks of an annotation: a label, a threshold or all instances of a source volume → MRC and OME-Zarr."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.archive import RULES
from tomoportal.archive.layout import layer_of
from tomoportal.errors import FormatError, IngestError
from tomoportal.formats.convert import convert_volume
from tomoportal.formats.label_volume import LabelVolume
from tomoportal.formats.masks import instance_mask, semantic_mask
from tomoportal.formats.meshes import label_surface
from tomoportal.formats.volumes import Volume
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.plan import Item
from tomoportal.ingest.steps.annotation_files import file_entry, target_shape, tomogram_shape
from tomoportal.ingest.steps.mesh_files import write_layer

__all__ = ["make_mask", "missing_label", "size_problem"]

_Size = tuple[int, int, int]


def make_mask(shape: Mapping[str, Any], item: Item, bench: Bench, warnings: list[str]) -> list[dict[str, Any]]:
    """Write one mask; the entries of its files, none if no voxel has the label."""
    arguments, settings = shape["arguments"], item.settings
    volume = bench.labels.open(bench.source, shape["key"], bench.digest(shape["key"]), workers=bench.jobs)
    problem = size_problem(volume.shape, tomogram_shape(settings["mrc"], bench), arguments)
    if problem:  # where such a mask lies in the tomogram, nobody knows
        raise IngestError(problem, where=shape["key"], fix=RULES["V807"].fix)
    if isinstance(volume, LabelVolume) and not _occurs(volume, shape):
        return []
    instances = shape["shape"] == "InstanceSegmentationMask"
    grid = target_shape(settings, bench) if arguments.get("rescale") else None
    mask: Volume = instance_mask(volume, target_shape=grid) if instances else _semantic(volume, arguments, grid)
    converted = convert_volume(
        mask,
        bench.target,
        mrc_key=shape["targets"]["mrc"],
        zarr_prefix=shape["targets"]["zarr"],
        voxel_spacing=settings["spacing"],
        kind="instance_mask" if instances else "semantic_mask",
        chunk_size=bench.options.chunk_size,
        ngff=bench.options.ngff,
        jobs=bench.jobs,
        timestamp=settings["stamp"],
        skip_empty=shape["shape"] != "SegmentationMask",
    )
    if not converted.files:
        return []
    warnings += [f"{shape['key']}: {note}" for note in converted.notes]
    if bench.options.meshes and not instances:
        _write_surface(shape["targets"]["zarr"], item, bench, warnings)
    written = {record.key for record in converted.files}
    count = converted.count if instances else 0
    formats = [name for name in ("zarr", "mrc") if name == "zarr" or shape["targets"][name] in written]
    return [file_entry(name, shape["targets"][name], shape, count) for name in formats]


def _write_surface(zarr: str, item: Item, bench: Bench, warnings: list[str]) -> None:
    try:
        surface = label_surface(bench.target, zarr)
    except FormatError as error:
        warnings.append(str(error))
    else:
        if surface is not None:
            write_layer(layer_of(zarr), surface, item, bench)


def size_problem(mask: _Size, tomogram: _Size | None, arguments: Mapping[str, Any]) -> str | None:
    """Why a mask does not fit its tomogram (both z, y, x): it has another size and is not to be rescaled (V807)."""
    if tomogram is None or mask == tomogram or arguments.get("rescale"):
        return None
    return f"the mask has {_voxels(mask)} voxels (x × y × z), its tomogram {_voxels(tomogram)}"


def _voxels(size: _Size) -> str:
    return " × ".join(map(str, reversed(size)))


def missing_label(shape: Mapping[str, Any]) -> str:
    """Why a mask was not written."""
    arguments = shape["arguments"]
    if "Instance" in shape["shape"]:
        return f"{shape['key']} does not hold the label of any instance"
    if arguments.get("threshold") is not None:
        return f"{shape['key']} does not reach the threshold {arguments['threshold']:g}"
    return f"{shape['key']} does not hold the label {arguments.get('mask_label', 1)}"


def _occurs(volume: LabelVolume, shape: Mapping[str, Any]) -> bool:
    """Whether a mask would hold anything, as far as can be told without making it."""
    arguments = shape["arguments"]
    if shape["shape"] != "SemanticSegmentationMask":
        return True
    if arguments.get("threshold") is not None:
        return volume.reaches(float(arguments["threshold"]))
    return volume.holds(int(arguments.get("mask_label") or 1))


def _semantic(volume: Volume, arguments: Mapping[str, Any], grid: tuple[int, int, int] | None) -> Volume:
    if arguments.get("threshold") is not None:
        return semantic_mask(volume, threshold=float(arguments["threshold"]), target_shape=grid)
    return semantic_mask(volume, label=int(arguments.get("mask_label") or 1), target_shape=grid)
