"""Volumes of tilt series and tomograms: one source file → MRC and OME-Zarr. Their documents are items of their own.

The volume is an item apart from its document, so that a corrected word in the metadata does not convert it again.
"""

from __future__ import annotations

from typing import Any

from tomoportal.errors import FormatError
from tomoportal.formats.convert import convert_volume
from tomoportal.formats.mrc import MrcHeader
from tomoportal.formats.omezarr import level_shapes
from tomoportal.formats.opening import open_volume
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.storage import Store

__all__ = ["VERSION", "make", "volume_facts"]

VERSION = 1


def make(item: Item, bench: Bench) -> Made:
    """Convert the volume. ``settings``: kind, voxel_spacing (Å), mrc, zarr, stamp."""
    settings = item.settings
    volume = open_volume(bench.source, item.sources[0])
    try:
        spacing = settings["voxel_spacing"]
        warnings = (
            [] if min(volume.voxel_size[:2]) > 0 else [f"the header gives no voxel size; stored as {spacing:.3f} Å"]
        )
        converted = convert_volume(
            volume,
            bench.target,
            mrc_key=settings["mrc"],
            zarr_prefix=settings["zarr"],
            voxel_spacing=spacing,
            kind=settings["kind"],
            chunk_size=bench.options.chunk_size,
            ngff=bench.options.ngff,
            dtype=bench.options.dtype,
            jobs=bench.jobs,
            timestamp=settings["stamp"],
        )
    finally:
        volume.close()
    return Made(
        warnings=tuple(f"{item.sources[0]}: {note}" for note in dict.fromkeys([*warnings, *converted.notes])),
        facts={"contrast": list(converted.contrast)},
    )


def volume_facts(store: Store, mrc: str, zarr: str) -> dict[str, Any]:
    """``scales`` and ``size`` of a volume for its document, read back from what was written."""
    scales = [dict(zip("zyx", shape, strict=True)) for shape in level_shapes(store, zarr)]
    nz, ny, nx = MrcHeader.parse(store.get_range(mrc, 0, 1024), mrc).shape
    if scales[0] != {"z": nz, "y": ny, "x": nx}:
        raise FormatError("MRC and OME-Zarr of the archive differ in size", where=mrc, fix="ingest the volume again")
    return {"scales": scales, "size": dict(scales[0])}
