"""What datasets and depositions have in common: a document made of the config's metadata, and two key photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Entry, Planning
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.steps.pictures import NAMES, needs_tomogram, picture_settings, write_pictures

__all__ = ["early", "make", "plan_described"]


def plan_described(
    planning: Planning,
    entry: Entry,
    kind: str,
    name: str,
    metadata: Mapping[str, Any],
    *,
    scope: Scope,
    deposition_id: int,
    stamp: int,
    runs: list[Item],
    document: str,
    image: Callable[[str], str],
) -> Item:
    """The item of a ``dataset`` or ``deposition``; it comes after the previews that may stand in for its key photos.

    ``image`` is the place of a picture by its file name. An identifier that is not that of the folder is a problem.
    """
    identifier = metadata.get(f"{kind}_identifier")
    if name.isascii() and name.isdigit() and identifier != int(name):
        planning.fail(
            "",
            (*entry.path, "metadata", f"{kind}_identifier"),
            f"{kind}_identifier {identifier} is not the {kind} {name}",
            "write the same number in both places",
        )
    pictures = picture_settings(planning, f"{kind}_keyphotos", scope, runs)
    targets = {part: image(part + pictures["pictures"][part]["extension"]) for part in NAMES}
    labels = tuple(item.label for item in runs if item.kind == "key_photos")
    return Item(
        kind=kind,
        place=(kind, name),
        deposition_id=deposition_id,
        identity=kind,
        title=metadata.get(f"{kind}_title") or name,
        sources=tuple(dict.fromkeys(one["source"] for one in pictures["pictures"].values() if "source" in one)),
        outputs=tuple(targets.values()),
        document=document,
        config_path=f"{kind}s[{entry.index}]",
        settings={
            "metadata": dict(metadata),
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
