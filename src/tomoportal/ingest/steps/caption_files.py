"""Captions of an annotation: checked, then copied unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.formats.captions import Caption, CaptionKind, read_captions
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.steps.annotation_files import caption_entry

__all__ = ["make_captions", "read_source_captions"]


def make_captions(shape: Mapping[str, Any], bench: Bench, warnings: list[str]) -> dict[str, Any]:
    """Write one file of captions, byte for byte as it came."""
    key, target = shape["key"], shape["targets"]["json"]
    data, captions = read_source_captions(shape, bench)
    if not captions:
        warnings.append(f"{key}: the list {_kind(shape)!r} is empty")
    bench.target.put(target, data)
    return caption_entry(target, shape)


def read_source_captions(shape: Mapping[str, Any], bench: Bench) -> tuple[bytes, tuple[Caption, ...]]:
    """The file and what it holds. Raises `FormatError`."""
    data = bench.read(shape["key"])
    return data, read_captions(data, shape["key"], kind=_kind(shape))


def _kind(shape: Mapping[str, Any]) -> CaptionKind:
    return "captions" if shape["shape"] == "GlobalCaption" else "objects"
