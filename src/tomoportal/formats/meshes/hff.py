"""EMDB-SFF segmentations in HDF5 (``.hff``): the meshes of one segment.

Format: https://emdb-empiar.org/emdb-sff (0.8). Needs the optional package h5py.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoportal.errors import FormatError, MissingPartError
from tomoportal.formats.meshes.mesh import Mesh, joined

__all__ = ["hff_mesh"]

_MODES = {
    **{f"{sign}int{bits}": f"{sign[:1] or 'i'}{bits // 8}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "f4",
    "float64": "f8",
}
_LONGEST_NAME = 64 * 1024


def hff_mesh(data: bytes, name: str, *, segment: str | None = None) -> Mesh:
    """Read the meshes of the segment called ``segment`` (its biological annotation), joined into one.

    Without a name the file must hold one segment. Transformations that the file lists are not applied. Raises
    :class:`FormatError`, with the names of the segments where the asked one is missing, and
    :class:`~tomoportal.errors.MissingPartError` without h5py.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingPartError(
            "EMDB-SFF files (.hff) need the package h5py", where=name, fix="pip install 'tomoportal[hff]'"
        ) from error
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            segments = list(_segments(file))
            if segment is not None:
                chosen = [group for title, group in segments if title == segment]
            else:
                chosen = [group for _, group in segments]
            if len(chosen) != 1:
                titles = ", ".join(repr(title[:60]) for title, _ in segments[:20]) or "none"
                raise FormatError(
                    f"{len(chosen)} segments match {'the name ' + repr(segment[:60]) if segment else 'without a name'};"
                    f" the file holds {titles}",
                    where=name,
                    fix="name one segment of the file (name or mesh_name)",
                )
            limit = max(64 * len(data), 1024)
            return joined([_mesh(each, name, limit) for each in _members(chosen[0].get("mesh_list"))], name)
    except FormatError:
        raise
    except (OSError, KeyError, AttributeError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise FormatError(
            f"the file cannot be read as EMDB-SFF: {error}", where=name, fix="copy the file again, or export it again"
        ) from error


def _members(group: Any) -> list[Any]:
    """The children of a list in the order of their numbers."""
    names = sorted(group or (), key=lambda key: (len(key), key))
    return [group[key] for key in names]


def _segments(file: Any) -> Iterator[tuple[str, Any]]:
    for group in _members(file.get("segment_list")):
        annotation = group.get("biological_annotation")
        title = annotation.get("name") if annotation is not None else None
        yield (_text(title, _LONGEST_NAME) if title is not None else ""), group


def _mesh(group: Any, name: str, limit: int) -> Mesh:
    vertices = _array(group["vertices"], name, limit)
    return Mesh.checked(vertices, _array(group["triangles"], name, limit), name)


def _array(group: Any, name: str, limit: int) -> NDArray[Any]:
    """An array as base64 text with a ``mode``, or as an ordinary dataset."""
    data = group["data"]
    if data.dtype.kind in "iuf":
        if data.size * data.dtype.itemsize > limit:
            raise FormatError("an array is far larger than the file", where=name, fix="export the mesh again")
        return np.asarray(data[()])
    mode = _text(group["mode"], 64)
    if mode not in _MODES:
        raise FormatError(f"an array has the mode {mode!r}", where=name, fix="export the mesh again")
    order = ">" if "endianness" in group and _text(group["endianness"], 64) == "big" else "<"
    try:
        octets = base64.b64decode(_text(data, limit), validate=True)
    except binascii.Error as error:
        raise FormatError(f"an array is no base64 text: {error}", where=name, fix="export the mesh again") from error
    return np.frombuffer(octets, order + _MODES[mode])


def _text(dataset: Any, limit: int) -> str:
    if dataset.shape != () or dataset.dtype.kind not in "OS" or dataset.dtype.itemsize > limit:
        raise ValueError(f"{dataset.name} is no text")
    value = dataset[()]
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
