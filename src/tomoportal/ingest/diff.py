"""What a run would change, found out by doing it above the archive: nothing of the archive itself is touched.

Items that would be replaced are made in a temporary folder and compared with what is published: documents field by
field, files by digest. New items are listed; they are made only where a replaced one shows them.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from tomoportal.archive import Archive, ItemRecord
from tomoportal.archive.source_digests import SourceDigests
from tomoportal.errors import DocumentError, NotFoundError
from tomoportal.ingest.inputs import input_parts
from tomoportal.ingest.plan import Item, Plan, RunError, Unmatched
from tomoportal.ingest.records import container_of
from tomoportal.ingest.report import Result
from tomoportal.ingest.running import Progress, run_plan
from tomoportal.ingest.sections import MASK_SHAPES
from tomoportal.ingest.stale import Stale
from tomoportal.storage import FileRecord, Store, open_store
from tomoportal.storage.overlay import OverlayStore

__all__ = ["MISSING", "Diff", "FieldChange", "FileChange", "ItemChange", "compare", "compare_documents"]

MISSING = "(missing)"
"""Stands for a field that one of two documents does not have."""

_Action = Literal["create", "replace", "fail", "remove"]


@dataclass(frozen=True)
class FieldChange:
    """One field of a document: ``authors[0].name``, its value before and after (`MISSING` where there is none)."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True)
