"""Alignments of an older run → items: files below ``Alignments/{id}``, documents made where the layout had none."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tomoportal.archive import identity as identities
from tomoportal.archive import layout
from tomoportal.archive.older.documents import finished, fitted
from tomoportal.archive.older.draft import Draft
from tomoportal.archive.older.found import FoundAlignment
from tomoportal.archive.older.items import Item
from tomoportal.errors import FormatError
from tomoportal.formats.alignments import SectionAlignment, identity_affine
from tomoportal.formats.aretomo import read_aretomo
from tomoportal.formats.imod import imod_sections, read_tilt_com, read_xf
from tomoportal.formats.tilt_angles import read_tilt_angles

__all__ = ["Aligned", "plan_alignment", "plan_alignments"]

Files = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Aligned:
    """What the alignment of a tomogram is made from: the volume, and what its document says.

    ``shape`` is (z, y, x) in voxels of ``spacing`` Å.
    """

    shape: tuple[int, int, int] | None
    spacing: float
    document: Mapping[str, Any] = field(default_factory=dict)


def plan_alignments(draft: Draft) -> dict[str, str]:
    """Alignments that have documents already: old key of the document → new key."""
    known = {}
    for found in draft.found.alignments:
        if found.document is not None:
            known[found.document] = _existing(draft, found, found.document)
    return known


def plan_alignment(draft: Draft, own: FoundAlignment | None, aligned: Aligned) -> str | None:
    """The alignment of a tomogram without one, as the new key of its document.

    Files beside the tomogram count before those of the run; tomograms with the same files share an alignment. A run
    without any file has the identity.
    """
    files: dict[str, str] = {}
    shared = (each for each in draft.found.alignments if each.document is None)
    for found in (*((own,) if own else ()), *shared):
        for key in found.files:
            files.setdefault(key[key.rfind(".") :].lower(), key)
    if aligned.shape is None:
        return None
    matrix, moved = _frame(aligned)
    content = _digest(draft, sorted(files.items()), matrix, moved)
    deposition = aligned.document.get("deposition_id") or draft.deposition_id
    identity = identities.alignment(deposition or 0)
    others = [item for item in draft.items if item.kind == "alignment" and item.identity.startswith(identity)]
    for item in others:
        if item.document and not item.sources and _content_of(draft, item) == content:
            draft.used.update(files.values())
            return item.document[0]
    if others:  # today's public key knows one per deposition; ours keeps what differs apart
        identity = f"{identity}|{identities.identity({'spacing': f'{aligned.spacing:.3f}'})}"
    number = draft.number("alignment", draft.container.key, identity, None)
    targets = {ending: layout.alignment_file(draft.dataset, draft.run, number, ending) for ending in files}
    where = next(iter(files.values()), draft.found.folder)
    document = _generated(draft, files, targets, aligned, where)
    item = Item(
        "alignment",
        draft.container,
        identity,
        copies=tuple((files[ending], targets[ending]) for ending in files),
        document=(
            layout.alignment_document(draft.dataset, draft.run, number),
            finished(document, deposition, draft.stamp),
        ),
        archive_id=number,
        id_scope=draft.container.key,
    )
    draft.add(item)
    assert item.document is not None
    return item.document[0]


def _content_of(draft: Draft, item: Item) -> str:
    assert item.document is not None
    document = item.document[1]
    files = sorted((new[new.rfind(".") :].lower(), old) for old, new in item.copies)
    return _digest(draft, files, document["affine_transformation_matrix"], document["volume_offset"])


def _digest(draft: Draft, files: Iterable[tuple[str, str]], matrix: Any, moved: Any) -> str:
    """What makes two alignments the same: files of the same content, matrix and offset."""
    content = hashlib.sha256(json.dumps([matrix, moved]).encode())
    for ending, key in files:
        content.update(f"{ending} {hashlib.sha256(draft.store.get(key)).hexdigest()}\n".encode())
    return content.hexdigest()


def _frame(aligned: Aligned) -> tuple[Any, dict[str, Any]]:
    """Matrix and offset (Å) that a tomogram's document gives its alignment."""
    offset = aligned.document.get("offset")
    moved = _scaled(offset, aligned.spacing) if isinstance(offset, Mapping) else {}
    matrix = aligned.document.get("affine_transformation_matrix")
    usable = matrix if isinstance(matrix, list) and matrix else identity_affine()
    return usable, {axis: moved.get(axis) or 0 for axis in "xyz"}


