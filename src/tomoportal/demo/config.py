"""The ingestion config of the demo, as a curator would write it, and the run table that it reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from tomoportal.demo.campaign import CYTOSOL, DATASETS, DEPOSITION, IN_VITRO, Dataset, Scale
from tomoportal.demo.microscope import Optics
from tomoportal.demo.particles import SPECIES
from tomoportal.demo.picking import Score
from tomoportal.demo.simulation import DETECTOR_BINNING, DOSE_RATE, PICKED
from tomoportal.demo.yaml_text import yaml_text

__all__ = ["LAB", "config_yaml", "run_table"]

LAB = "lab"
"""Folder of the raw files beside the config (its ``source_prefix``)."""

_AUTHORS = [
    {"name": "Tomoportal Demo", "primary_author_status": True, "corresponding_author_status": True},
    {"name": "In Silico Microscope"},
]
_DATES = {"deposition_date": "2025-01-15", "release_date": "2025-02-01", "last_modified_date": "2025-02-01"}
_IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
_SOFTWARE = "tomoportal demo"
_HEADER = """\
# Ingestion config of the tomoportal demo: an in-silico deposition. Written by `tomoportal demo`.
# tomoportal ingest THIS_FILE --archive FOLDER
"""

_COLUMNS = (
    *("run_name", "folder", "tilt_axis", "tilt_min", "tilt_max", "tilt_step"),
    *("dose_rate", "total_flux", "quality"),
)

Json = dict[str, Any]


def run_table(scale: Scale, notes: Sequence[Mapping[str, Any]]) -> bytes:
    """The run data map: one row per run, its columns are the variables of the config."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for run, note in zip(scale.runs, notes, strict=True):
        writer.writerow(
            {
                "run_name": run.name,
                "folder": run.dataset.folder,
                "tilt_axis": run.tilt_axis,
                "tilt_min": note["tilt_min"],
                "tilt_max": note["tilt_max"],
                "tilt_step": scale.tilt_step,
                "dose_rate": DOSE_RATE,
                "total_flux": round(scale.dose * scale.sections, 2),
                "quality": run.quality,
            }
        )
    return text.getvalue().encode("ascii")


def config_yaml(scale: Scale, notes: Sequence[Mapping[str, Any]]) -> bytes:
    """The config (version 1.3.0). ``notes`` are those of the simulated runs, in the order of ``scale.runs``."""
    document = {
        "version": "1.3.0",
        "standardization_config": {
            "deposition_id": DEPOSITION,
            "source_prefix": LAB,
            "run_data_map_file": "run_data.csv",
        },
        "depositions": [{"metadata": _deposition(), "sources": [{"literal": {"value": [DEPOSITION]}}]}],
        "deposition_keyphotos": [_key_photos()],
        "datasets": [
            {"metadata": _dataset(each, scale), "sources": [{"literal": {"value": [str(each.identifier)]}}]}
            for each in DATASETS
        ],
        "dataset_keyphotos": [_key_photos()],
        "runs": [{"sources": [_of(each, _glob(f"{each.folder}/TS_*", r"(TS_\d+)$")) for each in DATASETS]}],
        "collection_metadata": [_found("{run_name}.mdoc")],
        "frames": [
            {
                "metadata": {"dose_rate": "float {dose_rate}", "is_gain_corrected": True},
                "sources": [{"literal": {"value": ["default"]}}],
            }
        ],
        "gains": [{"sources": [_glob("gain/*_gain.mrc")]}],
        "tiltseries": [{"metadata": _tilt_series(scale), **_found("{run_name}.st")}],
        "rawtilts": [_found("{run_name}.rawtlt")],
        "alignments": [
            {
                "metadata": {
                    "format": "IMOD",
                    "alignment_type": "GLOBAL",
                    "method_type": "simulated",
                    "is_portal_standard": False,
                },
                "sources": [{"source_multi_glob": {"list_globs": [_path("{run_name}.xf"), _path("{run_name}.tlt")]}}],
            }
        ],
        "voxel_spacings": [{"sources": [{"literal": {"value": [scale.pixel]}}]}],
        "tomograms": [
            {"metadata": _tomogram(scale, denoised=False), **_found("{run_name}.rec")},
            {"metadata": _tomogram(scale, denoised=True), **_found("{run_name}_denoised.mrc")},
        ],
        "annotations": _annotations(scale, notes),
    }
    return (_HEADER + yaml_text(document, {"authors": _AUTHORS, "dates": _DATES})).encode("ascii")


