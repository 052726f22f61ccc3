"""Config 1.2.0 → 1.3.0: every annotation has an id of its own, ``annotation_ingest_id``."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tomoportal.ingest.migrations.trail import Trail
from tomoportal.model.rules.raw import mapping, mappings

__all__ = ["migrate", "slug"]


def migrate(data: dict[str, Any], trail: Trail) -> list[str]:
    """See the module. Ids that are given stay, and count."""
    annotations = [mapping(entry.get("metadata")) for entry in mappings(data.get("annotations"))]
    taken = {str(one["annotation_ingest_id"]) for one in annotations if one.get("annotation_ingest_id")}
    counter: Counter[str] = Counter()
    given = 0
    for metadata in annotations:
        if not metadata:
            continue
        name = slug(mapping(metadata.get("annotation_object")).get("name"))
        counter[name] += 1
        if metadata.get("annotation_ingest_id"):
            continue
        while f"{name}-{counter[name]}" in taken:
            counter[name] += 1
        metadata["annotation_ingest_id"] = f"{name}-{counter[name]}"
        given += 1
    return [f"{given} annotations got an annotation_ingest_id"] if given else []


def slug(name: object) -> str:
    """``Cytosolic ribosome (80S)`` → ``cytosolic-ribosome-80s``; no name gives ``unknown``."""
    return re.sub(r"[^a-z0-9]+", "-", str(name or "").lower()).strip("-") or "unknown"
