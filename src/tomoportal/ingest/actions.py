"""What a plan does with each item: create, replace, skip or refer to it, found out without writing anything."""

from __future__ import annotations

from dataclasses import replace

from tomoportal.archive.source_digests import SourceDigests
from tomoportal.errors import StorageError
from tomoportal.ingest.inputs import digest_of, input_parts
from tomoportal.ingest.plan import Action, Item
from tomoportal.ingest.planning import Planning
from tomoportal.ingest.steps import step_of

__all__ = ["with_actions"]


def with_actions(items: list[Item], planning: Planning) -> list[Item]:
    """The items with their actions.

    Only sources of items on record are looked at; their digests are remembered by size and time, so that a file is
    read only if it changed. Items made from others follow them: one that changes makes them anew.
    """
    digests = SourceDigests(planning.archive)
    actions: dict[str, Action] = {}
    by_label = {item.label: item for item in items}
    for item in items:
        _decide(item, by_label, actions, planning, digests)
    return [replace(item, action=actions[item.label]) for item in items]


def _decide(
    item: Item, by_label: dict[str, Item], actions: dict[str, Action], planning: Planning, digests: SourceDigests
) -> Action:
    known = actions.get(item.label)
    if known is not None:
        return known
    action = _action(item, by_label, actions, planning, digests)
    actions[item.label] = action
    return action


def _action(
    item: Item, by_label: dict[str, Item], actions: dict[str, Action], planning: Planning, digests: SourceDigests
) -> Action:
    if item.action == "reference":
        return "reference"
    record = planning.records.item(item.place, item.kind, item.identity)
    if record is None:
        return "create"
    for label in item.derives_from:
        if label in by_label and _decide(by_label[label], by_label, actions, planning, digests) in (
            "create",
            "replace",
        ):
            return "replace"
    if record.document is not None and not planning.destination.is_file(record.document):
        return "replace"
    manifest = planning.records.manifest(item.place)
    # What only the finished items before it can tell (the pictures of a tomogram, say) is taken as it was.
    context = record.inputs.get("context") if step_of(item.kind).context else None
    try:
        parts = input_parts(item, planning.options, planning.source.store, digests, manifest, context)
    except StorageError:  # making it will tell, as the failure of this item
        return "replace"
    return "skip" if digest_of(parts) == record.input_digest else "replace"
