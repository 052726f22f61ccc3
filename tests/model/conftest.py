"""A made-up deposition: one example of every metadata document, and the ingestion config of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

_AUTHORS = [
    {"name": "Ada Example", "ORCID": "0000-0002-1825-0097", "primary_author_status": True},
    {"name": "Bo Example", "corresponding_author_status": True, "affiliation_identifier": "013meh722"},
]
_DATES = {"deposition_date": "2024-01-31", "release_date": "2024-02-29", "last_modified_date": "2024-02-29"}
_TAIL = {"deposition_id": 10300, "last_updated_at": 1709164800}
_IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
_ABSENT = {"name": "not_reported", "id": "not_reported"}
_RUN = "10000/TS_1"
_VOXELS = f"{_RUN}/Reconstructions/VoxelSpacing10.000"


def _size(z: int, y: int, x: int) -> dict[str, int]:
    return {"z": z, "y": y, "x": x}


_DOCUMENTS: dict[str, dict[str, Any]] = {
    "dataset": {
        "dataset_identifier": 10000,
        "dataset_title": "Ferritin in ice",
        "dataset_description": "Horse spleen ferritin, as a test.",
        "authors": _AUTHORS,
        "dates": _DATES,
        "funding": [{"funding_agency_name": "Agency", "grant_id": "7"}],
        "cross_references": {
            "publications": "doi:10.1000/example.1, 10.1000/example.2",
            "related_database_entries": "EMPIAR-10001, EMD-0001,PDB-1ABC",
        },
        "sample_type": "in_vitro",
        "sample_preparation": "buffer",
        "grid_preparation": "copper",
        "organism": {"name": "not_reported", "taxonomy_id": None},
        "assay": {"name": "cryo-electron tomography", "id": "EFO:0022601"},
        "development_stage": {"name": "unknown", "id": "unknown"},
        "disease": _ABSENT,
        "tissue": _ABSENT,
        "cell_type": _ABSENT,
        "cell_strain": _ABSENT,
        "cell_component": _ABSENT,
        "key_photos": {"snapshot": "10000/Images/snapshot.png", "thumbnail": None},
        **_TAIL,
    },
    "deposition": {
        "deposition_identifier": 10300,
        "deposition_title": "Test",
        "deposition_description": "A test.",
        "deposition_types": ["dataset", "annotation"],
        "tag": "test",
        "authors": _AUTHORS,
        "dates": _DATES,
        "cross_references": {},
        "key_photos": {"snapshot": None, "thumbnail": None},
        **_TAIL,
    },
    "run": {"run_name": "TS_1", **_TAIL},
    "frames": {
        "dose_rate": 1.5,
        "is_gain_corrected": None,
        "frames": [
            {
                "acquisition_order": 0,
                "accumulated_dose": 0,
                "exposure_dose": 1.5,
                "is_gain_corrected": False,
                "path": f"{_RUN}/Frames/TS_1_0.tif",
            },
            {
                "acquisition_order": 1,
                "accumulated_dose": 1.5,
                "exposure_dose": 1.5,
                "is_gain_corrected": None,
                "path": None,
            },
        ],
        "frames_acquisition_file": f"{_RUN}/Frames/TS_1.mdoc",
        **_TAIL,
    },
    "tiltseries": {
        "acceleration_voltage": 300000,
        "spherical_aberration_constant": 2.7,
        "camera": {"manufacturer": "Gatan", "model": "K3", "acquire_mode": "counting"},
        "microscope": {"manufacturer": "TFS", "model": "Krios", "additional_info": ""},
        "microscope_optical_setup": {"energy_filter": "BioQuantum", "phase_plate": None, "image_corrector": None},
        "data_acquisition_software": "SerialEM",
        "binning_from_frames": 1,
        "is_aligned": False,
        "pixel_spacing": 2.5,
        "tilt_axis": -95.3,
        "tilt_range": {"min": -60, "max": 60.0},
        "tilt_step": 3,
        "tilting_scheme": "dose symmetric",
        "tilt_series_quality": 4,
        "total_flux": 120.5,
        "related_empiar_entry": "EMPIAR-10001",
        "size": _size(41, 96, 128),
        "scales": [_size(41, 96, 128), _size(41, 48, 64), _size(41, 24, 32)],
        "omezarr_dir": f"{_RUN}/TiltSeries/100/TS_1.zarr",
        "mrc_file": f"{_RUN}/TiltSeries/100/TS_1.mrc",
        "run_name": "TS_1",
        "frames_count": 41,
        "per_section_parameter": [
            {
                "z_index": 0,
                "frame_acquisition_order": 3,
                "raw_angle": -60.01,
                "astigmatic_angle": 12.5,
                "major_defocus": 31000.0,
                "minor_defocus": 30000.5,
                "max_resolution": 8.1,
                "phase_shift": 0.0,
                "cross_correlation": 0.2,
            },
            {"z_index": 1, "frame_acquisition_order": 1, "raw_angle": -57.0, "major_defocus": None},
        ],
        "raw_tlt_path": f"{_RUN}/TiltSeries/100/TS_1.rawtlt",
        "ctf_path": None,
        **_TAIL,
    },
    "alignment": {
        "format": "IMOD",
        "alignment_type": "GLOBAL",
        "method_type": "fiducial_based",
        "is_portal_standard": False,
        "offset_unit": "angstrom",
        "per_section_alignment_parameters": [
            {
                "z_index": 0,
                "tilt_angle": -60.0,
                "volume_x_rotation": 0,
                "in_plane_rotation": [[0, -1], [1, 0]],
                "x_offset": 2.5,
                "y_offset": -1.25,
            }
        ],
        "alignment_path": f"{_RUN}/Alignments/100/TS_1.xf",
        "tilt_path": f"{_RUN}/Alignments/100/TS_1.tlt",
        "tiltx_path": None,
        "tiltseries_path": f"{_RUN}/TiltSeries/100/tiltseries_metadata.json",
        "files": [f"{_RUN}/Alignments/100/TS_1.xf", f"{_RUN}/Alignments/100/TS_1.tlt"],
        "volume_dimension": {"x": 1280.0, "y": 960, "z": 640},
        "volume_offset": {"x": 0, "y": 0, "z": 0},
        "affine_transformation_matrix": _IDENTITY,
        "tilt_offset": 0,
        "x_rotation_offset": -2.3,
        **_TAIL,
    },
    "tomogram": {
        "voxel_spacing": 10.0,
        "fiducial_alignment_status": "FIDUCIAL",
        "ctf_corrected": True,
        "reconstruction_method": "Fourier Space",
        "reconstruction_software": "IMOD",
        "processing": "raw",
        "tomogram_version": 1,
        "affine_transformation_matrix": _IDENTITY,
        "offset": {"x": 0, "y": 0, "z": -1},
        "is_visualization_default": True,
        "authors": _AUTHORS,
        "dates": _DATES,
        "size": _size(64, 96, 128),
        "scales": [_size(64, 96, 128)],
        "omezarr_dir": f"{_VOXELS}/Tomograms/100/TS_1.zarr",
        "mrc_file": f"{_VOXELS}/Tomograms/100/TS_1.mrc",
        "run_name": "TS_1",
        "key_photo": {},
        "alignment_metadata_path": None,
        "neuroglancer_config_path": f"{_VOXELS}/NeuroglancerPrecompute/100-neuroglancer_config.json",
        **_TAIL,
    },
    "annotation": {
        "annotation_ingest_id": "ferritin-1",
        "annotation_method": "template matching, checked by eye",
        "annotation_object": {"id": "GO:0070288", "name": "ferritin complex"},
        "annotation_publications": "EMPIAR-10001, doi:10.1000/example.1",
        "annotation_software": "pyTOM",
        "authors": _AUTHORS,
        "confidence": {"precision": 91, "recall": 88.5, "ground_truth_used": "picked by hand"},
        "dates": _DATES,
        "ground_truth_status": True,
        "is_curator_recommended": False,
        "method_type": "hybrid",
        "method_links": [{"link": "https://example.org", "link_type": "source_code", "custom_name": "code"}],
        "version": 1.0,
        "object_count": 3,
        "files": [
            {
                "format": "ndjson",
                "path": f"{_VOXELS}/Annotations/100/ferritin-1.0_point.ndjson",
                "shape": "Point",
                "is_visualization_default": True,
                "is_portal_standard": False,
                "object_count": 3,
            }
        ],
        "alignment_metadata_path": f"{_RUN}/Alignments/100/alignment_metadata.json",
        **_TAIL,
    },
    "identified_objects": {
        "filter_value": "TS_1",
        "object_count": 2,
        "columns": ["object_id", "object_name", "object_state", "object_description"],
        "file_format": "json",
        "source_file": "identified_objects/objects.csv",
        "identifier": 100,
        **_TAIL,
    },
}

_CONFIG = r"""
version: '1.3.0'
standardization_config: {deposition_id: 10300, source_prefix: ferritin, run_data_map_file: runs.csv}
depositions:
- metadata:
    deposition_identifier: 10300
    deposition_title: Test
    deposition_description: A test.
    deposition_types: [dataset, annotation]
    authors: &authors
    - {name: Ada Example, ORCID: 0000-0002-1825-0097, primary_author_status: true}
    - {name: Bo Example, corresponding_author_status: true}
    dates: &dates {deposition_date: 2024-01-31, release_date: '2024-02-29', last_modified_date: 2024-02-29}
  sources: [{literal: {value: [10300]}}]
