"""Reading raw configs and documents, whose form may be wrong: what has the wrong form counts as absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeGuard

from tomoportal.errors import Problem

__all__ = [
    "FILTERS",
    "FINDERS",
    "SECTIONS",
    "SHAPES",
    "Rule",
    "entries_of",
    "is_number",
    "literals",
    "mapping",
    "mappings",
    "metadata_of",
    "sources_of",
]

Rule = Callable[[dict[str, Any]], Iterator[Problem]]
"""A rule yields a problem for every place of a config that breaks it."""

FINDERS: Final = (
    "source_glob",
    "source_multi_glob",
    "destination_glob",
    "destination_filter",
    "literal",
    "tomogram_header",
)
FILTERS: Final = ("parent_filters", "exclude")
SHAPES: Final = (
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
SECTIONS: Final = (
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


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[dict[str, Any]]:
    """The mappings of a list, with empty ones for what is none (so that indices stay)."""
    return [mapping(one) for one in value] if isinstance(value, list) else []


def entries_of(data: dict[str, Any], section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and content of every entry of a section."""
    for index, entry in enumerate(mappings(data.get(section))):
        yield f"{section}[{index}]", entry


def metadata_of(data: dict[str, Any], *sections: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and content of the metadata of every entry of some sections."""
    for section in sections:
        for where, entry in entries_of(data, section):
            if isinstance(entry.get("metadata"), dict):
                yield f"{where}.metadata", entry["metadata"]


def sources_of(data: dict[str, Any], *sections: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Section, place and content of every source of some sections."""
    for section in sections:
        for where, entry in entries_of(data, section):
            for index, source in enumerate(mappings(entry.get("sources"))):
                yield section, f"{where}.sources[{index}]", source


def is_number(value: object) -> TypeGuard[float]:
    """A number, not a Boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def literals(source: dict[str, Any]) -> list[Any]:
    """Values of a source's literal."""
    values = mapping(source.get("literal")).get("value")
    return values if isinstance(values, list) else []
