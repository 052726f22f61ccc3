"""What metadata documents refer to: files, folders, other documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

__all__ = ["Reference", "references", "viewer_sources"]

_FILES = {
    "dataset": (),
    "deposition": (),
    "run": (),
    "frames": ("frames_acquisition_file",),
    "tiltseries": ("mrc_file", "omezarr_dir", "raw_tlt_path", "ctf_path"),
    "alignment": ("alignment_path", "tilt_path", "tiltx_path"),
    "tomogram": ("mrc_file", "omezarr_dir", "neuroglancer_config_path"),
    "annotation": (),
    "identified_objects": (),
}
_DOCUMENTS = {
    "alignment": ("tiltseries_path",),
    "tomogram": ("alignment_metadata_path",),
    "annotation": ("alignment_metadata_path",),
}
_SOURCE = re.compile(r"archive://([^|\"]+)")


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference: the field (``files[0].path``), the key that it holds, whether it names a metadata document."""

    field: str
    key: str
    is_document: bool = False


def references(kind: str, document: Mapping[str, Any]) -> Iterator[Reference]:
    """Every key that a document holds; empty and missing fields are left out."""
    for name in _FILES.get(kind, ()):
        yield from _one(name, document.get(name))
    for name in _DOCUMENTS.get(kind, ()):
        yield from _one(name, document.get(name), is_document=True)
    for name in ("key_photos", "key_photo"):
        photos = document.get(name)
        if isinstance(photos, Mapping):
            for part, value in photos.items():
                yield from _one(f"{name}.{part}", value)
    if kind == "frames":
        yield from _paths("frames", document.get("frames"))
    if kind == "annotation":
        yield from _paths("files", document.get("files"))
    if kind == "alignment":
        files = document.get("files")
        for index, value in enumerate(files if isinstance(files, Sequence) and not isinstance(files, str) else ()):
            yield from _one(f"files[{index}]", value)


def viewer_sources(data: bytes) -> list[str]:
    """The keys behind ``archive://`` in a viewer configuration, sorted. Raises ``ValueError`` if it is not JSON."""
    try:
        json.loads(data)
    except RecursionError as error:
        raise ValueError("the values are nested without end") from error
    # Sources are addresses: names with spaces, µ, # or % are percent-encoded in them.
    return sorted({unquote(source.rstrip("/")) for source in _SOURCE.findall(data.decode())})


def _paths(name: str, rows: object) -> Iterator[Reference]:
    if isinstance(rows, Sequence) and not isinstance(rows, str):
        for index, row in enumerate(rows):
            if isinstance(row, Mapping):
                yield from _one(f"{name}[{index}].path", row.get("path"))


def _one(name: str, value: object, *, is_document: bool = False) -> Iterator[Reference]:
    # Key photos may be addresses of the web; they are not the archive's.
    if isinstance(value, str) and value and "://" not in value:
        yield Reference(name, value, is_document)
