"""Small archives in each of the older layouts, made here."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tomoportal.formats import ArrayVolume, convert_volume
from tomoportal.storage import open_store
from tomoportal.testing.sources import write_mrc

DATASET, RUN, DEPOSITION = "10000", "TS_026", 10000
SHAPE = (10, 24, 32)
SPACING = 13.48
PIXEL = 3.37
STACK = (5, 96, 128)
TILTS = (-4.0, -2.0, 0.0, 2.0, 4.0)
AUTHORS: list[Any] = [
    {"name": "Ada Author", "ORCID": "https://orcid.org/0000-0002-1825-0097", "primary_author_status": True},
    {"name": "Cora Respond", "corresponding_author_status": True},
]
DATES = {"deposition_date": "2023-04-01", "release_date": "2023-06-01", "last_modified_date": "2023-06-01"}
OBJECTS = {"ribosome": "GO:0022626", "membrane": "GO:0016020", "fatty acid synthase complex": "GO:0005835"}


def dataset_document(**more: Any) -> dict[str, Any]:
    """As of schema 1.1.0: no assay, stage or disease."""
    return {
        "dataset_identifier": int(DATASET),
        "dataset_title": "An old dataset",
        "dataset_description": "Made by a test",
        "authors": AUTHORS,
        "dates": DATES,
        "sample_type": "cell",
        "sample_preparation": "plunge-frozen",
        "grid_preparation": "R2/2",
        "organism": {"name": "Schizosaccharomyces pombe", "taxonomy_id": 4896},
        "cross_references": {"related_database_entries": "EMPIAR-10988"},
        **more,
    }


def tilt_series_document(**more: Any) -> dict[str, Any]:
    return {
        "microscope": {"manufacturer": "TFS", "model": "Krios"},
        "microscope_additional_info": "Warp-aligned",
        "spherical_aberration_constant": 2.7,
        "microscope_optical_setup": {"energy_filter": "GIF Quantum LS", "phase_plate": None, "image_corrector": None},
        "camera": {"manufacturer": "Gatan", "model": "K2 Summit"},
        "acceleration_voltage": 300000,
        "tilting_scheme": "Dose symmetric",
        "tilt_axis": 84.7,
        "tilt_step": 2,
        "tilt_range": {"min": -4, "max": 4},
        "total_flux": 15.0,
        "data_acquisition_software": "SerialEM",
        "binning_from_frames": 1,
        "tilt_series_quality": 4,
        "pixel_spacing": PIXEL,
        "is_aligned": False,
        "aligned_tiltseries_binning": 1,
        "omezarr_dir": f"{RUN}.zarr",
        "mrc_files": [f"{RUN}.mrc"],
        "run_name": RUN,
        "frames_count": len(TILTS),
        **more,
    }


def tomogram_document(spacing: float = SPACING, **more: Any) -> dict[str, Any]:
    nz, ny, nx = SHAPE
    return {
        "voxel_spacing": spacing,
        "reconstruction_method": "WBP",
        "reconstruction_software": "IMOD",
        "fiducial_alignment_status": True,
        "ctf_corrected": True,
        "processing": "raw",
        "align_softwares": ["IMOD"],
        "offset": {"x": 0, "y": 0, "z": 0},
        "affine_transformation_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        "authors": AUTHORS,
        "tomogram_version": "1",
        "size": {"z": nz, "y": ny, "x": nx},
        "omezarr_dir": f"{RUN}.zarr",
        "mrc_files": [f"{RUN}.mrc"],
        "run_name": RUN,
        "key_photo": {},
        **more,
    }


def annotation_document(name: str, files: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "annotation_object": {"id": OBJECTS[name], "name": name},
        "dates": DATES,
        "annotation_method": "template matching",
        "method_type": "automated",
        "authors": [AUTHORS],  # a list in a list, as it was once written
        "annotation_software": "pyTOM",
        "version": "1.0",
        "is_curator_recommended": True,
        "ground_truth_status": False,
        "annotation_confidence": {},
        "object_count": 3,
        "files": files,
        **more,
    }


def entry(form: str, path: str, shape: str, default: bool = False) -> dict[str, Any]:
    return {"format": form, "path": path, "shape": shape, "is_visualization_default": default}


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_volume(folder: Path, name: str, kind: Any, spacing: float, *, mrc: bool = True, zarr: bool = True) -> None:
    """A volume with today's headers; without one of its twins if asked."""
    rng = np.random.default_rng(len(name) + len(str(folder.name)))
    if kind == "semantic_mask":
        voxels = np.zeros(SHAPE, np.int8)
        voxels[2:5, 3:12, 4:20] = 1
    elif kind == "tiltseries":
        voxels = rng.integers(0, 99, STACK).astype(np.int16)
    else:
        voxels = rng.normal(size=SHAPE).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    store = open_store(folder, create=True)
    convert_volume(
        ArrayVolume(voxels, spacing),
        store,
        mrc_key=f"{name}.mrc",
        zarr_prefix=f"{name}.zarr",
        voxel_spacing=spacing,
        kind=kind,
        chunk_size=16 if kind != "tiltseries" else None,
    )
    if not mrc:
        store.delete(f"{name}.mrc")
    if not zarr:
        store.delete_tree(f"{name}.zarr")