class FileChange:
    """One file, or one OME-Zarr as a whole: SHA-256 before and after, None where it is not there."""

    key: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class ItemChange:
    """What would become of one item. ``why`` says what it follows from, or why it would fail."""

    action: _Action
    container: str
    kind: str
    title: str
    document: str | None = None
    why: tuple[str, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    files: tuple[FileChange, ...] = ()
    compared: bool = True
    """Whether the new item was made; otherwise ``fields`` and ``files`` are not known."""

    def to_json(self) -> dict[str, Any]:
        """The change as ``--json`` prints it."""
        return {
            "action": self.action,
            "container": self.container,
            "kind": self.kind,
            "title": self.title,
            "document": self.document,
            "why": list(self.why),
            "compared": self.compared,
            "fields": [{"field": one.field, "old": one.old, "new": one.new} for one in self.fields],
            "files": [{"key": one.key, "old": one.old, "new": one.new} for one in self.files],
        }


@dataclass(frozen=True)
class Diff:
    """Everything that a run would change, in the order of the plan, with what the plan had to say."""

    changes: tuple[ItemChange, ...] = ()
    errors: tuple[RunError, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    stale: tuple[Stale, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of items by what would become of them."""
        return {
            action: sum(change.action == action for change in self.changes)
            for action in ("create", "replace", "fail", "remove")
        }

    @property
    def same(self) -> bool:
        """Whether a run would change nothing; decides the exit code."""
        return not self.changes and not self.errors

    def to_json(self) -> dict[str, Any]:
        """The comparison as ``--json`` prints it."""
        return {
            "same": self.same,
            "counts": self.counts,
            "changes": [change.to_json() for change in self.changes],
            "errors": [
                {"run": one.run, "where": one.problem.where, "what": one.problem.what, "fix": one.problem.fix}
                for one in self.errors
            ],
            "unmatched": [str(one) for one in self.unmatched],
            "stale": [str(one) for one in self.stale],
        }


def compare(
    plan: Plan,
    archive: Archive,
    source: Store,
    *,
    fast: bool = False,
    prune: bool = False,
    progress: Progress | None = None,
) -> Diff:
    """What running ``plan`` would change. Writes to a temporary folder only.

    With ``fast`` no volume is converted: of items that need one, only what they follow from is told. ``prune`` counts
    what is no longer in the config as removed.
    """
    open_items = {item.label: item for item in plan.items if item.action in ("create", "replace")}
    unmade = _unmade(open_items) if fast else set()
    wanted = _closure(open_items, unmade)
    digests = SourceDigests(archive)
    results: dict[str, Result] = {}
    changes: list[ItemChange] = []
    with tempfile.TemporaryDirectory(prefix="tomoportal-") as folder:
        above = Archive(OverlayStore(archive.store, open_store(folder, create=True)))
        if wanted:
            _allocate(plan, wanted, above)
            items = tuple(item for item in plan.items if item.label in wanted)
            report = run_plan(replace(plan, items=items), above, source, 1, progress)
            results = {result.label: result for result in report.results}
        for item in open_items.values():
            change = _change(item, results.get(item.label), archive, above, source, plan, digests)
            if change is not None:
                changes.append(change)
    if prune:
        changes += [ItemChange("remove", one.container.key, one.kind, one.identity) for one in plan.stale]
    return Diff(tuple(changes), plan.errors, plan.unmatched, plan.stale)


def compare_documents(old: Any, new: Any, path: str = "") -> list[FieldChange]:
    """The fields in which two JSON values differ, in the order of the new one."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: list[FieldChange] = []
        for key in dict.fromkeys([*new, *old]):
            inner = f"{path}.{key}" if path else str(key)
            found += compare_documents(old.get(key, MISSING), new.get(key, MISSING), inner)
        return found
    if isinstance(old, list) and isinstance(new, list):
        found = []
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else MISSING
            after = new[index] if index < len(new) else MISSING
            found += compare_documents(before, after, f"{path}[{index}]")
        return found
    same = old == new and isinstance(old, bool) == isinstance(new, bool)
    return [] if same else [FieldChange(path, old, new)]


def _unmade(items: Mapping[str, Item]) -> set[str]:
    """Items that convert a volume, and those that cannot be made without one of them."""
    found: set[str] = set()
    for label, item in items.items():  # in the order of need
        masks = any(shape["shape"] in MASK_SHAPES for shape in item.settings.get("shapes", ()))
        if masks or item.kind.endswith("_volume") or found & {*item.needs, *item.derives_from}:
            found.add(label)
    return found


def _closure(items: Mapping[str, Item], unmade: set[str]) -> set[str]:
    """Items that are made: those that would be replaced, and what they are made from."""
    wanted: set[str] = set()
    waiting = [label for label, item in items.items() if item.action == "replace"]
    while waiting:
        label = waiting.pop()
        if label in wanted or label in unmade or label not in items:
            continue
        wanted.add(label)
        item = items[label]
        waiting += [*item.needs, *item.derives_from, *item.after]
    return wanted


def _allocate(plan: Plan, wanted: set[str], above: Archive) -> None:
    """Give all ids of the containers that are worked on, in the order of the plan, as a run would."""
    places = {item.place for item in plan.items if item.label in wanted}
    keys: dict[tuple[str, ...], list[tuple[str, str, str]]] = {}
    for item in plan.items:
        if item.place in places and item.id_scope is not None and item.archive_id is not None:
            keys.setdefault(item.place, []).append((item.kind, item.id_scope, item.identity))
    for place, numbered in keys.items():
        above.allocate_all(container_of(place), numbered)


def _change(
    item: Item,
    result: Result | None,
    archive: Archive,
    above: Archive,
    source: Store,
    plan: Plan,
    digests: SourceDigests,
) -> ItemChange | None:
    container = container_of(item.place)
    head = ItemChange(
        "create" if item.action == "create" else "replace", container.key, item.kind, item.title, item.document
    )
    if result is not None and result.outcome in ("failed", "not attempted"):
        return replace(head, action="fail", why=(result.why or "",), compared=False)
    if item.action == "create":
        if result is not None and result.outcome == "absent":
            return None
        return replace(head, files=tuple(FileChange(key, None, None) for key in item.outputs), compared=False)
    manifest = archive.manifest(container)
    old = manifest.items.get((item.kind, item.identity))
    if result is None:
        context = old.inputs.get("context") if old else None
        parts = input_parts(item, plan.options, source, digests, manifest, context)
        return replace(head, why=_reasons(old, parts) or _makers(item, plan), compared=False)
    new = above.manifest(container).items.get((item.kind, item.identity))
    fields = compare_documents(_document(archive, old), _document(above, new))
    files = _files(old, new)
    if not fields and not files:
        return None
    why = _reasons(old, new.inputs if new else {})
    return replace(head, why=why, fields=tuple(fields), files=tuple(files))


def _document(archive: Archive, record: ItemRecord | None) -> dict[str, Any]:
    if record is None or record.document is None:
        return {}
    try:
        return archive.document(record.document)
    except (NotFoundError, DocumentError):
        return {}


def _files(old: ItemRecord | None, new: ItemRecord | None) -> list[FileChange]:
    """Files of two records that differ; the document is compared by its fields."""
    before, after = _digests(old), _digests(new)
    return [
        FileChange(key, before.get(key), after.get(key))
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def _digests(record: ItemRecord | None) -> dict[str, str]:
    """SHA-256 by key; an OME-Zarr counts as one, with the digest of the list of its files."""
    if record is None:
        return {}
    found: dict[str, str] = {}
    volumes: dict[str, list[FileRecord]] = {}
    for file in record.files:
        folder, inside, _ = file.key.partition(".zarr/")
        if inside:
            volumes.setdefault(f"{folder}.zarr", []).append(file)
        elif file.key != record.document:
            found[file.key] = file.sha256
    for key, files in volumes.items():
        text = "".join(f"{file.sha256}  {file.key[len(key) + 1 :]}\n" for file in files)
        found[key] = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return found


def _reasons(old: ItemRecord | None, parts: Mapping[str, Any]) -> tuple[str, ...]:
    """Which inputs of an item differ from those on record."""
    known = old.inputs if old else {}
    before, after = known.get("sources", {}), parts.get("sources", {})
    found = [f"source {key} changed" for key in after if key in before and after[key] != before[key]]
    found += [f"source {key} is new" for key in after if key not in before]
    found += [f"source {key} is no longer used" for key in before if key not in after]
    words = {
        "settings": "its part of the config changed",
        "options": "the options changed",
        "step": "this version of tomoportal makes it differently",
        "context": "the objects that it shows changed",
    }
    found += [text for part, text in words.items() if known.get(part) != parts.get(part)]
    links, linked = known.get("derives_from", {}), parts.get("derives_from", {})
    found += [f"made from {name}, which changes" for name in linked if links.get(name) != linked[name]]
    return tuple(found)


def _makers(item: Item, plan: Plan) -> tuple[str, ...]:
    by_label = {other.label: other for other in plan.items}
    return tuple(
        f"made from {by_label[label].kind} {by_label[label].title}, which changes"
        for label in item.derives_from
        if label in by_label and by_label[label].action in ("create", "replace")
    )