datasets:
- metadata:
    dataset_identifier: 10000
    dataset_title: Ferritin in ice
    dataset_description: A test.
    authors: *authors
    dates: *dates
    sample_type: cell_line
    cell_strain: {name: HeLa, id: CVCL_0030}
    assay: {name: cryo-electron tomography, id: 'EFO:0022601'}
    development_stage: {name: unknown, id: unknown}
    disease: {name: normal, id: 'PATO:0000461'}
  sources: [{literal: {value: ['10000']}}]
runs: [{sources: [{source_glob: {list_glob: 'tomograms/*.rec', name_regex: '(.*)\.rec'}, exclude: ['^bad']}]}]
voxel_spacings: [{sources: [{literal: {value: ['float {spacing}', 13.48]}}]}]
dataset_keyphotos:
- {sources: [{literal: {value: {snapshot: 'https://example.org/a.png', thumbnail: null}}}]}
collection_metadata: [{sources: [{source_glob: {list_glob: '{run_name}.mdoc'}}]}]
frames: [{metadata: {dose_rate: 'float {dose}', is_gain_corrected: true}, sources: [{literal: {value: [default]}}]}]
gains: [{sources: [{source_glob: {list_glob: 'gain/*.mrc'}}]}]
rawtilts: [{sources: [{source_multi_glob: {list_globs: ['{run_name}.rawtlt', '{run_name}.tlt']}}]}]
ctfs: [{metadata: {format: CTFFIND}, sources: [{source_glob: {list_glob: '{run_name}_ctf.txt'}}]}]
tiltseries:
- metadata:
    acceleration_voltage: 300000
    spherical_aberration_constant: 2.7
    camera: {manufacturer: Gatan, model: K3}
    microscope: {manufacturer: '{maker}', model: Krios}
    microscope_optical_setup: {energy_filter: none, phase_plate: null, image_corrector: null}
    data_acquisition_software: SerialEM
    is_aligned: false
    pixel_spacing: 2.5
    tilt_axis: 84.7
    tilt_range: {min: 'int {tmin}', max: 'float {tmax}'}
    tilt_step: 3
    tilting_scheme: dose symmetric
    tilt_series_quality: 'int {quality}'
    total_flux: 'float {flux}'
  sources: [{source_glob: {list_glob: '{run_name}.st'}}]