def write_old_zarr(folder: Path) -> None:
    """An OME-Zarr of one level with the axes x, y, z and no unit."""
    axes = [{"name": name, "type": "space"} for name in "xyz"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}]}]
    write_json(folder / ".zattrs", {"multiscales": [{"axes": axes, "datasets": datasets, "version": "0.4"}]})
    write_json(folder / ".zgroup", {"zarr_format": 2})
    array = {"chunks": list(SHAPE), "compressor": None, "dimension_separator": "/", "dtype": "<f4", "fill_value": 0}
    array |= {"filters": None, "order": "C", "shape": list(SHAPE), "zarr_format": 2}
    write_json(folder / "0" / ".zarray", array)
    (folder / "0/0/0").mkdir(parents=True)
    (folder / "0/0/0/0").write_bytes(np.zeros(SHAPE, "<f4").tobytes())


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(width) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write_photos(folder: Path, prefix: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in (("snapshot", (512, 384)), ("thumbnail", (134, 100))):
        (folder / f"{prefix}{name}.png").write_bytes(png(*size))


def write_points(path: Path, count: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"type": "point", "location": {"x": 5.0 + i, "y": 9.0 - i, "z": 4.0}} for i in range(count)]
    path.write_text("\n".join(json.dumps(row) for row in rows))


def write_tilts(folder: Path, run: str, *, xf: Path | None = None, mdoc: bool = True, rawtlt: bool = True) -> None:
    """Lists of angles, an mdoc whose times follow ZValue, and the alignment (``xf``: in another folder)."""
    folder.mkdir(parents=True, exist_ok=True)
    if rawtlt:
        (folder / f"{run}.rawtlt").write_text("".join(f"{angle}\n" for angle in TILTS))
    (folder / f"{run}.tlt").write_text("".join(f"{angle + 0.1:.2f}\n" for angle in TILTS))
    rotation = "  0.0923706  0.9957247 -0.9957247  0.0923706"
    where = xf or folder
    where.mkdir(parents=True, exist_ok=True)
    (where / f"{run}.xf").write_text("".join(f"{rotation}  {i}.500  -{i}.250\n" for i in range(len(TILTS))))
    if not mdoc:
        return
    lines = [f"PixelSpacing = {PIXEL}", "", "[T = Tilt axis angle = 84.7, binning = 1]", ""]
    for index, angle in enumerate(TILTS):
        lines += [f"[ZValue = {index}]", f"TiltAngle = {angle}", "ExposureTime = 1.5", f"PixelSpacing = {PIXEL}"]
        lines += [f"SubFramePath = X:\\{run}_{index}.tif", f"DateTime = 06-Jun-23  12:{index:02}:00", ""]
    (folder / f"{run}.mdoc").write_text("\n".join(lines))


def write_frames(folder: Path, run: str) -> None:
    for index in range(len(TILTS)):
        write_mrc(folder / f"{run}_{index}.mrc", np.ones((2, 12, 16), np.float32), PIXEL, stack=True)


def build_v1(root: Path) -> Path:
    """The public portal before ids (9.1): two annotations with numbers, a mask, a viewer layer and state."""
    dataset = root / DATASET
    write_json(dataset / "dataset_metadata.json", dataset_document(deposition_id=DEPOSITION))
    write_photos(dataset / "Images")
    run = dataset / RUN
    write_json(run / "run_metadata.json", {"run_name": RUN})
    write_volume(run / "TiltSeries", RUN, "tiltseries", PIXEL)
    write_json(run / "TiltSeries/tiltseries_metadata.json", tilt_series_document())
    write_tilts(run / "TiltSeries", RUN)
    (run / "TiltSeries/notes.txt").write_text("nobody knows")
    spacing = run / "Tomograms/VoxelSpacing13.48"
    photos = f"{DATASET}/{RUN}/Tomograms/VoxelSpacing13.480/KeyPhotos/key-photo-"
    key_photo = {name: f"{photos}{name}.png" for name in ("snapshot", "thumbnail")}
    write_volume(spacing / "CanonicalTomogram", RUN, "tomogram", SPACING)
    write_json(spacing / "CanonicalTomogram/tomogram_metadata.json", tomogram_document(key_photo=key_photo))
    write_photos(spacing / "KeyPhotos", "key-photo-")
    base = f"s3://cryoet-data-portal-public/{DATASET}/{RUN}/Tomograms/VoxelSpacing13.480/Annotations"
    stem = "100-fatty_acid_synthase_complex-1.0"
    points = [entry("ndjson", f"{base}/{stem}_point.ndjson", "Point", True)]
    write_json(spacing / f"Annotations/{stem}.json", annotation_document("fatty acid synthase complex", points))
    write_points(spacing / f"Annotations/{stem}_point.ndjson")
    mask = "102-membrane-1.0_segmentationmask"
    files = [entry(form, f"{base}/{mask}.{form}", "SegmentationMask") for form in ("mrc", "zarr")]
    write_json(spacing / "Annotations/102-membrane-1.0.json", annotation_document("membrane", files, object_count=1))
    write_volume(spacing / "Annotations", mask, "semantic_mask", SPACING)
    write_json(spacing / f"NeuroglancerPrecompute/{stem}_point/info", {"@type": "neuroglancer_annotations_v1"})
    host = f"https://files.example.org/{DATASET}/{RUN}/Tomograms/VoxelSpacing13.48"
    layers = [
        {"type": "image", "name": RUN, "source": {"url": f"zarr://{host}/CanonicalTomogram/{RUN}.zarr"}},
        {"type": "annotation", "name": "fas", "source": f"precomputed://{host}/NeuroglancerPrecompute/{stem}_point"},
    ]
    write_json(spacing / "CanonicalTomogram/neuroglancer_config.json", {"layers": layers})
    return root


