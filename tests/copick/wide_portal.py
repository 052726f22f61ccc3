"""Two datasets with everything that a portal can say about a run, for comparisons with unmodified copick.

Several voxel sizes, one of them with more decimals than folders have; several tomograms of one, two of the same type;
every shape of annotation; runs without tomograms, without annotations, and of the same name in both datasets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tomoportal.archive import Archive, Container, layout
from tomoportal.formats.meshes.glb import write_glb
from tomoportal.formats.meshes.mesh import Mesh
from tomoportal.formats.ndjson import write_points
from tomoportal.formats.points import VoxelPoints
from tomoportal.testing.sample_archive import (
    add_alignment,
    add_annotation,
    add_deposition,
    add_tomogram,
    dataset_content,
    publish,
)

WIDE, NARROW = 20001, 20002
FINE, COARSE = 7.8404, 15.681
"""Å; the first has more decimals than copick's folders."""
RIBOSOME, MEMBRANE, APOFERRITIN, TRIC = (
    ("GO:0022626", "cytosolic ribosome"),
    ("GO:0016020", "Membrane, inner (cristae)"),
    ("PDB-6EK0", "Apo_ferritin"),
    ("UniProtKB:P78371", "T-complex protein 1"),
)
_TETRAHEDRON = Mesh(
    np.array([[1.0, 1, 1], [3, 1, 1], [1, 4, 1], [1, 1, 2]]), np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
)
_CLARA = [{"name": "Clara Curator", "primary_author_status": True}, {"name": "Ben Author"}]


def write_wide_archive(folder: Path) -> Archive:
    archive = Archive.open(folder, create=True)
    add_deposition(archive)
    for dataset in (WIDE, NARROW):
        content = dataset_content(dataset)
        publish(archive, Container.dataset(dataset), "dataset", "", layout.dataset_document(dataset), content)
    _full_run(archive, _run(archive, WIDE, "TS_1"))
    masks = _run(archive, WIDE, "only masks & spaces")
    add_annotation(archive, masks, 100, MEMBRANE, "SegmentationMask", 1, "zarr", _blocks(1), spacing=COARSE)
    _run(archive, WIDE, "empty")
    other = _run(archive, NARROW, "TS_1")
    add_tomogram(archive, other, 100, _voxels(9), spacing=FINE)
    add_annotation(archive, other, 100, TRIC, "Point", 2, "ndjson", _points(2, 9), spacing=FINE)
    return archive


def _run(archive: Archive, dataset: int, name: str) -> Container:
    container = Container.run(dataset, name)
    publish(archive, container, "run", "", layout.run_document(dataset, name), {"run_name": name})
    for number in (100, 101):
        add_alignment(archive, container, number)
    return container


def _full_run(archive: Archive, run: Container) -> None:
    def tomogram(number: int, spacing: float, alignment: int = 100, **changes: Any) -> None:
        add_tomogram(archive, run, number, _voxels(number), spacing=spacing, alignment=alignment, **changes)

    tomogram(100, FINE)
    tomogram(101, FINE, 101, reconstruction_software="AreTomo", authors=_CLARA)  # the same type
    tomogram(102, FINE, processing="denoised", processing_software="cryo-CARE 0.3", ctf_corrected=True)
    tomogram(103, FINE, reconstruction_method="Fourier Space", processing="filtered")
    tomogram(104, COARSE, reconstruction_method="SART", processing_software="Iso_Net--2", is_visualization_default=True)

    def annotation(number: int, what: tuple[str, str], shape: str, count: int, form: str, data: Any, **changes: Any):
        spacing = changes.pop("spacing", FINE)
        add_annotation(archive, run, number, what, shape, count, form, data, spacing=spacing, **changes)

    turns = np.linalg.qr(np.random.default_rng(5).normal(size=(4, 3, 3)))[0]
    turns[:, 0] *= np.linalg.det(turns)[:, None]
    oriented = write_points(VoxelPoints(_locations(4, 2), rotations=turns))
    published = {"annotation_publications": "EMD-3883, 10.1101/2024.01.01.1, PDB-6EK0", "method_type": "hybrid"}
    doubtful = {"ground_truth_status": False, "is_curator_recommended": False, "method_type": "automated"}
    confidence = {"confidence": {"precision": 91.5, "recall": 80.25, "ground_truth_used": "by hand"}}
    annotation(100, RIBOSOME, "Point", 5, "ndjson", _points(5, 1), **published)
    annotation(101, RIBOSOME, "OrientedPoint", 4, "ndjson", oriented, authors=_CLARA, **confidence)
    annotation(102, RIBOSOME, "Point", 3, "ndjson", _points(3, 3), spacing=COARSE, alignment=101, **doubtful)
    annotation(103, TRIC, "OrientedPoint", 4, "ndjson", oriented, version=2.5)
    annotation(104, APOFERRITIN, "InstanceSegmentation", 3, "ndjson",
               write_points(VoxelPoints(_locations(3, 4), instance_ids=np.array([2, 2, 9]))))  # fmt: skip
    annotation(105, MEMBRANE, "SegmentationMask", 1, "zarr", _blocks(1))
    annotation(106, MEMBRANE, "SegmentationMask", 1, "zarr", _blocks(1)[:4, :6, :5], spacing=COARSE, authors=_CLARA)
    annotation(107, RIBOSOME, "InstanceSegmentationMask", 3, "zarr", _blocks(300).astype(np.int16))
    annotation(108, MEMBRANE, "TriangularMesh", 1, "glb", write_glb(_TETRAHEDRON))
    texts = b'{"captions": [{"id": 0, "text": "A thin lamella."}]}'
    annotation(109, MEMBRANE, "GlobalCaption", 1, "json", texts)
    line = b'{"type": "point", "location": {"x": 1, "y": 2, "z": 3}}'  # no end of line
    annotation(110, APOFERRITIN, "Point", 1, "ndjson", line)


def _voxels(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(9, 13, 11)).astype(np.float32)


def _blocks(highest: int) -> np.ndarray[Any, Any]:
    """Labels 1, 2 and the highest one, or 1 alone."""
    found = np.zeros((9, 13, 11), np.int16 if highest > 127 else np.int8)
    for number, label in enumerate((1, 2, highest) if highest > 1 else (1,)):
        found[1 + 2 * number : 3 + 2 * number, 2:6, 3:8] = label
    return found


def _locations(count: int, seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).uniform(0, 9, (count, 3)).round(3)


def _points(count: int, seed: int) -> bytes:
    return write_points(VoxelPoints(_locations(count, seed)))
