"""Rules that no schema can express, on raw configs and documents; they need neither files nor network.

Numbers in brackets are those of the rules for ingestion configs of the public portal. A rule looks only at what has the
right form: what has not is reported by the schema check.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from tomoportal.errors import Problem

__all__ = ["config_errors", "config_warnings", "document_errors", "document_warnings"]

Rule = Callable[[dict[str, Any]], Iterator[Problem]]

CURRENT_VERSION: Final = "1.3.0"
OLDER_VERSIONS: Final = ("0.0.0", "1.0.0", "1.1.0", "1.2.0")

_FINDERS: Final = (
    "source_glob",
    "source_multi_glob",
    "destination_glob",
    "destination_filter",
    "literal",
    "tomogram_header",
)
_FILTERS: Final = ("parent_filters", "exclude")
_SHAPES: Final = (
    "Point",
    "OrientedPoint",
    "InstanceSegmentation",
    "SegmentationMask",
    "SemanticSegmentationMask",
    "InstanceSegmentationMask",
    "TriangularMesh",
    "TriangularMeshGroup",
    "GlobalCaption",
    "AnnotationCaption",
)
_SECTIONS: Final = (
    "depositions",
    "datasets",
    "runs",
    "voxel_spacings",
    "deposition_keyphotos",
    "dataset_keyphotos",
    "collection_metadata",
    "frames",
    "gains",
    "tiltseries",
    "rawtilts",
    "ctfs",
    "alignments",
    "identified_objects",
    "tomograms",
    "annotations",
    "key_images",
)
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


def config_errors(data: object) -> Iterator[Problem]:
    """Broken rules that make a config unusable."""
    for rule in _CONFIG_ERRORS:
        yield from rule(_mapping(data))


def config_warnings(data: object) -> Iterator[Problem]:
    """Broken rules of a config that can be used all the same."""
    for rule in _CONFIG_WARNINGS:
        yield from rule(_mapping(data))


def document_errors(kind: str, data: object) -> Iterator[Problem]:
    """Broken rules of a metadata document."""
    if kind in ("alignment", "tomogram"):
        yield from _singular(_mapping(data), "")


def document_warnings(kind: str, data: object) -> Iterator[Problem]:
    """Doubtful values of a metadata document."""
    document = _mapping(data)
    yield from _orcids(document, "")
    yield from _empiar(document, "")
    if kind in ("alignment", "tomogram"):
        yield from _last_row(document, "")


# ---- Reading raw data ------------------------------------------------------------------------------------------------


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _entries(value: object) -> list[dict[str, Any]]:
    """The mappings of a list, with empty ones for what is none (so that indices stay)."""
    return [_mapping(one) for one in value] if isinstance(value, list) else []


def _section(data: dict[str, Any], section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, entry in enumerate(_entries(data.get(section))):
        yield f"{section}[{index}]", entry


def _metadata(data: dict[str, Any], *sections: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for section in sections:
        for where, entry in _section(data, section):
            if isinstance(entry.get("metadata"), dict):
                yield f"{where}.metadata", entry["metadata"]


def _sources(data: dict[str, Any], *sections: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for section in sections:
        for where, entry in _section(data, section):
            for index, source in enumerate(_entries(entry.get("sources"))):
                yield section, f"{where}.sources[{index}]", source


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _literals(source: dict[str, Any]) -> list[Any]:
    values = _mapping(source.get("literal")).get("value")
    return values if isinstance(values, list) else []


# ---- Rules 1 to 15 ---------------------------------------------------------------------------------------------------


def _authors(data: dict[str, Any]) -> Iterator[Problem]:
    """[1] Somebody did the work, and somebody answers questions."""
    for where, metadata in _metadata(data, "depositions", "datasets", "tomograms", "annotations"):
        authors = _entries(metadata.get("authors"))
        for role in ("primary", "corresponding"):
            if authors and not any(author.get(f"{role}_author_status") is True for author in authors):
                yield Problem(
                    f"{where}.authors", f"no {role} author is named", f"set {role}_author_status: true for at least one"
                )


def _dates(data: dict[str, Any]) -> Iterator[Problem]:
    """[2] Nothing is released before it was deposited."""
    for where, metadata in _metadata(data, "depositions", "datasets", "annotations"):
        dates = _mapping(metadata.get("dates"))
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
    yield from _finders(data, [s for s in _SECTIONS if s != "annotations" and s not in _UNRULED_SECTIONS])


def _one_finder_elsewhere(data: dict[str, Any]) -> Iterator[Problem]:
    """[3] in the sections where the public portal does not look."""
    yield from _finders(data, list(_UNRULED_SECTIONS))


def _finders(data: dict[str, Any], sections: list[str]) -> Iterator[Problem]:
    for _, where, source in _sources(data, *sections):
        found = [finder for finder in _FINDERS if source.get(finder) is not None]
        filters = [name for name in _FILTERS if source.get(name) is not None]
        if len(found) > 1:
            yield Problem(where, f"has {len(found)} finders: {', '.join(found)}", "give each a source of its own")
        elif filters and not found:
            yield Problem(where, f"{' and '.join(filters)} without a finder", f"add one of {', '.join(_FINDERS)}")


def _literal_types(data: dict[str, Any]) -> Iterator[Problem]:
    """[4] Datasets are named by texts, depositions by whole numbers."""
    for section, where, source in _sources(data, "datasets", "depositions"):
        kind, noun = (str, "a text") if section == "datasets" else (int, "a whole number")
        for index, value in enumerate(_literals(source)):
            if not isinstance(value, kind) or isinstance(value, bool):
                fix = "put it in quotes" if kind is str else "write it without quotes"
                yield Problem(f"{where}.literal.value[{index}]", f"must be {noun}; found {value!r}", fix)


def _shapes(data: dict[str, Any]) -> Iterator[Problem]:
    """[5] One shape per annotation source, found in one way."""
    for where, entry in _section(data, "annotations"):
        seen: set[str] = set()
        for index, source in enumerate(_entries(entry.get("sources"))):
            place = f"{where}.sources[{index}]"
            shapes = [shape for shape in _SHAPES if source.get(shape) is not None]
            filters = [name for name in _FILTERS if source.get(name) is not None]
            if len(shapes) > 1:
                yield Problem(place, f"has {len(shapes)} shapes: {', '.join(shapes)}", "give each a source of its own")
            elif filters and not shapes:
                yield Problem(place, f"{' and '.join(filters)} without a shape", f"add one of {', '.join(_SHAPES)}")
            for shape in shapes:
                block = _mapping(source[shape])
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
    for where, metadata in _metadata(data, "annotations"):
        if metadata.get("ground_truth_status") is True and metadata.get("method_type") == "automated":
            yield Problem(
                f"{where}.ground_truth_status",
                "an automated annotation cannot be ground truth",
                "set it to false, or method_type to hybrid if people corrected the result",
            )


def _confidence(data: dict[str, Any]) -> Iterator[Problem]:
    """[7] Precision and recall are measured against something."""
    for where, metadata in _metadata(data, "annotations"):
        confidence = _mapping(metadata.get("confidence"))
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
    for where, metadata in _metadata(data, "annotations"):
        name = metadata.get("annotation_ingest_id")
        if isinstance(name, str) and name in first:
            yield Problem(
                f"{where}.annotation_ingest_id", f"{name!r} is the id of {first[name]} already", "choose another one"
            )
        elif isinstance(name, str):
            first[name] = where


def _sample(data: dict[str, Any]) -> Iterator[Problem]:
    """[9] A sample names the part that makes its type."""
    for where, metadata in _metadata(data, "datasets"):
        sample = metadata.get("sample_type")
        part = _SAMPLE_PARTS.get(sample) if isinstance(sample, str) else None
        if part is None:
            continue
        needed = ("name", "id") if part == "tissue" else ("name",)
        missing = [key for key in needed if not _mapping(metadata.get(part)).get(key)]
        if missing:
            yield Problem(
                f"{where}.{part}",
                f"a sample of type {sample} needs {' and '.join(f'{part}.{key}' for key in missing)}",
                f"fill in {part}, or correct sample_type",
            )


def _development_stage(data: dict[str, Any]) -> Iterator[Problem]:
    """[10] A stage is known or not."""
    for where, metadata in _metadata(data, "datasets"):
        stage = _mapping(metadata.get("development_stage"))
        if (stage.get("name") == "unknown") != (stage.get("id") == "unknown"):
            yield Problem(
                f"{where}.development_stage", "only one of name and id is unknown", "set both to unknown, or neither"
            )


def _dose_rate(data: dict[str, Any]) -> Iterator[Problem]:
    """[11] Frames got a dose."""
    for where, metadata in _metadata(data, "frames"):
        rate = metadata.get("dose_rate")
        if _is_number(rate) and rate <= 0:
            yield Problem(f"{where}.dose_rate", f"must be above 0 (e⁻/Å²/s); found {rate}", "look it up in the mdoc")


def _tilt_range(data: dict[str, Any]) -> Iterator[Problem]:
    """[12] A tilt range grows."""
    for where, metadata in _metadata(data, "tiltseries"):
        tilts = _mapping(metadata.get("tilt_range"))
        low, high = tilts.get("min"), tilts.get("max")
        if _is_number(low) and _is_number(high) and low > high:
            yield Problem(f"{where}.tilt_range", f"min {low}° is above max {high}°", "exchange them")


def _camera(data: dict[str, Any]) -> Iterator[Problem]:
    """[13] A camera is made by its maker."""
    for where, metadata in _metadata(data, "tiltseries"):
        camera = _mapping(metadata.get("camera"))
        maker, model = camera.get("manufacturer"), camera.get("model")
        if maker in _CAMERAS and isinstance(model, str) and "{" not in model and model not in _CAMERAS[maker]:
            yield Problem(
                f"{where}.camera.model",
                f"{model!r} is not known as a camera of {maker}",
                f"cameras of {maker}: {', '.join(_CAMERAS[maker])}",
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
    deposition = _mapping(data.get("standardization_config")).get("deposition_id")
    datasets = [metadata.get("dataset_identifier") for _, metadata in _metadata(data, "datasets")]
    if not any((deposition, dataset) in _WITHOUT_MDOC for dataset in datasets):
        yield Problem(
            "collection_metadata", "is missing although there are tiltseries", "add a section that finds the mdoc files"
        )


# ---- Rules of ours ---------------------------------------------------------------------------------------------------


def _version(data: dict[str, Any]) -> Iterator[Problem]:
    version = data.get("version")
    if isinstance(version, str) and version not in (CURRENT_VERSION, *OLDER_VERSIONS):
        yield Problem("version", f"{version!r} is not a known version of the config", f"write {CURRENT_VERSION!r}")


def _older_version(data: dict[str, Any]) -> Iterator[Problem]:
    version = data.get("version")
    if version in OLDER_VERSIONS:
        yield Problem("version", f"{version} is an older version of the config", f"bring it to {CURRENT_VERSION}")


def _expressions(data: dict[str, Any]) -> Iterator[Problem]:
    """Regular expressions compile, and one that gives a name has a group."""
    for _, where, source in _sources(data, *_SECTIONS):
        for finder in _FINDERS:
            block = _mapping(source.get(finder))
            for key in ("match_regex", "name_regex"):
                yield from _expression(f"{where}.{finder}.{key}", block.get(key), groups=key == "name_regex")
        for index, text in enumerate(source["exclude"] if isinstance(source.get("exclude"), list) else []):
            yield from _expression(f"{where}.exclude[{index}]", text)
        for side, ancestors in _mapping(source.get("parent_filters")).items():
            for ancestor, texts in _mapping(ancestors).items():
                for index, text in enumerate(texts if isinstance(texts, list) else []):
                    yield from _expression(f"{where}.parent_filters.{side}.{ancestor}[{index}]", text)


def _expression(where: str, text: object, *, groups: bool = False) -> Iterator[Problem]:
    if not isinstance(text, str):
        return
    try:
        expression = re.compile(text)
    except re.error as error:
        yield Problem(where, f"{text!r} is not a regular expression: {error}", "correct it; `\\.` means a dot")
        return
    if groups and not expression.groups:
        yield Problem(where, f"{text!r} has no group", "put parentheses around the part that is the name")


def _dataset_literals(data: dict[str, Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for _, where, source in _sources(data, "datasets"):
        if source.get("parent_filters") is not None:
            continue
        for index, value in enumerate(_literals(source)):
            if str(value) in seen:
                yield Problem(
                    f"{where}.literal.value[{index}]", f"dataset {value} is named twice", "remove one of them"
                )
            seen.add(str(value))


def _shape_options(data: dict[str, Any]) -> Iterator[Problem]:
    """Options of shapes that exclude or need each other."""
    for _, where, source in _sources(data, "annotations"):
        mask = _mapping(source.get("SemanticSegmentationMask"))
        if mask.get("threshold") is not None and mask.get("mask_label") not in (None, 1):
            yield Problem(
                f"{where}.SemanticSegmentationMask",
                "has both a threshold and a mask_label",
                "remove threshold for a file of labels, mask_label for a file of probabilities",
            )
        group = source.get("TriangularMeshGroup")
        if isinstance(group, dict) and not (group.get("name") or group.get("mesh_name")):
            yield Problem(f"{where}.TriangularMeshGroup", "names no mesh", "add name: the name of the mesh in the file")
        caption = source.get("AnnotationCaption")
        if isinstance(caption, dict) and not caption.get("companion_shape"):
            yield Problem(
                f"{where}.AnnotationCaption.companion_shape",
                "is missing",
                "name the shape whose objects the captions describe",
            )


def _no_glob(data: dict[str, Any]) -> Iterator[Problem]:
    for _, where, source in _sources(data, "annotations"):
        for shape in _SHAPES:
            block = source.get(shape)
            if isinstance(block, dict) and not block.get("glob_string") and not block.get("glob_strings"):
                yield Problem(f"{where}.{shape}", "finds no files", "add glob_string or glob_strings")


def _matrices(data: dict[str, Any]) -> Iterator[Problem]:
    for where, metadata in _metadata(data, "tomograms", "alignments"):
        yield from _singular(metadata, f"{where}.")


def _matrix_rows(data: dict[str, Any]) -> Iterator[Problem]:
    for where, metadata in _metadata(data, "tomograms", "alignments"):
        yield from _last_row(metadata, f"{where}.")


def _matrix(metadata: dict[str, Any]) -> list[list[float]] | None:
    rows = metadata.get("affine_transformation_matrix")
    if not isinstance(rows, list) or len(rows) != 4:
        return None
    return rows if all(isinstance(row, list) and len(row) == 4 and all(map(_is_number, row)) for row in rows) else None


def _singular(metadata: dict[str, Any], prefix: str) -> Iterator[Problem]:
    """An affine matrix can be inverted."""
    matrix = _matrix(metadata)
    if matrix is None:
        return
    (a, b, c, _), (d, e, f, _), (g, h, i, _) = matrix[:3]
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    scale = max(abs(x) for row in matrix[:3] for x in row[:3])
    if abs(determinant) <= 1e-12 * scale**3:
        yield Problem(
            f"{prefix}affine_transformation_matrix",
            "the matrix cannot be inverted",
            "correct it, or leave it out if it is the identity",
        )


def _last_row(metadata: dict[str, Any], prefix: str) -> Iterator[Problem]:
    """An affine matrix ends with 0 0 0 1; a warning, because a dataset of the public portal has it transposed."""
    matrix = _matrix(metadata)
    if matrix is not None and matrix[3] != [0, 0, 0, 1]:
        yield Problem(
            f"{prefix}affine_transformation_matrix",
            f"the last row must be 0 0 0 1; found {' '.join(f'{x:g}' for x in matrix[3])}",
            "a translation stands in the last column; the matrix may be transposed",
        )


_INGEST_ID: Final = re.compile("[a-z0-9]+(-[a-z0-9]+)*-[0-9]+")
_EMPIAR: Final = re.compile("EMPIAR-([0-9]+)")


def _ingest_id_form(data: dict[str, Any]) -> Iterator[Problem]:
    for where, metadata in _metadata(data, "annotations"):
        name = metadata.get("annotation_ingest_id")
        if isinstance(name, str) and not _INGEST_ID.fullmatch(name):
            yield Problem(
                f"{where}.annotation_ingest_id",
                f"{name!r} is not of the usual form",
                "use small letters, digits and hyphens, with a number at the end: cytosolic-ribosome-1",
            )


def _doubtful_ids(data: dict[str, Any]) -> Iterator[Problem]:
    for where, metadata in _metadata(data, *_SECTIONS):
        yield from _orcids(metadata, f"{where}.")
        yield from _empiar(metadata, f"{where}.")


def _orcids(metadata: dict[str, Any], prefix: str) -> Iterator[Problem]:
    """The last character of an ORCID checks the others (ISO 7064, MOD 11-2)."""
    for index, author in enumerate(_entries(metadata.get("authors"))):
        text = author.get("ORCID")
        characters = text.rstrip("/").rsplit("/", 1)[-1].replace("-", "") if isinstance(text, str) else ""
        if not re.fullmatch("[0-9]{15}[0-9X]", characters):
            continue
        total = 0
        for digit in characters[:15]:
            total = (total + int(digit)) * 2
        if "0123456789X"[(12 - total % 11) % 11] != characters[15]:
            yield Problem(
                f"{prefix}authors[{index}].ORCID", f"{text!r} has a wrong check digit", "compare it with the ORCID site"
            )


def _empiar(metadata: dict[str, Any], prefix: str) -> Iterator[Problem]:
    """EMPIAR numbers have five digits so far."""
    references = _mapping(metadata.get("cross_references"))
    places = {
        "related_empiar_entry": metadata.get("related_empiar_entry"),
        "annotation_publications": metadata.get("annotation_publications"),
        "cross_references.related_database_entries": references.get("related_database_entries"),
    }
    for key, text in places.items():
        for digits in _EMPIAR.findall(text) if isinstance(text, str) else []:
            if len(digits) != 5:
                yield Problem(f"{prefix}{key}", f"EMPIAR-{digits} has not five digits", "compare it with the entry")


_CONFIG_ERRORS: Final[tuple[Rule, ...]] = (
    _version,
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
    _expressions,
    _dataset_literals,
    _shape_options,
    _matrices,
)
_CONFIG_WARNINGS: Final[tuple[Rule, ...]] = (
    _older_version,
    _one_finder_elsewhere,
    _camera,
    _matrix_rows,
    _no_glob,
    _ingest_id_form,
    _doubtful_ids,
)
