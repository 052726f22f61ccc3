"""Annotations of an older voxel spacing → items: old numbers become id folders, names those of today."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tomoportal.archive import identity as identities
from tomoportal.archive import layout
from tomoportal.archive.older import documents as older_documents
from tomoportal.archive.older.documents import finished, shape_of
from tomoportal.archive.older.draft import Draft
from tomoportal.archive.older.found import FoundAnnotation, FoundSpacing
from tomoportal.archive.older.items import Conversion, Item
from tomoportal.archive.older.volumes import plan_volume
from tomoportal.formats.source import Kind

__all__ = ["ingest_ids", "plan_annotations", "slug"]

_MASKS: dict[str, Kind] = {"SegmentationMask": "semantic_mask", "InstanceSegmentationMask": "instance_mask"}
_CAPTIONS = ("GlobalCaption", "AnnotationCaption")
_ENDINGS = {"ndjson": "ndjson", "mrc": "mrc", "zarr": "zarr", "glb": "glb", "json": "json", "saber": "json"}
_BASE = re.compile(r"[0-9a-z_]+-[0-9][0-9a-z._]*")
_ROWS = re.compile(rb"\S")


def slug(name: str) -> str:
    """Lower case, every run of other characters than letters and digits a ``-``; ``unknown`` for nothing."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unknown"


def ingest_ids(names: list[tuple[str | None, str]]) -> list[str]:
    """``annotation_ingest_id`` of annotations from (id that is there, object name), in their order.

    A missing one is ``{slug}-{counter}``, counted per slug; ids that are there stay, and count.
    """
    counts: Counter[str] = Counter()
    taken = {known for known, _ in names if known}
    result = []
    for known, name in names:
        stem = slug(name)
        counts[stem] += 1
        if known:
            result.append(known)
            continue
        while f"{stem}-{counts[stem]}" in taken:
            counts[stem] += 1
        result.append(f"{stem}-{counts[stem]}")
        taken.add(result[-1])
    return result


def plan_annotations(draft: Draft, spacing: FoundSpacing, alignments: Mapping[str, str], alignment: str | None) -> None:
    """All annotations of a voxel spacing. ``alignment`` is that of its tomogram, for documents that name none."""
    read = [(found, draft.try_read(found.document)) for found in spacing.annotations]
    listed = []
    for found, old in read:
        if not isinstance(old.get("annotation_object"), Mapping):
            if old:
                draft.unplaced[found.document] = "it is no metadata document of an annotation"
        else:
            listed.append((found, old))
    # Ids depend on the names alone, not on the order of a listing.
    listed.sort(key=lambda pair: pair[0].document.rpartition("/")[2])
    names = [(old.get("annotation_ingest_id"), str(old["annotation_object"].get("name") or "")) for _, old in listed]
    plans = []
    for (found, old), ingest_id in zip(listed, ingest_ids(names), strict=True):
        named = draft.tree.resolve(old.get("alignment_metadata_path"), found.document.rpartition("/")[0])
        plans.append(_Plan(draft, spacing, found, old, ingest_id, alignments.get(named or "", alignment)))
    for folder in spacing.layers:
        _layer(draft, folder, plans)
    for plan in plans:
        plan.finish()


def _layer(draft: Draft, folder: str, plans: list[_Plan]) -> None:
    """A folder of the viewer, ``{number}-{stem}_{shape}``, goes with its annotation."""
    number, _, rest = folder.rpartition("/")[2].partition("-")
    for plan in plans:
        if str(plan.found.number) == number.lstrip("0") and rest.startswith(f"{plan.found.stem}_"):
            plan.layer(folder, rest[len(plan.found.stem) + 1 :])
            return
    draft.unplaced.update(
        dict.fromkeys(draft.tree.below(folder), "the viewer's layer of an annotation that is not here")
    )