alignments:
- metadata: {format: IMOD, method_type: fiducial_based, x_rotation_offset: -2.3}
  sources: [{source_multi_glob: {list_globs: ['{run_name}.xf', '{run_name}.tlt']}}]
identified_objects: [{sources: [{source_glob: {list_glob: objects.csv}}]}]
tomograms:
- metadata:
    voxel_spacing: 'float {spacing}'
    fiducial_alignment_status: true
    reconstruction_method: WBP
    reconstruction_software: '{software}'
    processing: raw
    tomogram_version: 1
    offset: {x: 0, y: 0, z: 0}
    is_visualization_default: true
    authors: *authors
    dates: *dates
  sources: [{source_glob: {list_glob: 'tomograms/{run_name}.rec'}}]
annotations:
- metadata:
    annotation_ingest_id: ferritin-1
    annotation_method: by hand
    annotation_object: {id: 'GO:0070288', name: ferritin complex}
    method_type: manual
    ground_truth_status: true
    version: 1.0
    authors: *authors
    dates: *dates
  sources:
  - Point: {file_format: csv, glob_string: '{run_name}.csv', columns: zyx}
  - OrientedPoint: {file_format: relion4_star, glob_strings: ['{run_name}.star'], filter_value: '{run_name}'}
    parent_filters: {include: {run: ['^TS_']}, exclude: {voxel_spacing: ['13\.480']}}
  - SemanticSegmentationMask: {file_format: mrc, glob_string: '{run_name}_mask.mrc', mask_label: 2}
- metadata:
    annotation_ingest_id: membrane-1
    annotation_method: program
    annotation_object: {id: 'GO:0016020', name: membrane}
    method_type: automated
    authors: *authors
    dates: *dates
  sources:
  - InstanceSegmentation: {file_format: tardis, glob_string: '{run_name}.csv'}
  - InstanceSegmentationMask: {file_format: zarr, glob_string: '{run_name}.zarr'}
  - TriangularMesh: {file_format: glb, glob_string: '{run_name}.glb', scale_factor: 0.1}
  - TriangularMeshGroup: {file_format: hff, glob_string: '{run_name}.hff', mesh_name: m}
  - GlobalCaption: {file_format: saber, glob_string: '{run_name}.json'}
  - AnnotationCaption: {file_format: saber, glob_string: '{run_name}_2.json', companion_shape: Point}
key_images: null
"""


@pytest.fixture
def config() -> dict[str, Any]:
    """An ingestion config without problems; no two parts of it are the same object."""
    return dict(_copy(yaml.safe_load(_CONFIG)))


@pytest.fixture
def fresh_config() -> Callable[[], dict[str, Any]]:
    """Maker of such configs."""
    parsed = yaml.safe_load(_CONFIG)
    return lambda: dict(_copy(parsed))


@pytest.fixture
def document() -> Callable[[str], dict[str, Any]]:
    """Maker of a metadata document without problems, by kind."""
    return lambda kind: dict(_copy(_DOCUMENTS[kind]))


@pytest.fixture
def documents(document: Callable[[str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """One document of every kind."""
    return {kind: document(kind) for kind in _DOCUMENTS}


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    return [_copy(one) for one in value] if isinstance(value, list) else value
