"""Rules 1 to 15 of the public portal for ingestion configs, those that need no network; numbers in brackets."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any, Final

from tomoportal.errors import Problem
from tomoportal.model.rules.raw import (
    FILTERS,
    FINDERS,
    SECTIONS,
    SHAPES,
    Rule,
    entries_of,
    is_number,
    literals,
    mapping,
    mappings,
    metadata_of,
    sources_of,
)

__all__ = ["ERRORS", "WARNINGS"]

_UNRULED_SECTIONS: Final = ("alignments", "ctfs", "identified_objects")
"""Sections in which the public portal does not enforce rule 3: only a warning here."""

_CAMERAS: Final = {
    "FEI": ("FALCON IV", "FALCON 4i"),
    "TFS": ("FALCON IV", "FALCON 4i"),
    "Gatan": ("K2", "K2 SUMMIT", "K3", "K3 BIOQUANTUM", "UltraCam", "UltraScan"),
    "simulated": ("simulated",),
}
_SAMPLE_PARTS: Final = {
    "organism": "tissue",
    "organoid": "tissue",
    "tissue": "tissue",
    "cell_line": "cell_strain",
    "primary_cell_culture": "cell_type",
    "organelle": "cell_component",
    "virus": "cell_component",
}
_WITHOUT_MDOC: Final = ((10006, 10006),)
"""(deposition, dataset) that the public portal exempts from rule 15."""


def _authors(data: dict[str, Any]) -> Iterator[Problem]:
    """[1] Somebody did the work, and somebody answers questions."""
    for where, metadata in metadata_of(data, "depositions", "datasets", "tomograms", "annotations"):
        authors = mappings(metadata.get("authors"))
        for role in ("primary", "corresponding"):
            if authors and not any(author.get(f"{role}_author_status") is True for author in authors):
                yield Problem(
                    f"{where}.authors", f"no {role} author is named", f"set {role}_author_status: true for at least one"
                )


def _dates(data: dict[str, Any]) -> Iterator[Problem]:
    """[2] Nothing is released before it was deposited."""
    for where, metadata in metadata_of(data, "depositions", "datasets", "annotations"):
        dates = mapping(metadata.get("dates"))
        deposited, released = _day(dates.get("deposition_date")), _day(dates.get("release_date"))
        if deposited and released and deposited > released:
            yield Problem(
                f"{where}.dates.release_date",
                f"release date {released} is before deposition date {deposited}",
                "correct one of them",
            )


def _day(value: object) -> datetime.date | None:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    try:
        return datetime.date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:  # reported by the schema check
        return None


def _one_finder(data: dict[str, Any]) -> Iterator[Problem]:
    """[3] One finder per source."""
    yield from _finders(data, [s for s in SECTIONS if s != "annotations" and s not in _UNRULED_SECTIONS])


def _one_finder_elsewhere(data: dict[str, Any]) -> Iterator[Problem]:
    """[3] in the sections where the public portal does not look."""
    yield from _finders(data, list(_UNRULED_SECTIONS))


def _finders(data: dict[str, Any], sections: list[str]) -> Iterator[Problem]:
    for _, where, source in sources_of(data, *sections):
        found = [finder for finder in FINDERS if source.get(finder) is not None]
        filters = [name for name in FILTERS if source.get(name) is not None]
        if len(found) > 1:
            yield Problem(where, f"has {len(found)} finders: {', '.join(found)}", "give each a source of its own")
        elif filters and not found:
            yield Problem(where, f"{' and '.join(filters)} without a finder", f"add one of {', '.join(FINDERS)}")


def _literal_types(data: dict[str, Any]) -> Iterator[Problem]:
    """[4] Datasets are named by texts, depositions by whole numbers."""
    for section, where, source in sources_of(data, "datasets", "depositions"):
        kind, noun = (str, "a text") if section == "datasets" else (int, "a whole number")
        for index, value in enumerate(literals(source)):
            if not isinstance(value, kind) or isinstance(value, bool):
                fix = "put it in quotes" if kind is str else "write it without quotes"
                yield Problem(f"{where}.literal.value[{index}]", f"must be {noun}; found {value!r}", fix)


def _shapes(data: dict[str, Any]) -> Iterator[Problem]:
    """[5] One shape per annotation source, found in one way."""
    for where, entry in entries_of(data, "annotations"):
        seen: set[str] = set()
        for index, source in enumerate(mappings(entry.get("sources"))):
            place = f"{where}.sources[{index}]"
            shapes = [shape for shape in SHAPES if source.get(shape) is not None]
            filters = [name for name in FILTERS if source.get(name) is not None]
            if len(shapes) > 1:
                yield Problem(place, f"has {len(shapes)} shapes: {', '.join(shapes)}", "give each a source of its own")
            elif filters and not shapes:
                yield Problem(place, f"{' and '.join(filters)} without a shape", f"add one of {', '.join(SHAPES)}")
            for shape in shapes:
                block = mapping(source[shape])
                if block.get("glob_string") is not None and block.get("glob_strings") is not None:
                    yield Problem(f"{place}.{shape}", "has both glob_string and glob_strings", "keep one of them")
                if shape in seen and source.get("parent_filters") is None:
                    yield Problem(
                        place,
                        f"{shape} occurs a second time in this annotation without parent_filters",
                        "say with parent_filters which ancestors it is for, or make it an annotation of its own",
                    )
            seen.update(shapes)


def _ground_truth(data: dict[str, Any]) -> Iterator[Problem]:
    """[6] What a program found is no ground truth."""
    for where, metadata in metadata_of(data, "annotations"):
        if metadata.get("ground_truth_status") is True and metadata.get("method_type") == "automated":
            yield Problem(
                f"{where}.ground_truth_status",
                "an automated annotation cannot be ground truth",
                "set it to false, or method_type to hybrid if people corrected the result",
            )


def _confidence(data: dict[str, Any]) -> Iterator[Problem]:
    """[7] Precision and recall are measured against something."""
    for where, metadata in metadata_of(data, "annotations"):
        confidence = mapping(metadata.get("confidence"))
        measured = [name for name in ("precision", "recall") if confidence.get(name) is not None]
        if measured and not confidence.get("ground_truth_used"):
            yield Problem(
                f"{where}.confidence",
                f"{' and '.join(measured)} without ground_truth_used",
                "say in ground_truth_used what was measured against",
            )


def _ingest_ids(data: dict[str, Any]) -> Iterator[Problem]:
    """[8] An ingest id names one annotation."""
    first: dict[str, str] = {}
    for where, metadata in metadata_of(data, "annotations"):
        name = metadata.get("annotation_ingest_id")
        if isinstance(name, str) and name in first:
            yield Problem(
                f"{where}.annotation_ingest_id", f"{name!r} is the id of {first[name]} already", "choose another one"
            )
        elif isinstance(name, str):
            first[name] = where


def _sample(data: dict[str, Any]) -> Iterator[Problem]:
    """[9] A sample names the part that makes its type."""
    for where, metadata in metadata_of(data, "datasets"):
        sample = metadata.get("sample_type")
        part = _SAMPLE_PARTS.get(sample) if isinstance(sample, str) else None
        if part is None:
            continue
        needed = ("name", "id") if part == "tissue" else ("name",)
        missing = [key for key in needed if not mapping(metadata.get(part)).get(key)]
        if missing:
            yield Problem(
                f"{where}.{part}",
                f"a sample of type {sample} needs {' and '.join(f'{part}.{key}' for key in missing)}",
                f"fill in {part}, or correct sample_type",
            )


def _development_stage(data: dict[str, Any]) -> Iterator[Problem]:
    """[10] A stage is known or not."""
    for where, metadata in metadata_of(data, "datasets"):
        stage = mapping(metadata.get("development_stage"))
        if (stage.get("name") == "unknown") != (stage.get("id") == "unknown"):
            yield Problem(
                f"{where}.development_stage", "only one of name and id is unknown", "set both to unknown, or neither"
            )


def _dose_rate(data: dict[str, Any]) -> Iterator[Problem]:
    """[11] Frames got a dose."""
    for where, metadata in metadata_of(data, "frames"):
        rate = metadata.get("dose_rate")
        if is_number(rate) and rate <= 0:
            yield Problem(f"{where}.dose_rate", f"must be above 0 (e⁻/Å²/s); found {rate}", "look it up in the mdoc")


def _tilt_range(data: dict[str, Any]) -> Iterator[Problem]:
    """[12] A tilt range grows."""
    for where, metadata in metadata_of(data, "tiltseries"):
        tilts = mapping(metadata.get("tilt_range"))
        low, high = tilts.get("min"), tilts.get("max")
        if is_number(low) and is_number(high) and low > high:
            yield Problem(f"{where}.tilt_range", f"min {low}° is above max {high}°", "exchange them")


def _camera(data: dict[str, Any]) -> Iterator[Problem]:
    """[13] A camera is made by its maker."""
    for where, metadata in metadata_of(data, "tiltseries"):
        camera = mapping(metadata.get("camera"))
        maker, model = camera.get("manufacturer"), camera.get("model")
        known = _CAMERAS.get(maker) if isinstance(maker, str) else None
        if known and isinstance(model, str) and "{" not in model and model not in known:
            yield Problem(
                f"{where}.camera.model",
                f"{model!r} is not known as a camera of {maker}",
                f"cameras of {maker}: {', '.join(known)}",
            )


def _frames_block(data: dict[str, Any]) -> Iterator[Problem]:
    """[14] Who has an mdoc has frames."""
    if data.get("collection_metadata") and not data.get("frames"):
        yield Problem(
            "frames",
            "is missing although there is collection_metadata",
            "add a frames section; `literal: {value: [default]}` if no frame files are deposited",
        )


def _collection_metadata(data: dict[str, Any]) -> Iterator[Problem]:
    """[15] Who has tilt series has an mdoc."""
    if not data.get("tiltseries") or data.get("collection_metadata"):
        return
    deposition = mapping(data.get("standardization_config")).get("deposition_id")
    datasets = [metadata.get("dataset_identifier") for _, metadata in metadata_of(data, "datasets")]
    if not any((deposition, dataset) in _WITHOUT_MDOC for dataset in datasets):
        yield Problem(
            "collection_metadata", "is missing although there are tiltseries", "add a section that finds the mdoc files"
        )


ERRORS: Final[tuple[Rule, ...]] = (
    _authors,
    _dates,
    _one_finder,
    _literal_types,
    _shapes,
    _ground_truth,
    _confidence,
    _ingest_ids,
    _sample,
    _development_stage,
    _dose_rate,
    _tilt_range,
    _frames_block,
    _collection_metadata,
)
WARNINGS: Final[tuple[Rule, ...]] = (_one_finder_elsewhere, _camera)
