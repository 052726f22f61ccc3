"""One module per file format: read and write, nothing else.

Volumes (:mod:`.volumes`, :mod:`.mrc`, :mod:`.convert`, :mod:`.masks`, :mod:`.omezarr`) stream block by block; small
files are read from ``(data, name)``. Names are imported when they are first used, so that a reader of text files does
not load NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomoportal.formats.convert import Converted, convert_volume
    from tomoportal.formats.keyphotos import render_key_photos
    from tomoportal.formats.masks import semantic_mask
    from tomoportal.formats.mrc import MrcHeader, MrcVolume, open_mrc
    from tomoportal.formats.volumes import ArrayVolume, Volume, voxel_spacing

__all__ = [
    "ArrayVolume",
    "Converted",
    "MrcHeader",
    "MrcVolume",
    "Volume",
    "convert_volume",
    "open_mrc",
    "render_key_photos",
    "semantic_mask",
    "voxel_spacing",
]

_HOMES = {
    "ArrayVolume": "volumes",
    "Converted": "convert",
    "MrcHeader": "mrc",
    "MrcVolume": "mrc",
    "Volume": "volumes",
    "convert_volume": "convert",
    "open_mrc": "mrc",
    "render_key_photos": "keyphotos",
    "semantic_mask": "masks",
    "voxel_spacing": "volumes",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
