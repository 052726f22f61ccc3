"""A run of an older archive → items: run, mdoc, frames, gains, tilt series, identified objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tomoportal.archive import identity as identities
from tomoportal.archive import layout
from tomoportal.archive.older import documents as older_documents
from tomoportal.archive.older.documents import finished, fitted
from tomoportal.archive.older.draft import Draft
from tomoportal.archive.older.found import FoundTiltSeries
from tomoportal.archive.older.items import Item
from tomoportal.archive.older.volumes import plan_volume
from tomoportal.errors import FormatError
from tomoportal.formats.acquisition import frame_doses, match_sections
from tomoportal.formats.ctf import CTF_FIELDS
from tomoportal.formats.mdoc import Mdoc, read_mdoc
from tomoportal.formats.mrc import HEADER_SIZE, MrcHeader
from tomoportal.formats.tilt_angles import read_tilt_angles, write_tilt_angles

__all__ = ["named_mrc", "plan_acquisition"]

_OBJECTS = 100


def plan_acquisition(draft: Draft) -> None:
    """Everything of a run before its alignments."""
    _run(draft)
    mdoc = _mdoc(draft)
    _gains(draft)
    series = [(each, draft.try_read(each.document)) for each in draft.found.tilt_series]
    total_flux = next((doc["total_flux"] for _, doc in series if _positive(doc.get("total_flux"))), None)
    _frames(draft, mdoc, total_flux)
    for found, document in series:
        _tilt_series(draft, found, document, mdoc)
    _identified_objects(draft)


def _run(draft: Draft) -> None:
    key = draft.found.document
    old = draft.try_read(key)
    where = key or draft.found.folder
    if old.get("run_name") not in (None, draft.run):
        draft.tell(where)(f"run_name is {old['run_name']!r}; the folder's name is taken")
    document = fitted("run", {**old, "run_name": draft.run}, draft.tell(where))
    if not old:
        draft.tell(where)("run_metadata.json is made")
    target = layout.run_document(draft.dataset, draft.run)
    document = finished(document, draft.deposition_id, draft.stamp)
    draft.add(Item("run", draft.container, "run", document=(target, document), sources=(key,) if key else ()))


def _mdoc(draft: Draft) -> Mdoc | None:
    key, target = draft.found.mdoc, draft.mdoc
    if key is None or target is None:
        return None
    draft.add(Item("collection_metadata", draft.container, draft.run, copies=((key, target),)))
    try:
        return read_mdoc(draft.store.get(key), key)
    except FormatError as error:
        draft.tell(key)(f"it cannot be read ({error.what}); nothing is derived from it")
        return None


def _gains(draft: Draft) -> None:
    names: dict[str, str] = {}
    for key in draft.found.gains:
        name = key.rpartition("/")[2]
        if name in names:
            draft.unplaced[key] = f"there is another gain reference of this name, {names[name]}"
            continue
        names[name] = key
        draft.add(Item("gain", draft.container, name, copies=((key, layout.gain(draft.dataset, draft.run, name)),)))


# --- frames


def _frames(draft: Draft, mdoc: Mdoc | None, total_flux: float | None) -> None:
    found = draft.found
    copies = tuple((key, layout.frame(draft.dataset, draft.run, key.rpartition("/")[2])) for key in found.frames)
    old = draft.try_read(found.frames_document)
    by_name = {new.rpartition("/")[2]: new for _, new in copies}
    document: dict[str, Any] | None = None
    sources: tuple[str, ...] = ()
    if old and found.frames_document:
        document = _frames_document(draft, old, found.frames_document, by_name)
        sources = (found.frames_document,)
    elif mdoc is not None and found.mdoc is not None:
        document = _frames_from_mdoc(draft, mdoc, found.mdoc, by_name, total_flux)
        sources = (found.mdoc,) if document else ()
    if document is None:
        if copies:
            draft.add(Item("frames", draft.container, "frames", copies=copies))
        return
    document["frames_acquisition_file"] = draft.mdoc
    document = finished(document, draft.deposition_id, draft.stamp)
    target = layout.frames_document(draft.dataset, draft.run)
    draft.add(Item("frames", draft.container, "frames", copies=copies, document=(target, document), sources=sources))


def _frames_document(draft: Draft, old: Mapping[str, Any], key: str, by_name: Mapping[str, str]) -> dict[str, Any]:
    """An older document; those of version 1 have no dose rate, and doses under another name."""
    tell = draft.tell(key)
    document = {**old}
    document.setdefault("is_gain_corrected", None)
    rows, before = [], 0.0
    listed = old.get("frames")
    for entry in listed if isinstance(listed, list) else ():
        row = dict(entry) if isinstance(entry, Mapping) else {}
        if "exposure_dose" not in row and _positive(row.get("dose")):
            row["exposure_dose"] = row.pop("dose")
        if _positive(row.get("exposure_dose")):
            row.setdefault("accumulated_dose", before)
            before = float(row["accumulated_dose"] or 0.0) + float(row["exposure_dose"])
        row.setdefault("is_gain_corrected", document["is_gain_corrected"])
        path = row.get("path")
        row["path"] = by_name.get(str(path).rpartition("/")[2]) if path else None
        if path and row["path"] is None:
            tell(f"the frame {path} is not there; its path becomes null")
        rows.append(row)
    document["frames"] = rows
    if document.get("dose_rate") is None:
        document.pop("dose_rate", None)
    return fitted("frames", document, tell)


def _frames_from_mdoc(
    draft: Draft, mdoc: Mdoc, key: str, by_name: Mapping[str, str], total_flux: float | None
) -> dict[str, Any] | None:
    """A document from the mdoc: doses from the total flux, shared out by exposure time."""
    times = [section.exposure_time or 0.0 for section in mdoc.exposures]
    if total_flux is None or not all(times):
        draft.tell(key)("there is no frames_metadata.json, and nothing says the dose of each exposure: none is made")
        return None
    rate = total_flux / sum(times)
    try:
        doses = frame_doses(mdoc, rate)
    except FormatError as error:
        draft.tell(key)(f"no frames_metadata.json is made: {error.what}")
        return None
    draft.tell(key)(
        f"frames_metadata.json is made from it; dose_rate {rate:.4g} e⁻/Å²/s is total_flux by the sum of exposure times"
    )
    rows = [
        {
            "acquisition_order": dose.acquisition_order,
            "accumulated_dose": dose.accumulated_dose,
            "exposure_dose": dose.exposure_dose,
            "is_gain_corrected": None,
            "path": by_name.get(dose.frame_name or ""),
        }
        for dose in doses.frames
    ]
    return {"dose_rate": rate, "is_gain_corrected": None, "frames": rows}


# --- tilt series


def _tilt_series(draft: Draft, found: FoundTiltSeries, old: Mapping[str, Any], mdoc: Mdoc | None) -> None:
    deposition = older_documents.finished(old, draft.deposition_id, draft.stamp)["deposition_id"]
    identity = identities.tiltseries(deposition)
    number = draft.number("tiltseries", draft.container.key, identity, found.number)
    prefix = layout.tiltseries_prefix(draft.dataset, draft.run, number)
    mrc, zarr = layout.volume_mrc(prefix, draft.run), layout.volume_zarr(prefix, draft.run)
    old_mrc, old_zarr = _twins(draft, found.folder, old)
    if found.document is None or not old:
        for key in (old_mrc, old_zarr):
            if key:
                draft.unplaced[key] = "the tilt series has no readable metadata document"
        return
    spacing: Any = old.get("pixel_spacing")
    document = older_documents.tilt_series(old, draft.tell(found.document))
    problem: str | None = None
    if _positive(spacing):
        plan = plan_volume(
            draft.store,
            old_mrc,
            old_zarr,
            to_mrc=mrc,
            to_zarr=zarr,
            spacing=round(float(spacing), 3),
            kind="tiltseries",
        )
        problem = plan.problem
        if plan.scales:
            document["scales"] = plan.sizes()
            document["size"] = dict(plan.sizes()[0])
        stamp = older_documents.stamp_of(old, draft.stamp)
        draft.volume_item("tiltseries_volume", identity, plan, number, stamp, (old_mrc, old_zarr))
    else:
        problem = f"pixel_spacing is {spacing!r}; the volume cannot be stored without it"
    document["omezarr_dir"], document["mrc_file"], document["run_name"] = zarr, mrc, draft.run
    document.setdefault("frames_count", len(draft.found.frames))
    copies, texts = _raw_tilts(draft, found, prefix, mdoc, document)
    _sections(draft, found, document, mdoc)
    document["ctf_path"] = _ctf(draft, found, deposition, number, old)
    draft.add(
        Item(
            "tiltseries",
            draft.container,
            identity,
            copies=copies,
            texts=texts,
            document=(
                layout.tiltseries_document(draft.dataset, draft.run, number),
                finished(document, draft.deposition_id, draft.stamp),
            ),
            sources=(found.document,),
            archive_id=number,
            id_scope=draft.container.key,
            problem=problem,
        )
    )


def _twins(draft: Draft, folder: str, old: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """MRC and OME-Zarr: those that the document names, else those of the run's name, else the only ones.

    ``{run}_bin1.mrc`` is the unbinned series: where both are there, the one whose size the document states is taken.
    """
    named = named_mrc(old)
    folders, files = draft.tree.names(folder)
    mrcs = [f"{folder}/{name}" for name in files if name.lower().endswith(".mrc")]
    zarrs = [f"{folder}/{name}" for name in folders if name.endswith(".zarr")]
    mrc = draft.tree.resolve(named, folder) or _preferred(mrcs, f"{folder}/{draft.run}", ".mrc")
    size = old.get("size")
    if len(mrcs) > 1 and isinstance(size, Mapping):
        fitting = [key for key in mrcs if _size_of(draft, key) == (size.get("z"), size.get("y"), size.get("x"))]
        mrc = mrc if mrc in fitting or not fitting else fitting[0]
    zarr = draft.tree.resolve(old.get("omezarr_dir"), folder) or _preferred(zarrs, f"{folder}/{draft.run}", ".zarr")
    return mrc, zarr


def named_mrc(old: Mapping[str, Any]) -> Any:
    """The MRC file that a document names, alone or as the first of a list."""
    listed = old.get("mrc_files")
    return old.get("mrc_file") or (listed[0] if isinstance(listed, list) and listed else None)


def _preferred(keys: list[str], stem: str, ending: str) -> str | None:
    if f"{stem}{ending}" in keys:
        return f"{stem}{ending}"
    return keys[0] if keys else None


def _size_of(draft: Draft, key: str) -> tuple[int, int, int] | None:
    try:
        return MrcHeader.parse(draft.store.get_range(key, 0, HEADER_SIZE), key).shape
    except FormatError:
        return None


def _raw_tilts(
    draft: Draft, found: FoundTiltSeries, prefix: str, mdoc: Mdoc | None, document: dict[str, Any]
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """The list of raw tilt angles: copied, else the aligned ones, else those of the mdoc in stack order."""
    target = f"{prefix}/{draft.run}.rawtlt"
    if found.rawtlt:
        document["raw_tlt_path"] = target
        return ((found.rawtlt, target),), ()
    tlt = next((key for each in draft.found.alignments for key in each.files if key.endswith(".tlt")), None)
    size = document.get("size")
    sections = size.get("z") if isinstance(size, Mapping) else None
    angles = [each.tilt_angle for each in sorted(mdoc.exposures, key=lambda each: each.index)] if mdoc else []
    known = [angle for angle in angles if angle is not None]
    if tlt is None and known and len(known) == sections:
        document["raw_tlt_path"] = target
        draft.tell(found.folder)("there is no .rawtlt; the angles of the mdoc are taken, in the order of ZValue")
        return (), ((target, write_tilt_angles(known).decode()),)
    if tlt is not None:
        document["raw_tlt_path"] = target
        draft.tell(tlt)("there is no .rawtlt; these angles are taken for the raw ones as well")
        return ((tlt, target),), ()
    document.pop("raw_tlt_path", None)
    draft.tell(found.folder)("there is no list of tilt angles")
    return (), ()


def _sections(draft: Draft, found: FoundTiltSeries, document: dict[str, Any], mdoc: Mdoc | None) -> None:
    """Per-section parameters: those of the document, else one row per raw angle that the mdoc has an exposure for."""
    if document.get("per_section_parameter"):
        return
    document["per_section_parameter"] = []
    if found.rawtlt is None or mdoc is None:
        return
    try:
        angles = read_tilt_angles(draft.store.get(found.rawtlt), found.rawtlt)
        matches = match_sections(angles, mdoc, name=found.rawtlt)
    except FormatError as error:
        draft.tell(found.rawtlt)(f"no per-section parameters are made: {error.what}")
        return
    document["per_section_parameter"] = [
        {
            "z_index": match.z_index,
            "frame_acquisition_order": match.frame_acquisition_order,
            "raw_angle": match.raw_angle,
            **dict.fromkeys(CTF_FIELDS),
        }
        for match in matches
    ]


def _ctf(draft: Draft, found: FoundTiltSeries, deposition: Any, number: int, old: Mapping[str, Any]) -> str | None:
    """The CTF file that the document names, else the only one."""
    named = draft.tree.resolve(old.get("ctf_path"), found.folder)
    key = named if named in found.ctfs else next(iter(found.ctfs), None)
    if key is None:
        return None
    parts = key.rpartition("/")[2].removesuffix("_ctf.txt").rpartition("_")
    target = layout.ctf(draft.dataset, draft.run, number, parts[2] or None)
    draft.add(Item("ctf", draft.container, f"{deposition}", copies=((key, target),), archive_id=number))
    return target


# --- identified objects


def _identified_objects(draft: Draft) -> None:
    key = draft.found.identified_objects
    if key is None:
        return
    try:
        rows = json.loads(draft.store.get(key))
    except ValueError as error:
        draft.unplaced[key] = f"it is not JSON: {error}"
        return
    beside = f"{key.removesuffix('.json')}_metadata.json"
    old = draft.try_read(beside if draft.tree.has(beside) else None)
    listed = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    made: dict[str, Any] = {
        "object_count": len(listed),
        "columns": list(listed[0]) if listed else [],
        "file_format": "json",
        "source_file": key,
        "identifier": _OBJECTS,
    }
    document = {**old, **{name: value for name, value in made.items() if name not in old}}
    document = finished(document, draft.deposition_id, draft.stamp)
    draft.add(
        Item(
            "identified_objects",
            draft.container,
            identities.identified_objects(document["deposition_id"]),
            copies=((key, layout.identified_objects(draft.dataset, draft.run)),),
            document=(layout.identified_objects_document(draft.dataset, draft.run), document),
            sources=(beside,) if old else (),
        )
    )


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
