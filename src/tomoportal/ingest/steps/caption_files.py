"""Captions of an annotation: checked, then copied unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.formats.captions import CaptionKind, read_captions
from tomoportal.ingest.bench import Bench
from tomoportal.ingest.steps.annotation_files import caption_entry

__all__ = ["make_captions"]


def make_captions(shape: Mapping[str, Any], bench: Bench, warnings: list[str]) -> dict[str, Any]:
    """Write one file of captions, byte for byte as it came."""
    key, target = shape["key"], shape["targets"]["json"]
    data = bench.read(key)
    kind: CaptionKind = "captions" if shape["shape"] == "GlobalCaption" else "objects"
    if not read_captions(data, key, kind=kind):
        warnings.append(f"{key}: the list {kind!r} is empty")
    bench.target.put(target, data)
    return caption_entry(target, shape)
