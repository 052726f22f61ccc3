"""Sources of one run with every kind of surface: for tests of what draws them.

    config = write_mesh_sources(tmp_path / "raw")

A tomogram of 24×48×64 voxels with a ball (triangular mesh), a box (one of a group of meshes), two particles with a
mesh at each (oriented points), a semantic and an instance mask. Needs h5py.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

from tomoportal.formats.meshes import Mesh, mask_surface, write_glb
from tomoportal.testing.sources import SPACING, sample_config, write_config, write_mrc, write_sources

__all__ = ["BALL", "BOX", "INSTANCES", "MASK", "MESH_SHAPE", "PARTICLE", "PARTICLES", "write_mesh_sources"]

MESH_SHAPE = (24, 48, 64)
"""(z, y, x)"""
BALL = ((12, 12, 50), 7)
"""Centre (z, y, x) and radius, in voxels, of the triangular mesh."""
BOX = ((6, 28, 40), (18, 42, 60))
"""First and last voxel (z, y, x) of the mesh in a group."""
MASK = ((4, 4, 4), (20, 20, 20))
"""First and last voxel (z, y, x) of the semantic mask."""
INSTANCES = {3: ((4, 26, 4), (10, 32, 10)), 7: ((14, 36, 4), (20, 44, 12))}
"""First and last voxel (z, y, x) by label of the instance mask."""
PARTICLE = np.array([[0.0, 0, 0], [80, 0, 0], [0, 40, 0], [0, 0, 20]])
"""Corners (x, y, z) in Å of the mesh of a particle, whose axes differ in length."""
PARTICLES = ((20.0, 24.0, 12.0, 0.0, 0.0, 0.0), (34.0, 8.0, 12.0, 0.0, 0.0, -90.0))
"""x, y, z in voxels, and rot, tilt, psi in degrees as RELION counts them."""
_FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def write_mesh_sources(folder: Path) -> Path:
    """Write the files and ``config.yaml``; returns the config's path."""
    import h5py

    write_sources(folder, 1)
    rng = np.random.default_rng(0)
    write_mrc(folder / "tomograms/TS_01.rec", rng.normal(size=MESH_SHAPE).astype(np.float32), SPACING)
    (folder / "particle.glb").write_bytes(write_glb(Mesh(PARTICLE, _FACES), unit="angstrom"))
    z, y, x = np.ogrid[tuple(slice(size) for size in MESH_SHAPE)]
    (cz, cy, cx), radius = BALL
    ball = (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
    (folder / "ball.glb").write_bytes(write_glb(_surface(ball).scaled(SPACING), unit="angstrom"))
    box = np.zeros(MESH_SHAPE, bool)
    box[_box(BOX)] = True
    with h5py.File(folder / "group.hff", "w") as file:
        for number, (name, mesh) in enumerate((("ball", _surface(ball)), ("box", _surface(box)))):
            group = file.create_group(f"segment_list/{number}")
            group["biological_annotation/name"] = name
            group["mesh_list/0/vertices/data"] = mesh.vertices
            group["mesh_list/0/triangles/data"] = mesh.faces
    labels = np.zeros(MESH_SHAPE, np.int16)
    labels[_box(MASK)] = 1
    write_mrc(folder / "mask.mrc", labels, SPACING)
    labels[:] = 0
    for label, where in INSTANCES.items():
        labels[_box(where)] = label
    write_mrc(folder / "instances.mrc", labels, SPACING)
    columns = ("MicrographName", *(f"Coordinate{axis}" for axis in "XYZ"), "AngleRot", "AngleTilt", "AnglePsi")
    rows = [" ".join(["TS_01", *map(str, row)]) for row in PARTICLES]
    (folder / "particles.star").write_text(
        "\n".join(["data_", "loop_", *(f"_rln{name}" for name in columns), *rows, ""])
    )
    return write_config(folder / "config.yaml", _config())


def _surface(mask: Any) -> Mesh:
    mesh = mask_surface(mask)
    assert mesh is not None
    return mesh


def _box(corners: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[slice, ...]:
    return tuple(slice(first, last + 1) for first, last in zip(*corners, strict=True))


def _config() -> dict[str, Any]:
    config = sample_config()
    del config["tomograms"][1]
    first = config["annotations"][0]
    sources: dict[tuple[str, str, str], dict[str, Any]] = {
        ("particle", "GO:0022626", "cytosolic ribosome"): {
            "OrientedPoint": {
                "file_format": "relion3_star",
                "glob_string": "particles.star",
                "filter_value": "{run_name}",
                "binning": 1,
                "order": "xyz",
                "mesh_source_path": "particle.glb",
            }
        },
        ("ball", "GO:0005739", "mitochondrion"): {
            "TriangularMesh": {"file_format": "glb", "glob_string": "ball.glb", "scale_factor": 1 / SPACING}
        },
        ("box", "GO:0005783", "endoplasmic reticulum"): {
            "TriangularMeshGroup": {"file_format": "hff", "glob_string": "group.hff", "name": "box"}
        },
        ("mask", "GO:0016020", "membrane"): {
            "SemanticSegmentationMask": {"file_format": "mrc", "glob_string": "mask.mrc", "mask_label": 1}
        },
        ("instances", "GO:0031982", "vesicle"): {
            "InstanceSegmentationMask": {"file_format": "mrc", "glob_string": "instances.mrc"}
        },
    }
    config["annotations"] = []
    for (ingest_id, object_id, name), source in sources.items():
        entry = copy.deepcopy(first)
        entry["metadata"]["annotation_ingest_id"] = f"{ingest_id}-1"
        entry["metadata"]["annotation_object"] = {"id": object_id, "name": name}
        next(iter(source.values()))["is_visualization_default"] = True
        entry["sources"] = [source]
        config["annotations"].append(entry)
    return config