def build_early(root: Path) -> Path:
    """The earliest releases (9.2): spacing folder in the run, authors in names, Zarr of one level, no tilt series."""
    dataset = root / DATASET
    write_json(dataset / "dataset_metadata.json", dataset_document(deposition_id=DEPOSITION))
    spacing = dataset / RUN / "TomogramVoxelSpacing13.48"
    write_volume(spacing / "CanonicalTomogram", RUN, "tomogram", SPACING, zarr=False)
    write_old_zarr(spacing / f"CanonicalTomogram/{RUN}.zarr")
    write_json(spacing / "CanonicalTomogram/tomogram_metadata.json", tomogram_document())
    folder = spacing / "Annotations"
    for author in ("sara_goetz", "ada_author"):
        stem = f"{author}-ribosome-1.0"
        write_points(folder / f"{author}_ribosome.ndjson", 2)
        files = [entry("ndjson", f"{author}_ribosome.ndjson", "Point")]
        write_json(folder / f"{stem}.json", annotation_document("ribosome", files, object_count=2))
    document = annotation_document("membrane", [])
    del document["files"], document["object_count"]
    write_json(folder / "sara_goetz-membrane-1.0.json", document)
    write_volume(folder, "membrane", "semantic_mask", SPACING, zarr=False)
    return root


def build_schema_1_1(root: Path) -> Path:
    """The tree of schema 1.1.0 (9.3): two spacings, alignments beside the tomograms, gains among the frames."""
    dataset = root / DATASET
    write_json(dataset / "dataset_metadata.json", dataset_document(deposition_id=DEPOSITION))
    run = dataset / RUN
    write_frames(run / "Frames", RUN)
    write_mrc(run / "Frames/Gain_reference.mrc", np.ones((1, 12, 16), np.float32), PIXEL, stack=True)
    write_json(run / "Frames/frame_acquisition_order.json", [3, 1, 0, 2, 4])
    write_volume(run / "TiltSeries", f"{RUN}_bin1", "tiltseries", PIXEL)
    document = tilt_series_document(mrc_files=[], omezarr_dir=None)
    write_json(run / "TiltSeries/tiltseries_metadata.json", document)
    for spacing in (SPACING, 6.74):
        folder = run / f"Tomograms/VoxelSpacing{spacing:.3f}"
        write_volume(folder / "CanonicalTomogram", RUN, "tomogram", spacing, mrc=spacing != SPACING)
        offset = {"x": 2, "y": 0, "z": -1}
        write_json(folder / "CanonicalTomogram/tomogram_metadata.json", tomogram_document(spacing, offset=offset))
        write_tilts(run / "TiltSeries", RUN, xf=folder / "CanonicalTomogram")
        write_json(folder / "CanonicalTomogram/neuroglancer_config.json", {"layers": [{"source": "https://x.org/y"}]})
    (run / f"TiltSeries/{RUN}.mdoc").write_text((run / f"TiltSeries/{RUN}.mdoc").read_text().replace(".tif", ".mrc"))
    folder = run / f"Tomograms/VoxelSpacing{SPACING:.3f}/Annotations"
    write_points(folder / "001_ribosome_1.0_point.ndjson")
    files = [entry("ndjson", "001_ribosome_1.0_point.ndjson", "Point")]
    write_json(folder / "001_ribosome_1.0.json", annotation_document("ribosome", files))
    return root


BUILDERS = {"v1": build_v1, "early": build_early, "schema_1_1": build_schema_1_1}


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
