"""Meshes that the viewer reads from the archive itself: of annotations, and at oriented points."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomoportal.archive import Archive
from tomoportal.archive.verify import verify
from tomoportal.formats.meshes import Mesh, write_glb
from tomoportal.ingest import Report
from tomoportal.testing.sources import SPACING

Edit = Callable[[Path, Callable[[dict[str, Any]], object]], Path]
Ingest = Callable[..., Report]

FOLDER = "10001/TS_01/Reconstructions/VoxelSpacing13.480"
LAYERS = f"{FOLDER}/NeuroglancerPrecompute"
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
# A particle without any symmetry, in Å: 40 along its x, 20 along y, -10 along z.
PARTICLE = np.array([[0.0, 0, 0], [40, 0, 0], [0, 20, 0], [0, 0, -10]])


def _only(number: int, **arguments: Any) -> Callable[[dict[str, Any]], None]:
    """One run with one annotation; ``arguments`` are added to its last source."""

    def change(config: dict[str, Any]) -> None:
        config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]
        config["annotations"] = [config["annotations"][number]]
        shape = next(iter(config["annotations"][0]["sources"][-1].values()))
        shape.update(arguments)
        del config["tomograms"][1]

    return change


def _fragment(folder: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Vertices and triangles of segment 1, decoded by the words of the format."""
    (name,) = json.loads((folder / "1:0").read_bytes())["fragments"]
    data = (folder / name).read_bytes()
    (count,) = struct.unpack_from("<I", data)
    vertices = np.frombuffer(data, "<f4", 3 * count, 4).reshape(count, 3)
    return vertices, np.frombuffer(data, "<u4", offset=4 + 12 * count).reshape(-1, 3)


def _warnings(report: Report) -> list[str]:
    return [text for name, text in report.warnings if " annotation " in name]


def _state(archive: Path) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = json.loads((archive / LAYERS / "100-neuroglancer_config.json").read_bytes())[
        "layers"
    ]
    return layers


def _rotated(angles: tuple[float, float, float], vertex: Any) -> Any:
    """A particle's vertex in the tomogram by RELION's angles, one elementary turn after the other.

    RELION's intrinsic rotation (about z by rot, the new y by tilt, the newest z by psi) leads from the tomogram to the
    particle. Its way back turns about the tomogram's own axes by -rot, -tilt and -psi, in this order.
    """
    rot, tilt, psi = -np.radians(angles)
    x, y, z = vertex
    x, y = x * np.cos(rot) - y * np.sin(rot), x * np.sin(rot) + y * np.cos(rot)
    z, x = z * np.cos(tilt) - x * np.sin(tilt), z * np.sin(tilt) + x * np.cos(tilt)
    x, y = x * np.cos(psi) - y * np.sin(psi), x * np.sin(psi) + y * np.cos(psi)
    return np.array([x, y, z])


