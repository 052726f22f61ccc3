"""A small source tree with a config that uses everything that ingestion reads: for tests of what comes after it."""

from __future__ import annotations

import copy
import struct
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tomoportal.formats.mrc import MrcHeader

__all__ = ["sample_config", "write_config", "write_mrc", "write_sources"]

DEPOSITION = 10301
DATASET = 10001
SHAPE = (12, 24, 32)
SPACING = 13.48
TILTS = (-4.0, -2.0, 0.0, 2.0)
PIXEL = 8.987


def write_mrc(path: Path, array: Any, spacing: float, *, stack: bool = False) -> None:
    """An MRC file of an array (z, y, x) with voxels of ``spacing`` Å."""
    modes = {"int8": 0, "int16": 1, "float32": 2, "uint16": 6}
    nz, ny, nx = array.shape
    values = array.astype(np.float64)
    header = MrcHeader(
        nx=nx,
        ny=ny,
        nz=nz,
        mode=modes[array.dtype.name],
        mx=nx,
        my=ny,
        mz=1 if stack else nz,
        cella=(nx * spacing, ny * spacing, spacing if stack else nz * spacing),
        ispg=0 if stack else 1,
        dmin=float(values.min()),
        dmax=float(values.max()),
        dmean=float(values.mean()),
        rms=float(values.std()),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.pack() + np.ascontiguousarray(array).tobytes())


def write_sources(folder: Path, runs: int = 2, *, seed: int = 0) -> Path:
    """Write the files of ``runs`` runs (TS_01, TS_02, …) and ``config.yaml``; returns the config's path."""
    rows = ["run_name,tomo_vs,quality,tmin,tmax,software"]
    particles: list[str] = []
    for number in range(1, runs + 1):
        run = f"TS_{number:02}"
        rng = np.random.default_rng(seed * 1000 + number)
        rows.append(f"{run},{SPACING},{3 + number % 3},{TILTS[0]},{TILTS[-1]},IMOD")
        write_mrc(folder / "tomograms" / f"{run}.rec", rng.normal(size=SHAPE).astype(np.float32), SPACING)
        write_mrc(folder / "denoised" / f"{run}.mrc", rng.integers(-100, 100, SHAPE).astype(np.int16), SPACING)
        stack = rng.normal(100, 10, (len(TILTS), 32, 48)).astype(np.int16)
        write_mrc(folder / "stacks" / f"{run}.st", stack, PIXEL, stack=True)
        _write_tilt_files(folder / "stacks", run)
        (folder / "frames").mkdir(exist_ok=True)
        for index in range(len(TILTS)):
            (folder / "frames" / f"{run}_{index:03}.tif").write_bytes(_tiff(rng.integers(0, 99, (12, 16))))
        gain = rng.normal(1, 0.01, (1, 12, 16)).astype(np.float32)
        write_mrc(folder / "gains" / f"CountRef_{run}.mrc", gain, PIXEL, stack=True)
        labels = np.zeros(SHAPE, np.int8)
        labels[3:9, 6:18, 8:24] = 1
        if number % 2:
            labels[4:6, 2:5, 2:6] = 2
        write_mrc(folder / "masks" / f"{run}_labels.mrc", labels, SPACING)
        points = rng.uniform(1, 10, (5, 3)).round(3)
        (folder / "points").mkdir(exist_ok=True)
        (folder / "points" / f"{run}.csv").write_text("".join(f"{x},{y},{z}\n" for x, y, z in points.tolist()))
        for x, y, z in rng.uniform(1, 10, (4, 3)).round(3).tolist():
            angles = rng.uniform(-90, 90, 3).round(2).tolist()
            particles.append(" ".join(map(str, [run, x, y, z, *angles])))
    columns = ("MicrographName", "CoordinateX", "CoordinateY", "CoordinateZ", "AngleRot", "AngleTilt", "AnglePsi")
    star = ["data_", "", "loop_", *(f"_rln{name} #{number}" for number, name in enumerate(columns, 1)), *particles, ""]
    (folder / "particles.star").write_text("\n".join(star))
    (folder / "run_data.csv").write_text("\n".join(rows) + "\n")
    return write_config(folder / "config.yaml", sample_config())


