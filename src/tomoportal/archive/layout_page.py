"""The table of ``docs/reference/archive-layout.md``, from the functions that name the files.

``python -m tomoportal.archive.layout_page`` prints it; a test compares it with the page and with a real archive.
"""

from __future__ import annotations

from typing import Any

from tomoportal.archive import layout

__all__ = ["layout_markdown", "layout_rows"]

_SPACING = 12.345
_RUN: Any = ("{dataset}", "{run}")
_ID: Any = "{id}"
_PLACE: Any = (*_RUN, _SPACING, _ID)
_BASE = "{name}-{version}"


def layout_rows() -> list[tuple[str, str]]:
    """Pattern of a key, with ``{placeholders}``, and what lies there; folders end in a slash."""
    series = layout.tiltseries_prefix(*_RUN, _ID)
    tomogram = layout.tomogram_prefix(*_PLACE)
    rows = [
        (layout.deposition_document("{deposition}"), "the deposition's document"),
        (layout.deposition_image("{deposition}", "{picture}.{ext}"), "`snapshot` and `thumbnail`, as they were given"),
        (layout.dataset_document("{dataset}"), "the dataset's document"),
        (layout.dataset_image("{dataset}", "{picture}.{ext}"), "`snapshot` and `thumbnail`"),
        (layout.run_document(*_RUN), "the run's document"),
        (layout.gain(*_RUN, "{file}"), "gain references under their own names; those of DigitalMicrograph as MRC"),
        (layout.frames_document(*_RUN), "dose and order of every exposure"),
        (layout.mdoc(*_RUN), "the mdoc"),
        (layout.frame(*_RUN, "{file}"), "movies under their own names"),
        (layout.tiltseries_document(*_RUN, _ID), "the tilt series' document, with parameters of every section"),
        (layout.volume_mrc(series, "{run}"), "the stack"),
        (layout.volume_zarr(series, "{run}") + "/", "the stack as OME-Zarr"),
        (layout.rawtlt(*_RUN, _ID), "raw tilt angles (°), one per section"),
        (layout.ctf(*_RUN, _ID, "{program}"), "CTF estimates as `CTFFIND`, `Gctf` or `IMOD` wrote them"),
        (layout.alignment_document(*_RUN, _ID), "the alignment's document, with parameters of every section"),
        (layout.alignment_file(*_RUN, _ID, ".{ext}"), "`.xf`, `.tlt`, `.xtilt`, `.com` of IMOD, `.aln` of AreTomo"),
        (layout.identified_objects_document(*_RUN), "what the rows are about"),
        (layout.identified_objects(*_RUN), "objects that are known to be in the sample"),
        (layout.tomogram_document(*_PLACE), "the tomogram's document"),
        (layout.volume_mrc(tomogram, "{run}"), "the tomogram"),
        (layout.volume_zarr(tomogram, "{run}") + "/", "the tomogram as OME-Zarr"),
        (layout.key_photo(*_PLACE, "{picture}"), "`original`, `snapshot`, `thumbnail`, `expanded` of a tomogram"),
        (layout.annotation_document(*_PLACE, _BASE), "the annotation's document"),
        (layout.annotation_data(*_PLACE, _BASE, "{shape}", "ndjson"), "points, one JSON object per line"),
        (layout.annotation_data(*_PLACE, _BASE, "{shape}", "mrc"), "a mask"),
        (layout.annotation_data(*_PLACE, _BASE, "{shape}", "zarr") + "/", "a mask as OME-Zarr"),
        (layout.annotation_data(*_PLACE, _BASE, "{shape}", "glb"), "a mesh"),
        (layout.annotation_caption(*_PLACE, _BASE, "{shape}"), "captions of single objects of another shape"),
        (layout.annotation_global_caption(*_PLACE, _BASE), "captions of the whole tomogram"),
        (layout.neuroglancer_config(*_PLACE), "what the viewer shows with a tomogram"),
        (layout.precompute(*_PLACE, _BASE, "{shape}") + "/", "points and meshes as the viewer reads them"),
    ]
    spacing = layout.voxel_spacing_name(_SPACING)
    return [(pattern.replace(spacing, "VoxelSpacing{spacing}"), what) for pattern, what in rows]


def layout_markdown() -> str:
    """The rows as a table."""
    lines = [f"| `{pattern}` | {what} |" for pattern, what in layout_rows()]
    return "\n".join(["| key | what |", "|---|---|", *lines, ""])


if __name__ == "__main__":
    print(layout_markdown(), end="")