def test_a_mesh_stands_at_every_oriented_point(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    """``mesh_source_path``: every vertex is where the star file's row puts it, computed here from its angles."""
    (raw / "meshes").mkdir()
    (raw / "meshes/TS_01.glb").write_bytes(write_glb(Mesh(PARTICLE, FACES), unit="angstrom"))
    config = edit(raw, _only(0, mesh_source_path="meshes/{run_name}.glb", is_visualization_default=True))
    report = ingest(config, tmp_path / "archive")
    assert report.ok, report.failures
    assert not _warnings(report)
    folder = tmp_path / "archive" / LAYERS / "100-cytosolic_ribosome-1.0_orientedmesh"
    assert json.loads((folder / "info").read_bytes())["@type"] == "neuroglancer_legacy_mesh"
    names = json.loads((folder / "segment_properties/info").read_bytes())["inline"]
    assert names["properties"][0]["values"] == ["cytosolic ribosome"]
    rows = [line.split() for line in (raw / "particles.star").read_text().splitlines() if line.startswith("TS_01 ")]
    assert len(rows) == 4
    expected = []
    for row in rows:
        place, angles = np.array(row[1:4], float), tuple(map(float, row[4:7]))
        expected += [place + _rotated(angles, vertex) / SPACING for vertex in PARTICLE]
    vertices, faces = _fragment(folder)
    np.testing.assert_allclose(vertices, expected, atol=1e-4)
    assert faces.tolist() == [(face + 4 * copy).tolist() for copy in range(4) for face in FACES]

    image, points, lines, mesh = _state(tmp_path / "archive")
    assert [image["type"], points["type"], lines["type"], mesh["type"]] == [
        "image",
        "annotation",
        "annotation",
        "segmentation",
    ]
    assert mesh["name"] == "100 cytosolic ribosome orientedmesh"
    assert mesh["source"][0]["url"] == f"precomputed://archive://{LAYERS}/100-cytosolic_ribosome-1.0_orientedmesh/"
    assert mesh["source"][0]["transform"]["inputDimensions"]["x"] == [1.348e-09, "m"]
    assert (mesh["segments"], mesh["meshRenderScale"], mesh["visible"], lines["visible"]) == (["1"], 4.0, True, False)
    assert mesh["segmentDefaultColor"] == lines["annotationColor"] == points["annotationColor"]
    findings = verify(Archive.open(tmp_path / "archive", read_only=True))
    assert not [one for one in findings if one.rule[:2] in ("V3", "V8")]


def test_another_mesh_makes_the_annotation_anew(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    (raw / "a.glb").write_bytes(write_glb(Mesh(PARTICLE, FACES)))
    config = edit(raw, _only(0, mesh_source_path="a.glb"))
    assert ingest(config, tmp_path / "archive").ok
    assert ingest(config, tmp_path / "archive").counts["replaced"] == 0
    (raw / "a.glb").write_bytes(write_glb(Mesh(PARTICLE * 2, FACES)))
    report = ingest(config, tmp_path / "archive")
    assert {result.label.split("/")[2] for result in report.results if result.outcome == "replaced"} == {
        "annotation",
        "viewer_config",
        "key_photos",
    }
    # Without a mesh its layer goes too (F11).
    assert ingest(edit(raw, _only(0)), tmp_path / "archive").ok
    assert not (tmp_path / "archive" / LAYERS / "100-cytosolic_ribosome-1.0_orientedmesh").exists()
    assert len(_state(tmp_path / "archive")) == 3


def test_a_mesh_that_is_not_there_is_told(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    report = ingest(edit(raw, _only(0, mesh_source_path="meshes/{run_name}.glb")), tmp_path / "archive")
    assert not report.ok
    (unmatched,) = report.unmatched
    assert "mesh_source_path" in str(unmatched)
    assert "'meshes/{run_name}.glb' matched nothing in any of 1 runs; looked for 'meshes/TS_01.glb'" in str(unmatched)
    assert len(_state(tmp_path / "archive")) == 3, "the points are ingested all the same"


def test_a_mesh_beside_its_origin_is_told(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    (raw / "a.obj").write_text("v 134.8 0 0\nv 148.28 0 0\nv 134.8 13.48 0\nf 1 2 3\n")
    report = ingest(edit(raw, _only(0, mesh_source_path="a.obj")), tmp_path / "archive")
    (warning,) = _warnings(report)
    assert "a.obj: the mesh lies beside its origin" in warning
    assert "from (10.0, 0.0, 0.0) to (11.0, 1.0, 0.0)" in warning


def test_a_large_mesh_is_simplified_for_many_points(
    raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    u, v = np.meshgrid(np.linspace(0, np.pi, 40), np.linspace(0, 2 * np.pi, 80, endpoint=False), indexing="ij")
    ball = 50 * np.stack([np.sin(u) * np.cos(v), np.sin(u) * np.sin(v), np.cos(u)], axis=2).reshape(-1, 3)
    a = (np.arange(39)[:, None] * 80 + np.arange(80)[None]).reshape(-1)
    b = (np.arange(39)[:, None] * 80 + np.roll(np.arange(80), -1)[None]).reshape(-1)
    faces = np.concatenate([np.stack([a, a + 80, b], axis=1), np.stack([b, a + 80, b + 80], axis=1)])
    (raw / "ball.glb").write_bytes(write_glb(Mesh(ball, faces)))
    monkeypatch.setattr("tomoportal.ingest.steps.mesh_files._MOST_TRIANGLES", 4000)
    report = ingest(edit(raw, _only(0, mesh_source_path="ball.glb")), tmp_path / "archive")
    assert report.ok, report.failures
    vertices, found = _fragment(tmp_path / "archive" / LAYERS / "100-cytosolic_ribosome-1.0_orientedmesh")
    assert 2000 < len(found) <= 4000
    one = vertices[: len(vertices) // 4]
    assert np.allclose(np.ptp(one, axis=0), 100 / SPACING, rtol=0.1)


def test_a_surface_has_its_layer(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    corners = np.array([[1, 1, 1], [9, 1, 1], [1, 9, 1], [1, 1, 9]], float)
    (raw / "TS_01.glb").write_bytes(write_glb(Mesh(corners, FACES)))

    def change(config: dict[str, Any]) -> None:
        _only(2)(config)
        arguments = {"file_format": "glb", "glob_string": "{run_name}.glb", "is_visualization_default": True}
        config["annotations"][0]["sources"] = [{"TriangularMesh": arguments}]

    report = ingest(edit(raw, change), tmp_path / "archive")
    assert report.ok, report.failures
    vertices, faces = _fragment(tmp_path / "archive" / LAYERS / "100-vesicle-1.0_triangularmesh")
    np.testing.assert_array_equal(vertices, corners)
    np.testing.assert_array_equal(faces, FACES)
    _, mesh = _state(tmp_path / "archive")
    assert (mesh["name"], mesh["type"], mesh["visible"]) == ("100 vesicle mesh", "segmentation", True)
    assert mesh["source"][0]["url"] == f"precomputed://archive://{LAYERS}/100-vesicle-1.0_triangularmesh/"


def test_objects_of_a_run_have_colours_of_their_own(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    """F165: ribosome and membrane are both green by their ids; a later annotation changes no colour."""

    def some(count: int) -> Callable[[dict[str, Any]], None]:
        def change(config: dict[str, Any]) -> None:
            config["runs"] = [{"sources": [{"literal": {"value": ["TS_01"]}}]}]
            del config["tomograms"][1], config["annotations"][count:]

        return change

    def colors() -> list[str]:
        return [
            layer.get("annotationColor") or layer["segmentDefaultColor"] for layer in _state(tmp_path / "archive")[1:]
        ]

    assert ingest(edit(raw, some(2)), tmp_path / "archive").ok
    before = colors()
    assert ingest(edit(raw, some(3)), tmp_path / "archive").ok
    assert colors()[:3] == before
    points, lines, membrane, vesicle = colors()
    assert points == lines
    assert len({points, membrane, vesicle}) == 3


def test_surfaces_of_masks_on_demand(raw: Path, edit: Edit, ingest: Ingest, tmp_path: Path) -> None:
    """``--meshes``: the mask's layer gets its surface, for viewers without our server; nothing else is made anew."""
    config = edit(raw, _only(1))
    assert ingest(config, tmp_path / "archive").ok
    folder = tmp_path / "archive" / LAYERS / "100-membrane-1.0_segmentationmask"
    assert not folder.exists()
    report = ingest(config, tmp_path / "archive", meshes=True)
    assert {result.label.split("/")[2] for result in report.results if result.outcome == "replaced"} == {
        "annotation",
        "viewer_config",
        "key_photos",
    }
    vertices, _ = _fragment(folder)
    # The mask is the box 3…8, 6…17, 8…23 (z, y, x); voxels reach half a voxel further.
    np.testing.assert_allclose([vertices.min(axis=0), vertices.max(axis=0)], [(7.5, 5.5, 2.5), (23.5, 17.5, 8.5)])
    _, mask = _state(tmp_path / "archive")
    assert [source["url"].partition("://")[0] for source in mask["source"]] == ["zarr", "precomputed"]
    assert mask["source"][1]["url"] == f"precomputed://archive://{LAYERS}/100-membrane-1.0_segmentationmask/"
    assert ingest(config, tmp_path / "archive", meshes=True).counts["replaced"] == 0
    assert ingest(config, tmp_path / "archive").ok
    assert not folder.exists()
