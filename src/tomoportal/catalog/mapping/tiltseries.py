"""Tilt-series documents with their per-section parameters."""

from __future__ import annotations

from tomoportal.catalog.mapping.datasets import deposition_of
from tomoportal.catalog.mapping.people import same
from tomoportal.catalog.mapping.rows import Document, ItemRefused, Key, Row
from tomoportal.catalog.mapping.runs import RunContext

__all__ = ["add_tiltseries"]

_PATHS = {
    **same(
        "acceleration_voltage", "spherical_aberration_constant", "pixel_spacing", "binning_from_frames",
        "aligned_tiltseries_binning", "tilt_step", "tilting_scheme", "tilt_axis", "total_flux", "tilt_series_quality",
        "data_acquisition_software", "related_empiar_entry",
    ),
    "microscope_manufacturer": "microscope.manufacturer",
    "microscope_model": "microscope.model",
    "microscope_additional_info": "microscope.additional_info",
    "microscope_energy_filter": "microscope_optical_setup.energy_filter",
    "microscope_phase_plate": "microscope_optical_setup.phase_plate",
    "microscope_image_corrector": "microscope_optical_setup.image_corrector",
    "camera_manufacturer": "camera.manufacturer",
    "camera_model": "camera.model",
    "size_x": "size.x",
    "size_y": "size.y",
    "size_z": "size.z",
    "mrc_file_key": "mrc_file",
    "omezarr_dir_key": "omezarr_dir",
}  # fmt: skip
_SECTION = same(
    "z_index", "raw_angle", "major_defocus", "minor_defocus", "astigmatic_angle", "phase_shift", "max_resolution"
)
# Kept although the wire has no field for them (F90).
_EXTRA = {
    "acquire_mode": "camera.acquire_mode",
    "frames_count": "frames_count",
    "scales": "scales",
    "ctf_path": "ctf_path",
    "tilt_alignment_software": "tilt_alignment_software",
}
_SECTION_EXTRA = {"cross_correlation": "cross_correlation"}


def add_tiltseries(context: RunContext, document: Document) -> Row:
    """Rows of one tilt series. Raises :class:`ItemRefused`."""
    sheet = context.sheet
    low, high = (document.get(f"tilt_range.{end}") for end in ("min", "max"))
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in (low, high))
    mrc, zarr = document.get("mrc_file"), document.get("omezarr_dir")
    computed = {
        "run_id": context.run.key,
        "deposition_id": deposition_of(sheet, document, context.depositions, required=False),
        "tilt_min": round(low, 2) if numbers else low,
        "tilt_max": round(high, 2) if numbers else high,
        "tilt_range": round(abs(high - low), 2) if numbers else None,
        "is_aligned": document.get("is_aligned") or False,
        "file_size_mrc": context.sizes.of(sheet.path(mrc)) if isinstance(mrc, str) else None,
        "file_size_omezarr": context.sizes.of(sheet.path(zarr)) if isinstance(zarr, str) else None,
        "angle_list_key": document.get("raw_tlt_path") or _angle_list(context, document),
    }
    row = sheet.add("Tiltseries", Key(document.folder), document, _PATHS, computed, extra=_EXTRA)
    for place, content in document.items("per_section_parameter"):
        try:
            frame = _frame(context, document, place, content.get("frame_acquisition_order"))
            computed = {"tiltseries_id": row.key, "run_id": context.run.key, "frame_id": frame}
            sheet.add(
                "PerSectionParameters",
                row.key.below(content.get("z_index")),
                document,
                _SECTION,
                computed,
                content=content,
                place=place,
                extra=_SECTION_EXTRA,
            )
        except ItemRefused:
            continue
    return row


def _angle_list(context: RunContext, document: Document) -> str | None:
    files = [stat.key for stat in context.folder.files if stat.key.rpartition("/")[0] == document.folder]
    for extension in (".rawtlt", ".tlt"):
        if found := sorted(key for key in files if key.endswith(extension)):
            return found[0]
    return None


def _frame(context: RunContext, document: Document, place: str, order: object) -> Key:
    """The frame of a section; one that is not on record gets a row without a file (F88)."""
    where = f"{document.key}: {place}.frame_acquisition_order"
    if isinstance(order, bool) or not isinstance(order, int):
        raise context.sheet.refuse(where, f"{order!r} is not the number of a frame")
    key = context.run.key.below(order)
    if key not in context.sheet.rows.get("frame", {}):
        context.sheet.warn(
            where, f"there is no frame {order} in frames_metadata.json; a row without a file stands for it"
        )
        computed = {
            "run_id": context.run.key,
            "deposition_id": context.dataset_deposition,
            "acquisition_order": order,
        }
        context.sheet.add("Frame", key, document, {}, computed)
    return key
