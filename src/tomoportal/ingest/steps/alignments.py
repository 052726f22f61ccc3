"""Alignments: the files of IMOD and AreTomo, per-section parameters in Å, or the identity when a run has none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tomoportal.archive import identity as identities
from tomoportal.archive import layout
from tomoportal.errors import FormatError
from tomoportal.formats.alignments import SectionAlignment, identity_affine
from tomoportal.formats.aretomo import read_aretomo
from tomoportal.formats.imod import imod_sections, read_tilt_com, read_xf
from tomoportal.formats.opening import open_volume
from tomoportal.formats.tilt_angles import read_tilt_angles
from tomoportal.ingest.bench import Bench, Made
from tomoportal.ingest.plan import Item
from tomoportal.ingest.planning import Entry, RunPlan

__all__ = ["make", "plan"]

KIND = "alignment"
VERSION = 1
_TILT = (".tlt", ".rawtlt")
_X_TILT = (".xtilt", ".tltx")


def plan(run: RunPlan, volume: tuple[str, float] | None) -> None:
    """Decide which alignment the run's tomograms and annotations belong to, and plan it if it is ours.

    ``volume`` is the source key and voxel spacing (Å) of the tomogram that gives the volume's dimensions. More than
    one alignment for a run is refused: nothing says which tomogram belongs to which (F56).
    """
    entries = run.entries("alignments")
    candidates: list[tuple[str, Entry]] = []
    own: list[Entry] = []
    for entry in entries:
        references = [found for found in entry.found if found.reference or (found.key or "").endswith("metadata.json")]
        if references and len(references) < len(entry.found):
            run.fail(
                entry.source_path,
                "the entry mixes alignment files with documents of the archive",
                "use one entry for each",
            )
        if references:
            candidates += [(found.key or "", entry) for found in references]
        elif own and own[-1].index == entry.index:  # one alignment, with a source for each kind of file
            own[-1] = replace(own[-1], found=(*own[-1].found, *entry.found))
        else:
            own.append(entry)
    if len(own) > 1:
        keys = ", ".join(key for entry in own for key in entry.keys)
        run.fail(
            own[1].source_path,
            f"two alignments for one run and deposition ({keys})",
            "bind each entry to its runs with parent_filters",
        )
    if not entries:
        candidates = [
            (key, _NO_ENTRY) for key, _ in run.planning.records.documents(run.place, KIND, other_than=run.deposition_id)
        ]
    if len(candidates) + len(own) > 1:
        keys = ", ".join(sorted(key for key, _ in candidates)) or "the config"
        place = candidates[0][1].source_path if entries else ("alignments",)
        run.fail(
            place,
            f"the run has several alignments ({keys}); which one do its tomograms and annotations belong to?",
            "add a section alignments with a destination_glob that matches exactly one of them",
        )
    if candidates:
        run.alignment = candidates[0][0]
        document = run.planning.records.document(run.alignment)
        if document is None:
            run.fail(
                candidates[0][1].source_path,
                f"{run.alignment} is not a readable alignment document",
                "check the archive with `tomoportal verify`",
            )
        dimension = document.get("volume_dimension")
        run.volume_dimension = dimension if isinstance(dimension, Mapping) else None
        return
    _plan_own(run, own[0] if own else None, volume)


def _plan_own(run: RunPlan, entry: Entry | None, volume: tuple[str, float] | None) -> None:
    literal = entry is not None and not entry.keys
    metadata: dict[str, Any] = {}
    path: tuple[str | int, ...] = ("alignments",)
    if entry is not None:
        path = entry.path
        metadata = run.expand(dict(entry.metadata or {}), (*path, "metadata"))
    if volume is None and not metadata.get("volume_dimension"):
        if entry is not None and not literal:
            run.warn(
                entry.source_path,
                "the alignment is left out: no tomogram gives its volume_dimension",
                "state volume_dimension in the metadata, or add the tomogram",
            )
        return
    files = {} if entry is None or literal else _targets(run, entry)
    identity = identities.alignment(run.deposition_id)
    archive_id = run.planning.records.predict(run.place, KIND, run.key, identity)
    document = layout.alignment_document(run.dataset, run.run, archive_id)
    keys = tuple(files)
    pixel_spacing = run.pixel_spacing
    readable = metadata.get("format") == "IMOD" or ".aln" in files.values()
    if files and pixel_spacing is None and readable:
        run.warn(path, "no tilt series gives the pixel spacing: alignment offsets stay in pixels")
    if files and not readable:
        run.warn(path, f"{', '.join(files)} are kept, but give no per-section parameters (an .aln file would)")
    run.alignment = document
    run.alignment_item = run.add(
        Item(
            kind=KIND,
            place=run.place,
            identity=identity,
            title=", ".join(key.rpartition("/")[2] for key in keys) or "default (identity)",
            sources=keys,
            outputs=tuple(
                layout.alignment_file(run.dataset, run.run, archive_id, extension) for extension in files.values()
            ),
            document=document,
            archive_id=archive_id,
            id_scope=run.key,
            config_path=f"alignments[{entry.index}]" if entry else "alignments",
            extra_sources=(volume[0],) if volume and not metadata.get("volume_dimension") else (),
            settings={
                "metadata": metadata,
                "volume": list(volume) if volume else None,
                "pixel_spacing": pixel_spacing,
                "tiltseries_path": _tilt_series_document(run),
                "deposition_id": run.deposition_id,
                "stamp": run.stamp,
            },
            needs=(*run.needs, *((run.tilt_series.label,) if run.tilt_series else ())),
        )
    )


def make(item: Item, bench: Bench) -> Made:
    """Copy the files and write the document; see transforms reference, section 8."""
    settings = item.settings
    metadata = dict(settings["metadata"])
    by_extension = {
        "." + target.rpartition(".")[2]: (source, target)
        for source, target in zip(item.sources, item.outputs, strict=True)
    }
    for source, target in by_extension.values():
        bench.copy(source, target)
    spacing = settings["pixel_spacing"]
    if ".aln" in by_extension:
        parsed = _aretomo(by_extension[".aln"][0], spacing or 1.0, bench)
    elif metadata.get("format") == "IMOD" and item.sources:
        parsed = _imod(by_extension, spacing or 1.0, bench)
    else:
        parsed = _Parsed()
    tilt = next((by_extension[extension][1] for extension in _TILT if extension in by_extension), None)
    x_tilt = next((by_extension[extension][1] for extension in _X_TILT if extension in by_extension), None)
    main = by_extension.get(".xf") or by_extension.get(".aln")
    document: dict[str, Any] = {
        **metadata,
        "per_section_alignment_parameters": parsed.rows,
        "offset_unit": "angstrom" if spacing or not parsed.rows else "pixel",
        "alignment_path": main[1] if main else None,
        "tilt_path": tilt,
        "tiltx_path": x_tilt,
        "tiltseries_path": settings["tiltseries_path"],
        "files": list(item.outputs),
    }
    defaults: dict[str, Any] = {
        "volume_dimension": None,
        "affine_transformation_matrix": identity_affine(),
        "alignment_type": parsed.alignment_type,
        "is_portal_standard": False,
        "volume_offset": {"x": 0, "y": 0, "z": 0},
        "tilt_offset": parsed.tilt_offset,
        "x_rotation_offset": parsed.x_rotation_offset,
        "method_type": "undefined",
    }
    if not document.get("volume_dimension"):
        document.pop("volume_dimension", None)
        defaults["volume_dimension"] = _dimension(settings["volume"][0], settings["volume"][1], bench)
    for key, value in defaults.items():
        document.setdefault(key, value)
    return Made({**document, "deposition_id": settings["deposition_id"], "last_updated_at": settings["stamp"]})


@dataclass(frozen=True)
class _Parsed:
    """What alignment files say: rows in Å (pixels without a pixel spacing), offsets in degrees."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    tilt_offset: float = 0
    x_rotation_offset: float = 0
    alignment_type: str = "GLOBAL"


