"""Meshes against trimesh, against h5py, and of hand-made files."""

from __future__ import annotations

import base64
import io
import json
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.errors import FormatError, MissingPartError
from tomoportal.formats.meshes import (
    Mesh,
    mask_surface,
    mesh_format,
    outside_volume,
    placed,
    read_mesh,
    simplified,
    surface_size,
    write_glb,
)
from tomoportal.formats.meshes.mesh import fans
from tomoportal.formats.points import VoxelPoints

CUBE = trimesh.creation.box((2, 3, 4))
CUBE.apply_translation((10, 20, 30))


def triangles(mesh: Mesh | trimesh.Trimesh) -> np.ndarray:
    """The triangles as sorted rows of nine numbers: the same for every numbering of vertices."""
    corners = np.round(np.asarray(mesh.vertices)[np.asarray(mesh.faces)], 5)
    rolled = np.stack([np.roll(corners, -shift, axis=1).reshape(-1, 9) for shift in range(3)])
    rows = [min(tuple(row) for row in rolled[:, number]) for number in range(len(corners))]
    return np.array(sorted(rows))


@pytest.mark.parametrize("kind", ["obj", "stl", "stl_ascii", "ply", "ply_ascii", "glb"])
def test_what_trimesh_writes(kind: str) -> None:
    ending = kind.partition("_")[0]
    data = (
        CUBE.export(file_type="ply", encoding="ascii")
        if kind == "ply_ascii"
        else CUBE.export(file_type=kind if ending == "stl" else ending)
    )
    data = data.encode() if isinstance(data, str) else data
    found = read_mesh(data, f"cube.{ending}")
    np.testing.assert_allclose(triangles(found), triangles(CUBE), atol=1e-4)
    assert found.vertices.dtype == np.float64
    assert found.faces.dtype == np.int64


def test_glb_round_trip_is_exact_in_float32_and_the_same_every_time() -> None:
    mesh = Mesh(CUBE.vertices.astype(np.float32).astype(np.float64), CUBE.faces.astype(np.int64))
    data = write_glb(mesh)
    assert data == write_glb(mesh)
    again = read_mesh(data, "a.glb")
    np.testing.assert_array_equal(again.vertices, mesh.vertices)
    np.testing.assert_array_equal(again.faces, mesh.faces)
    scene = trimesh.load(io.BytesIO(data), file_type="glb")
    np.testing.assert_allclose(triangles(scene.to_geometry()), triangles(CUBE), atol=1e-5)
    document = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    assert document["meshes"][0]["extras"] == {"unit": "voxel"}


def test_scenes_of_several_moved_parts_are_joined() -> None:
    scene = trimesh.Scene()
    turn = trimesh.transformations.rotation_matrix(0.7, (1, 2, 3), (4, 5, 6))
    scene.add_geometry(CUBE, transform=turn)
    scene.add_geometry(CUBE, transform=np.diag((1, 1, -1, 1.0)))
    found = read_mesh(scene.export(file_type="glb"), "scene.glb")
    np.testing.assert_allclose(triangles(found), triangles(scene.to_geometry()), atol=1e-3)


def test_nodes_with_translation_rotation_and_scale() -> None:
    data = write_glb(Mesh(np.eye(3), np.array([[0, 1, 2]])))
    size = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + size])
    half = np.sqrt(0.5)
    document["nodes"] = [{"mesh": 0, "translation": [1, 2, 3], "rotation": [0, 0, half, half], "scale": [2, 3, 4]}]
    found = read_mesh(_glb(document, data[28 + size :]), "a.glb")
    # x becomes y, y becomes −x (a quarter turn about z), after scaling
    np.testing.assert_allclose(found.vertices, [[1, 4, 3], [-2, 2, 3], [1, 2, 7]], atol=1e-12)


