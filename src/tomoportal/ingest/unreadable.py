"""Folders of the source that cannot be read: each is an error of the plan, and costs nothing that is on record."""

from __future__ import annotations

from tomoportal.errors import Problem
from tomoportal.ingest.plan import Item, RunError
from tomoportal.ingest.planning import Planning

__all__ = ["folder_problems", "keep_recorded"]

_DENIED = "give the user who runs tomoportal access to this folder"
_BROKEN = "look after the disk or the mount that it lies on, and run the command again"


def folder_problems(planning: Planning) -> list[Problem]:
    """One problem per folder that a pattern looked into and that could not be read."""
    return [
        Problem(
            f"{folder}/",
            f"this folder of the source cannot be read: {error.what}; what lies in it is left out",
            _DENIED if isinstance(error.__cause__, PermissionError) else _BROKEN,
        )
        for folder, error in sorted(planning.source.tree.unreadable.items())
    ]


def keep_recorded(items: list[Item], planning: Planning) -> list[Item]:
    """The items without those that would lose a file that is on record from an unreadable folder."""
    folders = tuple(f"{folder}/" for folder in planning.source.tree.unreadable)
    if not folders:
        return items
    kept: list[Item] = []
    for item in items:
        record = planning.records.item(item.place, item.kind, item.identity) if item.action == "replace" else None
        lost = [key for key in (record.inputs.get("sources") or {}) if key.startswith(folders)] if record else []
        if lost:
            what = f"{item.kind} {item.title} is kept as it is: {lost[0]} lies in a folder that cannot be read"
            planning.errors.append(
                RunError("/".join(item.place[1:]), Problem(item.config_path, what, "see that folder"))
            )
        else:
            kept.append(item)
    return kept
