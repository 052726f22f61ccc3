"""Tilt series: the volume, the raw tilt angles, and the document that ties every section to its exposure."""

from __future__ import annotations

from typing import Any

from tomoportal.archive import identity as identities
from tomoportal.archive import layout
from tomoportal.errors import FormatError
from tomoportal.formats.acquisition import match_sections
from tomoportal.formats.ctf import CTF_FIELDS, CtfSection, read_ctf
from tomoportal.formats.mdoc import read_mdoc
from tomoportal.formats.tilt_angles import read_tilt_angles, write_tilt_angles
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Entry, RunPlan
from tomoportal.ingest.steps import ctfs
from tomoportal.ingest.steps.volumes import volume_facts

__all__ = ["make", "plan"]

KIND = "tiltseries"
VERSION = 1


def plan(run: RunPlan) -> None:
    """A volume item and a document item; one tilt series per run and deposition."""
    every = run.entries("tiltseries")
    entries = [entry for entry in every if _is_ours(entry)]
    raw_tilts = _raw_tilts(run)
    for entry in entries:
        for found in entry.found:
            assert found.key is not None
            _plan_one(run, entry, found.key, raw_tilts)
    if not entries:
        _refer(run, {found.key for entry in every for found in entry.found if found.key is not None})


def _plan_one(run: RunPlan, entry: Entry, key: str, raw_tilts: str | None) -> None:
    if run.tilt_series is not None:
        run.fail(
            entry.source_path,
            f"two tilt series for one run: {run.tilt_series.title} and {key}",
            "narrow the glob, or bind each entry to its runs with parent_filters",
        )
    mdoc = run.mdoc
    if mdoc is None:
        if run.planning.config.section("collection_metadata"):
            run.fail(entry.source_path, "the run has a tilt series but no mdoc", "add its mdoc to collection_metadata")
        if raw_tilts is None:
            why = "tilt series are left out: neither an mdoc nor a raw tilt list gives their angles"
            run.planning.warn(entry.path, why, "add the sections collection_metadata and rawtilts")
            return
        run.planning.warn(entry.path, "without mdocs tilt series have no per-section parameters")
    metadata = run.expand(dict(entry.metadata or {}), (*entry.path, "metadata"))
    spacing = metadata.get("pixel_spacing")
    if not isinstance(spacing, (int, float)) or not spacing > 0:
        run.fail(
            (*entry.path, "metadata", "pixel_spacing"),
            f"pixel_spacing is {spacing!r}",
            "give it in Å as a number above 0",
        )
    run.pixel_spacing = float(spacing)
    identity = identities.tiltseries(run.deposition_id)
    archive_id = run.planning.records.predict(run.place, KIND, run.key, identity)
    prefix = layout.tiltseries_prefix(run.dataset, run.run, archive_id)
    mrc, zarr = layout.volume_mrc(prefix, run.run), layout.volume_zarr(prefix, run.run)
    where = f"tiltseries[{entry.index}]"
    volume = run.add(
        Item(
            kind="tiltseries_volume",
            place=run.place,
            identity=identity,
            title=key,
            sources=(key,),
            outputs=(mrc, zarr),
            config_path=where,
            needs=run.needs,
            archive_id=archive_id,
            id_scope=None,
            settings={
                "kind": "tiltseries",
                "voxel_spacing": round(run.pixel_spacing, 3),
                "mrc": mrc,
                "zarr": zarr,
                "stamp": run.stamp,
            },
        )
    )
    rawtlt = layout.rawtlt(run.dataset, run.run, archive_id)
    ctf = ctfs.plan(run, archive_id)
    run.tilt_series = run.add(
        Item(
            kind=KIND,
            place=run.place,
            identity=identity,
            title=key,
            sources=(raw_tilts,) if raw_tilts else (),
            outputs=(rawtlt,),
            extra_sources=(*(mdoc.sources if mdoc else ()), *(ctf.sources if ctf else ())),
            document=layout.tiltseries_document(run.dataset, run.run, archive_id),
            archive_id=archive_id,
            id_scope=run.key,
            config_path=where,
            settings={
                "metadata": metadata,
                "mdoc": mdoc.sources[0] if mdoc else None,
                "raw_tilts": raw_tilts,
                "ctf": [ctf.sources[0], ctf.settings["format"], ctf.outputs[0]] if ctf else None,
                "rawtlt": rawtlt,
                "mrc": mrc,
                "zarr": zarr,
                "run_name": run.run,
                "deposition_id": run.deposition_id,
                "stamp": run.stamp,
                "frames_count": _frames_count(run),
            },
            needs=(volume.label, *(item.label for item in (mdoc, ctf) if item)),
            derives_from=(volume.label,),
        )
    )