def _glb(document: dict, binary: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


VTK_OLD = """# vtk DataFile Version 3.0
two polygons and a strip
{kind}
DATASET POLYDATA
"""


def vtk_binary() -> bytes:
    points = np.arange(15, dtype=">f4")
    polygons = np.array([4, 0, 1, 2, 3, 3, 2, 3, 4], ">i4")
    strips = np.array([4, 0, 1, 2, 3], ">i4")
    return (
        VTK_OLD.format(kind="BINARY").encode()
        + b"POINTS 5 float\n"
        + points.tobytes()
        + b"\nPOLYGONS 2 9\n"
        + polygons.tobytes()
        + b"\nTRIANGLE_STRIPS 1 5\n"
        + strips.tobytes()
        + b"\nPOINT_DATA 5\n"
    )


VTK_ASCII = (
    VTK_OLD.format(kind="ASCII")
    + "POINTS 5 float\n"
    + " ".join(map(str, range(15)))
    + "\n\nPOLYGONS 2 9\n4 0 1 2 3\n3 2 3 4\nTRIANGLE_STRIPS 1 5\n4 0 1 2 3\n"
)


@pytest.mark.parametrize("data", [vtk_binary(), VTK_ASCII.encode()], ids=["binary", "ascii"])
def test_vtk_polygons_and_strips(data: bytes) -> None:
    found = read_mesh(data, "a.vtk")
    np.testing.assert_array_equal(found.vertices, np.arange(15.0).reshape(5, 3))
    assert found.faces.tolist() == [[0, 1, 2], [0, 2, 3], [2, 3, 4], [0, 1, 2], [2, 1, 3]]


def test_polygons_of_obj_and_ply_become_fans() -> None:
    obj = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 2 0\nf 1/1/1 2/2 3//3 4\nf -3 -2 -1\n"
    assert read_mesh(obj, "a.obj").faces.tolist() == [[0, 1, 2], [0, 2, 3], [2, 3, 4]]
    header = "ply\nformat {} 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
    header += "element face 2\nproperty uchar flag\nproperty list uchar int vertex_indices\nend_header\n"
    vertices = np.arange(15, dtype=np.float32)
    text = header.format("ascii") + "\n".join(" ".join(map(str, row)) for row in vertices.reshape(5, 3))
    text += "\n7 4 0 1 2 3\n7 3 2 3 4\n"
    for order, name in (("<", "little"), (">", "big")):
        binary = header.format(f"binary_{name}_endian").encode() + vertices.astype(f"{order}f4").tobytes()
        binary += struct.pack(f"{order}BB4i", 7, 4, 0, 1, 2, 3) + struct.pack(f"{order}BB3i", 7, 3, 2, 3, 4)
        found = read_mesh(binary, "a.ply")
        assert found.faces.tolist() == [[0, 1, 2], [0, 2, 3], [2, 3, 4]]
        np.testing.assert_array_equal(found.vertices, vertices.reshape(5, 3))
    assert read_mesh(text.encode(), "a.ply").faces.tolist() == found.faces.tolist()


def hff(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number, name in enumerate(names):
            segment = file.create_group(f"segment_list/{number}")
            segment["biological_annotation/name"] = name
            for part in range(2):
                mesh = segment.create_group(f"mesh_list/{part}")
                vertices = np.eye(3) + 10 * part + 100 * number
                mesh["vertices/data"] = base64.b64encode(vertices.tobytes())
                mesh["vertices/mode"] = "float64"
                mesh["triangles/data"] = base64.b64encode(np.arange(3, dtype=np.uint32).tobytes())
                mesh["triangles/mode"] = "uint32"
    return buffer.getvalue()


def test_a_segment_of_emdb_sff_by_name_f70() -> None:
    found = read_mesh(hff(["one", "two"]), "a.hff", segment="two")
    assert found.faces.tolist() == [[0, 1, 2], [3, 4, 5]]
    np.testing.assert_array_equal(found.vertices[3:], np.eye(3) + 110)
    with pytest.raises(FormatError, match="'one', 'two'"):
        read_mesh(hff(["one", "two"]), "a.hff", segment="three")
    with pytest.raises(FormatError, match="segments match"):
        read_mesh(hff(["one", "two"]), "a.hff")
    assert len(read_mesh(hff(["one"]), "a.hff").faces) == 2


def test_without_h5py_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingPartError, match=r"tomoportal\[hff\]"):
        read_mesh(b"\x89HDF\r\n\x1a\n", "a.hff")


def test_broken_arrays_of_emdb_sff() -> None:
    for path, value in (("vertices/data", b"!!"), ("vertices/mode", "float99"), ("triangles/data", b"AAAA")):
        buffer = io.BytesIO(hff(["one"]))
        with h5py.File(buffer, "r+") as file:
            del file[f"segment_list/0/mesh_list/0/{path}"]
            file[f"segment_list/0/mesh_list/0/{path}"] = value
        with pytest.raises(FormatError):
            read_mesh(buffer.getvalue(), "a.hff")


def test_fans_of_polygons_of_any_length() -> None:
    corners = np.arange(12)
    starts = np.array([0, 3, 5, 5, 10, 12])
    assert fans(corners, starts).tolist() == [[0, 1, 2], [5, 6, 7], [5, 7, 8], [5, 8, 9]]


def test_vertices_outside_a_volume_are_counted() -> None:
    mesh = Mesh(np.array([[-0.5, 0, 0], [9.5, 4, 4], [9.6, 0, 0], [0, 0, -1]]), np.array([[0, 1, 2]]))
    assert outside_volume(mesh, (10, 5, 5)) == 2
    assert outside_volume(mesh.scaled(10), (10, 5, 5)) == 4


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "a.obj"),
        (b"v 1 2\n", "a.obj"),
        (b"v 0 0 0\nf 1 2 3\n", "a.obj"),
        (b"v 0 0 0\nf 1 1 99999999999999999999999\n", "a.obj"),
        (b"v 0 0 nan\nf 1 1 1\n", "a.obj"),
        (b"solid x\nvertex 1 2 3\n", "a.stl"),
        (bytes(80) + struct.pack("<I", 2**31) + bytes(50), "a.stl"),
        (b"ply\nformat ascii 1.0\nelement vertex 99999999999\nproperty float x\nend_header\n", "a.ply"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nelement face 1\nend_header\n0\n0\n", "a.ply"),
        (VTK_ASCII.replace("POINTS 5", "POINTS 99999999999").encode(), "a.vtk"),
        (VTK_ASCII.replace("POLYGONS 2 9", "POLYGONS 2 8").encode(), "a.vtk"),
        (vtk_binary()[:120], "a.vtk"),
        (b"glTF" + struct.pack("<II", 2, 10**9) + bytes(20), "a.glb"),
        (_glb({"nodes": [{"children": [0]}], "scenes": [{"nodes": [0]}]}, b""), "a.glb"),
        (_glb({"nodes": [{"children": [0, 0]}], "scenes": [{"nodes": [0]}]}, b""), "a.glb"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "a.hff"),
        (b"something", "a.txt"),
    ],
)
def test_bad_files(data: bytes, name: str) -> None:
    with pytest.raises(FormatError):
        read_mesh(data, name)