def _path(name: str) -> str:
    return "{folder}/{run_name}/" + name


def _glob(pattern: str, name: str | None = None) -> Json:
    return {"source_glob": {"list_glob": pattern, **({"name_regex": name} if name else {})}}


def _found(name: str) -> Json:
    return {"sources": [_glob(_path(name))]}


def _of(dataset: Dataset, source: Json) -> Json:
    return {**source, "parent_filters": {"include": {"dataset": [f"^{dataset.identifier}$"]}}}


def _key_photos() -> Json:
    return {"sources": [{"literal": {"value": {"snapshot": None, "thumbnail": None}}}]}


def _deposition() -> Json:
    return {
        "deposition_identifier": DEPOSITION,
        "deposition_title": "In-silico cryo-electron tomography for trying out Tomoportal",
        "deposition_description": (
            "Simulated tilt series, their tomograms by weighted back-projection, and the exact positions, orientations"
            " and outlines of everything that was put into the ice, together with an automatic annotation that makes"
            " mistakes. Nothing here was measured: use it to learn, to test software, and to train."
        ),
        "deposition_types": ["dataset", "annotation"],
        "authors": _AUTHORS,
        "dates": _DATES,
    }


def _dataset(dataset: Dataset, scale: Scale) -> Json:
    ice = next(run.recipe.ice for run in scale.runs if run.dataset is dataset)
    parts: Json = {
        "dataset_identifier": dataset.identifier,
        "dataset_title": dataset.title,
        "dataset_description": dataset.description,
        "authors": _AUTHORS,
        "dates": _DATES,
        "sample_type": "in_silico",
        "organism": {"name": "synthetic construct", "taxonomy_id": 32630},
        "assay": {"name": "cryo-electron tomography", "id": "EFO:0022601"},
        "development_stage": {"name": "unknown", "id": "unknown"},
        "disease": {"name": "normal", "id": "PATO:0000461"},
        "sample_preparation": (
            f"Bead models of the complexes placed in a slab of ice {ice / 10:.0f} nm thick without overlap;"
            " orientations random and uniform, those of membrane proteins upright on their membrane"
        ),
        "grid_preparation": "none (simulation)",
        "other_setup": (
            "Projection of bead models through the refined tilt angles, contrast transfer with astigmatism and defocus"
            " gradient, radiation damage, inelastic losses in the ice, counted electrons"
        ),
    }
    if dataset is CYTOSOL:
        parts["cell_component"] = {"name": "cytosol", "id": "GO:0005829"}
    return parts


def _tilt_series(scale: Scale) -> Json:
    optics = Optics(scale.pixel)
    return {
        "acceleration_voltage": int(optics.voltage),
        "spherical_aberration_constant": optics.spherical_aberration,
        "camera": {"manufacturer": "simulated", "model": "simulated", "acquire_mode": "counting"},
        "microscope": {"manufacturer": "SIMULATED", "model": "simulated", "additional_info": "in silico"},
        "microscope_optical_setup": {
            "energy_filter": "simulated zero-loss filter",
            "phase_plate": None,
            "image_corrector": None,
        },
        "data_acquisition_software": _SOFTWARE,
        "aligned_tiltseries_binning": 1,
        "binning_from_frames": DETECTOR_BINNING,
        "is_aligned": False,
        "pixel_spacing": scale.pixel,
        "tilt_alignment_software": "none (the simulated geometry)",
        "tilt_axis": "float {tilt_axis}",
        "tilt_range": {"min": "float {tilt_min}", "max": "float {tilt_max}"},
        "tilt_step": "float {tilt_step}",
        "tilting_scheme": "Dose symmetric, groups of two, starting at 0 degrees",
        "tilt_series_quality": "int {quality}",
        "total_flux": "float {total_flux}",
    }


