"""Names of users, sessions, objects, runs and types: what may be one, and how they form file names.

``{user}_{session}_{object}.json`` and the like separate names by underscores, so that users, sessions and objects hold
none (seed 004; reference copick-model, 3). What is read keeps the name that it has; rules are for what is created.
"""

from __future__ import annotations

import math
import re
import unicodedata
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tomoportal.errors import AnnotationError

__all__ = [
    "DocumentName",
    "SegmentationName",
    "SegmentationType",
    "check_distinct",
    "check_run_name",
    "checked_name",
    "checked_voxel_size",
    "document_name",
    "features_name",
    "is_clean",
    "parse_document",
    "parse_segmentation",
    "parse_voxel_spacing",
    "sanitize_name",
    "segmentation_name",
    "voxel_key",
    "voxel_spacing_folder",
]

SegmentationType = str  # "binary", "multilabel", "instance" or "panoptic"

SEGMENTATION_TYPES: Final = ("binary", "multilabel", "instance", "panoptic")
SEGMENTATION_FOLDERS: Final = {
    "binary": "Segmentations",
    "multilabel": "Segmentations",
    "instance": "InstanceSegmentations",
    "panoptic": "PanopticSegmentations",
}
MULTILABEL_ENDING: Final = "-multilabel"
FEATURES_ENDING: Final = "_features.zarr"
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\s_]')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_LONGEST: Final = 200  # bytes of one name: three of them and an ending must fit where 255 is the limit for most
_LONGEST_FILE: Final = 255
_BESIDE: Final = 40  # bytes more that a volume's name has while it is written beside the old one


def sanitize_name(input_str: str, suppress_warnings: bool = False) -> str:
    """The name with every character that file names or the separator forbid replaced by ``-`` and ends trimmed.

    Raises :class:`AnnotationError` if nothing is left.
    """
    clean = _FORBIDDEN.sub("-", input_str).strip("-")
    if not clean:
        raise AnnotationError(
            "Filename cannot be empty or completely consist of invalid characters.",
            where=repr(input_str),
            fix="use letters, digits, '.', '-'",
        )
    if clean != input_str and not suppress_warnings:
        warnings.warn(
            f"Input '{input_str}' contains invalid characters. It has been sanitized to '{clean}'.",
            UserWarning,
            stacklevel=3,
        )
    return clean


def is_clean(name: str) -> bool:
    """Whether a name is its own sanitised form."""
    return bool(name) and not _FORBIDDEN.search(name) and name == name.strip("-")


def checked_name(name: str, what: str, *, strict: bool = False) -> str:
    """The name under which something new is stored: sanitised with a warning, or refused if ``strict``.

    Names that no platform stores alike (``.``, a leading or trailing dot, ``CON``, over 200 bytes) are always refused.
    """
    if not isinstance(name, str):
        raise AnnotationError(f"The {what} must be text, not {type(name).__name__}.", fix=f"write {str(name)!r}")
    if strict and not is_clean(name):
        fix = (
            f"use {sanitize_name(name, suppress_warnings=True)!r}; '_', blanks and <>:\"/\\|?* separate or break names"
        )
        raise AnnotationError(f"The {what} {name!r} contains invalid characters.", fix=fix)
    clean = sanitize_name(name)
    _check_portable(clean, what)
    return clean


def check_run_name(name: str) -> str:
    """A run's name, which may hold blanks and underscores but must be the name of one visible folder (C31, C33)."""
    if not isinstance(name, str) or not name:
        raise AnnotationError("A run needs a name.", fix="give the name of the tilt series, for instance TS_001")
    bad = sorted({char for char in name if char in '<>:"/\\|?*' or unicodedata.category(char) == "Cc"})
    if bad:
        raise AnnotationError(
            f"The run name {name!r} contains {' '.join(map(repr, bad))}.",
            fix="leave these characters out; '_', '-', '.' and blanks inside the name are fine",
        )
    if name != name.strip():
        raise AnnotationError(f"The run name {name!r} begins or ends with a blank.", fix=f"use {name.strip()!r}")
    _check_portable(name, "run name")
    return name


def check_distinct(name: str, known: Iterable[str], what: str) -> None:
    """Refuse a name that differs from a known one only in case or Unicode form (C33)."""
    folded = _folded(name)
    for other in known:
        if other != name and _folded(other) == folded:
            raise AnnotationError(
                f"The {what} {name} differs from {other} only in case or Unicode form, which not every disk can tell"
                " apart.",
                fix="choose another name, or write it as it is there",
            )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _check_portable(name: str, what: str) -> None:
    if name.startswith(".") or name.endswith("."):
        raise AnnotationError(
            f"The {what} {name!r} begins or ends with a dot.", fix="take the dot away: it hides names"
        )
    if _DEVICES.fullmatch(name):
        raise AnnotationError(f"The {what} {name!r} is a device on Windows.", fix=f"use {name + '-1'!r}")
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST:
        raise AnnotationError(f"The {what} has more than {_LONGEST} bytes.", where=name[:40], fix="shorten it")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise AnnotationError(
            f"The {what} {name!r} is no valid Unicode.", fix="leave the broken characters out"
        ) from None


