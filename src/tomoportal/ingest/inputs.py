"""Input digests: everything that an item is made from, in one number.

Sources enter with the digest of their contents and their key below the source root, so that neither a moved source
folder nor a touched file counts as a change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tomoportal.archive import ItemRecord, Manifest
from tomoportal.archive.source_digests import SourceDigests
from tomoportal.ingest.plan import Item, Options
from tomoportal.ingest.sections import MASK_SHAPES
from tomoportal.ingest.steps import step_of
from tomoportal.storage import Store

__all__ = ["digest_of", "input_parts", "is_complete"]

_VOLUME_KINDS = frozenset({"tiltseries_volume", "tomogram_volume"})


def input_parts(
    item: Item, options: Options, source: Store, digests: SourceDigests, manifest: Manifest, context: Any = None
) -> dict[str, Any]:
    """The parts of an input digest, as they go into the manifest: JSON values, nothing absolute."""
    parts: dict[str, Any] = {
        "step": step_of(item.kind).version,
        "sources": {key: digests.digest(source, key) for key in dict.fromkeys((*item.sources, *item.extra_sources))},
        "settings": hashlib.sha256(
            _canonical({**_settings(item), "archive_id": item.archive_id, "document": item.document})
        ).hexdigest(),
    }
    if item.kind in _VOLUME_KINDS:
        parts["options"] = options.digest_part()
    elif any(shape["shape"] in MASK_SHAPES for shape in item.settings.get("shapes", ())):
        parts["options"] = options.digest_part(with_dtype=False)
    if context is not None:
        parts["context"] = context
    derived = _derived(item, manifest)
    if derived:
        parts["derives_from"] = derived
    return parts


def digest_of(parts: Mapping[str, Any]) -> str:
    """The input digest of parts."""
    return hashlib.sha256(_canonical(parts)).hexdigest()


def is_complete(record: ItemRecord, store: Store) -> bool:
    """Whether the files on record are still there with their sizes, and the document too."""
    folders: dict[str, dict[str, int]] = {}
    for file in record.files:
        parent = file.key.rpartition("/")[0]
        if parent not in folders:
            folders[parent] = {stat.key: stat.size for stat in store.children(parent)[1]}
        if folders[parent].get(file.key) != file.size:
            return False
    return True


def _settings(item: Item) -> dict[str, Any]:
    """What a step needs; ``origin`` is only told, since a config that differs elsewhere makes the same."""
    return {key: value for key, value in item.settings.items() if key != "origin"}


def _derived(item: Item, manifest: Manifest) -> dict[str, str]:
    """Input digests of the items of the same container that this one is made from.

    Where a step has a context, that says more exactly which annotations it shows.
    """
    wanted = set(item.derives_from)
    shows = step_of(item.kind).context is not None
    result = {}
    for (kind, identity), record in sorted(manifest.items.items()):
        if shows and kind == "annotation":
            continue
        if "/".join((*item.place[1:], kind, identity)) in wanted:
            result[f"{kind} {identity}"] = record.input_digest
    return result


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str).encode("ascii")
