"""Voxel spacings of an older run → items: tomograms with their key photos, and annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from tomoportal.archive import identity as identities
from tomoportal.archive import layout
from tomoportal.archive.older import documents as older_documents
from tomoportal.archive.older.alignments import Aligned, plan_alignment
from tomoportal.archive.older.annotations import plan_annotations
from tomoportal.archive.older.documents import finished
from tomoportal.archive.older.draft import Draft
from tomoportal.archive.older.found import FoundSpacing, FoundTomogram
from tomoportal.archive.older.items import Item
from tomoportal.archive.older.runs import named_mrc
from tomoportal.archive.older.viewer_states import plan_viewer_state
from tomoportal.archive.older.volumes import plan_volume

__all__ = ["plan_reconstructions"]


def plan_reconstructions(draft: Draft, alignments: Mapping[str, str]) -> None:
    """Everything below the voxel spacings of a run. ``alignments``: old key of a document → new one."""
    spacings = Counter(f"{each.spacing:.3f}" for each in draft.found.spacings)
    for spacing in draft.found.spacings:
        if spacings[f"{spacing.spacing:.3f}"] > 1:
            draft.tell(spacing.folder)("another folder has this voxel spacing too; their contents come together")
        tomograms = [_tomogram(draft, spacing, each, alignments) for each in spacing.tomograms]
        known = [path for path in tomograms if path]
        plan_annotations(draft, spacing, alignments, known[0] if known else _any_alignment(draft))
    for annotation in draft.found.homeless:
        draft.unplaced[annotation.document] = "the run has no or several voxel spacings; nobody can tell its own"
    _viewer_states(draft)


def _any_alignment(draft: Draft) -> str | None:
    """The run's only alignment."""
    keys = [item.document[0] for item in draft.items if item.kind == "alignment" and item.document]
    return keys[0] if len(keys) == 1 else None


def _tomogram(draft: Draft, spacing: FoundSpacing, found: FoundTomogram, alignments: Mapping[str, str]) -> str | None:
    """Plan one tomogram; the new key of its alignment's document."""
    old = draft.try_read(found.document)
    old_mrc, old_zarr = _twins(draft, found, old)
    if found.document is None or not old:
        for key in (old_mrc, old_zarr):
            if key:
                draft.unplaced[key] = "the tomogram has no readable metadata document"
        return None
    tell = draft.tell(found.document)
    document = older_documents.tomogram(old, draft.dates, tell)
    stated = document.get("voxel_spacing")
    if isinstance(stated, (int, float)) and abs(stated - spacing.spacing) > 0.001:
        tell(f"voxel_spacing {stated:g} Å is overwritten by the folder's {spacing.spacing:.3f} Å")
    document["voxel_spacing"] = spacing.spacing
    document["run_name"] = draft.run
    # The shape is asked first: the alignment needs it, and the tomogram's identity needs the alignment.
    first = plan_volume(draft.store, old_mrc, old_zarr, to_mrc="", to_zarr="", spacing=spacing.spacing, kind="tomogram")
    shape = first.scales[0] if first.scales else _stated_shape(old)
    named = draft.tree.resolve(old.get("alignment_metadata_path"), found.folder)
    alignment: str | None
    if alignments:
        alignment = alignments.get(named or "") or (next(iter(alignments.values())) if len(alignments) == 1 else None)
        if alignment is None:
            tell("the run has several alignments, and it names none that is there")
    else:
        alignment = plan_alignment(draft, found.alignment, Aligned(shape, spacing.spacing, document))
    document["alignment_metadata_path"] = alignment
    deposition = finished(document, draft.deposition_id, draft.stamp)["deposition_id"]
    identity = identities.tomogram(
        spacing.spacing,
        alignment,
        document.get("reconstruction_method"),
        document.get("processing"),
        document.get("processing_software"),
        deposition,
    )
    if any(item.kind == "tomogram" and item.identity == identity for item in draft.items):
        identity = f"{identity}|{identities.identity({'id': found.number})}"
    number = draft.number("tomogram", draft.container.key, identity, found.number)
    prefix = layout.tomogram_prefix(draft.dataset, draft.run, spacing.spacing, number)
    mrc, zarr = layout.volume_mrc(prefix, draft.run), layout.volume_zarr(prefix, draft.run)
    plan = first.at(mrc, zarr)
    if plan.scales:
        document["scales"] = plan.sizes()
        document["size"] = dict(plan.sizes()[0])
    stamp = older_documents.stamp_of(document, draft.stamp)
    draft.volume_item("tomogram_volume", identity, plan, number, stamp, (old_mrc, old_zarr))
    document["omezarr_dir"], document["mrc_file"] = zarr, mrc
    document["key_photo"] = _photos(draft, spacing, found, old, identity, number)
    document["neuroglancer_config_path"] = None
    draft.add(
        Item(
            "tomogram",
            draft.container,
            identity,
            document=(
                layout.tomogram_document(draft.dataset, draft.run, spacing.spacing, number),
                finished(document, draft.deposition_id, draft.stamp),
            ),
            sources=(found.document,),
            archive_id=number,
            id_scope=draft.container.key,
            problem=plan.problem,
        )
    )
    return alignment


