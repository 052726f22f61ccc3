"""What the layouts have in common: the things that a run holds, wherever a layout keeps them, and how to find them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tomoportal.archive.older.tree import Tree

__all__ = [
    "FoundAlignment",
    "FoundAnnotation",
    "FoundRun",
    "FoundSpacing",
    "FoundTiltSeries",
    "FoundTomogram",
    "alignment_files",
    "annotations_in",
    "file_in",
    "keys_in",
    "one_with",
    "photos_in",
    "spacing_folders",
    "tilt_series_in",
    "tomogram_in",
]

ALIGNMENT_ENDINGS = (".xf", ".tlt", ".xtilt", ".tltx", ".aln", ".com")
PHOTOS = ("original", "snapshot", "thumbnail", "expanded")

_NUMBERED = re.compile(r"0*(?P<number>\d+)[-_](?P<rest>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FoundTiltSeries:
    """Keys of a tilt series; ``number`` only where the layout has one."""

    folder: str
    number: int | None = None
    document: str | None = None
    rawtlt: str | None = None
    ctfs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundAlignment:
    """Keys of an alignment; layouts without ids have no ``document``."""

    files: tuple[str, ...]
    number: int | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True)
class FoundTomogram:
    """Keys of a tomogram; ``photos`` by their name (``snapshot``, …)."""

    folder: str
    number: int | None = None
    document: str | None = None
    viewer_config: str | None = None
    photos: tuple[tuple[str, str], ...] = ()
    alignment: FoundAlignment | None = None


@dataclass(frozen=True, slots=True)
class FoundAnnotation:
    """The document of an annotation; ``stem`` is its file name without number and ending."""

    document: str
    stem: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class FoundSpacing:
    """A voxel spacing (Å): what lies in its folder. ``layers`` are folders of the viewer."""

    folder: str
    spacing: float
    tomograms: tuple[FoundTomogram, ...] = ()
    annotations: tuple[FoundAnnotation, ...] = ()
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run: keys of everything in it that a document of today has a place for."""

    layout: str
    folder: str
    name: str
    document: str | None = None
    frames_document: str | None = None
    mdoc: str | None = None
    frames: tuple[str, ...] = ()
    gains: tuple[str, ...] = ()
    tilt_series: tuple[FoundTiltSeries, ...] = ()
    alignments: tuple[FoundAlignment, ...] = ()
    identified_objects: str | None = None
    spacings: tuple[FoundSpacing, ...] = ()
    homeless: tuple[FoundAnnotation, ...] = ()
    """Annotations in a folder of no voxel spacing."""


def file_in(tree: Tree, folder: str, name: str) -> str | None:
    key = f"{folder}/{name}"
    return key if key in tree.sizes else None


def one_with(tree: Tree, folder: str, ending: str, prefer: str = "") -> str | None:
    """The file with an ending: that of the preferred name, else the only one, else the first."""
    names = [name for name in tree.names(folder)[1] if name.lower().endswith(ending)]
    if f"{prefer}{ending}" in names:
        return f"{folder}/{prefer}{ending}"
    return f"{folder}/{names[0]}" if names else None


def alignment_files(tree: Tree, folder: str) -> tuple[str, ...]:
    """One file per kind in a folder; of several the first by name."""
    found: dict[str, str] = {}
    for name in tree.names(folder)[1]:
        ending = name[name.rfind(".") :].lower()
        if ending in ALIGNMENT_ENDINGS:
            found.setdefault(ending, f"{folder}/{name}")
    return tuple(found[ending] for ending in ALIGNMENT_ENDINGS if ending in found)


def tilt_series_in(tree: Tree, folder: str, run: str, number: int | None = None) -> FoundTiltSeries | None:
    """The tilt series whose files lie directly in a folder; None if there is neither a document nor a volume."""
    folders, files = tree.names(folder)
    document = file_in(tree, folder, "tiltseries_metadata.json")
    if document is None and not any(name.endswith((".mrc", ".zarr")) for name in (*folders, *files)):
        return None
    ctfs = tuple(f"{folder}/{name}" for name in files if name.endswith("_ctf.txt"))
    return FoundTiltSeries(folder, number, document, one_with(tree, folder, ".rawtlt", run), ctfs)


def photos_in(tree: Tree, folder: str, prefix: str = "key-photo-") -> tuple[tuple[str, str], ...]:
    """Key photos in a folder by their name; any picture ending."""
    found = []
    for name in tree.names(folder)[1]:
        stem, _, ending = name.rpartition(".")
        if (
            stem.startswith(prefix)
            and stem[len(prefix) :] in PHOTOS
            and ending.lower() in ("png", "jpg", "jpeg", "gif")
        ):
            found.append((stem[len(prefix) :], f"{folder}/{name}"))
    return tuple(dict(found).items())


def tomogram_in(
    tree: Tree, folder: str, *, number: int | None = None, photos: tuple[tuple[str, str], ...] = ()
) -> FoundTomogram | None:
    """The tomogram whose files lie directly in a folder; None if there is neither a document nor a volume."""
    folders, files = tree.names(folder)
    document = file_in(tree, folder, "tomogram_metadata.json")
    if document is None and not any(name.endswith((".mrc", ".zarr")) for name in (*folders, *files)):
        return None
    own = alignment_files(tree, folder)
    viewer = file_in(tree, folder, "neuroglancer_config.json")
    return FoundTomogram(folder, number, document, viewer, photos, FoundAlignment(own) if own else None)


def spacing_folders(tree: Tree, folder: str, prefix: str) -> list[tuple[str, float]]:
    """Folders ``{prefix}{number}`` with their spacing in Å, smallest first; ``13.48`` and ``13.480`` are one number."""
    found = []
    for name in tree.names(folder)[0]:
        match = re.fullmatch(rf"{prefix}(\d+(?:\.\d+)?)", name)
        if match and float(match[1]) >= 0.001:
            found.append((f"{folder}/{name}", float(match[1])))
    return sorted(found, key=lambda each: (each[1], each[0]))


def annotations_in(tree: Tree, folder: str, *, numbered: bool = True) -> tuple[FoundAnnotation, ...]:
    """Documents of annotations directly in a folder, sorted by name: their names end in the version's digit.

    A number before the first ``-`` or ``_`` is the old id.
    """
    found = []
    for name in tree.names(folder)[1]:
        stem = name.removesuffix(".json")
        if stem == name or not stem[-1:].isdigit() or not stem[-1:].isascii():
            continue
        match = _NUMBERED.fullmatch(stem) if numbered else None
        number = int(match["number"]) if match else None
        found.append(FoundAnnotation(f"{folder}/{name}", match["rest"] if match else stem, number))
    return tuple(found)


def keys_in(tree: Tree, folder: str, names: Iterable[str] | None = None) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in (tree.names(folder)[1] if names is None else names))
