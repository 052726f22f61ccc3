"""A portal with one of everything that a project shows, for the tests of the portal back end.

Beside the sample archive: a mesh, an instance mask, captions, points with instance ids in their lines, an empty file of
points, a second dataset, and one object whose name clashes with another's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomoportal.archive import Archive, Container, layout
from tomoportal.formats.meshes.glb import write_glb
from tomoportal.formats.meshes.mesh import Mesh
from tomoportal.testing.sample_archive import (
    add_alignment,
    add_annotation,
    dataset_content,
    publish,
    sample_mask,
    write_sample_archive,
)

OTHER_DATASET = 10002
TETRAHEDRON = Mesh(
    np.array([[10.0, 10, 10], [30, 10, 10], [10, 40, 10], [10, 10, 20]]),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
)
"""Vertices x, y, z in voxels."""
LINES = (
    b'{"type": "orientedPoint", "location": {"x": 1.5, "y": 2, "z": 3}, "instance_id": 7,'
    b' "xyz_rotation_matrix": [[0, -1, 0], [1, 0, 0], [0, 0, 1]]}\n'
    b'{"type": "orientedPoint", "location": {"x": 4, "y": 5, "z": 6}, "instance_id": 8,'
    b' "xyz_rotation_matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}'
)


def write_portal_archive(folder: Path) -> Archive:
    archive = write_sample_archive(folder)
    run = Container.run(10001, "TS_1")
    membrane, ribosome = ("GO:0016020", "membrane"), ("GO:0022626", "cytosolic ribosome")
    add_annotation(archive, run, 110, membrane, "TriangularMesh", 1, "glb", write_glb(TETRAHEDRON))
    ids = (sample_mask() * 5).astype(np.int8)
    add_annotation(archive, run, 111, ribosome, "InstanceSegmentationMask", 1, "zarr", ids)
    add_annotation(archive, run, 112, ribosome, "OrientedPoint", 2, "ndjson", LINES)
    add_annotation(archive, run, 113, ("PDB-6EK0", "Cytosolic Ribosome"), "Point", 0, "ndjson", b"")
    texts = b'{"captions": [{"id": 0, "text": "A thin lamella."}, {"id": 3, "text": "Ice."}]}'
    add_annotation(archive, run, 114, membrane, "GlobalCaption", 1, "json", texts)
    publish(
        archive,
        Container.dataset(OTHER_DATASET),
        "dataset",
        "",
        layout.dataset_document(OTHER_DATASET),
        dataset_content(OTHER_DATASET),
    )
    other = Container.run(OTHER_DATASET, "TS_1")
    publish(archive, other, "run", "", layout.run_document(OTHER_DATASET, "TS_1"), {"run_name": "TS_1"})
    add_alignment(archive, other, 100)
    point = b'{"type": "point", "location": {"x": 1, "y": 2, "z": 3}}'
    add_annotation(archive, other, 100, ("GO:0005840", "ribosome"), "Point", 1, "ndjson", point)
    return archive