# --- documents that are there


def _existing(draft: Draft, found: FoundAlignment, key: str) -> str:
    """Bring a document up to date: offsets of pixels become Å, ``offset`` becomes ``volume_offset``."""
    old = draft.try_read(key)
    tell = draft.tell(key)
    base = finished(old, draft.deposition_id, draft.stamp)
    identity = identities.alignment(base["deposition_id"])
    if any(item.kind == "alignment" and item.identity == identity for item in draft.items):
        identity = f"{identity}|{identities.identity({'id': found.number})}"
    number = draft.number("alignment", draft.container.key, identity, found.number)
    copies: list[tuple[str, str]] = []
    renamed: dict[str, str] = {}
    for each in found.files:
        target = layout.alignment_file(draft.dataset, draft.run, number, each[each.rfind(".") :])
        if target in renamed.values():
            draft.unplaced[each] = f"another file of the alignment becomes {target}"
            continue
        renamed[each] = target
        copies.append((each, target))
    document = fitted("alignment", _in_angstrom(draft, old, tell), tell)
    folder = key.rpartition("/")[0]

    def moved(path: Any) -> str | None:
        resolved = draft.tree.resolve(path, folder)
        if path and resolved not in renamed:
            tell(f"the file {path} is not there")
        return renamed.get(resolved or "")

    for name in ("alignment_path", "tilt_path", "tiltx_path"):
        document[name] = moved(document.get(name))
    document["files"] = [new for path in document.get("files") or () if (new := moved(path))]
    document["tiltseries_path"] = draft.series_document
    defaults: dict[str, Any] = {
        "affine_transformation_matrix": identity_affine(),
        "alignment_type": "GLOBAL",
        "is_portal_standard": False,
        "volume_offset": {"x": 0, "y": 0, "z": 0},
        "tilt_offset": 0,
        "x_rotation_offset": 0,
        "method_type": "undefined",
        "per_section_alignment_parameters": [],
    }
    for name, value in defaults.items():
        if document.get(name) is None:
            document[name] = value
    place = layout.alignment_document(draft.dataset, draft.run, number)
    draft.add(
        Item(
            "alignment",
            draft.container,
            identity,
            copies=tuple(copies),
            document=(place, finished(document, draft.deposition_id, draft.stamp)),
            sources=(key,),
            archive_id=number,
            id_scope=draft.container.key,
        )
    )
    return place


def _in_angstrom(draft: Draft, old: Mapping[str, Any], tell: Any) -> dict[str, Any]:
    """Lengths of a document in Å.

    Schema 1.1.0 has ``offset`` and ``volume_dimension`` in voxels (of the finest tomogram); shifts of sections are in
    pixels of the tilt series unless ``offset_unit`` says otherwise (F22).
    """
    document = dict(old)
    spacing = min((each.spacing for each in draft.found.spacings if each.tomograms), default=None)
    if isinstance(document.get("offset"), Mapping) and spacing is not None:
        document["volume_offset"] = _scaled(document.pop("offset"), spacing)
        if isinstance(document.get("volume_dimension"), Mapping):
            document["volume_dimension"] = _scaled(document["volume_dimension"], spacing)
        tell(f"offset and volume_dimension are taken for voxels and stored in Å (× {spacing:g})")
    rows = [dict(row) for row in document.get("per_section_alignment_parameters") or () if isinstance(row, Mapping)]
    for row in rows:
        matrix = row.get("in_plane_rotation")
        if isinstance(matrix, list) and len(matrix) == 4:
            row["in_plane_rotation"] = [matrix[:2], matrix[2:]]
    if rows and document.get("offset_unit") != "angstrom":
        pixel = draft.pixel_spacing
        if pixel is None:
            document["offset_unit"] = "pixel"
            tell("no tilt series gives the pixel spacing: shifts of sections stay in pixels")
        else:
            for row in rows:
                for name in ("x_offset", "y_offset"):
                    if isinstance(row.get(name), (int, float)):
                        row[name] = row[name] * pixel
            document["offset_unit"] = "angstrom"
            tell(f"shifts of sections are stored in Å (× {pixel:g})")
    document["per_section_alignment_parameters"] = rows
    return document


