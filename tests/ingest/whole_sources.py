"""The sample sources and everything that they lack: one item of every entity type and every shape of annotation."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from tomoportal.ingest.sources import RAW_BUCKET
from tomoportal.testing.sources import (
    SHAPE,
    SPACING,
    TILTS,
    sample_config,
    write_config,
    write_mrc,
    write_sources,
)

__all__ = ["whole_config", "write_whole_sources"]

_COARSE = 26.96
_CORNERS = np.array([[1, 1, 1], [9, 1, 1], [1, 9, 1], [1, 1, 9]], float)
_FACES = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))
_EXCLUDED = 2
"""View (from 1) that ``tilt.com`` of the first run leaves out."""


def write_whole_sources(folder: Path, runs: int = 2) -> Path:
    """Write the files of ``runs`` runs and ``config.yaml``; returns the config's path.

    Odd runs are aligned by IMOD with an excluded view, even ones by AreTomo; the first has CTFFIND estimates.
    """
    write_sources(folder, runs)
    for number in range(1, runs + 1):
        run = f"TS_{number:02}"
        rng = np.random.default_rng(500 + number)
        write_mrc(folder / "coarse" / f"{run}.mrc", rng.normal(size=(6, 12, 16)).astype(np.float32), _COARSE)
        _write_acquisition(folder / "stacks", run, aretomo=number % 2 == 0)
        labels = np.zeros(SHAPE, np.int32)
        labels[1:3, 1:4, 1:4], labels[6:9, 6:10, 6:12] = 7, 70_000  # the second does not fit into 16 bits
        write_mrc(folder / "masks" / f"{run}_instances.mrc", labels.astype(np.float32), SPACING)
        scores = rng.uniform(0, 0.4, SHAPE).astype(np.float32)
        scores[2:5, 2:6, 2:6] = 0.9
        write_mrc(folder / "masks" / f"{run}_scores.mrc", scores, SPACING)
        rows = ["IDs,X [A],Y [A],Z [A]"]
        rows += [f"{line},{x * SPACING:.3f},{2 * SPACING:.3f},{3 * SPACING:.3f}" for line in (0, 1) for x in (2, 4, 6)]
        (folder / "points" / f"{run}_filaments.csv").write_text("\n".join(rows) + "\n")
        (folder / "meshes").mkdir(exist_ok=True)
        (folder / "meshes" / f"{run}.obj").write_text(_obj(_CORNERS))
        _write_segments(folder / "meshes" / f"{run}.hff")
        (folder / "captions").mkdir(exist_ok=True)
        everything = {"captions": [{"id": 0, "text": f"Tomogram {run}."}]}
        (folder / "captions" / f"{run}_all.json").write_text(json.dumps(everything))
        each = {"objects": [{"id": 0, "annotation_label": 7, "text": "a round one"}]}
        (folder / "captions" / f"{run}_each.json").write_text(json.dumps(each))
        (folder / "gains" / f"{run}.gain").write_bytes((folder / "frames" / f"{run}_000.tif").read_bytes())
    rows = [f"TS_{number:02},GO:0005739,mitochondrion,intact,elongated" for number in range(1, runs + 1)]
    head = "run_name,object_id,object_name,object_state,object_description"
    (folder / "objects.csv").write_text("\n".join([head, *rows]) + "\n")
    (folder / "photos").mkdir(exist_ok=True)
    for number, name in enumerate(("deposition_big", "deposition_small", "preview")):
        (folder / "photos" / f"{name}.png").write_bytes(_picture(number))
    return write_config(folder / "config.yaml", whole_config(runs))


def whole_config(runs: int = 2) -> dict[str, Any]:
    """The config of `write_whole_sources`, as data to be changed at will."""
    config = sample_config()
    pictures = {
        "snapshot": f"{RAW_BUCKET}/photos/deposition_big.png",
        "thumbnail": f"{RAW_BUCKET}/photos/deposition_small.png",
    }
    config["deposition_keyphotos"] = [{"sources": [{"literal": {"value": pictures}}]}]
    config["dataset_keyphotos"] = [{"sources": [{"literal": {"value": {"snapshot": None, "thumbnail": None}}}]}]
    config["gains"][0]["sources"] += _glob("gains/{run_name}.gain")
    config["ctfs"] = [{"metadata": {"format": "CTFFIND"}, "sources": _glob("stacks/{run_name}_ctf.txt")}]
    config["identified_objects"] = [{"sources": _glob("objects.csv")}]
    imod = config["alignments"][0]
    imod["sources"][0]["source_multi_glob"]["list_globs"].append("stacks/{run_name}.com")
    imod["sources"][0]["parent_filters"] = {"include": {"run": ["[13579]$"]}}
    aretomo = {
        "metadata": {**imod["metadata"], "format": "ARETOMO3", "alignment_type": "LOCAL"},
        "sources": [{**_glob("stacks/{run_name}.aln")[0], "parent_filters": {"include": {"run": ["[02468]$"]}}}],
    }
    if runs > 1:
        config["alignments"].append(aretomo)
    config["voxel_spacings"].append({"sources": [{"tomogram_header": {"list_glob": "coarse/{run_name}.mrc"}}]})
    fine = {"include": {"voxel_spacing": [r"13\.480"]}}
    coarse = {
        "metadata": {**config["tomograms"][0]["metadata"], "voxel_spacing": _COARSE, "is_visualization_default": True},
        "sources": [{**_glob("coarse/{run_name}.mrc")[0], "parent_filters": {"include": {"voxel_spacing": ["26"]}}}],
    }
    for entry in (*config["tomograms"], *config["annotations"]):
        for source in entry["sources"]:
            source["parent_filters"] = fine
    config["tomograms"].append(coarse)
    config["annotations"] += [
        _annotation(config, "microtubule-1", "GO:0005874", "microtubule", *_FILAMENTS),
        _annotation(config, "vesicle-2", "GO:0031982", "vesicle", *_INSTANCES),
        _annotation(config, "mitochondrion-1", "GO:0005739", "mitochondrion", *_MESHES),
        _annotation(config, "mitochondrion-2", "GO:0005743", "mitochondrial inner membrane", *_SEGMENTS),
        _annotation(config, "ice-1", "GO:0005576", "extracellular region", *_SCORES),
    ]
    config["key_images"] = [
        {"sources": [{**_glob("photos/preview.png")[0], "parent_filters": {"include": {"tomogram": ["mrc"]}}}]}
    ]
    return config


def _annotation(config: dict[str, Any], ingest_id: str, object_id: str, name: str, *sources: Any) -> dict[str, Any]:
    metadata = {**config["annotations"][0]["metadata"], "annotation_ingest_id": ingest_id}
    fine = {"parent_filters": {"include": {"voxel_spacing": [r"13\.480"]}}}
    return {
        "metadata": {**metadata, "annotation_object": {"id": object_id, "name": name}},
        "sources": [{**source, **fine} for source in sources],
    }


def _write_acquisition(folder: Path, run: str, *, aretomo: bool) -> None:
    ctf = ["# Columns: #1 - image; #2, #3 - defocus; #4 - azimuth; #5 - phase shift; #6 - correlation; #7 - resolution"]
    ctf += [f"{n}.0 {20000 + n}.0 19000.0 10.0 0.0 0.1 8.0" for n in range(1, len(TILTS) + 1)]
    (folder / f"{run}_ctf.txt").write_text("\n".join(ctf) + "\n")
    if aretomo:
        rows = ["# AreTomo Alignment / Priims bprmMn", f"# RawSize = 48 32 {len(TILTS)}", "# NumPatches = 1"]
        rows += ["# AlphaOffset = 1.50", "# BetaOffset = -0.50", "# SEC ROT GMAG TX TY SMEAN SFIT SCALE BASE TILT"]
        rows += [f"{n} 84.7 1.0 {n}.5 -1.0 1.0 1.0 1.0 0.0 {angle}" for n, angle in enumerate(TILTS)]
        rows += ["# Local Alignment", *(f"{n} 0 10.0 11.0 0.5 -0.25 1.0" for n in range(len(TILTS)))]
        (folder / f"{run}.aln").write_text("\n".join(rows) + "\n")
        return
    com = ["$setenv IMOD_OUTPUT_FORMAT MRC", "$tilt -StandardInput", f"InputProjections {run}_ali.mrc"]
    com += [
        f"EXCLUDELIST {_EXCLUDED}",
        "OFFSET 0.75",
        "XAXISTILT 1.25",
        "THICKNESS 12",
        "$if (-e ./savework) ./savework",
    ]
    (folder / f"{run}.com").write_text("\n".join(com) + "\n")


def _picture(number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (640, 480), (40 * number, 90, 200)).save(stream, "PNG")
    return stream.getvalue()


def _obj(corners: Any) -> str:
    rows = [f"v {x} {y} {z}" for x, y, z in corners.tolist()] + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in _FACES]
    return "\n".join(rows) + "\n"


def _write_segments(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for number, title in enumerate(("outer", "inner")):
            group = file.create_group(f"segment_list/{number}")
            group["biological_annotation/name"] = title
            group["mesh_list/0/vertices/data"] = _CORNERS + number
            group["mesh_list/0/triangles/data"] = np.array(_FACES)


def _glob(pattern: str) -> list[dict[str, Any]]:
    return [{"source_glob": {"list_glob": pattern}}]


_FILAMENTS = [
    {
        "InstanceSegmentation": {
            "file_format": "tardis",
            "glob_string": "points/{run_name}_filaments.csv",
            "binning": SPACING,
        }
    },
]
_INSTANCES = [
    {"InstanceSegmentationMask": {"file_format": "mrc", "glob_string": "masks/{run_name}_instances.mrc"}},
    {"GlobalCaption": {"file_format": "saber", "glob_string": "captions/{run_name}_all.json"}},
    {
        "AnnotationCaption": {
            "file_format": "saber",
            "glob_string": "captions/{run_name}_each.json",
            "companion_shape": "InstanceSegmentationMask",
        }
    },
]
_MESHES = [{"TriangularMesh": {"file_format": "obj", "glob_string": "meshes/{run_name}.obj"}}]
_SEGMENTS = [
    {"TriangularMeshGroup": {"file_format": "hff", "glob_string": "meshes/{run_name}.hff", "mesh_name": "inner"}},
]
_SCORES = [
    {
        "SemanticSegmentationMask": {
            "file_format": "mrc",
            "glob_string": "masks/{run_name}_scores.mrc",
            "threshold": 0.5,
        }
    }
]