def write_config(path: Path, config: dict[str, Any]) -> Path:
    """Write a config as YAML."""
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def sample_config() -> dict[str, Any]:
    """The config of `write_sources`, as data to be changed at will."""
    return copy.deepcopy(_CONFIG)


def _tiff(image: Any) -> bytes:
    """The smallest TIFF of an 8-bit image (y, x): one strip, no compression."""
    height, width = image.shape
    tags = (
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, width * height),
    )
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    pixels: bytes = image.astype(np.uint8).tobytes()
    return struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels + struct.pack("<H", len(tags)) + entries + bytes(4)


def _write_tilt_files(folder: Path, run: str) -> None:
    (folder / f"{run}.rawtlt").write_text("".join(f"{angle:7.2f}\n" for angle in TILTS))
    (folder / f"{run}.tlt").write_text("".join(f"{angle + 0.02:7.2f}\n" for angle in TILTS))
    (folder / f"{run}.xf").write_text(
        "".join(f"  0.0923706  0.9957247 -0.9957247  0.0923706  {i}.500  -{i}.250\n" for i in range(len(TILTS)))
    )
    (folder / f"{run}.xtilt").write_text("   0.10\n" * len(TILTS))
    lines = [
        f"PixelSpacing = {PIXEL}",
        "Voltage = 300",
        f"ImageFile = {run}.st",
        "",
        "[T = Tilt axis angle = 84.7, binning = 1  spot = 8  camera = 0]",
        "",
    ]
    order = sorted(range(len(TILTS)), key=lambda index: abs(TILTS[index]))
    for index, angle in enumerate(TILTS):
        lines += [
            f"[ZValue = {index}]",
            f"TiltAngle = {angle + 0.004}",
            "ExposureTime = 1.5",
            f"PixelSpacing = {PIXEL}",
            f"SubFramePath = X:\\frames\\{run}_{index:03}.tif",
            f"DateTime = 06-Jun-23  12:{order.index(index):02}:00",
            "",
        ]
    (folder / f"{run}.mdoc").write_text("\n".join(lines))


_AUTHORS = [
    {"name": "Ada Author", "ORCID": "0000-0002-1825-0097", "primary_author_status": True},
    {"name": "Cora Respond", "corresponding_author_status": True},
]
_DATES = {"deposition_date": "2023-04-01", "release_date": "2023-06-01", "last_modified_date": "2023-06-01"}


def _glob(pattern: str, **more: str) -> list[dict[str, Any]]:
    return [{"source_glob": {"list_glob": pattern, **more}}]


def _tomogram(processing: str, default: bool, pattern: str) -> dict[str, Any]:
    return {
        "metadata": {
            "voxel_spacing": "float {tomo_vs}",
            "fiducial_alignment_status": "FIDUCIAL",
            "ctf_corrected": False,
            "reconstruction_method": "WBP",
            "reconstruction_software": "{software}",
            "processing": processing,
            "tomogram_version": 1,
            "offset": {"x": 0, "y": 0, "z": 0},
            "is_visualization_default": default,
            "affine_transformation_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
            "authors": _AUTHORS,
            "dates": _DATES,
        },
        "sources": _glob(pattern),
    }


def _annotation(ingest_id: str, object_id: str, name: str, sources: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "metadata": {
            "annotation_ingest_id": ingest_id,
            "annotation_method": "manual picking",
            "annotation_object": {"id": object_id, "name": name},
            "method_type": "manual",
            "ground_truth_status": True,
            "is_curator_recommended": True,
            "version": 1.0,
            "authors": _AUTHORS,
            "dates": _DATES,
        },
        "sources": sources,
    }