# --- voxel sizes


def voxel_key(voxel_size: float) -> float:
    """What two voxel sizes that count as the same have in common: three decimals (C38)."""
    return round(float(voxel_size), 3)


def checked_voxel_size(voxel_size: float) -> float:
    """A voxel size in Å that can be stored: finite, and positive after rounding to three decimals (C40)."""
    try:
        size = float(voxel_size)
    except (TypeError, ValueError):
        raise AnnotationError(f"The voxel size {voxel_size!r} is not a number.", fix="give a length in Å") from None
    if not math.isfinite(size) or voxel_key(size) <= 0:
        raise AnnotationError(f"The voxel size {voxel_size} Å is not a positive length.", fix="give a length in Å")
    return size


def voxel_spacing_folder(voxel_size: float) -> str:
    """``VoxelSpacing10.000``."""
    return f"VoxelSpacing{voxel_size:.3f}"


def parse_voxel_spacing(folder: str) -> float | str:
    """The voxel size in Å, or why the folder's name gives none."""
    size = _number(folder.removeprefix("VoxelSpacing"))
    return size if size is not None else "what follows VoxelSpacing is not a positive number"


def _number(text: str) -> float | None:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        return None
    size = float(text)
    return size if math.isfinite(size) and size > 0 else None


# --- documents: picks, meshes, filaments


@dataclass(frozen=True, slots=True)
class DocumentName:
    """Who made what in which session."""

    user_id: str
    session_id: str
    object_name: str


def document_name(user_id: str, session_id: str, object_name: str, ending: str) -> str:
    """``user_session_object`` with the ending; refused if a disk cannot hold it."""
    return _storable(f"{user_id}_{session_id}_{object_name}{ending}")


def parse_document(name: str, ending: str, *, object_may_hold_underscores: bool) -> DocumentName | str:
    """The parts of a file name, or why it is not one."""
    stem = name.removesuffix(ending)
    parts = stem.split("_", 2) if object_may_hold_underscores else stem.split("_")
    if len(parts) != 3 or not all(parts):
        return f"the name has not the form <user>_<session>_<object>{ending}"
    return DocumentName(*parts)


# --- volumes


@dataclass(frozen=True, slots=True)
class SegmentationName:
    """What the name and the folder of a segmentation say."""

    voxel_size: float
    user_id: str
    session_id: str
    name: str
    kind: SegmentationType


def segmentation_name(voxel_size: float, user_id: str, session_id: str, name: str, kind: SegmentationType) -> str:
    """``10.000_user_session_name.zarr``, with ``-multilabel`` where the type asks for it."""
    ending = MULTILABEL_ENDING if kind == "multilabel" else ""
    return _storable(f"{voxel_size:.3f}_{user_id}_{session_id}_{name}{ending}.zarr")


def parse_segmentation(store_name: str, folder: str) -> SegmentationName | str:
    """The parts of a store's name, or why it is not one; the name may hold underscores."""
    parts = store_name.removesuffix(".zarr").split("_", 3)
    if len(parts) != 4 or not all(parts):
        return "the name has not the form <voxel size>_<user>_<session>_<name>.zarr"
    size = _number(parts[0])
    if size is None:
        return f"{parts[0]!r} at the beginning of the name is not a voxel size"
    name = parts[3]
    kind = {"InstanceSegmentations": "instance", "PanopticSegmentations": "panoptic"}.get(folder, "binary")
    if kind == "binary" and name == MULTILABEL_ENDING:
        return "the name has no part before -multilabel"
    if kind == "binary" and name.endswith(MULTILABEL_ENDING):
        kind, name = "multilabel", name.removesuffix(MULTILABEL_ENDING)
    return SegmentationName(size, parts[1], parts[2], name, kind)


def features_name(tomo_type: str, feature_type: str) -> str:
    """``wbp_sobel_features.zarr``."""
    return _storable(f"{tomo_type}_{feature_type}{FEATURES_ENDING}")


def _storable(name: str) -> str:
    longest = _LONGEST_FILE - (_BESIDE if name.endswith(".zarr") else 0)
    if len(name.encode("utf-8", "surrogatepass")) > longest:  # what lies on a disk need not be text
        raise AnnotationError(
            f"The names together make a file name of over {longest} bytes.", where=name[:60], fix="shorten them"
        )
    return name
