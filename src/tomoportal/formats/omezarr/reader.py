"""OME-Zarr sources, NGFF 0.1 to 0.5, as volumes: one level of the first multiscale image, with lengths in Å.

Specification: https://ngff.openmicroscopy.org (0.1 to 0.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tomoportal.errors import FormatError
from tomoportal.formats.omezarr.array import ZarrArray, read_document
from tomoportal.formats.volumes import Voxels
from tomoportal.storage import Store

__all__ = ["OmeZarrVolume", "is_zarr", "level_shapes", "open_omezarr"]

_ANGSTROM = {
    "angstrom": 1.0,
    "picometer": 0.01,
    "nanometer": 10.0,
    "micrometer": 1e4,
    "millimeter": 1e7,
    "centimeter": 1e8,
    "meter": 1e10,
    # Not NGFF, but met in files:
    "Å": 1.0,
    "\u212b": 1.0,  # the sign of its own
    "ångström": 1.0,
    "A": 1.0,
    "nm": 10.0,
    "um": 1e4,
    "µm": 1e4,
}
_MOST_LEVELS = 64
_FIRST_AXES = ("t", "c", "z", "y", "x")
_METADATA = (".zgroup", ".zattrs", ".zarray", ".zmetadata", "zarr.json")


class OmeZarrVolume:
    """A level of an OME-Zarr image as a volume ``(z, y, x)``; chunks are read when a box touches them."""

    mapped = False
    value_offset = 0

    def __init__(self, array: ZarrArray, image: _Image) -> None:
        self._array, self._image = array, image
        sizes = [array.shape[axis] if axis is not None else 1 for axis in image.space]
        chunks = [array.chunks[axis] if axis is not None else 1 for axis in image.space]
        self.shape: tuple[int, int, int] = (sizes[0], sizes[1], sizes[2])
        self.chunks: tuple[int, int, int] = (chunks[0], chunks[1], chunks[2])
        self.dtype = array.dtype
        self.voxel_size = image.voxel_size
        self.name = array.name
        self.notes = image.notes
        self.labels = image.labels

    def read(self, z0: int, z1: int, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> Voxels:
        """The voxels ``[z0:z1, y0:y1, x0:x1]``."""
        box = [slice(0, 1)] * len(self._array.shape)
        bounds = ((z0, z1), (y0, y1), (x0, x1))
        sizes = []
        for axis, size, (start, stop) in zip(self._image.space, self.shape, bounds, strict=True):
            low, high, _ = slice(start, stop).indices(size)
            sizes.append(max(0, high - low))
            if axis is not None:
                box[axis] = slice(low, max(low, high))
        return self._array.read(box).reshape(sizes)

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True)
class _Image:
    """What the metadata of a group say about its first image.

    ``space`` are the array's axes that hold z, y and x (None for a z that is missing); ``voxel_size`` is (x, y, z) in
    Å; ``labels`` are the values that an image-label part lists.
    """

    path: str
    axes: tuple[str, ...] | None
    space: tuple[int | None, int, int]
    voxel_size: tuple[float, float, float]
    labels: tuple[int, ...]
    notes: tuple[str, ...]


def is_zarr(store: Store, key: str) -> bool:
    """Whether a folder holds a Zarr group or array."""
    return any(store.exists(_join(key, name)) for name in (".zattrs", ".zgroup", ".zarray", "zarr.json"))


def open_omezarr(store: Store, key: str, *, level: int = 0) -> OmeZarrVolume:
    """Open the image in the folder ``key``: an OME-Zarr group, or a bare Zarr array of three axes.

    ``level`` counts from 0, the finest; each has its own voxel size. Reads metadata only. Raises :class:`FormatError`
    for metadata that contradict themselves or that claim more than any volume has, and for images with several
    channels or times.
    """
    where = key or store.url
    attributes, bare = _documents(store, key, where)
    if bare is not None:
        return _open_bare(store, key, bare, where)
    try:
        image = _first_image(attributes, level)
    except _Refused as refused:
        raise FormatError(refused.what, where=where, fix=refused.fix) from None
    folder = _join(key, image.path)
    array = _open_array(store, folder, where if not image.path else f"{where}/{image.path}")
    if image.axes is None:
        image = _without_axes(image, len(array.shape), where)
    _check_axes(image, array.shape, where)
    return _volume(store, folder, array, image)


def level_shapes(store: Store, key: str) -> tuple[tuple[int, ...], ...]:
    """The shapes of all levels of an image, finest first, axes as they are stored: ``(z, y, x)`` in an archive."""
    where = key or store.url
    attributes, bare = _documents(store, key, where)
    if bare is not None:
        return (ZarrArray(store, key, bare, where).shape,)
    try:
        _, multiscale = _first_multiscale(attributes)
        paths = [_checked_path(dataset.get("path")) for dataset in _datasets(multiscale)]
    except _Refused as refused:
        raise FormatError(refused.what, where=where, fix=refused.fix) from None
    return tuple(_open_array(store, _join(key, path), f"{where}/{path}").shape for path in paths)


def _documents(store: Store, key: str, where: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The attributes of a group (NGFF's part of them), and the metadata of an array where there is no group."""
    document = read_document(store, _join(key, "zarr.json"))
    if document is not None:
        if document.get("node_type") == "array":
            return {}, document
        attributes = document.get("attributes")
        found = attributes.get("ome", attributes) if isinstance(attributes, dict) else None
        return found if isinstance(found, dict) else {}, None
    array = read_document(store, _join(key, ".zarray"))
    attributes = read_document(store, _join(key, ".zattrs"))
    if array is None and attributes is None:
        raise FormatError(
            "this is no OME-Zarr image", where=where, fix="name the folder that holds .zattrs or zarr.json"
        )
    return attributes or {}, array


