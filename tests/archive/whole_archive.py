"""An archive with one of everything, as another program might have written it: no manifests, no digests."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tomoportal.archive import Archive
from tomoportal.formats import ArrayVolume, convert_volume
from tomoportal.formats.mrc import HEADER_SIZE, MrcHeader
from tomoportal.ingest import load_config, make_plan, open_source, run_plan
from tomoportal.storage import open_store
from tomoportal.testing.sources import SHAPE, SPACING, TILTS, write_sources

RUN = "10001/TS_01"
FRAMES = f"{RUN}/Frames/frames_metadata.json"
MDOC = f"{RUN}/Frames/TS_01.mdoc"
GAIN = f"{RUN}/Gains/CountRef_TS_01.mrc"
SERIES = f"{RUN}/TiltSeries/100"
SERIES_DOCUMENT = f"{SERIES}/tiltseries_metadata.json"
RAWTLT = f"{SERIES}/TS_01.rawtlt"
CTF = f"{SERIES}/TS_01_CTFFIND_ctf.txt"
ALIGNMENT = f"{RUN}/Alignments/100"
ALIGNMENT_DOCUMENT = f"{ALIGNMENT}/alignment_metadata.json"
VOXELS = f"{RUN}/Reconstructions/VoxelSpacing13.480"
TOMOGRAM = f"{VOXELS}/Tomograms/100"
TOMOGRAM_DOCUMENT = f"{TOMOGRAM}/tomogram_metadata.json"
POINTS = f"{VOXELS}/Annotations/100/cytosolic_ribosome-1.0_point.ndjson"
ORIENTED = f"{VOXELS}/Annotations/100/cytosolic_ribosome-1.0_orientedpoint.ndjson"
POINTS_DOCUMENT = f"{VOXELS}/Annotations/100/cytosolic_ribosome-1.0.json"
MASK = f"{VOXELS}/Annotations/101/membrane-1.0_segmentationmask"
MASK_DOCUMENT = f"{VOXELS}/Annotations/101/membrane-1.0.json"
INSTANCES = f"{VOXELS}/Annotations/110/vesicle-2.0_instancesegmentationmask"
INSTANCES_DOCUMENT = f"{VOXELS}/Annotations/110/vesicle-2.0.json"
MESH = f"{VOXELS}/Annotations/111/mitochondrion-1.0_triangularmesh.glb"
CAPTION = f"{VOXELS}/Annotations/111/mitochondrion-1.0_triangularmesh_caption.json"
GLOBAL_CAPTION = f"{VOXELS}/Annotations/111/mitochondrion-1.0_globalcaption.json"
MESH_DOCUMENT = f"{VOXELS}/Annotations/111/mitochondrion-1.0.json"
OBJECTS = f"{RUN}/IdentifiedObjects/identified_objects.json"
VIEWER = f"{VOXELS}/NeuroglancerPrecompute/100-neuroglancer_config.json"
LAYER_INFO = f"{VOXELS}/NeuroglancerPrecompute/100-cytosolic_ribosome-1.0_point/info"


def write_whole_archive(folder: Path) -> Path:
    """Ingest one sample run and add what ingestion has no sample of; returns the archive's folder."""
    config = load_config(write_sources(folder / "raw", 1))
    source = open_source(folder / "raw", config.source_prefix, beside=config.folder)
    archive = Archive.open(folder / "archive", create=True)
    assert run_plan(make_plan(config, source, archive), archive, source.store).ok
    root = folder / "archive"
    shutil.rmtree(root / ".tomoportal")
    # The sample's mdoc is sorted by angle, which is a finding of its own.
    mdoc = (root / MDOC).read_text()
    (root / MDOC).write_text("\n".join(line for line in mdoc.splitlines() if not line.startswith("DateTime")) + "\n")
    edit(root, FRAMES, add_up_doses)
    _ctf(root)
    _instances(root)
    _mesh(root)
    (root / OBJECTS).parent.mkdir()
    (root / OBJECTS).write_text(json.dumps([{"object_id": "GO:0005739", "object_name": "mitochondrion"}]))
    shared = {"deposition_id": 10301, "last_updated_at": 0}
    objects = {"object_count": 1, "columns": ["object_id", "object_name"], "file_format": "json", **shared}
    objects |= {"source_file": "objects.csv", "identifier": 10301}
    (root / RUN / "IdentifiedObjects/identified_objects_metadata.json").write_text(json.dumps(objects))
    return root


def edit(root: Path, key: str, change: Callable[[Any], object]) -> None:
    """Change a JSON document in place."""
    document = json.loads((root / key).read_text())
    change(document)
    (root / key).write_text(json.dumps(document))


def edit_header(root: Path, key: str, **fields: Any) -> None:
    """Change fields of an MRC header in place."""
    data = (root / key).read_bytes()
    header = replace(MrcHeader.parse(data[:HEADER_SIZE], key), **fields)
    (root / key).write_bytes(header.pack() + data[HEADER_SIZE:])