SAMPLES: dict[str, bytes] = {
    "a.obj": b"v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\nf -1 -2 -3\n",
    "a.stl": CUBE.export(file_type="stl"),
    "a.ply": CUBE.export(file_type="ply"),
    "b.ply": CUBE.export(file_type="ply", encoding="ascii"),
    "a.vtk": VTK_ASCII.encode(),
    "b.vtk": vtk_binary(),
    "a.glb": CUBE.export(file_type="glb"),
}


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_damaged_files_give_format_errors_only(name: str, data: st.DataObject) -> None:
    """Not HDF5: its library is no parser of ours, and reads only files that a curator chose."""
    sample = bytearray(SAMPLES[name])
    places = st.tuples(st.integers(0, len(sample) - 1), st.sampled_from([*b'0123456789 -.eE\n{}[]"', 0, 127, 255]))
    for place, value in data.draw(st.lists(places, max_size=10)):
        sample[place] = value
    cut = data.draw(st.integers(0, len(sample)))
    try:
        mesh = read_mesh(bytes(sample[: cut or None]), name)
    except FormatError:
        return
    assert mesh.faces.max() < len(mesh.vertices)


@pytest.mark.real_data
def test_one_real_mesh_in_five_formats(real_data: Path) -> None:
    """The same surface: 40 vertices and 72 triangles, as the manifest says."""
    expected: Callable[[str], trimesh.Trimesh] = lambda kind: trimesh.load(  # noqa: E731
        real_data / f"mesh/cz_triangular_mesh.{kind}", force="mesh"
    )
    for kind in ("obj", "stl", "glb", "vtk", "hff"):
        data = (real_data / f"mesh/cz_triangular_mesh.{kind}").read_bytes()
        assert mesh_format(data, f"a.{kind}") == kind
        found = read_mesh(data, f"a.{kind}", segment="special_name")
        assert (len(found.vertices), len(found.faces)) == (40, 72)
        np.testing.assert_allclose(found.bounds, [[-0.230286, -0.166656, 0.52], [2.80571, 1.87934, 1.48]], atol=1e-5)
        if kind in ("obj", "stl", "glb"):
            np.testing.assert_allclose(triangles(found), triangles(expected(kind)), atol=2e-5)


