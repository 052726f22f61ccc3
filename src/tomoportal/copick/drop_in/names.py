"""Which name of the PyPI package is which name of ours: module → name → (our module, our name).

Our modules are those of this room; one that begins with ``tomoportal.`` is elsewhere.
"""

from __future__ import annotations

from typing import Final

__all__ = ["API_VERSION", "MODULES", "SAME"]

API_VERSION: Final = "1.31.0"
"""The release of the PyPI package whose names these are; plug-ins compare it with the one that they need."""

Names = dict[str, tuple[str, str]]


def _names(module: str, *names: str, **renamed: str) -> Names:
    return {**{name: (module, name) for name in names}, **{theirs: (module, ours) for theirs, ours in renamed.items()}}


_HOME: Final = {
    "Root": "root", "Run": "runs", "VoxelSpacing": "spacings", "Tomogram": "tomograms", "Features": "features",
    "Picks": "picks", "Mesh": "meshes", "Segmentation": "segmentations", "Object": "objects", "Filaments": "filaments",
}  # fmt: skip
_CURVES: Final = (
    "CURRENT_FRACTION", "CURVE_KINDS", "MAX_DEGREE", "MIN_POINT_DISTANCE", "MIN_SAMPLES", "SAMPLES_PER_STEP",
    "check_curve", "control_points_from_polyline", "curve_anchors", "curve_is_current", "distances_to_polyline",
    "evaluate_curve", "median_spacing", "reverse_knots",
)  # fmt: skip
_OPENING: Final = {
    **_names("opening", "from_croissant", "from_file", "from_string", "new_config"),
    **_names("portal.opening", "from_czcdp_datasets"),
}
_MODELS: Final[Names] = {
    **{f"Copick{name}": (home, f"Copick{name}") for name, home in _HOME.items()},
    **_names("runs", "CopickRunMeta"),
    **_names("spacings", "CopickVoxelSpacingMeta"),
    **_names("tomograms", "CopickTomogramMeta"),
    **_names("features", "CopickFeaturesMeta"),
    **_names("meshes", "CopickMeshMeta"),
    **_names("segmentations", "CopickSegmentationMeta"),
    **_names("points", "CopickLocation", "CopickPoint", "CopickPicksFile"),
    **_names("filament_documents", "CopickFilament", "CopickFilamentCurve", "CopickFilamentsFile"),
    **_names("filament_curves", "CURVE_KINDS"),
    **_names("config", "CopickConfig", "PickableObject", "FilamentSpec", "COPICK_METADATA_NAMESPACE"),
    **_names("config", "FILAMENT_METADATA_KEY", "RESERVED_NAME_SUFFIXES"),
    **_names("labels", "PANOPTIC_CHANNELS"),
    "COPICK_TYPES": ("", "COPICK_TYPES"),
}
_HANDLERS: Final = "particles.handlers"
_HANDLER_BASE: Final = ("FormatCapabilities", "PicksFormatHandler", "VolumeFormatHandler", "unpack_picks_data")
_REGISTRY: Final = ("FormatRegistry", "get_picks_format_from_path", "get_volume_format_from_path")
_UTIL: Final[dict[str, Names]] = {
    "copick.util": {},
    "copick.util.escape": _names("names", "sanitize_name"),
    "copick.util.filaments": _names("filament_curves", *_CURVES),
    "copick.util.formats": {
        **_names(
            "particles.conversions", "copick_to_dynamo_transform", "copick_to_em_transform",
            "dynamo_to_copick_transform", "em_to_copick_transform", "euler_to_matrix",
            "get_picks_format_from_extension", "get_volume_format_from_extension", "matrix_to_euler",
            "points_and_rotations_to_transforms",
            "transforms_to_points_and_rotations",
        ),
        **_names(
            "particles.arrays", "read_dynamo_table", "read_dynamo_table_grouped", "read_dynamo_tomolist",
            "read_em_motivelist", "read_em_motivelist_grouped", "read_em_volume", "read_index_map",
            "read_index_map_inverse", "read_tiff_volume", "write_copick_csv",
            "write_dynamo_table", "write_dynamo_table_grouped", "write_em_motivelist", "write_em_motivelist_grouped",
            "write_em_volume", "write_picks_csv", "write_picks_csv_grouped", "write_tiff_volume",
        ),
        **_names(
            "particles.relion_frames", "build_relion_particles_df", "check_relion_filament_options",
            "get_tomogram_centers_from_copick",
        ),
        **_names(
            "particles.relion_rows", "RelionPixelSizeError", "RelionTomogram", "RelionTomogramCenterError",
            "detect_relion_version", "relion_coordinates_to_angstrom", "relion_tilt_series_pixel_sizes",
        ),
        **_names(
            "particles.relion_tables", "RELION_COORDINATE_MODES", "RELION_FILAMENT_ANGLE_MODES",
            "RELION_HALF_SET_MODES", "RELION_IMPORT_INDEX_BLOCK", "build_relion_star_tables",
            "read_relion5_tomogram_centers", "read_relion_tomograms", "read_relion_tomograms_star",
            "write_relion_import_bundle", "write_star_particles_grouped",
        ),
        **_names(
            "particles.star_tables", "group_star_particles_by_tomogram", "read_star_particles",
            "read_star_particles_grouped", "read_star_particles_with_optics", "write_star_particles",
        ),
        **_names(
            "particles.csv_tables", "copick_csv_df_to_arrays", "csv_to_copick_arrays", "read_copick_csv",
            "read_copick_csv_grouped", "read_picks_csv",
        ),
    },
    "copick.util.handlers": {**_names(_HANDLERS, *_HANDLER_BASE), **_names("particles.registry", *_REGISTRY)},
    "copick.util.handlers.base": _names(_HANDLERS, *_HANDLER_BASE),
    "copick.util.handlers.registry": _names("particles.registry", *_REGISTRY),
    "copick.util.handlers.picks": {
        **_names(_HANDLERS, "csv_handler", "dynamo_handler", "em_picks_handler"),
        **_names("particles.star_handler", "star_handler"),
    },
    "copick.util.handlers.picks.csv": _names(_HANDLERS, "CSVPicksHandler", "csv_handler"),
    "copick.util.handlers.picks.dynamo": _names(_HANDLERS, "DynamoPicksHandler", "dynamo_handler"),
    "copick.util.handlers.picks.em": _names(_HANDLERS, "EMPicksHandler", "em_picks_handler"),
    "copick.util.handlers.picks.star": _names("particles.star_handler", "STARPicksHandler", "star_handler"),
    "copick.util.handlers.volume": _names(_HANDLERS, "em_handler", "mrc_handler", "tiff_handler", "zarr_handler"),
    "copick.util.handlers.volume.em": _names(_HANDLERS, "EMVolumeHandler", "em_handler"),
    "copick.util.handlers.volume.mrc": _names(_HANDLERS, "MRCVolumeHandler", "mrc_handler"),
    "copick.util.handlers.volume.tiff": _names(_HANDLERS, "TIFFVolumeHandler", "tiff_handler"),
    "copick.util.handlers.volume.zarr": _names(_HANDLERS, "ZarrVolumeHandler", "zarr_handler"),
    "copick.util.log": _names("logs", "get_logger"),
    "copick.util.ome": _names(
        "ome", "UNITFACTOR", "fits_in_memory", "get_voxel_size_from_zarr", "ome_metadata", "segmentation_pyramid",
        "volume_pyramid", "write_ome_zarr_3d",
    ),
    "copick.util.ontology": _names(
        "overviews.ontology", "OntologyRef", "identifier_to_markdown_link", "parse_identifier"
    ),
    "copick.util.path_util": _names(
        "operations.options", "get_data_from_file", "get_format_from_extension", "prepare_runs_from_paths"
    ),
    "copick.util.reconnecting_fs": _names(
        "tomoportal.storage.reconnecting", "ReconnectingFileSystem", _is_connection_error="is_connection_error"
    ),
    "copick.util.relion": {
        **_names(
            "particles.relion_frames", "FilamentPolarity", "copick_tomogram_center", "filament_half_sets",
            "filament_polarity", "filament_polarity_known",
            "get_tomogram_spacing_and_dimensions", "is_filament_export", "normalize_transforms", "order_filament_rows",
            "picks_to_df_relion", "polarity_filaments",
        ),
        **_names(
            "tomoportal.formats.relion_particles", "RY90", filament_relion_angles="filament_angles",
            filament_track_lengths="track_lengths",
        ),
        **_names("particles.relion_rows", "relion_df_to_picks", "relion_instance_ids", "relion_rows_to_poses"),
    },
    "copick.util.segmentation": {
        **_names("labels", "PANOPTIC_CHANNELS", "check_panoptic_values", "checked_label_cast", "label_dtype"),
        **_names("labels", "panoptic_channel_index"),
        **_names("names", "SEGMENTATION_TYPES", SEGMENTATION_DIRECTORIES="SEGMENTATION_FOLDERS"),
        **_names("config", "RESERVED_NAME_SUFFIXES"),
        **_names(
            "segmentation_types", "SEGMENTATION_TYPE_FILTERS", "list_segmentation_stores",
            "parse_segmentation_store_name", "segmentation_directory", "segmentation_store_name", "segmentation_type",
            "segmentation_type_query",
        ),
    },
    "copick.util.sync": {
        **_names("operations.options", "ensure_pickable_objects", "parse_dataset_ids", "parse_list", "parse_mapping"),
        **_names("portal.opening", "create_dataportal_config"),
    },
    "copick.util.uri": {
        **_names(
            "uri", "get_copick_objects_by_type", "parse_copick_uri", "resolve_copick_objects", "serialize_copick_uri",
            "serialize_copick_uri_from_dict", _matches_pattern="matches_pattern",
            _matches_numeric_pattern="matches_number",
        ),
        **_names("uri_expansion", "expand_output_uri"),
    },
}  # fmt: skip
_CROISSANT: Final = (
    "CROISSANT_CONTEXT", "CSV_SCHEMA", "RECORDSET_ORDER", "SPLITS_RECORDSET_ID", "STANDARD_SPLIT_URIS",
)  # fmt: skip
_OPS: Final[dict[str, Names]] = {
    "copick.ops": {},
    "copick.ops._markdown": _names(
        "overviews.descriptions", "DEFAULT_MARKDOWN", "ENTITY_TO_MD", "features_to_md", "mesh_to_md", "object_to_md",
        "picks_to_md", "root_to_md", "run_to_md", "segmentation_to_md", "tomogram_to_md", "voxel_spacing_to_md",
    ),
    "copick.ops.add": {
        **_names(
            "operations.adding", "add_features", "add_object", "add_object_volume", "add_run", "add_tomogram",
            "add_voxelspacing", "get_or_create_run", "get_or_create_voxelspacing",
        ),
        **_names(
            "operations.file_imports", "add_picks", "add_picks_from_file", "add_picks_grouped_from_file",
            "add_segmentation", "add_segmentation_from_file", "add_tomogram_from_file", "z_add_tomogram_mrc",
        ),
    },
    "copick.ops.deposit": _names("operations.depositing", "deposit", "deposit_run"),
    "copick.ops.export": {
        **_names(
            "operations.exporting", "RELION_LAYOUTS", "RelionExport", "export", "export_picks",
            "export_picks_combined", "export_relion_particles", "export_run", "export_segmentation", "export_tomogram",
        ),
        **_names("labels", "PANOPTIC_CHANNELS"),
    },
    "copick.ops.manage": _names(
        "operations.managing", "copy_copick_objects", "copy_copick_objects_batch", "copy_copick_objects_per_run",
        "move_copick_objects", "move_copick_objects_batch", "move_copick_objects_per_run", "remove_copick_objects",
        "remove_copick_objects_batch", "remove_copick_objects_per_run",
    ),
    "copick.ops.stats": _names("operations.statistics", "meshes_stats", "picks_stats", "segmentations_stats"),
    "copick.ops.sync": _names(
        "operations.synchronising", "sync_meshes", "sync_picks", "sync_segmentations", "sync_tomograms"
    ),
    "copick.ops.croissant": {
        **_names("croissant.exporting", "append_croissant", "export_croissant"),
        **_names("croissant.selection", "CDP_ONLY_FILTER_ATTRS", "CDP_PORTAL_BASE_URL"),
        **_names("croissant.splits", "set_splits"),
        **_names("croissant.schema", "CONFORMS_TO", *_CROISSANT),
    },
    "copick.ops.get": _names(
        "operations.getting", "get_features", "get_meshes", "get_picks", "get_runs", "get_segmentations",
        "get_tomograms", "get_voxelspacings",
    ),
    "copick.ops.open": _OPENING,
    "copick.ops.run": _names("operations.mapping", "map_runs", "report_results"),
}  # fmt: skip
_CLI_HOME: Final = "tomoportal.cli.copick.plugins"
_COMMANDS: Final = (
    "add", "browse", "cache", "config", "cp", "deposit", "export", "info", "mv", "new", "rm", "stats", "sync",
)  # fmt: skip
_GROUPS: Final = ("convert", "download", "evaluation", "inference", "logical", "process", "setup", "training")
_CLI: Final[dict[str, Names]] = {
    "copick.cli": {},
    "copick.cli.cli": {
        **_names(f"{_CLI_HOME}.program", "add_core_commands", "add_plugin_commands", "cli", "main"),
        **_names(f"{_CLI_HOME}.program", *_COMMANDS),
        **_names(f"{_CLI_HOME}.groups", "COMMAND_CATEGORIES", *_GROUPS),
    },
    "copick.cli.ext": _names(
        f"{_CLI_HOME}.loading", "PLUGIN_GROUPS", "get_plugin_command_sources", "load_plugin_commands"
    ),
    "copick.cli.grouped_cli": _names(f"{_CLI_HOME}.groups", "GroupedCommandGroup", "create_grouped_cli"),
    "copick.cli.types": _names(f"{_CLI_HOME}.uri_type", "CopickURI"),
    "copick.cli.util": _names(
        f"{_CLI_HOME}.option_groups", "add_config_option", "add_create_overwrite_options", "add_debug_option",
        "add_deprecated_run_alias", "add_export_common_options", "add_max_workers_option",
        "add_pyramid_create_options", "add_pyramid_export_options", "add_run_names_option", "add_run_options",
        "add_user_session_options", "add_volume_transform_options", "resolve_deprecated_option", "resolve_run_names",
        "resolve_tomogram_uri",
    ),
}  # fmt: skip
_PORTAL: Final[dict[str, Names]] = {
    "copick.impl.cryoet_data_portal": {
        **_names("portal.root", "CopickRootCDP"),
        **_names("portal.runs", "CopickRunCDP", "CopickRunMetaCDP"),
        **_names(
            "portal.images", "CopickObjectCDP", "CopickTomogramCDP", "CopickTomogramMetaCDP", "CopickVoxelSpacingCDP",
            "CopickVoxelSpacingMetaCDP",
        ),
        **_names(
            "portal.annotations", "CopickMeshCDP", "CopickPicksCDP", "CopickPicksFileCDP", "CopickSegmentationCDP",
            "CopickSegmentationMetaCDP",
        ),
        **_names("features", CopickFeaturesCDP="CopickFeatures"),
        **_names("portal.config", "CopickConfigCDP"),
        **_names("portal.rows", "PortalAnnotationMeta", "PortalObject", "PortalTomogramMeta"),
        **_names("portal.all_rows", "PortalCache"),
        **_names("portal.naming", "camel"),
        **_names("portal.tables", "SHAPE_TYPES"),
    },
    "copick.util.portal": _names("portal.opening", "objects_from_datasets"),
}  # fmt: skip
_VERBS: Final[dict[str, dict[str, str]]] = {
    "add": {
        **{name: name for name in ("object", "picks", "segmentation", "tomogram")},
        **{name: name.replace("_", "-") for name in ("object_volume", "picks_dynamo", "picks_em", "picks_relion")},
        "tomogram_from_star": "tomograms-relion",
        "tomogram_from_tomolist": "tomograms-dynamo",
    },
    "browse": {},
    "cache": {"clear": "clear", "info": "info"},
    "config": {
        **{name: name for name in ("dataportal", "filesystem", "mlcroissant")},
        "append_croissant_cmd": "append-croissant",
        "export_croissant_cmd": "export-croissant",
        "set_croissant_splits_cmd": "set-splits",
    },
    "cp": {},
    "deposit": {},
    "export": {name: name for name in ("picks", "segmentation", "tomogram")},
    "info": {},
    "mv": {},
    "new": {name: name for name in ("picks", "run", "voxelspacing")},
    "rm": {},
    "stats": {name: name for name in ("meshes", "picks", "segmentations")},
    "sync": {name: name for name in ("meshes", "picks", "segmentations", "tomograms")},
}
"""Verb → names in upstream's module of the verb → our sub-commands."""
for _verb, _subcommands in _VERBS.items():
    _paths = {_verb: _verb, **{name: f"{_verb}/{path}" for name, path in _subcommands.items()}}
    _CLI[f"copick.cli.{_verb}"] = _names(f"{_CLI_HOME}.commands", **_paths)
