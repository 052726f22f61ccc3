"""The tables of a manifest: their columns, keys and types, and which row stands for which key of a project."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tomoportal.copick.names import (
    FEATURES_ENDING,
    SEGMENTATION_FOLDERS,
    document_name,
    features_name,
    parse_document,
    parse_segmentation,
    parse_voxel_spacing,
    segmentation_name,
    voxel_key,
    voxel_spacing_folder,
)

__all__ = [
    "CONFORMS_TO",
    "CROISSANT_CONTEXT",
    "CSV_SCHEMA",
    "RECORDSET_ORDER",
    "RUNS",
    "SPLITS_RECORDSET_ID",
    "STANDARD_SPLIT_URIS",
    "TABLES",
    "Row",
    "Table",
    "digest",
    "key_of",
    "row_of",
    "schema_field",
    "segmentation_recordset",
]

Row: TypeAlias = dict[str, Any]
RUNS: Final = "ExperimentRuns"
CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.1"
SPLITS_RECORDSET_ID: Final = "copick/splits"
_SPLITS: Final = "https://mlcommons.org/definitions/"
STANDARD_SPLIT_URIS: Final = {
    "train": f"{_SPLITS}training_split",
    "val": f"{_SPLITS}validation_split",
    "validation": f"{_SPLITS}validation_split",
    "test": f"{_SPLITS}test_split",
    "eval": f"{_SPLITS}test_split",
}
_TERMS: Final = (
    *("citeAs", "column", "containedIn", "extract", "field", "fileProperty", "fileObject", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references"),
    *("regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
CROISSANT_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS},
    "conformsTo": "dct:conformsTo",
    "copick": "https://copick.org/schema/",
    "copick:baseUrl": "copick:baseUrl",
    "copick:config": {"@id": "copick:config", "@type": "@json"},
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}
_PORTAL: Final = ("portal_object_name", "portal_session_id", "portal_annotation_id", "portal_annotation_file_id")


@dataclass(frozen=True)
class Table:
    """One CSV file; ``name`` is that of its record set below ``copick/``, the first ``keys`` columns identify a row."""

    name: str
    columns: tuple[str, ...]
    keys: int

    @property
    def id(self) -> str:
        return f"copick/{self.name}"

    @property
    def file(self) -> str:
        return f"{self.name}.csv"

    @property
    def file_object(self) -> str:
        return f"{self.name.replace('_', '-')}-csv"

    @property
    def key_columns(self) -> tuple[str, ...]:
        return self.columns[: self.keys]

    def key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """What identifies a row; voxel sizes count to three decimals (C38), portals state more."""
        values = {column: row.get(column) for column in self.key_columns}
        size = values.get("voxel_size")
        return tuple(({**values, "voxel_size": voxel_key(size)} if size is not None else values).values())

    def type_of(self, column: str) -> str:
        return _TYPES.get(column, "sc:Text")


_TYPES: Final = {"voxel_size": "sc:Float", "is_multilabel": "sc:Boolean"}
_WHO: Final = ("run", "user_id", "session_id", "object_name")
_VOLUME: Final = ("run", "voxel_size", "user_id", "session_id", "name")
TABLES: Final[dict[str, Table]] = {
    table.id: table
    for table in (
        Table("runs", ("name", "portal_run_id", "split"), 1),
        Table("voxel_spacings", ("run", "voxel_size"), 2),
        Table("tomograms", ("run", "voxel_size", "tomo_type", "url", "portal_tomo_type", "portal_tomogram_id"), 3),
        Table("features", ("run", "voxel_size", "tomo_type", "feature_type", "url"), 4),
        Table("picks", (*_WHO, "voxel_size", "url", "sha256", *_PORTAL), 4),
        Table("meshes", (*_WHO, "url", "sha256"), 4),
        Table("segmentations", (*_VOLUME, "is_multilabel", "url", *_PORTAL), 6),
        Table("instance_segmentations", (*_VOLUME, "url", *_PORTAL), 5),
        Table("panoptic_segmentations", (*_VOLUME, "url", *_PORTAL), 5),
        Table("objects", ("name", "url"), 1),
    )
}
RECORDSET_ORDER: Final = list(TABLES)
CSV_SCHEMA: Final[dict[str, dict[str, Any]]] = {
    table.id: {
        "csv_name": table.file,
        "file_object_id": table.file_object,
        "recordset_name": table.name,
        "columns": list(table.columns),
        "key_fields": table.key_columns,
        "types": {column: table.type_of(column) for column in table.columns},
    }
    for table in TABLES.values()
}


def digest(data: bytes | bytearray | memoryview) -> str:
    """The SHA-256 of a file, as manifests and tables state it."""
    return hashlib.sha256(data).hexdigest()


def segmentation_recordset(seg_type: str) -> str:
    """The table of a type of segmentations."""
    return f"copick/{seg_type}_segmentations" if seg_type in ("instance", "panoptic") else "copick/segmentations"


def schema_field(recordset_id: str, column: str) -> dict[str, Any]:
    """The description of a column in the manifest."""
    table = TABLES[recordset_id]
    return {
        "@type": "cr:Field",
        "@id": f"{recordset_id}/{column}",
        "dataType": table.type_of(column),
        "source": {"fileObject": {"@id": table.file_object}, "extract": {"column": column}},
    }


# --- rows and keys


def _kind(table: str, row: Mapping[str, Any]) -> str:
    if table == "copick/segmentations":
        return "multilabel" if row.get("is_multilabel") else "binary"
    return table.removeprefix("copick/").partition("_")[0]


def key_of(table: str, row: Mapping[str, Any]) -> str:
    """The key of what a row stands for, in copick's layout."""
    if table == "copick/objects":
        return f"Objects/{row['name']}.zarr"
    if table == "copick/runs":
        return f"{RUNS}/{row['name']}"
    run = f"{RUNS}/{row['run']}"
    if table in ("copick/picks", "copick/meshes"):
        folder, ending = ("Picks", ".json") if table == "copick/picks" else ("Meshes", ".glb")
        return f"{run}/{folder}/{document_name(row['user_id'], row['session_id'], row['object_name'], ending)}"
    if table.endswith("segmentations"):
        kind = _kind(table, row)
        name = segmentation_name(row["voxel_size"], row["user_id"], row["session_id"], row["name"], kind)
        return f"{run}/{SEGMENTATION_FOLDERS[kind]}/{name}"
    place = f"{run}/{voxel_spacing_folder(row['voxel_size'])}"
    if table == "copick/voxel_spacings":
        return place
    if table == "copick/features":
        return f"{place}/{features_name(row['tomo_type'], row['feature_type'])}"
    return f"{place}/{row['tomo_type']}.zarr"