# --- surfaces, placing, fewer triangles


def _ball(radius: float, size: int = 40) -> np.ndarray:
    z, y, x = np.ogrid[:size, :size, :size]
    return (z - 19) ** 2 + (y - 20) ** 2 + (x - 21) ** 2 <= radius**2


def test_the_surface_of_a_ball_is_closed_and_has_its_volume() -> None:
    mask = _ball(12)
    mesh = mask_surface(mask)
    assert mesh is not None
    peer = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert peer.is_watertight
    assert peer.is_winding_consistent
    assert peer.volume == pytest.approx(mask.sum(), rel=0.02)  # positive: triangles are seen from outside
    np.testing.assert_allclose(peer.center_mass, (21, 20, 19), atol=1e-6)


def test_one_voxel_has_a_surface_around_its_index() -> None:
    mask = np.zeros((5, 6, 7), bool)
    mask[2, 3, 4] = True
    mesh = mask_surface(mask)
    assert mesh is not None
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), (4, 3, 2))
    assert np.abs(mesh.vertices - (4, 3, 2)).max() <= 0.5
    assert mask_surface(np.zeros((3, 3, 3), bool)) is None


def test_a_full_volume_is_closed_at_its_border() -> None:
    mesh = mask_surface(np.ones((3, 4, 5), bool))
    assert mesh is not None
    assert trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).is_watertight
    np.testing.assert_allclose(mesh.bounds, [(-0.5, -0.5, -0.5), (4.5, 3.5, 2.5)])


@given(st.integers(0, 2**18 - 1))
def test_any_mask_lies_between_its_voxels_and_the_others(bits: int) -> None:
    mask = np.array([bits >> bit & 1 for bit in range(18)], bool).reshape(2, 3, 3)
    mesh = mask_surface(mask)
    if mesh is None:
        assert not mask.any()
        return
    # Every edge belongs to an even number of triangles, once in each direction: a boundary of something.
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    there, counts = np.unique(edges, axis=0, return_counts=True)
    back, others = np.unique(edges[:, ::-1], axis=0, return_counts=True)
    np.testing.assert_array_equal(there, back)
    np.testing.assert_array_equal(counts, others)
    corners = mesh.vertices[mesh.faces]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume > 0


def test_meshes_are_placed_as_single_vertices_would_be() -> None:
    rng = np.random.default_rng(3)
    rotations = np.linalg.qr(rng.normal(size=(5, 3, 3)))[0]
    rotations *= np.sign(np.linalg.det(rotations))[:, None, None]
    points = VoxelPoints(rng.uniform(0, 50, (5, 3)), rotations)
    template = Mesh(np.asarray(CUBE.vertices, float), np.asarray(CUBE.faces, np.int64))
    mesh = placed(template, points)
    for copy in range(5):
        own = slice(8 * copy, 8 * copy + 8)
        peer = CUBE.copy()
        transform = np.eye(4)
        transform[:3, :3], transform[:3, 3] = rotations[copy], points.locations[copy]
        peer.apply_transform(transform)
        np.testing.assert_allclose(mesh.vertices[own], peer.vertices)
        np.testing.assert_array_equal(mesh.faces[12 * copy : 12 * copy + 12], CUBE.faces + 8 * copy)


@pytest.mark.parametrize("most", [100, 500, 2000])
def test_fewer_triangles_keep_the_shape(most: int) -> None:
    mesh = mask_surface(_ball(15))
    assert mesh is not None
    fewer = simplified(mesh, most)
    assert most / 3 < len(fewer.faces) <= most
    low, high = fewer.bounds
    np.testing.assert_allclose((low + high) / 2, (21, 20, 19), atol=1.5)
    np.testing.assert_allclose(high - low, 30, atol=30 / most**0.5 * 3)
    assert simplified(mesh, len(mesh.faces)) is mesh


def test_a_mesh_that_cannot_be_simpler_stays() -> None:
    cube = Mesh(np.asarray(CUBE.vertices, float), np.asarray(CUBE.faces, np.int64))
    assert len(simplified(cube, 1).faces) == 12


@given(st.integers(0, 2**18 - 1))
def test_the_size_of_a_surface_is_known_beforehand(bits: int) -> None:
    mask = np.array([bits >> bit & 1 for bit in range(18)], bool).reshape(2, 3, 3)
    mesh = mask_surface(mask)
    assert surface_size(mask) == (0 if mesh is None else len(mesh.faces))
