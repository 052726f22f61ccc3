"""Rules of ours: for ingestion configs, and some for the metadata of documents as well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tomoportal.errors import Problem
from tomoportal.model.rules.raw import (
    FINDERS,
    SECTIONS,
    SHAPES,
    Rule,
    is_number,
    literals,
    mapping,
    mappings,
    metadata_of,
    sources_of,
)

__all__ = ["ERRORS", "WARNINGS", "empiar_digits", "last_row", "orcid_digits", "singular_matrix"]

CURRENT_VERSION: Final = "1.3.0"
OLDER_VERSIONS: Final = ("0.0.0", "1.0.0", "1.1.0", "1.2.0")


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
    for _, where, source in sources_of(data, *SECTIONS):
        for finder in FINDERS:
            block = mapping(source.get(finder))
            for key in ("match_regex", "name_regex"):
                yield from _expression(f"{where}.{finder}.{key}", block.get(key), groups=key == "name_regex")
        for index, text in enumerate(source["exclude"] if isinstance(source.get("exclude"), list) else []):
            yield from _expression(f"{where}.exclude[{index}]", text)
        for side, ancestors in mapping(source.get("parent_filters")).items():
            for ancestor, texts in mapping(ancestors).items():
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
    for _, where, source in sources_of(data, "datasets"):
        if source.get("parent_filters") is not None:
            continue
        for index, value in enumerate(literals(source)):
            if str(value) in seen:
                yield Problem(
                    f"{where}.literal.value[{index}]", f"dataset {value} is named twice", "remove one of them"
                )
            seen.add(str(value))


def _shape_options(data: dict[str, Any]) -> Iterator[Problem]:
    """Options of shapes that exclude or need each other."""
    for _, where, source in sources_of(data, "annotations"):
        mask = mapping(source.get("SemanticSegmentationMask"))
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
    for _, where, source in sources_of(data, "annotations"):
        for shape in SHAPES:
            block = source.get(shape)
            if isinstance(block, dict) and not block.get("glob_string") and not block.get("glob_strings"):
                yield Problem(f"{where}.{shape}", "finds no files", "add glob_string or glob_strings")


def _matrices(data: dict[str, Any]) -> Iterator[Problem]:
    for where, metadata in metadata_of(data, "tomograms", "alignments"):
        yield from singular_matrix(metadata, f"{where}.")


def _matrix_rows(data: dict[str, Any]) -> Iterator[Problem]:
    for where, metadata in metadata_of(data, "tomograms", "alignments"):
        yield from last_row(metadata, f"{where}.")


def _matrix(metadata: dict[str, Any]) -> list[list[float]] | None:
    rows = metadata.get("affine_transformation_matrix")
    if not isinstance(rows, list) or len(rows) != 4:
        return None
    return rows if all(isinstance(row, list) and len(row) == 4 and all(map(is_number, row)) for row in rows) else None


def singular_matrix(metadata: dict[str, Any], prefix: str = "") -> Iterator[Problem]:
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


def last_row(metadata: dict[str, Any], prefix: str = "") -> Iterator[Problem]:
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
    for where, metadata in metadata_of(data, "annotations"):
        name = metadata.get("annotation_ingest_id")
        if isinstance(name, str) and not _INGEST_ID.fullmatch(name):
            yield Problem(
                f"{where}.annotation_ingest_id",
                f"{name!r} is not of the usual form",
                "use small letters, digits and hyphens, with a number at the end: cytosolic-ribosome-1",
            )


def _doubtful_ids(data: dict[str, Any]) -> Iterator[Problem]:
    for where, metadata in metadata_of(data, *SECTIONS):
        yield from orcid_digits(metadata, f"{where}.")
        yield from empiar_digits(metadata, f"{where}.")


def orcid_digits(metadata: dict[str, Any], prefix: str = "") -> Iterator[Problem]:
    """The last character of an ORCID checks the others (ISO 7064, MOD 11-2)."""
    for index, author in enumerate(mappings(metadata.get("authors"))):
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


def empiar_digits(metadata: dict[str, Any], prefix: str = "") -> Iterator[Problem]:
    """EMPIAR numbers have five digits so far."""
    references = mapping(metadata.get("cross_references"))
    places = {
        "related_empiar_entry": metadata.get("related_empiar_entry"),
        "annotation_publications": metadata.get("annotation_publications"),
        "cross_references.related_database_entries": references.get("related_database_entries"),
    }
    for key, text in places.items():
        for digits in _EMPIAR.findall(text) if isinstance(text, str) else []:
            if len(digits) != 5:
                yield Problem(f"{prefix}{key}", f"EMPIAR-{digits} has not five digits", "compare it with the entry")


ERRORS: Final[tuple[Rule, ...]] = (_version, _expressions, _dataset_literals, _shape_options, _matrices)
WARNINGS: Final[tuple[Rule, ...]] = (_older_version, _matrix_rows, _no_glob, _ingest_id_form, _doubtful_ids)
