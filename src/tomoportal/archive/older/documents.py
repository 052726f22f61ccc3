"""Metadata documents of older archives → today's: pure functions on dictionaries (reference: metadata schema 9.3).

What an older document lacks is filled as the reference says; what today's has no field for is taken out and told.
Nothing is guessed: a document that then still breaks the schema is refused when it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, get_args

from tomoportal.formats.alignments import identity_affine

__all__ = [
    "annotation",
    "dataset",
    "deposition",
    "finished",
    "fitted",
    "shape_of",
    "stamp_of",
    "tilt_series",
    "tomogram",
]

Document = dict[str, Any]
Tell = Callable[[str], None]

_NOT_REPORTED = ("assay", "disease", "cell_component", "cell_strain", "cell_type", "tissue")
_ORCID_ADDRESS = re.compile(r"https?://(?:www\.)?orcid\.org/")
_SHAPES = {
    "SemanticSegmentationMask": "SegmentationMask",
    "TriangularMeshGroup": "TriangularMesh",
    "Mesh": "TriangularMesh",
}
_REPLACED = ("mrc_files", "tomogram_type", "is_canonical")


def dataset(old: Mapping[str, Any], tell: Tell) -> Document:
    """Sample parts that are missing become ``not_reported``, the stage ``unknown``; sample type ``cell`` is kept."""
    document = _with_people(old)
    references = document.get("cross_references")
    if isinstance(references, Mapping):
        references = dict(references)
        # The older name of the list of publications wins, as the public portal's importer has it.
        if listed := references.pop("database_publications", None):
            references["publications"] = listed
        document["cross_references"] = references
    for part in _NOT_REPORTED:
        document[part] = _filled(document.get(part), "not_reported", ("name", "id"))
    document["development_stage"] = _filled(document.get("development_stage"), "unknown", ("name", "id"))
    organism = document.get("organism")
    if not isinstance(organism, Mapping) or not organism:
        document["organism"] = {"name": "not_reported", "taxonomy_id": None}
    return fitted("dataset", document, tell)


def deposition(old: Mapping[str, Any], tell: Tell) -> Document:
    return fitted("deposition", _with_people(old), tell)


def tilt_series(old: Mapping[str, Any], tell: Tell) -> Document:
    """Without paths, sizes and sections, which the caller fills in."""
    document = {key: value for key, value in old.items() if key not in _REPLACED}
    if (info := document.pop("microscope_additional_info", None)) and isinstance(document.get("microscope"), Mapping):
        document["microscope"] = {**document["microscope"], "additional_info": info}
    camera = document.get("camera")
    if isinstance(camera, Mapping) and isinstance(camera.get("model"), str):
        document["camera"] = {**camera, "model": _camera_model(camera["model"])}
    document.setdefault("is_aligned", False)
    return fitted("tiltseries", document, tell)


def tomogram(old: Mapping[str, Any], dates: Any, tell: Tell) -> Document:
    """``dates`` are the dataset's, for documents without any."""
    document = _with_people({key: value for key, value in old.items() if key not in _REPLACED})
    software = document.pop("align_softwares", None)
    if isinstance(software, list) and software and not document.get("align_software"):
        document["align_software"] = ", ".join(str(each) for each in software)
    document["fiducial_alignment_status"] = _fiducials(document.get("fiducial_alignment_status"))
    document["reconstruction_method"] = document.get("reconstruction_method") or "Unknown"
    document["reconstruction_software"] = document.get("reconstruction_software") or "Unknown"
    document["tomogram_version"] = _number(document.get("tomogram_version", 1))
    document.setdefault("affine_transformation_matrix", identity_affine())
    document["offset"] = document.get("offset") or {"x": 0, "y": 0, "z": 0}
    document.setdefault("is_visualization_default", True)
    if not document.get("dates") and dates:
        document["dates"] = dates
        tell("it has no dates; those of the dataset are taken")
    return fitted("tomogram", document, tell)


def annotation(old: Mapping[str, Any], tell: Tell) -> Document:
    """Without ``files`` and counts, which the caller fills in."""
    document = _with_people(old)
    if "annotation_confidence" in document:
        document.setdefault("confidence", document.pop("annotation_confidence"))
    if not document.get("confidence"):
        document.pop("confidence", None)
    if "version" in document:
        document["version"] = _number(document["version"])
    return fitted("annotation", document, tell)


