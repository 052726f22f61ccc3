"""The tree of metadata schema 1.1.0, as seed data have it (reference: archive layout 9.3).

No run document. Alignment file and viewer state lie beside the tomogram in ``CanonicalTomogram/``, gain references
among the frames, mdoc and both lists of tilt angles beside the tilt series; ``_`` joins number, object and version of
an annotation, and ``Annotations/`` may lie in the run itself.
"""

from __future__ import annotations

from dataclasses import replace

from tomoportal.archive.older import public_v1
from tomoportal.archive.older.found import FoundRun, annotations_in, spacing_folders, tilt_series_in
from tomoportal.archive.older.tree import Tree

__all__ = ["NAME", "find", "matches"]

NAME = "metadata schema 1.1.0"


def matches(tree: Tree, folder: str) -> bool:
    """Spacing folders below ``Tomograms``, or files directly in ``TiltSeries``, ``Frames`` or ``Annotations``."""
    return bool(
        spacing_folders(tree, f"{folder}/Tomograms", "VoxelSpacing")
        or tilt_series_in(tree, f"{folder}/TiltSeries", "")
        or annotations_in(tree, f"{folder}/Annotations")
        or tree.is_folder(f"{folder}/Frames")
    )


def find(tree: Tree, folder: str, name: str) -> FoundRun:
    """As in version 1. Annotations of the run belong to its only voxel spacing; with several nobody can tell."""
    run = replace(public_v1.find(tree, folder, name), layout=NAME)
    loose = annotations_in(tree, f"{folder}/Annotations")
    if loose and len(run.spacings) == 1:
        only = run.spacings[0]
        return replace(run, spacings=(replace(only, annotations=(*only.annotations, *loose)),))
    return replace(run, homeless=loose)
