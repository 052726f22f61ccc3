"""One module per file format: read and write, nothing else.

Volumes (:mod:`.volumes`, :mod:`.mrc`, :mod:`.convert`, :mod:`.masks`, :mod:`.omezarr`) stream block by block; small
files are read from ``(data, name)``. Names are imported when they are first used, so that a reader of text files does
not load NumPy.
"""

from __future__ import annotations

import importlib

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

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
