"""Today's layout, with the oddities that other programs leave in it (reference: archive layout 9.2).

Numbers in front of file names inside id folders, ``NeuroglancerPrecompute/100/neuroglancer_config.json``, key photos
without an id folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tomoportal.archive.older.found import (
    FoundAlignment,
    FoundAnnotation,
    FoundRun,
    FoundSpacing,
    FoundTiltSeries,
    FoundTomogram,
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

NAME = "today's"


def matches(tree: Tree, folder: str) -> bool:
    """Numbered folders, or ``Reconstructions``."""
    return bool(
        spacing_folders(tree, f"{folder}/Reconstructions", "VoxelSpacing")
        or any(_numbered(tree, f"{folder}/TiltSeries"))
        or any(_numbered(tree, f"{folder}/Alignments"))
    )


def find(tree: Tree, folder: str, name: str) -> FoundRun:
    """Everything in a run."""
    frames = f"{folder}/Frames"
    return FoundRun(
        NAME,
        folder,
        name,
        document=file_in(tree, folder, "run_metadata.json"),
        frames_document=file_in(tree, frames, "frames_metadata.json"),
        mdoc=one_with(tree, frames, ".mdoc", name),
        frames=keys_in(tree, frames, (n for n in tree.names(frames)[1] if not n.lower().endswith((".json", ".mdoc")))),
        gains=keys_in(tree, f"{folder}/Gains"),
        tilt_series=tuple(_tilt_series(tree, folder, name)),
        alignments=tuple(_alignments(tree, folder)),
        identified_objects=file_in(tree, f"{folder}/IdentifiedObjects", "identified_objects.json"),
        spacings=tuple(
            _spacing(tree, key, spacing)
            for key, spacing in spacing_folders(tree, f"{folder}/Reconstructions", "VoxelSpacing")
        ),
    )


def _numbered(tree: Tree, folder: str) -> Iterator[tuple[int, str]]:
    for name in sorted((name for name in tree.names(folder)[0] if re.fullmatch(r"[0-9]+", name)), key=int):
        yield int(name), f"{folder}/{name}"


def _tilt_series(tree: Tree, folder: str, run: str) -> Iterator[FoundTiltSeries]:
    for number, key in _numbered(tree, f"{folder}/TiltSeries"):
        if series := tilt_series_in(tree, key, run, number):
            yield series


def _alignments(tree: Tree, folder: str) -> Iterator[FoundAlignment]:
    for number, key in _numbered(tree, f"{folder}/Alignments"):
        document = file_in(tree, key, "alignment_metadata.json")
        yield FoundAlignment(tuple(each for each in keys_in(tree, key) if each != document), number, document)


def _spacing(tree: Tree, folder: str, spacing: float) -> FoundSpacing:
    precompute = f"{folder}/NeuroglancerPrecompute"
    tomograms = list(_tomograms(tree, folder, precompute))
    annotations = [
        FoundAnnotation(found.document, found.stem, number)
        for number, key in _numbered(tree, f"{folder}/Annotations")
        for found in annotations_in(tree, key, numbered=False)
    ]
    layers = [name for name in tree.names(precompute)[0] if re.fullmatch(r"[0-9]+-.+", name)]
    return FoundSpacing(
        folder, spacing, tuple(tomograms), tuple(annotations), tuple(f"{precompute}/{name}" for name in layers)
    )


def _tomograms(tree: Tree, folder: str, precompute: str) -> Iterator[FoundTomogram]:
    found = [
        each
        for number, key in _numbered(tree, f"{folder}/Tomograms")
        if (each := tomogram_in(tree, key, number=number)) is not None
    ]
    for each in found:
        photos = photos_in(tree, f"{folder}/Images/{each.number}")
        if not photos and len(found) == 1:
            photos = photos_in(tree, f"{folder}/Images")
        viewer = file_in(tree, precompute, f"{each.number}-neuroglancer_config.json")
        viewer = viewer or file_in(tree, f"{precompute}/{each.number}", "neuroglancer_config.json")
        yield FoundTomogram(each.folder, each.number, each.document, viewer, photos)
