"""Viewer states of older archives: their addresses lead to another host; ours stand behind ``archive://``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tomoportal.archive.older.draft import Draft
from tomoportal.archive.older.items import Item

__all__ = ["plan_viewer_state"]

_ADDRESS = re.compile(r"(?:https?|s3|archive)://[^|\"\s]+")


def plan_viewer_state(draft: Draft, key: str, target: str, tomogram: Item) -> bool:
    """Plan the state of a tomogram with new addresses. A state that shows anything unknown is left out.

    Without the file the server makes a state when it is asked for.
    """
    known = {old: new for item in draft.items for old, new in item.copies}
    for item in draft.items:
        for each in item.conversions:
            known |= _renamed(each.source, each.mrc, each.zarr)
    folder = key.rpartition("/")[0]
    unknown: list[str] = []

    def moved(match: re.Match[str]) -> str:
        new = _new_key(draft, match[0], folder, known)
        if new is None:
            unknown.append(match[0])
            return match[0]
        return f"archive://{new}/" if match[0].endswith("/") else f"archive://{new}"

    try:
        state: Any = json.loads(draft.store.get(key))
    except ValueError as error:
        draft.unplaced[key] = f"it is not JSON: {error}"
        return False
    layers = state.get("layers") if isinstance(state, dict) else None
    if not isinstance(layers, list) or not layers:
        draft.unplaced[key] = "it has no layers; a state is made when it is asked for"
        return False
    state["layers"] = [_rewritten(layer, moved) for layer in layers]
    if unknown:
        draft.unplaced[key] = f"it shows {unknown[0]}, which is not here; a state is made when it is asked for"
        return False
    text = json.dumps(state, indent=4, ensure_ascii=True)
    draft.add(
        Item(
            "viewer_config",
            draft.container,
            tomogram.identity,
            texts=((target, text),),
            sources=(key,),
            archive_id=tomogram.archive_id,
        )
    )
    return True


def _renamed(source: str, mrc: str, zarr: str) -> dict[str, str]:
    """Both old twins of a volume that is made anew."""
    stem = source.rpartition(".")[0]
    return {f"{stem}.mrc": mrc, f"{stem}.zarr": zarr}


def _rewritten(value: Any, moved: Any) -> Any:
    if isinstance(value, str):
        return _ADDRESS.sub(moved, value)
    if isinstance(value, list):
        return [_rewritten(each, moved) for each in value]
    if isinstance(value, Mapping):
        return {name: _rewritten(each, moved) for name, each in value.items()}
    return value


def _new_key(draft: Draft, address: str, folder: str, known: Mapping[str, str]) -> str | None:
    """The new key of what an address shows: the file or folder itself, or one that it lies in."""
    path = address.partition("://")[2].rstrip("/")
    parts = path.split("/")
    for start in range(len(parts)):
        for end in range(len(parts), start, -1):
            old = "/".join(parts[start:end])
            if old in known:
                return "/".join([known[old], *parts[end:]])
    resolved = draft.tree.resolve(path, folder)
    return known.get(resolved or "")