_NO_ENTRY = Entry("alignments", 0, 0, None, {}, ())


def _targets(run: RunPlan, entry: Entry) -> dict[str, str]:
    """Source key → extension in the archive, for the files of one entry."""
    files: dict[str, str] = {}
    for key in sorted(entry.keys):
        name = key.rpartition("/")[2]
        extension = "." + name.rpartition(".")[2] if "." in name else ""
        if extension in files.values():
            other = next(source for source, known in files.items() if known == extension)
            run.fail(
                entry.source_path,
                f"two alignment files would be {run.run}{extension}: {other} and {key}",
                "narrow the globs to one of them",
            )
        files[key] = extension
    if (entry.metadata or {}).get("format") == "IMOD" and files:
        known = set(files.values())
        missing = [name for name, found in ((".xf", ".xf" in known), (".tlt", known & set(_TILT))) if not found]
        if missing:
            run.fail(
                entry.source_path,
                f"an IMOD alignment needs .xf and .tlt; {' and '.join(missing)} is missing (found {', '.join(files)})",
                "add it to the globs",
            )
    return files


def _imod(files: Mapping[str, tuple[str, str]], spacing: float, bench: Bench) -> _Parsed:
    com = read_tilt_com(bench.read(files[".com"][0]), files[".com"][0]) if ".com" in files else None
    xf = files[".xf"][0]
    tlt = next(files[extension][0] for extension in _TILT if extension in files)
    x_tilt = next((files[extension][0] for extension in _X_TILT if extension in files), None)
    sections = imod_sections(
        read_xf(bench.read(xf), xf),
        read_tilt_angles(bench.read(tlt), tlt),
        read_tilt_angles(bench.read(x_tilt), x_tilt) if x_tilt else None,
        pixel_spacing=spacing,
        name=xf,
        excluded_views=com.excluded_views if com else (),
    )
    if com is None:
        return _Parsed(_rows(sections))
    return _Parsed(_rows(sections), com.tilt_offset, com.x_axis_tilt)


def _aretomo(key: str, spacing: float, bench: Bench) -> _Parsed:
    alignment = read_aretomo(bench.read(key), key)
    rows = _rows(alignment.sections(spacing))
    return _Parsed(rows, alignment.tilt_offset, alignment.x_rotation_offset, alignment.alignment_type)


def _rows(sections: Iterable[SectionAlignment]) -> list[dict[str, Any]]:
    return [
        {**asdict(section), "in_plane_rotation": [list(row) for row in section.in_plane_rotation]}
        for section in sections
    ]


def _dimension(key: str, spacing: float, bench: Bench) -> dict[str, float]:
    """Size of the tomogram in Å: voxels × spacing, three decimals."""
    volume = open_volume(bench.source, key)
    try:
        nz, ny, nx = volume.shape
    finally:
        volume.close()
    if not spacing > 0:
        raise FormatError(f"a voxel spacing of {spacing} Å is not possible", where=key)
    return {"x": round(nx * spacing, 3), "y": round(ny * spacing, 3), "z": round(nz * spacing, 3)}


def _tilt_series_document(run: RunPlan) -> str | None:
    if run.tilt_series is not None:
        return run.tilt_series.document
    known = [key for key, _ in run.planning.records.documents(run.place, "tiltseries")]
    return known[0] if len(known) == 1 else None
