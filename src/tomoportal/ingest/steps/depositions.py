"""Depositions: the document and the key photos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.archive import layout
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Entry, Planning
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.steps.pictures import NAMES, context, needs_tomogram, picture_settings, write_pictures

__all__ = ["context", "early", "make", "plan"]

KIND = "deposition"
VERSION = 1


def plan(
    planning: Planning, entry: Entry, deposition_id: int, scope: Scope, stamp: int, runs: list[Item]
) -> Item | None:
    """The deposition's document; None without metadata (the deposition is only referred to)."""
    if entry.metadata is None:
        return None
    metadata = dict(entry.metadata)
    identifier = metadata.get("deposition_identifier")
    if identifier != deposition_id:
        planning.fail(
            "",
            (*entry.path, "metadata", "deposition_identifier"),
            f"deposition_identifier {identifier} is not the deposition {deposition_id}",
            "write the same number in both places",
        )
    pictures = picture_settings(planning, "deposition_keyphotos", scope, runs)
    targets = {
        part: layout.deposition_image(deposition_id, part + pictures["pictures"][part]["extension"]) for part in NAMES
    }
    labels = tuple(item.label for item in runs if item.kind == "key_photos")
    return Item(
        kind=KIND,
        place=("deposition", str(deposition_id)),
        deposition_id=deposition_id,
        identity="deposition",
        title=metadata.get("deposition_title") or str(deposition_id),
        sources=tuple(dict.fromkeys(one["source"] for one in pictures["pictures"].values() if "source" in one)),
        outputs=tuple(targets.values()),
        document=layout.deposition_document(deposition_id),
        config_path=f"depositions[{entry.index}]",
        settings={
            "metadata": metadata,
            "targets": targets,
            **pictures,
            "deposition_id": deposition_id,
            "stamp": stamp,
            "origin": {"config": planning.config.digest, "maps": dict(planning.maps.digests)},
        },
        after=labels if needs_tomogram(pictures) else (),
        derives_from=labels[:1] if needs_tomogram(pictures) else (),
    )


def make(item: Item, bench: Bench) -> Made:
    """Copy the key photos and write the document."""
    photos, warnings = write_pictures(item, bench, item.settings["targets"])
    return Made(_document(item, photos), tuple(warnings))


def early(item: Item) -> Mapping[str, Any]:
    """The document before there are tomograms to take pictures from."""
    return _document(item, dict.fromkeys(NAMES))


def _document(item: Item, photos: Mapping[str, str | None]) -> dict[str, Any]:
    settings = item.settings
    return {
        **settings["metadata"],
        "key_photos": dict(photos),
        "deposition_id": settings["deposition_id"],
        "last_updated_at": settings["stamp"],
    }