_CLI["copick.cli.config"] |= _names("tomoportal.cli.copick.config", "parse_object")
_CLI["copick.cli.info"] |= _names(f"{_CLI_HOME}.loading", "PLUGIN_GROUPS", "get_installed_plugin_packages")
MODULES: Final[dict[str, Names]] = {
    "copick": {**_OPENING, "COPICK_TYPES": ("", "COPICK_TYPES"), "__version__": ("drop_in.names", "API_VERSION")},
    "copick.models": _MODELS,
    "copick.impl": {},
    "copick.impl.filesystem": {
        **{f"Copick{name}FSSpec": (home, f"Copick{name}") for name, home in _HOME.items()},
        **_names("config", "CopickConfigFSSpec"),
        **_names("annotation_lists", "query_filament_files"),
    },
    "copick.impl.mlcroissant": {
        **{f"Copick{name}MLC": (home, f"Copick{name}") for name, home in _HOME.items() if name != "Filaments"},
        **_names("croissant.root", "CopickConfigMLCroissant", "CopickRootMLC", "CopickRunMLC"),
        **_names("croissant.index", "CroissantIndex"),
        **_names("croissant.schema", *_CROISSANT, "schema_field", "segmentation_recordset", _sha256_bytes="digest"),
    },
    "copick.impl.overlay": {
        f"Copick{name}Overlay": (home, f"Copick{name}") for name, home in _HOME.items() if name != "Root"
    },
    **_CLI,
    **_OPS,
    **_PORTAL,
    **_UTIL,
}
SAME: Final = {
    "copick.ops.browser": "tomoportal.cli.copick.tree_application",
    "copick.util.portal_cache": "portal.row_documents",
}
"""Modules that are one of ours as it is: what a program puts into them counts."""
