"""Pyramids and OME-Zarr through the installed zarr package, as plug-ins make them (``copick.util.ome``).

Our own volumes are written by :mod:`.pyramids`; this is for programs that hold a zarr store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from tomoportal.copick.labels import checked_label_cast, label_dtype
from tomoportal.copick.pyramids import CHUNK, Array, Reduction, levels_of
from tomoportal.copick.zarr_folders import free_memory
from tomoportal.errors import FormatError, MissingPartError

__all__ = [
    "UNITFACTOR",
    "fits_in_memory",
    "get_voxel_size_from_zarr",
    "ome_metadata",
    "segmentation_pyramid",
    "volume_pyramid",
    "write_ome_zarr_3d",
]

_POWERS: Final = {
    "yocto": -24, "zepto": -21, "atto": -18, "femto": -15, "pico": -12, "nano": -9, "micro": -6, "milli": -3,
    "centi": -2, "deci": -1, "": 0, "hecto": 2, "kilo": 3, "mega": 6, "giga": 9, "tera": 12, "peta": 15, "exa": 18,
    "zetta": 21, "yotta": 24,
}  # fmt: skip
UNITFACTOR: Final[dict[str, float]] = {
    "angstrom": 1.0,
    **{f"{prefix}meter": float(f"1e{power + 10}") for prefix, power in _POWERS.items()},
    "foot": 0.3048e10,
    "inch": 0.0254e10,
    "mile": 1609.344e10,
    "parsec": 3.0856775814913673e26,
    "yard": 0.9144e10,
}
"""Å per unit of length, for every unit that NGFF knows."""


def _pyramid(array: Array, voxel_size: float, levels: int, reduction: Reduction) -> dict[float, Array]:
    return {level.scale: level.array for level in levels_of(array, voxel_size, levels, reduction)}


def volume_pyramid(volume: Array, voxel_size: float, levels: int, dtype: Any = np.float32) -> dict[float, Array]:
    """Voxel size in Å → ``(z, y, x)``: means of 2×2×2 voxels, sizes rounded up (C46)."""
    return _pyramid(np.asarray(volume).astype(dtype, copy=False), voxel_size, levels, "mean")


def segmentation_pyramid(segmentation: Array, voxel_size: float, levels: int, dtype: Any = None) -> dict[float, Array]:
    """Voxel size in Å → labels ``(…, z, y, x)``: every second voxel. Raises :class:`AnnotationError` if one changes."""
    labels = np.asarray(segmentation)
    wanted = dtype if dtype is not None else labels.dtype if labels.dtype.kind in "iub" else label_dtype(labels)
    return _pyramid(checked_label_cast(labels, wanted), voxel_size, levels, "nearest")


def ome_metadata(pyramid: Mapping[float, Array], channel_axis: bool = False) -> dict[str, Any]:
    """Axes and, per level, coordinate transformations of NGFF 0.4."""
    space: list[dict[str, str]] = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    before = [1.0] if channel_axis else []
    return {
        "axes": [{"name": "c", "type": "channel"}, *space] if channel_axis else space,
        "coordinate_transformations": [[{"scale": [*before, *[size] * 3], "type": "scale"}] for size in pyramid],
    }


def write_ome_zarr_3d(
    store: Any,
    pyramid: Mapping[float, Array],
    chunk_size: Sequence[int] = (CHUNK, CHUNK, CHUNK),
    channel_axis: bool = False,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Replace what a zarr store holds by these levels, as NGFF 0.4 in Zarr version 2."""
    zarr = _zarr()
    is_old = int(zarr.__version__.partition(".")[0]) < 3
    group = (
        zarr.group(store=store, overwrite=True) if is_old else zarr.create_group(store, overwrite=True, zarr_format=2)
    )
    about = ome_metadata(pyramid, channel_axis)
    datasets = []
    for number, (array, transformations) in enumerate(
        zip(pyramid.values(), about["coordinate_transformations"], strict=True)
    ):
        chunks = (1,) * (array.ndim - len(chunk_size)) + tuple(chunk_size)
        if is_old:
            group.create_dataset(str(number), data=array, chunks=chunks, dimension_separator="/", overwrite=True)
        else:
            made = group.create_array(
                str(number),
                shape=array.shape,
                dtype=array.dtype,
                chunks=chunks,
                chunk_key_encoding={"name": "v2", "separator": "/"},
            )
            made[...] = array
        datasets.append({"coordinateTransformations": transformations, "path": str(number)})
    multiscale = {
        "axes": about["axes"],
        "datasets": datasets,
        "metadata": metadata or {},
        "name": "/",
        "version": "0.4",
    }
    group.attrs["multiscales"] = [multiscale]


def get_voxel_size_from_zarr(zarr_group: Any) -> float:
    """The voxel size in Å of an open NGFF group; an unknown unit counts as Å."""
    attributes = dict(zarr_group.attrs)
    multiscale = attributes.get("ome", attributes)["multiscales"][0]
    units = [
        axis.get("unit")
        for axis in multiscale.get("axes", [])
        if isinstance(axis, dict) and axis.get("type") == "space"
    ]
    factor = UNITFACTOR.get(next((unit for unit in units if unit), "angstrom"), 1.0)
    for each in multiscale["datasets"][0].get("coordinateTransformations", []):
        if each.get("type") == "scale":
            scale = [float(value) for value in each["scale"]]
            return (scale[-3] if len(scale) >= 3 else scale[0]) * factor
    raise FormatError("No scale transformation found in coordinate transformations", where=str(zarr_group))


def fits_in_memory(array: Any, slices: Sequence[slice]) -> tuple[bool, int, int]:
    """Whether a region fits into the free memory; its bytes, and the free ones."""
    counts = [len(range(*part.indices(size))) for part, size in zip(slices, array.shape, strict=True)]
    requested = int(np.prod(counts, dtype=object)) * np.dtype(array.dtype).itemsize
    free = free_memory()
    available = requested + 1 if free is None else free
    return requested < available, requested, available


def _zarr() -> Any:
    try:
        import zarr
    except ImportError as error:
        raise MissingPartError(
            "the package zarr is not installed", where="OME-Zarr", fix="pip install 'tomoportal[copick]'"
        ) from error
    return zarr
