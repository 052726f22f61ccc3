"""A project becomes a manifest, or a part of one (``copick.ops.croissant``)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tomoportal import __version__
from tomoportal.copick.croissant.index import CroissantIndex, declare, describe_splits, dumped
from tomoportal.copick.croissant.schema import CONFORMS_TO, CROISSANT_CONTEXT, TABLES, Row, digest
from tomoportal.copick.croissant.selection import Selection, project_rows
from tomoportal.copick.croissant.splits import checked_splits
from tomoportal.copick.sources import open_source
from tomoportal.errors import AnnotationError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from tomoportal.copick.root import CopickRoot

__all__ = ["append_croissant", "check_target", "export_croissant", "manifest_counts"]

Names = Iterable[str] | None
Values = Mapping[str, Any] | None


class _ExistsError(ConflictError, FileExistsError):
    """There is a manifest already."""


def _config_of(root: CopickRoot, selection: Selection) -> dict[str, Any]:
    config = root.config
    objects = []
    for each in config.pickable_objects:
        name = selection.object_name(each.name)
        found = {**each.model_dump(mode="json"), "name": name}
        if name != each.name:
            found["metadata"] = {**(each.metadata or {}), "portal_original_name": each.name}
        objects.append(found)
    about = {key: getattr(config, key) for key in ("name", "description", "version", "user_id", "session_id")}
    return {**about, "pickable_objects": objects}


def check_target(root: CopickRoot, project_root: str, *, base_url: str | None, force: bool) -> str:
    """The key of the manifest below ``project_root``; nothing is written. Raises as :func:`export_croissant` does."""
    if base_url is None and getattr(root.config, "config_type", "") != "cryoet_data_portal":
        raise AnnotationError("base_url is required for projects on files.", fix="give the address of project_root")
    manifest = "Croissant/metadata.json"
    try:
        place = open_source(os.fspath(project_root), {}, read_only=True)
    except NotFoundError:  # the folder is made by the export
        return manifest
    if place.store.exists(manifest) and not force:
        raise _ExistsError(
            f"{place.where(manifest)} already exists.", fix="say force=True, or add to it: append_croissant"
        )
    return manifest


def export_croissant(
    root: CopickRoot,
    project_root: str,
    *,
    base_url: str | None = None,
    dataset_name: str | None = None,
    description: str | None = None,
    license: str | None = None,
    cite_as: str | None = None,
    date_published: str | None = None,
    validate: bool = True,
    compute_file_sha256: bool = True,
    force: bool = False,
    runs: Names = None,
    tomograms: Names = None,
    features: Names = None,
    picks: Names = None,
    meshes: Names = None,
    segmentations: Names = None,
    objects: Names = None,
    tomo_type_map: Mapping[str, str] | None = None,
    object_name_map: Mapping[str, str] | None = None,
    session_id_template: str | None = None,
    picks_portal_meta: Values = None,
    picks_author: Names = None,
    segmentations_portal_meta: Values = None,
    segmentations_author: Names = None,
    tomograms_portal_meta: Values = None,
    tomograms_author: Names = None,
    splits: Values = None,
) -> str:
    """Write ``Croissant/metadata.json`` and its tables below ``project_root``; returns the manifest's path.

    ``base_url`` is where readers find the project; without it, a portal's project states its own addresses. A date of
    publication stands in the manifest only if it is given. ``splits`` maps a split to its runs. What is written is read
    back if ``validate``. Raises :class:`FileExistsError` if there is a manifest, unless ``force``.
    """
    manifest = check_target(root, project_root, base_url=base_url, force=force)
    place = open_source(os.fspath(project_root), {}, read_only=False)
    here = place.where("").rstrip("/")
    selection = Selection(
        runs, tomograms, features, picks, meshes, segmentations, objects, tomo_type_map, object_name_map,
        session_id_template, picks_portal_meta, picks_author, segmentations_portal_meta, segmentations_author,
        tomograms_portal_meta, tomograms_author, compute_file_sha256,
        lambda source, key: key if source.where("").rstrip("/") == here else _absolute(source.where(key)), base_url,
    )  # fmt: skip
    tables: dict[str, dict[tuple[Any, ...], Row]] = {id: {} for id in TABLES}
    for id, row in project_rows(root, selection):
        tables[id][TABLES[id].key(row)] = row
    known = tables["copick/runs"]
    for run, split in _assignments(splits, {row["name"] for row in known.values()}).items():
        known[(run,)]["split"] = split
    base = base_url or ""
    document: dict[str, Any] = {
        "@context": CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "name": dataset_name or root.config.name or "copick project",
        "description": description or root.config.description or "",
        "conformsTo": CONFORMS_TO,
        "version": __version__,
        "license": license or "CC-BY-4.0",
        "citeAs": cite_as or f"copick project {dataset_name or root.config.name}",
        **({"datePublished": date_published} if date_published else {}),
        "copick:baseUrl": base,
        "copick:config": _config_of(root, selection),
        "distribution": [],
        "recordSet": [],
    }
    digests = {}
    for id, rows in tables.items():
        data = dumped(TABLES[id], list(rows.values()))
        place.store.put(f"Croissant/{TABLES[id].file}", data)
        digests[id] = digest(data)
    declare(document, digests, folder=f"{base.rstrip('/') or here}/Croissant/")
    by_split = {row["split"]: True for row in known.values() if row.get("split")}
    describe_splits(document, by_split)
    place.store.put(manifest, json.dumps(document, indent=2).encode())
    written = place.where(manifest)
    if validate:
        found = CroissantIndex.from_url(written)
        if {id: len(found.rows(id)) for id in TABLES} != {id: len(rows) for id, rows in tables.items()}:
            raise AnnotationError("The manifest does not read back as it was written.", where=written)
    return written


def manifest_counts(
    root: CopickRoot, *, splits: Values = None, compute_file_sha256: bool = True, **filters: Any
) -> dict[str, int]:
    """How many rows each table of a manifest would get with these filters of :func:`export_croissant`.

    Nothing is written. Raises :class:`AnnotationError` as the export would.
    """
    selection = Selection(**filters, digests=False)
    counts, runs = {table.name: 0 for table in TABLES.values()}, set()
    for id, row in project_rows(root, selection):
        counts[TABLES[id].name] += 1
        if id == "copick/runs":
            runs.add(row["name"])
    _assignments(splits, runs)
    return counts


def _assignments(splits: Values, known: set[str]) -> dict[str, str]:
    """Run → split. A split's runs may be a list, or text with commas."""
    lists = {
        split: [name.strip() for name in runs.split(",")] if isinstance(runs, str) else list(runs)
        for split, runs in (splits or {}).items()
    }
    return checked_splits(known, lists)


