"""Types of segmentations as flags, as folders and as filters (``copick.util.segmentation``)."""

from __future__ import annotations

from typing import Any, Final

from tomoportal.copick.names import SEGMENTATION_FOLDERS, SEGMENTATION_TYPES, parse_segmentation, segmentation_name
from tomoportal.copick.segmentations import kind_of
from tomoportal.errors import AnnotationError

__all__ = [
    "SEGMENTATION_TYPE_FILTERS",
    "list_segmentation_stores",
    "parse_segmentation_store_name",
    "segmentation_directory",
    "segmentation_store_name",
    "segmentation_type",
    "segmentation_type_query",
]

SEGMENTATION_TYPE_FILTERS: Final = (*SEGMENTATION_TYPES, "all")
_FLAGS: Final = ("is_multilabel", "is_instance", "is_panoptic")


def segmentation_type(is_multilabel: bool, is_instance: bool, is_panoptic: bool = False) -> str:
    """The one type that the flags name. Raises :class:`AnnotationError` if there are two."""
    return kind_of(is_multilabel, is_instance, is_panoptic)


def segmentation_directory(is_multilabel: bool = False, is_instance: bool = False, is_panoptic: bool = False) -> str:
    """The folder of a run that holds segmentations of the type."""
    return SEGMENTATION_FOLDERS[kind_of(is_multilabel, is_instance, is_panoptic)]


def segmentation_type_query(segmentation_type: str | None = None) -> dict[str, bool | None]:
    """The flags that ``run.get_segmentations`` takes for a type, for ``all``, or for none (binary and multilabel)."""
    if segmentation_type is None:
        return {"is_multilabel": None, "is_instance": False, "is_panoptic": False}
    kind = segmentation_type.lower()
    if kind == "all":
        return dict.fromkeys(_FLAGS)
    if kind not in SEGMENTATION_TYPES:
        raise AnnotationError(
            f"Unknown segmentation type {segmentation_type!r}.",
            fix=f"use one of {', '.join(SEGMENTATION_TYPE_FILTERS)}",
        )
    return {flag: flag == f"is_{kind}" for flag in _FLAGS}


def segmentation_store_name(
    voxel_size: float,
    user_id: str,
    session_id: str,
    name: str,
    *,
    is_multilabel: bool = False,
    is_instance: bool = False,
    is_panoptic: bool = False,
) -> str:
    """The name of the Zarr folder."""
    return segmentation_name(voxel_size, user_id, session_id, name, kind_of(is_multilabel, is_instance, is_panoptic))


def parse_segmentation_store_name(store_name: str, directory: str = "Segmentations") -> dict[str, Any] | None:
    """What the name of a Zarr folder says, or None if it is not one of a segmentation."""
    if directory not in SEGMENTATION_FOLDERS.values():
        raise AnnotationError(f"{directory} is not a segmentation directory.")
    found = parse_segmentation(store_name, directory)
    if isinstance(found, str):
        return None
    flags = {flag: flag == f"is_{found.kind}" for flag in _FLAGS}
    names = {"user_id": found.user_id, "session_id": found.session_id, "name": found.name}
    return {"voxel_size": found.voxel_size, **names, **flags}


def list_segmentation_stores(fs: Any, run_path: str) -> list[dict[str, Any]]:
    """What the names of all segmentations below a run's folder say, on an fsspec file system."""
    found = []
    for directory in dict.fromkeys(SEGMENTATION_FOLDERS.values()):
        folder = f"{run_path.rstrip('/')}/{directory}"
        if not fs.isdir(folder):
            continue
        for entry in fs.ls(folder, detail=True):
            name = str(entry["name"]).rstrip("/").rpartition("/")[2]
            if entry["type"] == "directory" and name.endswith(".zarr") and not name.startswith("."):
                parsed = parse_segmentation_store_name(name, directory)
                if parsed is not None:
                    found.append(parsed)
    return sorted(found, key=str)
