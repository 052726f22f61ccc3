"""What the files of all annotations have in common: their entry in the document, and the grid that they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.errors import IngestError
from tomoportal.formats.mrc import MrcHeader
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.sections import SHAPES

__all__ = ["caption_entry", "file_entry", "target_shape", "tomogram_shape"]


def file_entry(file_format: str, key: str, shape: Mapping[str, Any], count: int) -> dict[str, Any]:
    """One file of an annotation as its document lists it; ``count`` is the number of its objects (F31)."""
    return {
        "format": file_format,
        "path": key,
        "shape": SHAPES[shape["shape"]],
        "is_visualization_default": bool(shape["arguments"].get("is_visualization_default", False)),
        "is_portal_standard": bool(shape["arguments"].get("is_portal_standard", False)),
        "object_count": count,
    }


def caption_entry(key: str, shape: Mapping[str, Any]) -> dict[str, Any]:
    """A file of captions: never shown by the viewer, and without a count, since texts are no objects (F31)."""
    return {
        "format": "json",
        "path": key,
        "shape": SHAPES[shape["shape"]],
        "is_visualization_default": False,
        "is_portal_standard": bool(shape["arguments"].get("is_portal_standard", False)),
    }


def tomogram_shape(mrc: str | None, bench: Bench) -> tuple[int, int, int] | None:
    """Voxels (z, y, x) of the tomogram that an annotation lies in; None if there is none in the archive."""
    if mrc is None or not bench.archive.store.exists(mrc):
        return None
    return MrcHeader.parse(bench.archive.store.get_range(mrc, 0, 1024), mrc).shape


def target_shape(settings: Mapping[str, Any], bench: Bench) -> tuple[int, int, int]:
    """Voxels (z, y, x) of a mask that is rescaled: those of its tomogram, else the alignment's volume, rounded."""
    size = tomogram_shape(settings["mrc"], bench)
    if size is not None:
        return size
    document = bench.document(settings["alignment"])
    dimension = (document or {}).get("volume_dimension")
    if not dimension:
        raise IngestError(
            "a mask cannot be rescaled: its alignment has no volume_dimension", where=settings["alignment"]
        )
    nz, ny, nx = (max(1, round(float(dimension[axis]) / settings["spacing"])) for axis in "zyx")
    return nz, ny, nx
