"""The table of ``docs/reference/archive-layout.md``, from the functions that name the files.

``python -m tomoportal.archive.layout_page`` prints it; a test compares it with the page and with a real archive.
"""

from __future__ import annotations

from typing import Any

from tomoportal.archive import layout

__all__ = ["layout_markdown", "layout_rows"]

_D, _R, _S = "{dataset}", "{run}", 12.345
_N: Any = "{id}"
_BASE = "{name}-{version}"


def layout_rows() -> list[tuple[str, str]]:
    """Pattern of a key, with ``{placeholders}``, and what lies there; folders end in a slash."""
    series = layout.tiltseries_prefix(_D, _R, _N)
    tomogram = layout.tomogram_prefix(_D, _R, _S, _N)
    rows = [
        (layout.deposition_document("{deposition}"), "the deposition's document"),
        (layout.deposition_image("{deposition}", "{picture}.{ext}"), "`snapshot` and `thumbnail`, as they were given"),
        (layout.dataset_document(_D), "the dataset's document"),
        (layout.dataset_image(_D, "{picture}.{ext}"), "`snapshot` and `thumbnail`"),
        (layout.run_document(_D, _R), "the run's document"),
        (layout.gain(_D, _R, "{file}"), "gain references under their own names; those of DigitalMicrograph as MRC"),
        (layout.frames_document(_D, _R), "dose and order of every exposure"),
        (layout.mdoc(_D, _R), "the mdoc"),
        (layout.frame(_D, _R, "{file}"), "movies under their own names"),
        (layout.tiltseries_document(_D, _R, _N), "the tilt series' document, with parameters of every section"),
        (layout.volume_mrc(series, _R), "the stack"),
        (layout.volume_zarr(series, _R) + "/", "the stack as OME-Zarr"),
        (layout.rawtlt(_D, _R, _N), "raw tilt angles (°), one per section"),
        (layout.ctf(_D, _R, _N, "{program}"), "CTF estimates as `CTFFIND`, `Gctf` or `IMOD` wrote them"),
        (layout.alignment_document(_D, _R, _N), "the alignment's document, with parameters of every section"),
        (layout.alignment_file(_D, _R, _N, ".{ext}"), "`.xf`, `.tlt`, `.xtilt`, `.com` of IMOD, `.aln` of AreTomo"),
        (layout.identified_objects_document(_D, _R), "what the rows are about"),
        (layout.identified_objects(_D, _R), "objects that are known to be in the sample"),
        (layout.tomogram_document(_D, _R, _S, _N), "the tomogram's document"),
        (layout.volume_mrc(tomogram, _R), "the tomogram"),
        (layout.volume_zarr(tomogram, _R) + "/", "the tomogram as OME-Zarr"),
        (
            layout.key_photo(_D, _R, _S, _N, "{picture}"),
            "`original`, `snapshot`, `thumbnail`, `expanded` of a tomogram",
        ),
        (layout.annotation_document(_D, _R, _S, _N, _BASE), "the annotation's document"),
        (layout.annotation_data(_D, _R, _S, _N, _BASE, "{shape}", "ndjson"), "points, one JSON object per line"),
        (layout.annotation_data(_D, _R, _S, _N, _BASE, "{shape}", "mrc"), "a mask"),
        (layout.annotation_data(_D, _R, _S, _N, _BASE, "{shape}", "zarr") + "/", "a mask as OME-Zarr"),
        (layout.annotation_data(_D, _R, _S, _N, _BASE, "{shape}", "glb"), "a mesh"),
        (layout.annotation_caption(_D, _R, _S, _N, _BASE, "{shape}"), "captions of single objects of another shape"),
        (layout.annotation_global_caption(_D, _R, _S, _N, _BASE), "captions of the whole tomogram"),
        (layout.neuroglancer_config(_D, _R, _S, _N), "what the viewer shows with a tomogram"),
        (layout.precompute(_D, _R, _S, _N, _BASE, "{shape}") + "/", "points and meshes as the viewer reads them"),
    ]
    spacing = layout.voxel_spacing_name(_S)
    return [(pattern.replace(spacing, "VoxelSpacing{spacing}"), what) for pattern, what in rows]


def layout_markdown() -> str:
    """The rows as a table."""
    lines = [f"| `{pattern}` | {what} |" for pattern, what in layout_rows()]
    return "\n".join(["| key | what |", "|---|---|", *lines, ""])


if __name__ == "__main__":
    print(layout_markdown(), end="")
