"""The earliest releases (reference: archive layout 9.2).

The spacing folder lies directly in the run, ``TomogramVoxelSpacing13.48/CanonicalTomogram/``; annotations are called
``{author}-{object}-{version}.json``, and their data files by the object alone.
"""

from __future__ import annotations

from dataclasses import replace

from tomoportal.archive.older import public_v1
from tomoportal.archive.older.found import FoundRun, spacing_folders
from tomoportal.archive.older.tree import Tree

__all__ = ["NAME", "find", "matches"]

NAME = "public portal, early releases"
_PREFIX = "Tomogram"


def matches(tree: Tree, folder: str) -> bool:
    """Spacing folders directly in the run."""
    return bool(spacing_folders(tree, folder, f"{_PREFIX}VoxelSpacing"))


def find(tree: Tree, folder: str, name: str) -> FoundRun:
    """As in version 1, with the spacing folders elsewhere."""
    return replace(public_v1.find(tree, folder, name, spacing_parent="", prefix=_PREFIX), layout=NAME)