def make(item: Item, bench: Bench) -> Made:
    """Copy (or write) the raw tilt list; match its angles one to one with the exposures of the mdoc."""
    settings = item.settings
    facts = volume_facts(bench.archive.store, settings["mrc"], settings["zarr"])
    sections = facts["size"]["z"]
    mdoc = read_mdoc(bench.read(settings["mdoc"]), settings["mdoc"]) if settings["mdoc"] else None
    warnings: list[str] = []
    if settings["raw_tilts"]:
        angles = read_tilt_angles(bench.read(settings["raw_tilts"]), settings["raw_tilts"])
        name = settings["raw_tilts"]
        bench.copy(settings["raw_tilts"], settings["rawtlt"])
    else:
        exposures = mdoc.exposures if mdoc else ()
        listed = [section.tilt_angle for section in sorted(exposures, key=lambda section: section.index)]
        angles_known = [angle for angle in listed if angle is not None]
        if len(angles_known) != sections:
            raise FormatError(
                f"the mdoc has {len(angles_known)} tilt angles, the stack {sections} sections",
                where=settings["mdoc"],
                fix="give the run's .rawtlt in the section rawtilts",
            )
        data = write_tilt_angles(angles_known)
        angles = read_tilt_angles(data, settings["mdoc"])
        name = settings["mdoc"]
        bench.target.put(settings["rawtlt"], data)
        warnings.append(f"no .rawtlt: the angles of {settings['mdoc']} are used in the order of ZValue")
    if len(angles) != sections:
        raise FormatError(
            f"{len(angles)} raw tilt angles for {sections} sections of {item.title}",
            where=name,
            fix="give the list with one angle per section, in stack order",
        )
    matches = match_sections(angles, mdoc, name=name) if mdoc else ()
    estimates = _ctf(settings["ctf"], sections, bench)
    rows: list[dict[str, Any]] = [
        {
            "z_index": match.z_index,
            "frame_acquisition_order": match.frame_acquisition_order,
            "raw_angle": match.raw_angle,
            **{field: getattr(estimates.get(match.z_index), field, None) for field in CTF_FIELDS},
        }
        for match in matches
    ]
    document = {
        **settings["metadata"],
        **facts,
        "omezarr_dir": settings["zarr"],
        "mrc_file": settings["mrc"],
        "run_name": settings["run_name"],
        "frames_count": settings["frames_count"],
        "per_section_parameter": rows,
        "raw_tlt_path": settings["rawtlt"],
        "ctf_path": settings["ctf"][2] if settings["ctf"] else None,
        "deposition_id": settings["deposition_id"],
        "last_updated_at": settings["stamp"],
    }
    return Made(document, tuple(warnings))


def _ctf(ctf: list[str] | None, sections: int, bench: Bench) -> dict[int, CtfSection]:
    """Estimates by section (from 0); raises for a file that holds sections which the stack does not have."""
    if ctf is None:
        return {}
    key, program, _ = ctf
    found = read_ctf(bench.read(key), key, format=program).by_z_index()
    if found and max(found) >= sections:
        raise FormatError(
            f"the file holds section {max(found) + 1}, the stack {sections} sections",
            where=key,
            fix="give the CTF file of this tilt series",
        )
    return found


def _is_ours(entry: Entry) -> bool:
    """Whether an entry found files; what was found in the archive is only referred to."""
    return all(found.key is not None and not found.reference for found in entry.found)


def _raw_tilts(run: RunPlan) -> str | None:
    """The raw tilt list: the only file ending in .rawtlt, else the only file; others are named."""
    files = {key: entry for entry in run.entries("rawtilts") for key in entry.keys}
    lists = sorted(key for key in files if key.endswith(".rawtlt")) or sorted(files)
    if len(lists) > 1:
        run.fail(
            files[lists[0]].source_path,
            f"{len(lists)} raw tilt lists for one run: {', '.join(lists)}",
            "narrow the glob to one per run",
        )
    for key in sorted(set(files) - set(lists)):
        run.warn(files[key].source_path, f"{key} is not used: {lists[0]} is the raw tilt list")
    return lists[0] if lists else None


def _frames_count(run: RunPlan) -> int:
    """Number of deposited frame files, 0 when there are none (F27)."""
    return sum(len(item.sources) for item in run.items if item.kind == "frames")


def _refer(run: RunPlan, named: set[str]) -> None:
    """A dataset that exists already: its tilt series gives the pixel spacing for alignments."""
    for key, document in run.planning.records.documents(run.place, KIND):
        if named and not {key, document.get("omezarr_dir"), document.get("mrc_file")} & named:
            continue
        spacing = document.get("pixel_spacing")
        if isinstance(spacing, (int, float)) and spacing > 0:
            run.pixel_spacing = float(spacing)
            return