def append_croissant(
    dest_metadata_path: str,
    source_root: CopickRoot,
    *,
    runs: Names = None,
    tomograms: Names = None,
    features: Names = None,
    picks: Names = None,
    meshes: Names = None,
    segmentations: Names = None,
    objects: Names = None,
    tomo_type_map: Mapping[str, str] | None = None,
    object_name_map: Mapping[str, str] | None = None,
    session_id_template: str | None = None,
    picks_portal_meta: Values = None,
    picks_author: Names = None,
    segmentations_portal_meta: Values = None,
    segmentations_author: Names = None,
    tomograms_portal_meta: Values = None,
    tomograms_author: Names = None,
    splits: Values = None,
    compute_file_sha256: bool = True,
) -> str:
    """Add another project's parts to a manifest, by absolute addresses, with its objects."""
    index = CroissantIndex.from_url(dest_metadata_path)
    selection = Selection(
        runs, tomograms, features, picks, meshes, segmentations, objects, tomo_type_map, object_name_map,
        session_id_template, picks_portal_meta, picks_author, segmentations_portal_meta, segmentations_author,
        tomograms_portal_meta, tomograms_author, compute_file_sha256,
        lambda source, key: _absolute(source.where(key)),
    )  # fmt: skip
    rows = list(project_rows(source_root, selection))
    wanted = _assignments(splits, {row["name"] for id, row in rows if id == "copick/runs"})
    index.defer_commit()
    for id, row in rows:
        if id == "copick/runs":
            row = {**row, "split": wanted.get(row["name"]) or index.get_split(row["name"]) or row.get("split")}
        index.add_row(id, row)
    index.add_objects(_config_of(source_root, selection)["pickable_objects"])
    index.resume_commit()
    return dest_metadata_path


def _absolute(place: str) -> str:
    return place if "://" in place else f"file://{os.path.abspath(place)}"
