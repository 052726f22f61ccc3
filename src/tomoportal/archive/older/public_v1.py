"""The public portal's layout before objects had ids (reference: archive layout 9.1).

``Tomograms/VoxelSpacing13.480/CanonicalTomogram/``, one tomogram per spacing; ``Annotations/100-name-1.0.json`` with
the id in the file name; ``KeyPhotos/``; tilt series, mdoc and alignment files together in ``TiltSeries/``. In between
alignments lay as ``Alignments/100-alignment_metadata.json``; that is read too.
"""

from __future__ import annotations

import re

from tomoportal.archive.older.found import (
    FoundAlignment,
    FoundRun,
    FoundSpacing,
    alignment_files,
    annotations_in,
    file_in,
    keys_in,
    one_with,
    photos_in,
    spacing_folders,
    tilt_series_in,
    tomogram_in,
)
from tomoportal.archive.older.tree import Tree

__all__ = ["NAME", "find", "matches"]

NAME = "public portal, version 1"

_GAINS = re.compile(r"(?i).*gain.*|.*countref.*|.*\.(?:gain|dm3|dm4)")


def matches(tree: Tree, folder: str) -> bool:
    """A run with a document of its own, or spacing folders below ``Tomograms`` and photos beside the tomogram."""
    spacings = spacing_folders(tree, f"{folder}/Tomograms", "VoxelSpacing")
    named = file_in(tree, folder, "run_metadata.json") is not None
    flat = tilt_series_in(tree, f"{folder}/TiltSeries", "") is not None
    return bool(spacings or flat) and (named or any(tree.is_folder(f"{key}/KeyPhotos") for key, _ in spacings))


def find(tree: Tree, folder: str, name: str, *, spacing_parent: str = "Tomograms", prefix: str = "") -> FoundRun:
    """Everything in a run; ``spacing_parent`` and ``prefix`` say where a relative of this layout has its spacings."""
    parent = f"{folder}/{spacing_parent}" if spacing_parent else folder
    series_folder = f"{folder}/TiltSeries"
    series = tilt_series_in(tree, series_folder, name)
    frames, gains = frames_and_gains(tree, f"{folder}/Frames")
    own = alignment_files(tree, series_folder)
    return FoundRun(
        NAME,
        folder,
        name,
        document=file_in(tree, folder, "run_metadata.json"),
        frames_document=file_in(tree, f"{folder}/Frames", "frames_metadata.json"),
        mdoc=one_with(tree, series_folder, ".mdoc", name) or one_with(tree, f"{folder}/Frames", ".mdoc", name),
        frames=frames,
        gains=(*gains, *keys_in(tree, f"{folder}/Gains")),
        tilt_series=(series,) if series else (),
        alignments=(*_flat_alignments(tree, f"{folder}/Alignments"), *((FoundAlignment(own),) if own else ())),
        identified_objects=file_in(tree, f"{folder}/IdentifiedObjects", "identified_objects.json"),
        spacings=tuple(
            _spacing(tree, key, spacing) for key, spacing in spacing_folders(tree, parent, f"{prefix}VoxelSpacing")
        ),
    )


def frames_and_gains(tree: Tree, folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Movie frames and gain references of one folder, told apart by name; JSON and mdoc are neither."""
    names = [name for name in tree.names(folder)[1] if not name.lower().endswith((".json", ".mdoc"))]
    gains = [name for name in names if _GAINS.fullmatch(name)]
    return keys_in(tree, folder, (name for name in names if name not in gains)), keys_in(tree, folder, gains)


def _spacing(tree: Tree, folder: str, spacing: float) -> FoundSpacing:
    precompute = f"{folder}/NeuroglancerPrecompute"
    canonical = tomogram_in(tree, f"{folder}/CanonicalTomogram", photos=photos_in(tree, f"{folder}/KeyPhotos"))
    return FoundSpacing(
        folder,
        spacing,
        tomograms=(canonical,) if canonical else (),
        annotations=annotations_in(tree, f"{folder}/Annotations"),
        layers=tuple(f"{precompute}/{name}" for name in tree.names(precompute)[0]),
    )


def _flat_alignments(tree: Tree, folder: str) -> list[FoundAlignment]:
    """``Alignments/100-alignment_metadata.json`` with ``100-….xf`` beside it."""
    found: dict[int, list[str]] = {}
    for name in tree.names(folder)[1]:
        if match := re.fullmatch(r"(\d+)-.+", name):
            found.setdefault(int(match[1]), []).append(f"{folder}/{name}")
    result = []
    for number, keys in sorted(found.items()):
        document = next((key for key in keys if key.endswith("-alignment_metadata.json")), None)
        result.append(FoundAlignment(tuple(key for key in keys if key != document), number, document))
    return result
