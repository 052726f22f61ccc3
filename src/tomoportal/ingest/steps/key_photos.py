"""Previews of a tomogram: four pictures of its central slab, with what is shown by default drawn over it.

The section ``key_images`` may give pictures instead. One that is called ``snapshot``, ``thumbnail`` or ``expanded``
(or ``key-photo-snapshot.png``, …) takes the place of that one; any other is the ``original``, from which the rest is
cut.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from tomoportal.formats.keyphotos import cut_key_photos, render_key_photos
from tomoportal.formats.mrc import MrcVolume, open_mrc
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import RunPlan
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.steps.layers import annotations_on_record, is_drawn, overlays

__all__ = ["PICTURES", "context", "given_pictures", "make", "shows_tomogram"]

KIND = "key_photos"
VERSION = 1

PICTURES = ("original", "snapshot", "thumbnail", "expanded")


def given_pictures(run: RunPlan, scope: Scope) -> dict[str, str]:
    """Source keys of the pictures that the config gives for a tomogram, by the name of the picture."""
    given: dict[str, str] = {}
    for entry in run.entries("key_images", scope):
        for found in entry.found:
            if found.reference:
                continue  # a picture of the archive: only referred to
            name = PurePosixPath(found.name).stem.removeprefix("key-photo-")
            if found.key is None:
                if found.name not in PICTURES:
                    run.fail(
                        entry.source_path,
                        f"{found.name!r} is not a picture of a tomogram",
                        f"name some of {', '.join(PICTURES)}, or give a picture with a source_glob",
                    )
                continue
            name = name if name in PICTURES else "original"
            if given.setdefault(name, found.key) != found.key:
                run.fail(
                    entry.source_path,
                    f"two pictures for the {name} of one tomogram: {given[name]} and {found.key}",
                    "narrow the glob to one picture per tomogram",
                )
    return given


def shows_tomogram(given: dict[str, str]) -> bool:
    """Whether any picture is made from the tomogram, and so shows its annotations."""
    return "original" not in given and len(given) < len(PICTURES)


def context(item: Item, bench: Bench) -> Any:
    """What the pictures show beside the tomogram: the annotations that are drawn, as they enter the digest."""
    if not shows_tomogram(item.settings.get("given", {})):
        return []
    return [
        annotation.looks
        for annotation in annotations_on_record(item, bench)
        if any(is_drawn(file, item) for file in annotation.files)
    ]


def make(item: Item, bench: Bench) -> Made:
    """Cut the given picture, or render from the tomogram's MRC in the archive."""
    settings = item.settings
    given = settings.get("given", {})
    warnings: list[str] = []
    pictures: dict[str, bytes] = {}
    if shows_tomogram(given):
        pictures, warnings = _rendered(item, bench)
    elif "original" in given:
        pictures = cut_key_photos(bench.read(given["original"]), given["original"])
    for name, key in given.items():
        pictures[name] = cut_key_photos(bench.read(key), key)["original"]
    for name in PICTURES:
        bench.target.put(settings["photos"][name], pictures[name])
    return Made(warnings=tuple(warnings))


def _rendered(item: Item, bench: Bench) -> tuple[dict[str, bytes], list[str]]:
    volume = open_mrc(bench.archive.store, item.settings["mrc"])
    closing: list[MrcVolume] = []
    try:
        drawn, closing, warnings = overlays(item, bench, volume.shape)
        return render_key_photos(volume, overlays=drawn), warnings
    finally:
        volume.close()
        for opened in closing:
            opened.close()
