"""Config 0.0.0 → 1.0.0: flat keys become sections of entries, each with its sources."""

from __future__ import annotations

from typing import Any

from tomoportal.ingest.migrations.trail import Trail
from tomoportal.model.rules.raw import mapping, mappings

__all__ = ["migrate"]

_KEPT = (
    "deposition_id",
    "source_prefix",
    "run_data_map_file",
    "run_to_frame_map_csv",
    "run_to_tomo_map_csv",
    "run_to_ts_map_csv",
    "frame_dose_rate",
)
"""Keys of standardization_config that later versions know."""

_ALL = ".*"


def migrate(data: dict[str, Any], trail: Trail) -> list[str]:
    """See the module."""
    settings = mapping(data.get("standardization_config"))
    changes: list[str] = []
    if data.pop("overrides_by_run", None):
        changes.append("overrides_by_run was dropped: give those runs entries of their own with parent_filters")
    _datasets(data, settings, trail)
    changes += _globs(data, settings, trail)
    _depositions(data, settings, trail, changes)
    _key_photos(data, trail)
    _voxel_spacings(data, trail)
    _annotations(data, trail)
    dropped = [key for key in settings if key not in _KEPT]
    for key in dropped:
        del settings[key]
    return ["flat keys became sections", *changes]


def _datasets(data: dict[str, Any], settings: dict[str, Any], trail: Trail) -> None:
    old = data.pop("dataset", None)
    if data.get("datasets"):
        return
    metadata = mapping(old)
    if not settings.get("deposition_id") and metadata.get("dataset_identifier"):
        settings["deposition_id"] = metadata["dataset_identifier"]
        trail.follow((settings, "deposition_id"), metadata, "dataset_identifier")
    folder = settings.get("destination_prefix") or metadata.get("dataset_identifier")
    if folder is None:
        trail.refuse(
            data, "neither `dataset` nor `destination_prefix` says which dataset this is", "add a datasets section"
        )
        return
    data["datasets"] = [
        trail.follow(
            {**({"metadata": metadata} if metadata else {}), "sources": [_literal(str(folder))]},
            metadata or settings,
        )
    ]


def _globs(data: dict[str, Any], settings: dict[str, Any], trail: Trail) -> list[str]:
    """Sections whose files were named by one key of standardization_config."""
    changes: list[str] = []
    for section, glob, match, name in (
        ("runs", "run_glob", "run_regex", "run_name_regex"),
        ("gains", "gain_glob", None, None),
        ("frames", "frames_glob", None, None),
        ("tiltseries", "tiltseries_glob", "ts_name_regex", None),  # in spite of its name, asked of the path
        ("tomograms", "tomo_glob", "tomo_regex", None),
        ("rawtilts", "rawtlt_files", None, None),
        ("key_images", "tomo_key_photo_glob", None, None),
    ):
        old = data.get(section)
        if isinstance(old, list):
            continue
        data.pop(section, None)
        pattern = settings.get(glob)
        if not pattern:
            if old:
                changes.append(f"{section} was dropped: {glob} does not say where its files are")
            continue
        entry: dict[str, Any] = {}
        if old:
            entry["metadata"] = old
        if isinstance(pattern, list):
            source: dict[str, Any] = {"source_multi_glob": {"list_globs": pattern}}
        else:
            found: dict[str, Any] = {"list_glob": pattern}
            for key, setting in (("match_regex", match), ("name_regex", name)):
                if setting is not None and settings.get(setting) is not None:
                    found[key] = settings[setting]
                    trail.follow((found, key), settings, setting)
                elif key == "match_regex" and setting is not None:
                    found[key] = _ALL
            source = {"source_glob": trail.follow(found, settings, glob)}
        entry["sources"] = [trail.follow(source, settings, glob)]
        data[section] = [entry]
    return changes


def _depositions(data: dict[str, Any], settings: dict[str, Any], trail: Trail, changes: list[str]) -> None:
    metadata = data.pop("deposition", None)
    if data.get("depositions"):
        return
    number = settings.get("deposition_id")
    if not isinstance(metadata, dict):
        metadata = _stub(data, number, trail)
        changes.append("a deposition was made up: write its title and description (now TBA)")
    entry = {"metadata": metadata, "sources": [_literal(number)]}
    data["depositions"] = [trail.follow(entry, settings, "deposition_id")]


def _stub(data: dict[str, Any], number: Any, trail: Trail) -> dict[str, Any]:
    """What can be said about a deposition by the first thing that it holds."""
    kind, origin = "dataset", {}
    for section, noun in (("datasets", "dataset"), ("tomograms", "tomogram"), ("annotations", "annotation")):
        entries = data.get(section)
        found = mapping(mapping(entries[0]).get("metadata")) if isinstance(entries, list) and entries else {}
        if found:
            kind, origin = noun, found
            break
    stub = {
        "deposition_identifier": number,
        "deposition_title": "TBA",
        "deposition_description": "TBA",
        "deposition_types": [kind],
    }
    for key in ("dates", "authors"):
        if origin.get(key):
            stub[key] = origin[key]
            trail.follow((stub, key), origin, key)
    return stub


def _key_photos(data: dict[str, Any], trail: Trail) -> None:
    for entry in mappings(data.get("datasets")):
        metadata = mapping(entry.get("metadata"))
        photos = metadata.get("key_photos")
        if "key_photos" not in metadata:
            continue
        if isinstance(photos, dict) and photos and not data.get("dataset_keyphotos"):
            source = {"literal": {"value": photos}}
            data["dataset_keyphotos"] = [{"sources": [trail.follow(source, metadata, "key_photos")]}]
        del metadata["key_photos"]


def _voxel_spacings(data: dict[str, Any], trail: Trail) -> None:
    if data.get("voxel_spacings"):
        return
    tomograms = data.get("tomograms")
    metadata = mapping(mapping(tomograms[0]).get("metadata")) if isinstance(tomograms, list) and tomograms else {}
    spacing = metadata.get("voxel_spacing")
    if spacing is None:
        return
    if isinstance(spacing, str) and "{" in spacing and not spacing.strip().startswith("float"):
        spacing = f"float {spacing}"
    data["voxel_spacings"] = [{"sources": [trail.follow(_literal(spacing), metadata, "voxel_spacing")]}]


def _annotations(data: dict[str, Any], trail: Trail) -> None:
    """The shape of an annotation file was a key beside the others; now it is the key that holds them."""
    for entry in mappings(data.get("annotations")):
        sources = entry.get("sources")
        if not isinstance(sources, list):
            continue
        for index, source in enumerate(sources):
            if isinstance(source, dict) and isinstance(source.get("shape"), str):
                shape = source.pop("shape")
                sources[index] = trail.follow({shape: source}, source)


def _literal(value: Any) -> dict[str, Any]:
    return {"literal": {"value": [value]}}