def edit_voxels(root: Path, key: str, change: Callable[[Any], object]) -> None:
    """Change the voxels of an MRC file in place: ``change`` gets the array (z, y, x)."""
    data = (root / key).read_bytes()
    header = MrcHeader.parse(data[:HEADER_SIZE], key)
    dtype = {0: "i1", 1: "<i2", 2: "<f4", 6: "<u2"}[header.mode]
    voxels = np.frombuffer(data[header.data_offset :], dtype).reshape(header.shape).copy()
    change(voxels)
    (root / key).write_bytes(data[: header.data_offset] + voxels.tobytes())


def edit_text(root: Path, key: str, old: str, new: str) -> None:
    """Replace a text in a file; it must be there."""
    text = (root / key).read_text()
    assert old in text
    (root / key).write_text(text.replace(old, new))


def rewrite_volume(root: Path, key: str, voxels: Any, kind: Any, *, only: str | None = None) -> None:
    """Write MRC and OME-Zarr ``key.mrc``, ``key.zarr`` anew, or only one of them."""
    store = open_store(root, create=True)
    target = store if only is None else open_store("memory://", create=True)
    if only is None:
        store.delete(f"{key}.mrc")
        store.delete_tree(f"{key}.zarr")
    convert_volume(
        ArrayVolume(voxels, SPACING),
        target,
        mrc_key=f"{key}.mrc",
        zarr_prefix=f"{key}.zarr",
        voxel_spacing=SPACING,
        kind=kind,
        chunk_size=16,
    )
    for stat in target.list(f"{key}.zarr" if only == "zarr" else "") if only else ():
        store.put(stat.key, target.get(stat.key))


def glb(low: list[float], high: list[float], count: int = 3) -> bytes:
    """A glb file whose JSON states these bounds; it holds no triangles, nobody looks."""
    document = {
        "accessors": [{"min": low, "max": high, "count": count, "componentType": 5126, "type": "VEC3"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "asset": {"version": "2.0"},
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    return b"glTF" + struct.pack("<III", 2, 20 + len(text), len(text)) + b"JSON" + text


def add_up_doses(document: dict[str, Any]) -> None:
    """Doses in the order of the list."""
    total = 0.0
    for frame in document["frames"]:
        frame["accumulated_dose"] = total
        total += frame["exposure_dose"]


def _ctf(root: Path) -> None:
    rows = [f"{n + 1}.0 30000.0 29000.0 10.0 0.0 0.1 8.0" for n in range(len(TILTS))]
    (root / CTF).write_text("# Columns: as CTFFIND writes them\n" + "\n".join(rows) + "\n")

    def named(document: dict[str, Any]) -> None:
        document["ctf_path"] = CTF
        for row in document["per_section_parameter"]:
            row.update(major_defocus=30000.0, minor_defocus=29000.0, max_resolution=8.0)
            row.update(astigmatic_angle=10.0, phase_shift=0.0, cross_correlation=0.1)

    edit(root, SERIES_DOCUMENT, named)


def _instances(root: Path) -> None:
    labels = np.zeros(SHAPE, np.uint16)
    labels[2:5, 3:9, 4:12], labels[7:10, 12:20, 16:28] = 1, 300
    (root / INSTANCES).parent.mkdir(parents=True)
    rewrite_volume(root, INSTANCES, labels, "instance_mask")
    files = {extension: f"{INSTANCES}.{extension}" for extension in ("zarr", "mrc")}
    _annotation(root, INSTANCES_DOCUMENT, "GO:0031982", "vesicle", "InstanceSegmentationMask", files, 2)


def _mesh(root: Path) -> None:
    (root / MESH).parent.mkdir(parents=True)
    (root / MESH).write_bytes(glb([1.0, 2.0, 3.0], [20.0, 15.0, 9.0]))
    (root / CAPTION).write_text(json.dumps({"objects": [{"id": 0, "annotation_label": 1, "text": "A mitochondrion."}]}))
    (root / GLOBAL_CAPTION).write_text(json.dumps({"captions": [{"id": 0, "text": "A tomogram."}]}))
    _annotation(root, MESH_DOCUMENT, "GO:0005739", "mitochondrion", "TriangularMesh", {"glb": MESH}, 1)

    def captions(document: dict[str, Any]) -> None:
        for shape, path in (("AnnotationCaption", CAPTION), ("GlobalCaption", GLOBAL_CAPTION)):
            document["files"].append(
                {"format": "json", "path": path, "shape": shape, "is_visualization_default": False}
            )

    edit(root, MESH_DOCUMENT, captions)


def _annotation(root: Path, key: str, object_id: str, name: str, shape: str, files: dict[str, str], count: int) -> None:
    document = json.loads((root / MASK_DOCUMENT).read_text())
    document["annotation_ingest_id"] = f"{name}-2"
    document["annotation_object"] = {"id": object_id, "name": name}
    document["object_count"] = count
    document["files"] = [
        {"format": form, "path": path, "shape": shape, "is_visualization_default": False, "object_count": count}
        for form, path in files.items()
    ]
    (root / key).write_text(json.dumps(document))
