"""Voxel spacings and tomogram documents."""

from __future__ import annotations

import json

from tomoportal.catalog.inventory import Spacing
from tomoportal.catalog.mapping.alignments import alignment_at
from tomoportal.catalog.mapping.datasets import deposition_of
from tomoportal.catalog.mapping.people import DATES, add_authors, same
from tomoportal.catalog.mapping.rows import Document, Key, Row
from tomoportal.catalog.mapping.runs import RunContext

__all__ = ["SPACING_TOLERANCE", "add_spacing", "add_tomogram"]

SPACING_TOLERANCE = 0.0005
"""Å; names of folders carry three decimals."""

_PATHS = {
    **DATES,
    **same("voxel_spacing", "processing", "processing_software", "tomogram_version", "is_visualization_default"),
    "name": "run_name",
    **{f"size_{axis}": f"size.{axis}" for axis in "xyz"},
    **{f"offset_{axis}": f"offset.{axis}" for axis in "xyz"},
    "mrc_file_key": "mrc_file",
    "omezarr_dir_key": "omezarr_dir",
    "key_photo_url": "key_photo.snapshot",
    "key_photo_thumbnail_url": "key_photo.thumbnail",
    "publications": "cross_references.publications",
    "related_database_entries": "cross_references.related_database_entries",
}
_EXTRA = same("affine_transformation_matrix", "scales")
_FIDUCIAL = {True: "FIDUCIAL", "True": "FIDUCIAL", False: "NON_FIDUCIAL", "False": "NON_FIDUCIAL", None: "NON_FIDUCIAL"}


def add_spacing(context: RunContext, spacing: Spacing, documents: list[Document]) -> Row:
    """Row of a voxel spacing; its number is that of its tomograms if it agrees with the folder's name."""
    value = spacing.value
    for document in documents:
        found = document.get("voxel_spacing")
        if isinstance(found, (int, float)) and abs(found - spacing.value) <= SPACING_TOLERANCE:
            value = float(found)
            break
    computed = {"run_id": context.run.key, "voxel_spacing": value, "prefix_key": f"{spacing.prefix}/"}
    return context.sheet.add(
        "TomogramVoxelSpacing", Key(spacing.prefix), Document(f"{spacing.prefix}/", {}), {}, computed
    )


def add_tomogram(context: RunContext, spacing: Spacing, parent: Row, document: Document) -> Row:
    """Rows of one tomogram. Raises :class:`ItemRefused`."""
    sheet = context.sheet
    value = document.get("voxel_spacing")
    if isinstance(value, (int, float)) and abs(value - spacing.value) > SPACING_TOLERANCE:
        sheet.warn(
            f"{document.key}: voxel_spacing", f"{value} is not the number of the folder VoxelSpacing{spacing.value:.3f}"
        )
    deposition = deposition_of(sheet, document, context.depositions, required=True)
    alignment = alignment_at(context, document)
    standard = document.get("is_portal_standard")
    if standard is None and alignment is not None:
        standard = alignment.values["is_portal_standard"]
    fiducial = document.get("fiducial_alignment_status")
    method = document.get("reconstruction_method")
    mrc, zarr = document.get("mrc_file"), document.get("omezarr_dir")
    computed = {
        "run_id": context.run.key,
        "tomogram_voxel_spacing_id": parent.key,
        "deposition_id": deposition,
        "alignment_id": alignment.key if alignment else None,
        "ctf_corrected": document.get("ctf_corrected") or False,
        "fiducial_alignment_status": _FIDUCIAL[fiducial] if fiducial in _FIDUCIAL else _upper(fiducial),
        "reconstruction_method": method.replace(" ", "_") if isinstance(method, str) and method else "Unknown",
        "reconstruction_software": document.get("reconstruction_software") or "Unknown",
        "is_portal_standard": standard,
        "is_author_submitted": deposition == context.dataset_deposition,
        "file_size_mrc": context.sizes.of(sheet.path(mrc)) if isinstance(mrc, str) else None,
        "file_size_omezarr": context.sizes.of(sheet.path(zarr)) if isinstance(zarr, str) else None,
        "neuroglancer_config": _config(context, document),
        **_dimensions(document),
    }
    row = sheet.add("Tomogram", Key(document.folder), document, _PATHS, computed, extra=_EXTRA)
    add_authors(sheet, "TomogramAuthor", "tomogram_id", row, document, by_key=False)
    return row


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _dimensions(document: Document) -> dict[str, str]:
    """``x,y,z`` of the first three pyramid levels, as many as there are (F87)."""
    levels = [level for _, level in document.items("scales")[:3]]
    return {
        f"scale{index}_dimensions": ",".join(str(level.get(axis)) for axis in "xyz")
        for index, level in enumerate(levels)
    }


def _config(context: RunContext, document: Document) -> str | None:
    """The viewer configuration as compact JSON text; its placeholder base is replaced when it is answered."""
    path = document.get("neuroglancer_config_path")
    if not isinstance(path, str):
        return None
    config = context.load_optional(context.sheet.path(path), f"{document.key}: neuroglancer_config_path")
    if config is None:
        return None
    return json.dumps(config.content, separators=(",", ":"), ensure_ascii=False)
