"""Shapes of annotations beyond points and plain masks: meshes, captions, rescaled instances."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import mrcfile
import numpy as np
import pytest

from tomoportal.archive import Archive
from tomoportal.archive.verify import verify
from tomoportal.formats.meshes import Mesh, read_mesh, write_glb
from tomoportal.ingest import Plan, Report
from tomoportal.ingest.sections import SHAPES
from tomoportal.testing.sources import SHAPE, SPACING, write_mrc

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]
Planner = Callable[..., Plan]

FOLDER = "10001/TS_01/Reconstructions/VoxelSpacing13.480"
CORNERS = np.array([[1, 1, 1], [9, 1, 1], [1, 9, 1], [1, 1, 9]], float)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def _only(*sources: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """One run with the vesicle annotation alone, made of ``sources``."""

    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]
        config["annotations"] = [config["annotations"][2]]
        config["annotations"][0]["sources"] = list(sources)
        del config["tomograms"][1]

    return change


def _document(archive: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((archive / FOLDER / "Annotations/100/vesicle-1.0.json").read_bytes())
    return document


def _warnings(report: Report) -> list[str]:
    return [text for name, text in report.warnings if " annotation " in name]


def _text(name: str) -> bytes:
    vertices, triangles = CORNERS * 10, FACES
    if name == "obj":
        rows = [f"v {x} {y} {z}" for x, y, z in vertices] + [f"f {a} {b} {c}" for a, b, c in triangles + 1]
    elif name == "stl":
        rows = ["solid s"]
        for face in triangles:
            corners = [f"vertex {x} {y} {z}" for x, y, z in vertices[face]]
            rows += ["facet normal 0 0 0", "outer loop", *corners, "endloop", "endfacet"]
        rows.append("endsolid s")
    elif name == "ply":
        rows = ["ply", "format ascii 1.0", "element vertex 4", *(f"property float {axis}" for axis in "xyz")]
        rows += ["element face 4", "property list uchar int vertex_indices", "end_header"]
        rows += [f"{x} {y} {z}" for x, y, z in vertices] + [f"3 {a} {b} {c}" for a, b, c in triangles]
    elif name == "vtk":
        rows = ["# vtk DataFile Version 3.0", "a mesh", "ASCII", "DATASET POLYDATA", "POINTS 4 float"]
        rows += [f"{x} {y} {z}" for x, y, z in vertices] + ["POLYGONS 4 16"]
        rows += [f"3 {a} {b} {c}" for a, b, c in triangles]
    else:
        return write_glb(Mesh(vertices, triangles), unit="nm")
    return ("\n".join(rows) + "\n").encode()


def test_one_table_leads_from_every_shape_of_a_config_to_documents_and_api() -> None:
    """F78: names differ between configs, documents and the API; nothing is left to guess."""
    from tomoportal.catalog.mapping.annotations import _SHAPES as API_SHAPES
    from tomoportal.model import ENUMS, documents
    from tomoportal.model.generated import config as classes

    shapes = set(classes.AnnotationSource.model_fields) - {"exclude", "parent_filters"}
    assert set(SHAPES) == shapes
    stored = set(get_args(documents.AnnotationFileShapeType))
    assert set(SHAPES.values()) <= stored
    assert {API_SHAPES[shape] for shape in SHAPES.values()} <= set(ENUMS["annotation_file_shape_type_enum"])
    assert SHAPES["SemanticSegmentationMask"] == SHAPES["SegmentationMask"] == "SegmentationMask"
    assert SHAPES["TriangularMeshGroup"] == "TriangularMesh"
    assert API_SHAPES["TriangularMesh"] == "Mesh"


# --- meshes


@pytest.mark.parametrize("ending", ["obj", "stl", "ply", "vtk", "glb"])
def test_a_mesh_of_any_format_becomes_a_glb_in_voxels(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, ending: str
) -> None:
    (raw / f"TS_01.{ending}").write_bytes(_text(ending))
    source = {
        "TriangularMesh": {"file_format": ending, "glob_string": f"{{run_name}}.{ending}", "scale_factor": 0.1},
    }
    report = ingest(edit(raw, _only(source)), tmp_path / "archive")
    assert report.ok, report.failures
    assert not _warnings(report)
    document = _document(tmp_path / "archive")
    assert document["object_count"] == 1
    (file,) = document["files"]
    assert file["path"] == f"{FOLDER}/Annotations/100/vesicle-1.0_triangularmesh.glb"
    assert (file["format"], file["shape"], file["object_count"]) == ("glb", "TriangularMesh", 1)
    data = (tmp_path / "archive" / file["path"]).read_bytes()
    assert b'"extras":{"unit":"voxel"}' in data
    mesh = read_mesh(data, "glb")
    assert np.allclose(mesh.bounds, [CORNERS.min(axis=0), CORNERS.max(axis=0)])
    assert len(mesh.faces) == 4
    assert not [one for one in verify(Archive.open(tmp_path / "archive", read_only=True)) if one.rule[:2] == "V8"]


def test_a_mesh_in_the_wrong_unit_is_told(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    (raw / "TS_01.obj").write_bytes(_text("obj"))
    source = {"TriangularMesh": {"file_format": "obj", "glob_string": "{run_name}.obj"}}
    report = ingest(edit(raw, _only(source)), tmp_path / "archive")
    assert report.ok
    (warning,) = _warnings(report)
    assert "3 of 4 vertices lie outside the tomogram (32 × 24 × 12 voxels)" in warning
    assert "check its scale_factor" in warning


def test_a_scale_factor_of_0_is_refused(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    (raw / "TS_01.obj").write_bytes(_text("obj"))
    source = {"TriangularMesh": {"file_format": "obj", "glob_string": "{run_name}.obj", "scale_factor": 0}}
    report = ingest(edit(raw, _only(source)), tmp_path / "archive")
    assert "scale_factor is 0" in str(report.failures[0].why)


@pytest.mark.parametrize("spelling", ["name", "mesh_name"])
def test_one_mesh_of_a_group_is_chosen_by_name(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, spelling: str
) -> None:  # F70
    h5py = pytest.importorskip("h5py")
    with h5py.File(raw / "TS_01.hff", "w") as file:
        for number, title in enumerate(("outer", "inner")):
            group = file.create_group(f"segment_list/{number}")
            group["biological_annotation/name"] = title
            group["mesh_list/0/vertices/data"] = CORNERS + number
            group["mesh_list/0/triangles/data"] = FACES
    source = {"TriangularMeshGroup": {"file_format": "hff", "glob_string": "{run_name}.hff", spelling: "inner"}}
    report = ingest(edit(raw, _only(source)), tmp_path / "archive")
    assert report.ok, report.failures
    (file,) = _document(tmp_path / "archive")["files"]
    assert file["shape"] == "TriangularMesh"
    mesh = read_mesh((tmp_path / "archive" / file["path"]).read_bytes(), "glb")
    assert np.allclose(mesh.vertices, CORNERS + 1)


@pytest.mark.real_data
def test_the_same_real_surface_in_five_formats(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, real_data: Path
) -> None:
    pytest.importorskip("h5py")
    sources = []
    for ending in ("obj", "stl", "vtk", "glb", "hff"):
        shutil.copy(real_data / f"mesh/cz_triangular_mesh.{ending}", raw / f"real.{ending}")
        group = {"name": "special_name"} if ending == "hff" else {}
        shape = "TriangularMeshGroup" if group else "TriangularMesh"
        arguments = {"file_format": ending, "glob_string": f"real.{ending}", "scale_factor": 4, **group}
        sources.append({shape: arguments})

    def change(config: dict[str, Any]) -> None:
        _only()(config)
        entry = config["annotations"][0]
        config["annotations"] = [
            {"metadata": {**entry["metadata"], "annotation_ingest_id": f"v-{n}"}, "sources": [source]}
            for n, source in enumerate(sources)
        ]

    report = ingest(edit(raw, change), tmp_path / "archive")
    assert report.ok, report.failures
    meshes = [
        read_mesh(path.read_bytes(), "glb")
        for path in sorted((tmp_path / "archive" / FOLDER / "Annotations").rglob("*.glb"))
    ]
    assert [len(mesh.faces) for mesh in meshes] == [72] * 5
    for mesh in meshes:
        assert np.allclose(mesh.bounds, np.array(meshes[0].bounds), atol=1e-4)


def test_a_mesh_that_cannot_be_read_fails_alone(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    (raw / "TS_01.stl").write_bytes(b"solid nothing\nendsolid\n")
    source = {"TriangularMesh": {"file_format": "stl", "glob_string": "{run_name}.stl"}}
    report = ingest(edit(raw, _only(source)), tmp_path / "archive")
    assert [failure.label.split("/")[2] for failure in report.failures] == ["annotation"]
    assert (tmp_path / "archive" / FOLDER / "Tomograms/100/tomogram_metadata.json").exists()


# --- captions

_GLOBAL = (
    b'{"captions": [{"id": 0, "text": "A cell.", "model": "x"}, {"id": 1, "text": "Ice \\u2013 thin."}],\n "by": 1}\n'
)
_SINGLE = b'{"objects": [{"id": 0, "annotation_label": 7, "text": "round"}], "made": "by hand"}'


def _instances(raw: Path) -> dict[str, Any]:
    labels = np.zeros(SHAPE, np.int16)
    labels[1:3, 1:3, 1:3], labels[6:8, 6:8, 6:8] = 7, 300
    write_mrc(raw / "masks" / "TS_01_instances.mrc", labels, SPACING)
    return {"InstanceSegmentationMask": {"file_format": "mrc", "glob_string": "masks/{run_name}_instances.mrc"}}


def test_captions_are_copied_unchanged_and_never_counted(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path
) -> None:  # F31
    (raw / "TS_01_all.json").write_bytes(_GLOBAL)
    (raw / "TS_01_each.json").write_bytes(_SINGLE)
    sources = [
        {
            "GlobalCaption": {
                "file_format": "saber",
                "glob_string": "{run_name}_all.json",
                "is_visualization_default": True,
            }
        },
        _instances(raw),
        {
            "AnnotationCaption": {
                "file_format": "saber",
                "glob_string": "{run_name}_each.json",
                "companion_shape": "InstanceSegmentationMask",
            }
        },
    ]
    archive = tmp_path / "archive"
    report = ingest(edit(raw, _only(*sources)), archive)
    assert report.ok, report.failures
    document = _document(archive)
    assert document["object_count"] == 2  # instances, neither two nor one caption
    assert [(file["shape"], file["format"]) for file in document["files"]] == [
        ("InstanceSegmentationMask", "zarr"),
        ("InstanceSegmentationMask", "mrc"),
        ("GlobalCaption", "json"),
        ("AnnotationCaption", "json"),
    ]
    everything, single = document["files"][2:]
    assert everything["path"] == f"{FOLDER}/Annotations/100/vesicle-1.0_globalcaption.json"
    assert single["path"] == f"{FOLDER}/Annotations/100/vesicle-1.0_instancesegmentationmask_caption.json"
    assert (archive / everything["path"]).read_bytes() == _GLOBAL
    assert (archive / single["path"]).read_bytes() == _SINGLE
    assert not everything["is_visualization_default"]
    assert "object_count" not in everything
    assert not [one for one in verify(Archive.open(archive, read_only=True)) if one.rule[:2] in ("V8", "V1")]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"no json", "no JSON document"),
        (b"[]", "no JSON object with a list 'captions'"),
        (b'{"captions": [{"text": "x"}]}', "entry 0 of 'captions' is not complete"),
        (b'{"captions": [{"id": 1, "text": "x"}, {"id": 1, "text": "y"}]}', "has the id 1 of another one"),
        (b'{"captions": [{"id": true, "text": "x"}]}', "entry 0"),
        (b"[" * 100_000, "no JSON document"),
    ],
)
def test_captions_of_another_form_are_refused(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, data: bytes, what: str
) -> None:
    (raw / "TS_01.json").write_bytes(data)
    source = {"GlobalCaption": {"file_format": "saber", "glob_string": "{run_name}.json"}}
    report = ingest(edit(raw, _only(source)), tmp_path / "archive")
    assert what in str(report.failures[0].why)
    assert not (tmp_path / "archive" / FOLDER / "Annotations").exists()


def test_captions_need_a_companion_that_has_objects(raw: Path, edit: Edit, plan_of: Planner) -> None:
    (raw / "TS_01.json").write_bytes(_SINGLE)

    def planned(companion: str) -> Plan:
        arguments = {"file_format": "saber", "glob_string": "{run_name}.json", "companion_shape": companion}
        return plan_of(edit(raw, _only(_instances(raw), {"AnnotationCaption": arguments})))

    assert not planned("InstanceSegmentationMask").errors
    assert "'GlobalCaption' is not a shape of objects" in planned("GlobalCaption").errors[0].problem.what
    assert any("objects of a Point" in str(warning) for warning in planned("Point").warnings)


# --- rescaled instances


def test_rescaled_instances_keep_their_labels(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    labels = np.zeros(tuple(size // 2 for size in SHAPE), np.int16)
    labels[1:3, 2:5, 3:9], labels[4, 6, 1] = 70, 300
    write_mrc(raw / "masks" / "TS_01_instances.mrc", labels, 2 * SPACING)
    source = {
        "InstanceSegmentationMask": {
            "file_format": "mrc",
            "glob_string": "masks/{run_name}_instances.mrc",
            "rescale": True,
        }
    }
    report = ingest(edit(raw, _only(source)), tmp_path / "archive")
    assert report.ok, report.failures
    document = _document(tmp_path / "archive")
    assert document["object_count"] == 2
    with mrcfile.open(tmp_path / "archive" / document["files"][1]["path"]) as volume:
        assert np.array_equal(volume.data, labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))
