"""Datasets: the document with all eight sample parts, and the key photos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tomoportal.archive import layout
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Entry, Planning
from tomoportal.ingest.scope import Scope
from tomoportal.ingest.steps.pictures import NAMES, context, needs_tomogram, picture_settings, write_pictures

__all__ = ["context", "early", "is_reference", "make", "plan"]

KIND = "dataset"
VERSION = 1
_NOT_REPORTED = {"name": "not_reported", "id": "not_reported"}
_PARTS: dict[str, dict[str, Any]] = {
    "assay": _NOT_REPORTED,
    "development_stage": {"name": "unknown", "id": "unknown"},
    "disease": _NOT_REPORTED,
    "organism": {"name": "not_reported", "taxonomy_id": None},
    "cell_component": _NOT_REPORTED,
    "cell_strain": _NOT_REPORTED,
    "cell_type": _NOT_REPORTED,
    "tissue": _NOT_REPORTED,
}


def is_reference(planning: Planning, entry: Entry, name: str, deposition_id: int) -> bool:
    """Whether a dataset is only referred to; a document of another deposition is never rewritten (F7)."""
    if entry.metadata is None or all(found.reference for found in entry.found):
        return True
    document = planning.records.document(layout.dataset_document(name))
    if document is not None and document.get("deposition_id") != deposition_id:
        planning.fail(
            "",
            entry.path,
            f"dataset {name} belongs to deposition {document.get('deposition_id')}, this is {deposition_id}",
            "leave its metadata out of this config, so that it is only referred to",
        )
    return False


def plan(
    planning: Planning, entry: Entry, name: str, scope: Scope, deposition_id: int, stamp: int, runs: list[Item]
) -> Item:
    """The dataset's document; it comes after the previews that may stand in for its key photos."""
    metadata = dict(entry.metadata or {})
    identifier = metadata.get("dataset_identifier")
    if name.isascii() and name.isdigit() and identifier != int(name):
        planning.fail(
            "",
            (*entry.path, "metadata", "dataset_identifier"),
            f"dataset_identifier {identifier} is not the dataset's folder {name}",
            "write the same number in both places",
        )
    pictures = picture_settings(planning, "dataset_keyphotos", scope, runs)
    targets = {part: layout.dataset_image(name, part + pictures["pictures"][part]["extension"]) for part in NAMES}
    labels = tuple(item.label for item in runs if item.kind == "key_photos")
    return Item(
        kind=KIND,
        place=("dataset", name),
        deposition_id=deposition_id,
        identity="dataset",
        title=metadata.get("dataset_title") or name,
        sources=tuple(dict.fromkeys(one["source"] for one in pictures["pictures"].values() if "source" in one)),
        outputs=tuple(targets.values()),
        document=layout.dataset_document(name),
        config_path=f"datasets[{entry.index}]",
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
    metadata = dict(settings["metadata"])
    for part, default in _PARTS.items():
        known = metadata.get(part) or {}
        metadata[part] = {**default, **{key: value for key, value in known.items() if value is not None}}
    return {
        **metadata,
        "key_photos": dict(photos),
        "deposition_id": settings["deposition_id"],
        "last_updated_at": settings["stamp"],
    }
