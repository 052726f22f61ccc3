"""Config 1.0.0 → 1.1.0: mdoc and alignment files get sections of their own, tomograms say what is shown first."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tomoportal.ingest.migrations.trail import Trail
from tomoportal.model.rules.raw import mapping, mappings

__all__ = ["migrate"]

_ALIGNMENT_FILES = {
    "IMOD": (".tlt", ".xf", ".com", ".xtilt"),
    "ARETOMO3": (".aln", ".txt", ".csv"),
}
_IDENTITY = [[int(row == column) for column in range(4)] for row in range(4)]


def migrate(data: dict[str, Any], trail: Trail) -> list[str]:
    """See the module."""
    changes: list[str] = []
    mdocs = _take(data, (".mdoc",), trail)
    if mdocs:
        _add_globs(data, "collection_metadata", None, mdocs, trail)
        changes.append(f"{len(mdocs)} patterns of mdoc files moved from rawtilts to collection_metadata")
    changes += _alignments(data, trail)
    changes += _tomograms(data, trail)
    _drop_empty(data)
    return changes


def _alignments(data: dict[str, Any], trail: Trail) -> Iterator[str]:
    tomograms = mappings(data.get("tomograms"))
    rawtilts = mappings(data.get("rawtilts"))
    suffixes = tuple(suffix for group in _ALIGNMENT_FILES.values() for suffix in group)
    if any(pattern.endswith(suffixes) for _, pattern in _patterns(data)) and (len(tomograms) > 1 or len(rawtilts) > 1):
        section = "tomograms" if len(tomograms) > 1 else "rawtilts"
        trail.refuse(
            data[section],
            f"alignment files stand in rawtilts, but there are {len(tomograms)} entries of tomograms and"
            f" {len(rawtilts)} of rawtilts: which belongs to which cannot be told",
            "move the alignment files into a section alignments by hand",
        )
        return
    for name, group in _ALIGNMENT_FILES.items():
        globs = _take(data, group, trail)
        if not globs:
            continue
        entry = _add_globs(data, "alignments", name, globs, trail)
        for tomogram in tomograms:
            metadata = mapping(tomogram.get("metadata"))
            matrix = metadata.get("affine_transformation_matrix")
            if matrix and matrix != _IDENTITY:
                entry["metadata"]["affine_transformation_matrix"] = copy.deepcopy(matrix)
                trail.follow((entry["metadata"], "affine_transformation_matrix"), metadata)
        yield f"{len(globs)} patterns of {name} files moved from rawtilts to alignments"
    for entry in mappings(data.get("alignments")):
        method = _method(tomograms)
        said = entry.get("metadata")
        if method and isinstance(said, dict) and not said.get("method_type"):
            said["method_type"] = method
            yield f"method_type {method} was taken from the tomograms"


def _method(tomograms: list[dict[str, Any]]) -> str | None:
    """How the tilt series was aligned, told by the tomograms made from it."""
    for tomogram in tomograms:
        metadata = mapping(tomogram.get("metadata"))
        software = str(metadata.get("reconstruction_software") or "").lower()
        if metadata.get("fiducial_alignment_status") == "FIDUCIAL":
            return "fiducial_based"
        if "aretomo" in software:
            return "projection_matching"
        if "imod" in software:
            return "patch_tracking"
    return None


def _tomograms(data: dict[str, Any], trail: Trail) -> list[str]:
    depositions = mappings(data.get("depositions"))
    origin = mapping(depositions[0].get("metadata")) if depositions else {}
    added: set[str] = set()
    for tomogram in mappings(data.get("tomograms")):
        metadata = tomogram.get("metadata")
        if not isinstance(metadata, dict) or not metadata:
            continue
        if metadata.get("is_visualization_default") is None:
            metadata["is_visualization_default"] = True
            added.add("is_visualization_default: true")
        if not metadata.get("dates") and origin.get("dates"):
            metadata["dates"] = copy.deepcopy(origin["dates"])
            trail.follow((metadata, "dates"), metadata)
            added.add("the dates of the deposition")
        if not metadata.get("affine_transformation_matrix"):
            metadata["affine_transformation_matrix"] = copy.deepcopy(_IDENTITY)
            added.add("an identity matrix")
    return [f"tomograms got {', '.join(sorted(added))}"] if added else []


def _patterns(data: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Source and pattern of every glob of the section rawtilts."""
    for entry in mappings(data.get("rawtilts")):
        for source in mappings(entry.get("sources")):
            for pattern in _globs(source) or []:
                if isinstance(pattern, str):
                    yield source, pattern
            pattern = mapping(source.get("source_glob")).get("list_glob")
            if isinstance(pattern, str):
                yield source, pattern


def _take(data: dict[str, Any], suffixes: tuple[str, ...], trail: Trail) -> list[str]:
    """Remove the globs that end so from rawtilts; what is left without a glob goes too."""
    taken: list[str] = []
    for source, pattern in list(_patterns(data)):
        if not pattern.endswith(suffixes):
            continue
        if not taken:
            trail.follow(taken, source)
        taken.append(pattern)
        trail.follow((taken, len(taken) - 1), source)
        globs = _globs(source)
        if globs and pattern in globs:
            globs.remove(pattern)
        else:
            source.clear()
    for entry in mappings(data.get("rawtilts")):
        if isinstance(entry.get("sources"), list):
            entry["sources"][:] = [one for one in entry["sources"] if not _is_spent(one)]
    if isinstance(data.get("rawtilts"), list):
        data["rawtilts"][:] = [one for one in data["rawtilts"] if mapping(one).get("sources") != []]
        if not data["rawtilts"]:
            del data["rawtilts"]
    return taken


def _is_spent(source: Any) -> bool:
    return source == {} or (isinstance(source, dict) and _globs(source) == [])


def _globs(source: dict[str, Any]) -> list[Any] | None:
    globs = mapping(source.get("source_multi_glob")).get("list_globs")
    return globs if isinstance(globs, list) else None


def _add_globs(
    data: dict[str, Any], section: str, file_format: str | None, globs: list[str], trail: Trail
) -> dict[str, Any]:
    """Add patterns to the section's entry (of a format), or make one; returns it."""
    entries = data.get(section)
    if not isinstance(entries, list):
        entries = data[section] = []
    for entry in mappings(entries):
        if not entry or (file_format is not None and mapping(entry.get("metadata")).get("format") != file_format):
            continue
        for source in mappings(entry.get("sources")):
            known = _globs(source)
            if known is not None:
                known += globs
                return entry
        sources = entry.get("sources")
        others = sources if isinstance(sources, list) else []
        entry["sources"] = [*others, trail.follow({"source_multi_glob": {"list_globs": globs}}, globs)]
        return entry
    entry = {
        **({"metadata": {"format": file_format}} if file_format else {}),
        "sources": [{"source_multi_glob": {"list_globs": globs}}],
    }
    trail.follow(entry, globs)
    entries.append(entry)
    return entry


def _drop_empty(value: Any) -> None:
    """Remove empty mappings and lists at every level, but for the section annotations."""
    if isinstance(value, dict):
        for key, child in list(value.items()):
            _drop_empty(child)
            if isinstance(child, dict | list) and not child and key != "annotations":
                del value[key]
    elif isinstance(value, list):
        for child in value:
            _drop_empty(child)
        value[:] = [child for child in value if not (isinstance(child, dict | list) and not child)]