def _open_array(store: Store, folder: str, where: str) -> ZarrArray:
    document = read_document(store, _join(folder, "zarr.json")) or read_document(store, _join(folder, ".zarray"))
    if document is None:
        raise FormatError("the array that the image names is not there", where=where, fix="copy the whole folder again")
    return ZarrArray(store, folder, document, where)


def _open_bare(store: Store, key: str, document: dict[str, Any], where: str) -> OmeZarrVolume:
    array = ZarrArray(store, key, document, where)
    note = "a Zarr array without OME-Zarr metadata: no voxel size"
    image = _Image("", tuple("zyx"), (0, 1, 2), (0.0, 0.0, 0.0), (), (note,))
    _check_axes(image, array.shape, where)
    return _volume(store, key, array, image)


def _volume(store: Store, folder: str, array: ZarrArray, image: _Image) -> OmeZarrVolume:
    """A volume whose chunks are looked for where they are: names differ between writers of the first versions."""
    folders, files = store.children(folder)
    stored = [*folders, *(file.key.rpartition("/")[2] for file in files)]
    chunks = [name for name in stored if name not in _METADATA]
    description = array.description
    is_flat = not description.key_prefix and description.separator == "." and len(array.shape) > 1
    if is_flat and any(name.isdigit() for name in folders) and not any("." in name for name in chunks):
        array.description = replace(description, separator="/")
    if not chunks:
        image = replace(image, notes=(*image.notes, "no chunk is stored: every voxel is the fill value"))
    return OmeZarrVolume(array, image)


class _Refused(Exception):
    def __init__(self, what: str, fix: str = "write the image again with a current OME-Zarr library") -> None:
        super().__init__(what, fix)
        self.what, self.fix = what, fix


def _first_multiscale(attributes: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """How many images a group holds, and the first."""
    multiscales = attributes.get("multiscales")
    if not isinstance(multiscales, list) or not multiscales or not isinstance(multiscales[0], dict):
        raise _Refused(
            "there is no image in this Zarr group: it has no multiscales",
            "name the group of one image, for instance a folder below this one",
        )
    return len(multiscales), multiscales[0]


def _datasets(multiscale: Mapping[str, Any]) -> list[dict[str, Any]]:
    datasets = multiscale.get("datasets")
    if not isinstance(datasets, list) or not datasets or any(not isinstance(each, dict) for each in datasets):
        raise _Refused("the image lists no datasets")
    return datasets[:_MOST_LEVELS]


def _first_image(attributes: Mapping[str, Any], level: int) -> _Image:
    count, multiscale = _first_multiscale(attributes)
    notes = [f"{count} images in one group; the first is read"] if count > 1 else []
    datasets = _datasets(multiscale)
    if not 0 <= level < len(datasets):
        raise _Refused(f"there is no level {level}; the image has {len(datasets)}", "name one of its levels")
    path = _checked_path(datasets[level].get("path"))
    axes = multiscale.get("axes")
    if axes is None:
        notes.append("no axes and no voxel size in the metadata (NGFF 0.1 or 0.2)")
        return _Image(path, None, (0, 1, 2), (0.0, 0.0, 0.0), _labels(attributes, multiscale), tuple(notes))
    names, units = _axes(axes)
    space = _space(names, notes)
    scale, moved = _scale(datasets[level], multiscale, len(names), notes)
    if scale is None:
        notes.append("no voxel size in the metadata")
    if moved and level == 0:
        notes.append("the image is moved from the origin (translation); the archive's coordinates start at its corner")
    sizes = [
        0.0 if scale is None or axis is None else scale[axis] * _unit(units[axis], names[axis], notes) for axis in space
    ]
    voxel_size = (sizes[2], sizes[1], sizes[0])
    return _Image(path, names, space, voxel_size, _labels(attributes, multiscale), tuple(dict.fromkeys(notes)))


def _checked_path(path: Any) -> str:
    if not isinstance(path, str) or len(path) > 1000:
        raise _Refused("the first dataset of the image has no path")
    if path == ".":
        return ""
    parts = path.strip("/").split("/") if path else []
    if path.startswith("/") or "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise _Refused(
            f"the path {path[:60]!r} of the first dataset leads out of the image, or is no path",
            "correct the path; it is relative to the group",
        )
    return "/".join(parts)