def _twins(draft: Draft, found: FoundTomogram, old: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """MRC and OME-Zarr: those that the document names, else those of the run's name, else the only ones."""
    named = named_mrc(old)
    folders, files = draft.tree.names(found.folder)
    result = []
    for path, names, ending in ((named, files, ".mrc"), (old.get("omezarr_dir"), folders, ".zarr")):
        fitting = [name for name in names if name.endswith(ending)]
        usual = f"{draft.run}{ending}" if f"{draft.run}{ending}" in fitting else next(iter(fitting), None)
        result.append(draft.tree.resolve(path, found.folder) or (f"{found.folder}/{usual}" if usual else None))
    return result[0], result[1]


def _stated_shape(old: Mapping[str, Any]) -> tuple[int, int, int] | None:
    size = old.get("size")
    if not isinstance(size, Mapping):
        return None
    z, y, x = (size.get(axis) for axis in "zyx")
    return (z, y, x) if isinstance(z, int) and isinstance(y, int) and isinstance(x, int) else None


def _photos(
    draft: Draft, spacing: FoundSpacing, found: FoundTomogram, old: Mapping[str, Any], identity: str, number: int
) -> dict[str, str]:
    """Plan the key photos; the part of the document."""
    photos = dict(found.photos)
    listed = old.get("key_photo")
    for name, path in listed.items() if isinstance(listed, Mapping) else ():
        if name not in photos and (key := draft.tree.resolve(path, f"{spacing.folder}/KeyPhotos")):
            photos[str(name)] = key
    copies = []
    for name, key in photos.items():
        ending = key[key.rfind(".") :].lower()
        target = layout.key_photo(draft.dataset, draft.run, spacing.spacing, number, name)
        copies.append((key, target.removesuffix(".png") + ending))
    if copies:
        draft.add(Item("key_photos", draft.container, identity, copies=tuple(copies), archive_id=number))
    targets = dict(zip(photos, (new for _, new in copies), strict=True))
    return {name: targets[name] for name in ("snapshot", "thumbnail") if name in targets}


def _viewer_states(draft: Draft) -> None:
    """Viewer states come last: they show what has its new place by now."""
    for spacing in draft.found.spacings:
        for found in spacing.tomograms:
            if found.viewer_config is None:
                continue
            item = next((item for item in draft.items if found.document and found.document in item.sources), None)
            if item is None or item.document is None or item.archive_id is None:
                draft.unplaced[found.viewer_config] = "its tomogram has no document"
                continue
            target = layout.neuroglancer_config(draft.dataset, draft.run, spacing.spacing, item.archive_id)
            if plan_viewer_state(draft, found.viewer_config, target, item):
                item.document[1]["neuroglancer_config_path"] = target