_CONFIG: dict[str, Any] = {
    "version": "1.3.0",
    "standardization_config": {"deposition_id": DEPOSITION, "source_prefix": "", "run_data_map_file": "run_data.csv"},
    "depositions": [
        {
            "metadata": {
                "deposition_identifier": DEPOSITION,
                "deposition_title": "Sample deposition",
                "deposition_description": "Made by a test",
                "deposition_types": ["dataset", "annotation"],
                "authors": _AUTHORS,
                "dates": _DATES,
                "cross_references": {"publications": "doi:10.1101/2022.01.01.00001"},
            },
            "sources": [{"literal": {"value": [DEPOSITION]}}],
        }
    ],
    "datasets": [
        {
            "metadata": {
                "dataset_identifier": DATASET,
                "dataset_title": "Sample dataset",
                "dataset_description": "Made by a test",
                "authors": _AUTHORS,
                "dates": _DATES,
                "sample_type": "cell_line",
                "cell_strain": {"name": "HeLa", "id": "CVCL_0030"},
                "organism": {"name": "Homo sapiens", "taxonomy_id": 9606},
                "assay": {"name": "cryo-electron tomography", "id": "EFO:0022601"},
                "development_stage": {"name": "unknown", "id": "unknown"},
                "disease": {"name": "normal", "id": "PATO:0000461"},
                "sample_preparation": "buffer",
                "grid_preparation": "copper",
            },
            "sources": [{"literal": {"value": [str(DATASET)]}}],
        }
    ],
    "runs": [{"sources": _glob("tomograms/TS_*.rec", name_regex=r"(.*)\.rec")}],
    "collection_metadata": [{"sources": _glob("stacks/{run_name}.mdoc")}],
    "frames": [
        {"metadata": {"dose_rate": 1.881, "is_gain_corrected": False}, "sources": _glob("frames/{run_name}_*.tif")}
    ],
    "gains": [{"sources": _glob("gains/CountRef_{run_name}.mrc")}],
    "rawtilts": [{"sources": _glob("stacks/{run_name}.rawtlt")}],
    "tiltseries": [
        {
            "metadata": {
                "acceleration_voltage": 300000,
                "spherical_aberration_constant": 2.7,
                "camera": {"manufacturer": "Gatan", "model": "K2 SUMMIT", "acquire_mode": "counting"},
                "microscope": {"manufacturer": "TFS", "model": "Krios", "additional_info": ""},
                "microscope_optical_setup": {
                    "energy_filter": "GIF Quantum LS",
                    "phase_plate": "Volta",
                    "image_corrector": None,
                },
                "data_acquisition_software": "SerialEM",
                "binning_from_frames": 1,
                "is_aligned": False,
                "pixel_spacing": PIXEL,
                "tilt_axis": 84.7,
                "tilt_range": {"min": "float {tmin}", "max": "float {tmax}"},
                "tilt_step": 2.0,
                "tilting_scheme": "Dose symmetric",
                "tilt_series_quality": "int {quality}",
                "tilt_alignment_software": "{software}",
                "total_flux": 11.29,
            },
            "sources": _glob("stacks/{run_name}.st"),
        }
    ],
    "alignments": [
        {
            "metadata": {
                "format": "IMOD",
                "alignment_type": "GLOBAL",
                "method_type": "fiducial_based",
                "is_portal_standard": False,
            },
            "sources": [
                {"source_multi_glob": {"list_globs": [f"stacks/{{run_name}}.{end}" for end in ("xf", "tlt", "xtilt")]}}
            ],
        }
    ],
    "voxel_spacings": [{"sources": [{"literal": {"value": ["float {tomo_vs}"]}}]}],
    "tomograms": [
        _tomogram("raw", True, "tomograms/{run_name}.rec"),
        _tomogram("denoised", False, "denoised/{run_name}.mrc"),
    ],
    "annotations": [
        _annotation(
            "cytosolic-ribosome-1",
            "GO:0022626",
            "cytosolic ribosome",
            [
                {
                    "Point": {
                        "file_format": "csv",
                        "glob_string": "points/{run_name}.csv",
                        "is_visualization_default": True,
                    }
                },
                {
                    "OrientedPoint": {
                        "file_format": "relion3_star",
                        "glob_string": "particles.star",
                        "filter_value": "{run_name}",
                        "binning": 1,
                        "order": "xyz",
                    }
                },
            ],
        ),
        _annotation(
            "membrane-1",
            "GO:0016020",
            "membrane",
            [
                {
                    "SemanticSegmentationMask": {
                        "file_format": "mrc",
                        "glob_string": "masks/{run_name}_labels.mrc",
                        "mask_label": 1,
                        "is_visualization_default": True,
                    }
                }
            ],
        ),
        _annotation(
            "vesicle-1",
            "GO:0031982",
            "vesicle",
            [
                {
                    "SemanticSegmentationMask": {
                        "file_format": "mrc",
                        "glob_string": "masks/{run_name}_labels.mrc",
                        "mask_label": 2,
                    }
                }
            ],
        ),
    ],
}