class _Plan:
    """One annotation: its document and files find their places."""

    def __init__(
        self,
        draft: Draft,
        spacing: FoundSpacing,
        found: FoundAnnotation,
        old: Mapping[str, Any],
        ingest_id: str,
        alignment: str | None,
    ) -> None:
        self.draft, self.spacing, self.found = draft, spacing.spacing, found
        self.folder = found.document.rpartition("/")[0]
        self.tell = draft.tell(found.document)
        self.copies: list[tuple[str, str]] = []
        self.conversions: list[Conversion] = []
        self.problems: list[str] = []
        content = older_documents.annotation(old, self.tell)
        if not old.get("annotation_ingest_id"):
            self.tell(f"annotation_ingest_id becomes {ingest_id}")
        self.document: dict[str, Any] = {"annotation_ingest_id": ingest_id, **content}
        self.document["annotation_ingest_id"] = ingest_id
        if alignment is None:
            self.document.pop("alignment_metadata_path", None)
        else:
            self.document["alignment_metadata_path"] = alignment
        deposition = finished(content, draft.deposition_id, draft.stamp)["deposition_id"]
        self.identity = identities.annotation(self.spacing, deposition or 0, ingest_id, alignment)
        if any(item.kind == "annotation" and item.identity == self.identity for item in draft.items):
            self.problems.append(f"another annotation of this spacing has the id {ingest_id} too")
            self.identity = f"{self.identity}|{identities.identity({'document': found.document})}"
        self.scope = layout.voxel_spacing_prefix(draft.dataset, draft.run, self.spacing)
        self.number = draft.number("annotation", self.scope, self.identity, found.number)
        if found.number not in (None, self.number):
            self.tell(f"the number {found.number} is taken; it gets {self.number}")
        named = content["annotation_object"]
        self.base = found.stem
        if not _BASE.fullmatch(found.stem):
            self.base = layout.annotation_base(
                str(named.get("name") or "unknown"), content.get("version", 1.0), named.get("description")
            )
        self._files(old)

    # --- files

    def _files(self, old: Mapping[str, Any]) -> None:
        files = old.get("files")
        listed = [dict(each) for each in files if isinstance(each, Mapping)] if isinstance(files, list) else []
        entries = listed or self._guessed(str(old["annotation_object"].get("name") or ""))
        masks: dict[str, list[dict[str, Any]]] = {}
        rows: list[dict[str, Any]] = []
        for entry in entries:
            shape = shape_of(entry)
            if shape in _MASKS:
                if shape not in masks:
                    rows.append({"mask": shape})
                masks.setdefault(shape, []).append(entry)
            else:
                rows += self._one(shape, entry)
        self.document["files"] = [
            row
            for each in rows
            for row in (self._mask(each["mask"], masks[each["mask"]]) if "mask" in each else [each])
        ]
        counts = [row["object_count"] for row in self.document["files"] if "object_count" in row]
        if not isinstance(self.document.get("object_count"), int):
            shapes = {row["shape"] for row in self.document["files"]}
            self.document["object_count"] = max(counts, default=int("SegmentationMask" in shapes))
            self.tell(f"object_count becomes {self.document['object_count']}")
        if not self.document["files"]:
            self.problems.append("no data file of it was found")

    def _key(self, entry: Mapping[str, Any]) -> str | None:
        key = self.draft.tree.resolve(entry.get("path"), self.folder)
        return None if key == self.found.document else key

    def _one(self, shape: str, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Points, meshes and captions: a file as it is."""
        key = self._key(entry)
        if key is None:
            self.problems.append(f"the file {entry.get('path')} is not there")
            return []
        form = _ENDINGS.get(str(entry.get("format")), str(entry.get("format")))
        target = self._target(shape, form, key)
        if any(new == target for _, new in self.copies):
            self.problems.append(f"two files of it become {target}")
            return []
        self.copies.append((key, target))
        row = self._row(entry, form, target, shape)
        if form == "ndjson" and shape not in _CAPTIONS and "object_count" not in row:
            row["object_count"] = sum(1 for line in self.draft.store.get(key).splitlines() if _ROWS.search(line))
        return [row]

    def _target(self, shape: str, form: str, key: str) -> str:
        draft, number = self.draft, self.number
        place = (draft.dataset, draft.run, self.spacing, number, self.base)
        if shape == "GlobalCaption":
            return layout.annotation_global_caption(*place)
        if shape == "AnnotationCaption":
            name = key.rpartition("/")[2].removesuffix("_caption.json")
            return layout.annotation_caption(*place, name.rpartition("_")[2])
        return layout.annotation_data(*place, shape, form)

    def _mask(self, shape: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """MRC and OME-Zarr of a mask, both of them whatever was listed; OME-Zarr first."""
        keys: dict[str, str] = {}
        for entry in entries:
            form = str(entry.get("format"))
            if (key := self._key(entry)) is None:
                self.tell(f"the file {entry.get('path')} is not there")
            elif form in keys or form not in ("mrc", "zarr"):
                self.problems.append(f"two files of it, or one of an unknown format, are {shape} in {form}")
            else:
                keys[form] = key
        targets = {form: self._target(shape, form, "") for form in ("zarr", "mrc")}
        plan = plan_volume(
            self.draft.store,
            keys.get("mrc"),
            keys.get("zarr"),
            to_mrc=targets["mrc"],
            to_zarr=targets["zarr"],
            spacing=self.spacing,
            kind=_MASKS[shape],
        )
        if plan.problem:
            self.problems.append(f"{shape}: {plan.problem}")
            return []
        self.copies += plan.copies
        self.conversions += self.draft.conversions(plan, keys.values())
        by_form = {str(entry.get("format")): entry for entry in entries}
        rows = [self._row(by_form.get(form, entries[0]), form, target, shape) for form, target in targets.items()]
        return rows

    def _row(self, entry: Mapping[str, Any], form: str, target: str, shape: str) -> dict[str, Any]:
        row: dict[str, Any] = {"format": form, "path": target, "shape": shape}
        row["is_visualization_default"] = entry.get("is_visualization_default") is True and shape not in _CAPTIONS
        for name in ("is_portal_standard", "object_count"):
            if isinstance(entry.get(name), int):
                row[name] = entry[name]
        return row

    def _guessed(self, name: str) -> list[dict[str, Any]]:
        """Data files by their names, for documents that list none: ``{stem}_{shape}.…``, or the object's name alone."""
        words = {shape.lower(): shape for shape in ("Point", "OrientedPoint", "InstanceSegmentation", *_MASKS)}
        prefix = self.found.document.removesuffix(".json")
        plain = layout.annotation_base(name, "").removesuffix("-")
        folders, files = self.draft.tree.names(self.folder)
        entries = []
        for each in (*files, *folders):
            stem, _, ending = each.rpartition(".")
            if ending not in ("ndjson", "mrc", "zarr"):
                continue
            shape = words.get(stem.rpartition("_")[2])
            if shape and f"{self.folder}/{stem.rpartition('_')[0]}" == prefix:
                entries.append({"format": ending, "path": f"{self.folder}/{each}", "shape": shape})
            elif stem == plain:
                shape = "Point" if ending == "ndjson" else "SegmentationMask"
                entries.append({"format": ending, "path": f"{self.folder}/{each}", "shape": shape})
        if entries:
            self.tell("it lists no files; those are taken that are called after it")
        return entries

    def layer(self, folder: str, shape: str) -> None:
        """Place a folder of the viewer."""
        target = layout.precompute(self.draft.dataset, self.draft.run, self.spacing, self.number, self.base, shape)
        self.copies.append((folder, target))

    def finish(self) -> None:
        """Note the item."""
        draft = self.draft
        key = layout.annotation_document(draft.dataset, draft.run, self.spacing, self.number, self.base)
        draft.add(
            Item(
                "annotation",
                draft.container,
                self.identity,
                copies=tuple(self.copies),
                conversions=tuple(self.conversions),
                document=(key, finished(self.document, draft.deposition_id, draft.stamp)),
                sources=(self.found.document,),
                archive_id=self.number,
                id_scope=self.scope,
                problem="; ".join(self.problems) or None,
            )
        )