def _tomogram(scale: Scale, *, denoised: bool) -> Json:
    processing = (
        {"processing": "denoised", "processing_software": f"{_SOFTWARE}, Wiener-like filter of the projections"}
        if denoised
        else {"processing": "raw"}
    )
    return {
        "voxel_spacing": scale.pixel,
        "fiducial_alignment_status": "FIDUCIAL",
        "ctf_corrected": True,
        "align_software": "none (the simulated geometry)",
        "reconstruction_method": "WBP",
        "reconstruction_software": _SOFTWARE,
        **processing,
        "tomogram_version": 1,
        "affine_transformation_matrix": _IDENTITY,
        "offset": {"x": 0, "y": 0, "z": 0},
        "is_visualization_default": denoised,
        "authors": _AUTHORS,
        "dates": _DATES,
    }


def _annotations(scale: Scale, notes: Sequence[Mapping[str, Any]]) -> list[Json]:
    entries = []
    for key, species in SPECIES.items():
        where = [
            dataset
            for dataset in DATASETS
            if any(
                run.dataset is dataset and note["particles"].get(key)
                for run, note in zip(scale.runs, notes, strict=True)
            )
        ]
        entries.append(
            _annotation(
                f"{_slug(species.object_name)}-1",
                {"id": species.object_id, "name": species.object_name, "description": species.description},
                [_of(dataset, _oriented_points(dataset, key)) for dataset in where],
            )
        )
    for label, identifier, name in ((1, "GO:0016020", "membrane"), (2, "GO:0005884", "actin filament")):
        mask = {
            "file_format": "mrc",
            "glob_string": _path("{run_name}_labels.mrc"),
            "mask_label": label,
            "is_visualization_default": True,
        }
        source = _of(CYTOSOL, {"SemanticSegmentationMask": mask})
        entries.append(_annotation(f"{_slug(name)}-1", {"id": identifier, "name": name}, [source]))
    return [*entries, _picked(notes)]


def _oriented_points(dataset: Dataset, key: str) -> Json:
    return {
        "OrientedPoint": {
            "file_format": "relion3_star" if dataset is IN_VITRO else "relion4_star",
            "glob_string": _path(f"particles/{key}.star"),
            "filter_value": "{run_name}",
            "binning": 1,
            "order": "xyz",
            "is_visualization_default": True,
        }
    }


def _annotation(identifier: str, annotated: Json, sources: list[Json]) -> Json:
    return {
        "metadata": {
            "annotation_ingest_id": identifier,
            "annotation_method": "Ground truth of the simulation",
            "annotation_object": annotated,
            "annotation_software": _SOFTWARE,
            "method_type": "simulated",
            "ground_truth_status": True,
            "is_curator_recommended": True,
            "version": 1.0,
            "authors": _AUTHORS,
            "dates": _DATES,
        },
        "sources": sources,
    }


def _picked(notes: Sequence[Mapping[str, Any]]) -> Json:
    """The automatic annotation; its confidence is that of all runs together, counted from the files."""
    total = Score(0, 0, 0)
    for note in notes:
        counts = note["picks"]
        total += Score(counts["matched"], counts["picked"], counts["true"])
    species = SPECIES[PICKED]
    return {
        "metadata": {
            "annotation_ingest_id": f"{_slug(species.object_name)}-2",
            "annotation_method": "Blob picking in the denoised tomogram with the particle's average radial profile",
            "annotation_object": {
                "id": species.object_id,
                "name": species.object_name,
                "description": "Picked automatically; how often that is right stands in the confidence",
            },
            "annotation_software": f"{_SOFTWARE} blob picker",
            "method_type": "automated",
            "confidence": {
                "precision": round(total.precision, 2),
                "recall": round(total.recall, 2),
                "ground_truth_used": (
                    f"{_slug(species.object_name)}-1 of this deposition, all runs together; a pick within 100 Angstrom"
                    " of a particle counts as right"
                ),
            },
            "ground_truth_status": False,
            "is_curator_recommended": False,
            "version": 1.0,
            "authors": _AUTHORS,
            "dates": _DATES,
        },
        "sources": [
            {
                "Point": {
                    "file_format": "csv_with_header",
                    "glob_string": _path(f"picks/{PICKED}_blob_picker.csv"),
                    "binning": 1,
                    "columns": "xyz",
                    "is_visualization_default": False,
                }
            }
        ],
    }


def _slug(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())