def shape_of(entry: Mapping[str, Any]) -> str:
    """The shape of an annotation file in today's word."""
    shape = str(entry.get("shape"))
    return _SHAPES.get(shape, shape)


def finished(document: Mapping[str, Any], deposition_id: int | None, stamp: int) -> Document:
    """The document with ``deposition_id`` and ``last_updated_at`` at its end; its own values win."""
    result = {key: value for key, value in document.items() if key not in ("deposition_id", "last_updated_at")}
    own = document.get("deposition_id")
    if isinstance(own, str) and own.isdecimal():
        own = int(own)
    result["deposition_id"] = deposition_id if own is None else own
    updated = document.get("last_updated_at")
    known = isinstance(updated, (int, float)) and not isinstance(updated, bool)
    result["last_updated_at"] = int(updated) if known and updated is not None else stamp_of(document, stamp)
    return result


def stamp_of(document: Mapping[str, Any], default: int = 0) -> int:
    """Midnight UTC of the day of the last change, as Unix seconds."""
    dates = document.get("dates")
    day = dates.get("last_modified_date") if isinstance(dates, Mapping) else None
    try:
        parsed = date.fromisoformat(str(day))
    except ValueError:
        return default
    return int(datetime(parsed.year, parsed.month, parsed.day, tzinfo=UTC).timestamp())


def fitted(kind: str, document: Mapping[str, Any], tell: Tell) -> Document:
    """The document without the keys that today's schema does not know; each that held something is told."""
    from tomoportal.model.generated import documents
    from tomoportal.model.validation import CLASSES

    lost: list[str] = []
    result: Document = _fit(getattr(documents, CLASSES[kind]), document, "", lost)
    for each in lost:
        tell(f"today's documents have no place for {each}")
    return result


def _fit(cls: Any, value: Any, path: str, lost: list[str]) -> Any:
    if isinstance(value, list):
        return [_fit(cls, each, f"{path}[{index}]", lost) for index, each in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    result = {}
    for key, each in value.items():
        where = f"{path}.{key}" if path else str(key)
        field = cls.model_fields.get(key)
        if field is None:
            if each not in (None, "", [], {}):
                lost.append(f"{where} ({_shortened(each)})")
            continue
        inner = _class_in(field.annotation)
        result[key] = each if inner is None else _fit(inner, each, where, lost)
    return result


def _class_in(annotation: Any) -> Any:
    """The model class inside ``X``, ``X | None``, ``list[X]``, ``Annotated[X, …]``."""
    if hasattr(annotation, "model_fields"):
        return annotation
    return next((found for part in get_args(annotation) if (found := _class_in(part)) is not None), None)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _with_people(old: Mapping[str, Any]) -> Document:
    """A copy in which ORCIDs are bare, and a list of authors inside a list is that list."""
    document = dict(old)
    authors = document.get("authors")
    if isinstance(authors, list):
        flat = [each for entry in authors for each in (entry if isinstance(entry, list) else [entry])]
        document["authors"] = [_person(each) for each in flat]
    return document


def _person(author: Any) -> Any:
    if isinstance(author, Mapping) and isinstance(author.get("ORCID"), str):
        return {**author, "ORCID": _ORCID_ADDRESS.sub("", author["ORCID"])}
    return author


def _filled(part: Any, word: str, keys: tuple[str, str]) -> Any:
    return part if isinstance(part, Mapping) and part else dict.fromkeys(keys, word)


def _camera_model(model: str) -> str:
    """The model in today's spelling, where only capital letters differ."""
    from tomoportal.model.generated import documents

    known: tuple[str, ...] = (
        *get_args(documents.TiltseriesGatanCameraModel),
        *get_args(documents.TiltseriesFeiTfsCameraModel),
        *get_args(documents.TiltseriesSimulatedCameraModel),
    )
    return next((each for each in known if each.lower() == model.strip().lower()), model)


def _fiducials(value: Any) -> Any:
    """The word of today for what was a truth value (catalog import 4)."""
    if isinstance(value, bool) or value is None:
        return "FIDUCIAL" if value else "NON_FIDUCIAL"
    word = str(value).upper()
    return {"TRUE": "FIDUCIAL", "FALSE": "NON_FIDUCIAL"}.get(word, word)


def _number(value: Any) -> Any:
    """A version as a number; older documents hold it as a text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