def _scaled(values: Mapping[str, Any], factor: float) -> dict[str, Any]:
    return {
        axis: round(value * factor, 3) if isinstance(value, (int, float)) and math.isfinite(value) else value
        for axis, value in values.items()
    }


# --- documents that are made


def _generated(draft: Draft, files: Files, targets: Files, aligned: Aligned, where: str) -> dict[str, Any]:
    tell = draft.tell(where)
    pixel = draft.pixel_spacing
    parsed = _Parsed()
    try:
        parsed = _parse(draft, files, pixel or 1.0)
    except FormatError as error:
        tell(f"the alignment has no per-section parameters: {error.where or where}: {error.what}")
    if ".xf" in files and not parsed.rows:
        tell("the alignment has no per-section parameters: they need an .xf and a .tlt of the same length")
    document: dict[str, Any] = {}
    if ".aln" in files or ".xf" in files:
        document["format"] = "ARETOMO3" if ".aln" in files else "IMOD"
    nz, ny, nx = aligned.shape or (0, 0, 0)
    matrix, moved = _frame(aligned)
    if any(moved.values()):
        tell(f"volume_offset is the tomogram's offset × {aligned.spacing:g} Å; the tomogram keeps its own in voxels")
    document |= {
        "alignment_type": parsed.alignment_type,
        "method_type": _method(aligned.document) if files else "undefined",
        "is_portal_standard": False,
        "per_section_alignment_parameters": parsed.rows,
        "offset_unit": "angstrom" if pixel or not parsed.rows else "pixel",
        "alignment_path": targets.get(".xf") or targets.get(".aln"),
        "tilt_path": targets.get(".tlt"),
        "tiltx_path": targets.get(".xtilt") or targets.get(".tltx"),
        "tiltseries_path": draft.series_document,
        "files": list(targets.values()),
        "volume_dimension": {
            axis: round(size * aligned.spacing, 3) for axis, size in zip("xyz", (nx, ny, nz), strict=True)
        },
        "affine_transformation_matrix": matrix,
        "volume_offset": moved,
        "tilt_offset": parsed.tilt_offset,
        "x_rotation_offset": parsed.x_rotation_offset,
    }
    return document


@dataclass(frozen=True)
class _Parsed:
    rows: list[dict[str, Any]] = field(default_factory=list)
    tilt_offset: float = 0
    x_rotation_offset: float = 0
    alignment_type: str = "GLOBAL"


def _parse(draft: Draft, files: Files, pixel: float) -> _Parsed:
    """What the files say, shifts in Å (transforms 8.1)."""

    def data(ending: str) -> tuple[bytes, str]:
        return draft.store.get(files[ending]), files[ending]

    if ".aln" in files:
        aretomo = read_aretomo(*data(".aln"))
        rows = _rows(aretomo.sections(pixel))
        return _Parsed(rows, aretomo.tilt_offset, aretomo.x_rotation_offset, aretomo.alignment_type)
    if ".xf" not in files or ".tlt" not in files:
        return _Parsed()
    x_tilt = next((ending for ending in (".xtilt", ".tltx") if ending in files), None)
    com = read_tilt_com(*data(".com")) if ".com" in files else None
    sections = imod_sections(
        read_xf(*data(".xf")),
        read_tilt_angles(*data(".tlt")),
        read_tilt_angles(*data(x_tilt)) if x_tilt else None,
        pixel_spacing=pixel,
        name=files[".xf"],
        excluded_views=com.excluded_views if com else (),
    )
    return _Parsed(_rows(sections), com.tilt_offset, com.x_axis_tilt) if com else _Parsed(_rows(sections))


def _rows(sections: Iterable[SectionAlignment]) -> list[dict[str, Any]]:
    return [
        {**asdict(section), "in_plane_rotation": [list(row) for row in section.in_plane_rotation]}
        for section in sections
    ]


def _method(tomogram: Mapping[str, Any]) -> str:
    """What the config migration of the public portal derives from a tomogram (ingestion config, 1.0.0 → 1.1.0)."""
    if tomogram.get("fiducial_alignment_status") == "FIDUCIAL":
        return "fiducial_based"
    software = f"{tomogram.get('align_software', '')} {tomogram.get('reconstruction_software', '')}".lower()
    if "aretomo" in software:
        return "projection_matching"
    return "patch_tracking" if "imod" in software else "undefined"