def _axes(axes: Any) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """Names and units, from version 0.3 (names) or later (objects)."""
    if not isinstance(axes, list) or not 2 <= len(axes) <= len(_FIRST_AXES):
        raise _Refused("the image has no list of 2 to 5 axes")
    names, units = [], []
    for axis in axes:
        name = axis.get("name") if isinstance(axis, dict) else axis
        unit = axis.get("unit") if isinstance(axis, dict) else None
        if not isinstance(name, str) or not name:
            raise _Refused("an axis of the image has no name")
        names.append(name.lower())
        units.append(unit if isinstance(unit, str) and unit else None)
    if len(set(names)) != len(names):
        raise _Refused("two axes of the image have one name")
    return tuple(names), tuple(units)


def _space(names: tuple[str, ...], notes: list[str]) -> tuple[int | None, int, int]:
    """The array's axes that hold z, y and x."""
    if "y" not in names or "x" not in names:
        raise _Refused(f"the axes of the image are {', '.join(names)}; a volume has z, y and x")
    order = [name for name in names if name in ("z", "y", "x")]
    if order == ["x", "y", "z"]:
        # Written by programs that think of columns first. The voxels lie as z, y, x (reference: the public portal
        # takes them so), and cubic voxels make the scales the same.
        notes.append("the axes are named x, y, z; taken as z, y, x, as the voxels lie")
        z, y, x = (names.index(name) for name in "xyz")
        return z, y, x
    if order not in (["z", "y", "x"], ["y", "x"]):
        raise _Refused(
            f"the axes lie in the order {', '.join(order)}, not z, y, x",
            "reorder the axes first; reading them as they lie would turn or mirror the specimen",
        )
    if "z" not in names:
        notes.append("an image without z axis; one section")
    return (names.index("z") if "z" in names else None), names.index("y"), names.index("x")


def _scale(
    dataset: Mapping[str, Any], multiscale: Mapping[str, Any], count: int, notes: list[str]
) -> tuple[list[float] | None, bool]:
    """Voxel lengths per axis in the units of the axes, and whether level 0 is moved from the origin."""
    scale: list[float] | None = None
    moved = False
    for holder in (dataset, multiscale):
        steps = holder.get("coordinateTransformations")
        for step in steps if isinstance(steps, list) else []:
            kind = step.get("type") if isinstance(step, dict) else None
            if kind == "scale":
                factors = _numbers(step.get("scale"), count)
                if factors is None:
                    notes.append("a scale that is no list of positive lengths; ignored")
                    continue
                scale = factors if scale is None else [one * other for one, other in zip(scale, factors, strict=True)]
            elif kind == "translation":
                moved = moved or any(_numbers(step.get("translation"), count, positive=False) or ())
            elif kind != "identity":
                notes.append(f"a coordinate transformation of the type {str(kind)[:40]!r}; ignored")
    return scale, moved


def _numbers(values: Any, count: int, *, positive: bool = True) -> list[float] | None:
    if not isinstance(values, list) or len(values) != count:
        return None
    if any(type(value) not in (int, float) or abs(value) > 1e30 or value != value for value in values):
        return None
    if positive and any(not value > 0 for value in values):
        return None
    return [float(value) for value in values]


def _unit(unit: str | None, axis: str, notes: list[str]) -> float:
    if unit is None:
        notes.append("the axes have no unit; lengths taken as Å")
        return 1.0
    length = _ANGSTROM.get(unit, _ANGSTROM.get(unit.lower().removesuffix("s")))
    if length is None:
        notes.append(f"axis {axis} has the unit {unit[:40]!r}, which is no length; no voxel size")
        return 0.0
    return length


def _labels(*holders: Mapping[str, Any]) -> tuple[int, ...]:
    """The values that an image-label part lists, wherever writers put it."""
    places: list[Any] = [*holders, *(holder.get("metadata") for holder in holders)]
    for place in places:
        part = place.get("image-label") if isinstance(place, dict) else None
        colors = part.get("colors") if isinstance(part, dict) else None
        if isinstance(colors, list):
            values = (color.get("label-value") for color in colors if isinstance(color, dict))
            return tuple(sorted({value for value in values if type(value) is int}))
    return ()


def _without_axes(image: _Image, count: int, where: str) -> _Image:
    """Versions 0.1 and 0.2 have the axes t, c, z, y, x; some writers left out the first."""
    if not 2 <= count <= len(_FIRST_AXES):
        raise FormatError(f"the array has {count} axes", where=where, fix="name an image with the axes z, y, x")
    space = (count - 3 if count > 2 else None, count - 2, count - 1)
    return replace(image, axes=_FIRST_AXES[-count:], space=space)


def _check_axes(image: _Image, shape: Sequence[int], where: str) -> None:
    names = image.axes or ()
    if len(names) != len(shape):
        raise FormatError(
            f"the array has {len(shape)} axes, the image names {len(names)}",
            where=where,
            fix="correct the axes in the metadata, or write the image again",
        )
    for axis, (name, size) in enumerate(zip(names, shape, strict=True)):
        if axis not in image.space and size != 1:
            raise FormatError(
                f"the image has {size} {'times' if name == 't' else 'channels' if name == 'c' else f'steps of {name}'}",
                where=where,
                fix="store one volume per file; a tomogram or mask has the axes z, y, x only",
            )


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