def row_of(key: str, tomogram_types: frozenset[str] = frozenset()) -> tuple[str, Row] | None:
    """The table and the row that a key stands for, or None; the types tell ``a_b`` + ``c`` from ``a`` + ``b_c``."""
    parts = key.split("/")
    if parts[0] == "Objects" and len(parts) == 2 and key.endswith(".zarr"):
        return "copick/objects", {"name": parts[1].removesuffix(".zarr")}
    if parts[0] != RUNS or not 2 <= len(parts) <= 4:
        return None
    if len(parts) == 2:
        return "copick/runs", {"name": parts[1]}
    run, folder, name = parts[1], parts[2], parts[3] if len(parts) == 4 else ""
    if folder.startswith("VoxelSpacing"):
        size = parse_voxel_spacing(folder)
        if isinstance(size, str):
            return None
        if not name:
            return "copick/voxel_spacings", {"run": run, "voxel_size": size}
        return _volume_row(run, size, name, tomogram_types)
    documents = {"Picks": ("copick/picks", ".json"), "Meshes": ("copick/meshes", ".glb")}
    if folder in documents and name.endswith(documents[folder][1]):
        who = parse_document(name, documents[folder][1], object_may_hold_underscores=False)
        if isinstance(who, str):
            return None
        return documents[folder][0], {
            "run": run,
            "user_id": who.user_id,
            "session_id": who.session_id,
            "object_name": who.object_name,
        }
    if folder in SEGMENTATION_FOLDERS.values() and name.endswith(".zarr"):
        found = parse_segmentation(name, folder)
        if isinstance(found, str):
            return None
        row = {"run": run, "voxel_size": found.voxel_size, "user_id": found.user_id}
        row |= {"session_id": found.session_id, "name": found.name}
        table = segmentation_recordset(found.kind)
        return table, ({**row, "is_multilabel": found.kind == "multilabel"} if table == "copick/segmentations" else row)
    return None


def _volume_row(run: str, size: float, name: str, types: frozenset[str]) -> tuple[str, Row] | None:
    where = {"run": run, "voxel_size": size}
    if name.endswith(FEATURES_ENDING):
        stem = name.removesuffix(FEATURES_ENDING)
        cuts = [n for n, char in enumerate(stem) if char == "_"]
        known = [cut for cut in cuts if stem[:cut] in types]
        cut = max(known) if known else (cuts[0] if cuts else 0)
        return ("copick/features", {**where, "tomo_type": stem[:cut], "feature_type": stem[cut + 1 :]}) if cut else None
    if name.endswith(".zarr") and not name.startswith("."):
        return "copick/tomograms", {**where, "tomo_type": name.removesuffix(".zarr")}
    return None
