"""Previews of a tomogram: four pictures of its central slab, with what is shown by default drawn over it."""

from __future__ import annotations

from typing import Any

from tomoportal.formats.keyphotos import render_key_photos
from tomoportal.formats.mrc import MrcVolume, open_mrc
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.steps.layers import annotation_files, overlays

__all__ = ["context", "make"]

KIND = "key_photos"
VERSION = 1


def context(item: Item, bench: Bench) -> Any:
    """What the pictures show beside the tomogram: the annotations on record, as they enter the digest."""
    return [digest for digest, _ in annotation_files(item, bench)]


def make(item: Item, bench: Bench) -> Made:
    """Render from the tomogram's MRC in the archive."""
    settings = item.settings
    volume = open_mrc(bench.archive.store, settings["mrc"])
    closing: list[MrcVolume] = []
    try:
        drawn, closing, warnings = overlays(item, bench, volume.shape)
        pictures = render_key_photos(volume, overlays=drawn)
    finally:
        volume.close()
        for opened in closing:
            opened.close()
    for name, data in pictures.items():
        bench.target.put(settings["photos"][name], data)
    return Made(warnings=tuple(warnings))
