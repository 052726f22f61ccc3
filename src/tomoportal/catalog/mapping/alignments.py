"""Alignment documents with their per-section parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tomoportal.catalog.mapping.datasets import deposition_of
from tomoportal.catalog.mapping.people import same
from tomoportal.catalog.mapping.rows import Document, ItemRefused, Key, Row
from tomoportal.catalog.mapping.runs import RunContext

__all__ = ["add_alignment", "alignment_at"]

_PATHS = {
    **same("alignment_type", "tilt_offset", "x_rotation_offset", "is_portal_standard"),
    **{f"volume_{axis}_dimension": f"volume_dimension.{axis}" for axis in "xyz"},
    **{f"volume_{axis}_offset": f"volume_offset.{axis}" for axis in "xyz"},
}
_SECTION = same("z_index", "tilt_angle", "volume_x_rotation", "in_plane_rotation")
_EXTRA = same("format", "files", "alignment_path", "tilt_path", "tiltx_path")
_SECTION_EXTRA = {"beam_tilt": "beam_tilt"}


def add_alignment(context: RunContext, document: Document) -> Row:
    """Rows of one alignment. Raises :class:`ItemRefused`."""
    sheet = context.sheet
    tiltseries = _tiltseries(context, document)
    method = document.get("method_type")
    matrix = document.get("affine_transformation_matrix")
    computed = {
        "run_id": context.run.key,
        "deposition_id": deposition_of(sheet, document, context.depositions, required=False),
        "tiltseries_id": tiltseries.key if tiltseries else None,
        "alignment_method": None if method == "undefined" else method,
        "affine_transformation_matrix": None if matrix is None else json.dumps(matrix, separators=(",", ":")),
        "alignment_metadata_key": document.key,
    }
    row = sheet.add("Alignment", Key(document.folder), document, _PATHS, computed, extra=_EXTRA)
    sections = document.items("per_section_alignment_parameters")
    factor = _angstrom(context, document, tiltseries) if sections else 1.0
    for place, content in sections:
        shifts = {
            f"{axis}_offset": _scaled(content, f"{axis}_offset", factor) for axis in "xy" if f"{axis}_offset" in content
        }
        try:
            sheet.add(
                "PerSectionAlignmentParameters",
                row.key.below(content.get("z_index")),
                document,
                _SECTION,
                {"alignment_id": row.key, **shifts},
                content=content,
                place=place,
                extra=_SECTION_EXTRA,
            )
        except ItemRefused:
            continue
    return row


def alignment_at(context: RunContext, document: Document) -> Row | None:
    """The alignment that a tomogram or annotation names by the path of its document."""
    path = document.get("alignment_metadata_path")
    if path is None:
        if "alignment_metadata_path" not in document.content:
            context.sheet.warn(f"{document.key}: alignment_metadata_path", "the key is missing; no alignment is linked")
        return None
    folder = context.sheet.path(str(path)).rpartition("/")[0]
    row = context.sheet.rows.get("alignment", {}).get(Key(folder))
    if row is None:
        context.sheet.warn(f"{document.key}: alignment_metadata_path", f"there is no alignment {path}; none is linked")
    return row


def _tiltseries(context: RunContext, document: Document) -> Row | None:
    path = document.get("tiltseries_path")
    if not isinstance(path, str):
        return None
    key = context.sheet.path(path)
    rows = context.sheet.rows.get("tiltseries", {})
    row = rows.get(Key(key.rpartition("/")[0])) or rows.get(Key(key.rstrip("/")))
    if row is None:
        context.sheet.warn(f"{document.key}: tiltseries_path", f"there is no tilt series {path}; none is linked")
    return row


def _angstrom(context: RunContext, document: Document, tiltseries: Row | None) -> float:
    """Factor that turns the document's shifts into Å (F22)."""
    if document.get("offset_unit") == "angstrom":
        return 1.0
    if tiltseries is None:
        context.sheet.warn(
            f"{document.key}: per_section_alignment_parameters",
            "the shifts are in pixels of a tilt series that is not known; they are served as they are",
        )
        return 1.0
    return float(tiltseries.values["pixel_spacing"])


def _scaled(content: Mapping[str, Any], name: str, factor: float) -> Any:
    value = content.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and factor != 1.0:
        return value * factor
    return value
