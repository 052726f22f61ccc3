"""Surfaces made when they are asked for: of GLB files, of masks and of the labels of instance masks (viewer.md 7)."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tomoportal.archive import Archive
from tomoportal.formats.neuroglancer.palette import color_distance
from tomoportal.ingest import load_config, make_plan, open_source, run_plan
from tomoportal.server import LiveServer, Settings
from tomoportal.testing.mesh_sources import BALL, BOX, INSTANCES, MASK, PARTICLE, PARTICLES, write_mesh_sources
from tomoportal.testing.sources import SPACING

FOLDER = "10001/TS_01/Reconstructions/VoxelSpacing13.480"


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """An archive with surfaces of every kind, as ingestion makes it."""
    folder: Path = tmp_path_factory.mktemp("surfaces")
    config = load_config(write_mesh_sources(folder / "raw"))
    source = open_source(folder / "raw", config.source_prefix, beside=config.folder)
    archive = Archive.open(folder / "archive", create=True)
    report = run_plan(make_plan(config, source, archive), archive, source.store)
    assert report.ok, report.failures
    return archive


@pytest.fixture(scope="module")
def portal(surfaces: Archive) -> Iterator[httpx.Client]:
    path = surfaces.store.local_path("")
    assert path is not None
    with LiveServer(Settings(archive=str(path))) as server, httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture(scope="module")
def layers(portal: httpx.Client) -> dict[str, dict[str, Any]]:
    """The layers of the run's state by the last words of their names."""
    state = portal.get("/viewer/runs/1/state.json").json()
    return {layer["name"].split(" ", 1)[1]: layer for layer in state["layers"][1:]}


def _source(layer: dict[str, Any], number: int = 0) -> str:
    url: str = layer["source"][number]["url"]
    return url.removeprefix("precomputed://").rstrip("/")


def _segment(portal: httpx.Client, source: str, segment: int = 1) -> tuple[Any, Any]:
    """Vertices and triangles, by the words of the format."""
    assert portal.get(f"{source}/info").json()["@type"] == "neuroglancer_legacy_mesh"
    answer = portal.get(f"{source}/{segment}:0")
    assert answer.headers["access-control-allow-origin"] == "*"
    (name,) = answer.json()["fragments"]
    data = portal.get(f"{source}/{name}").content
    (count,) = struct.unpack_from("<I", data)
    return np.frombuffer(data, "<f4", 3 * count, 4).reshape(-1, 3), np.frombuffer(data, "<u4", -1, 4 + 12 * count)


def _names(portal: httpx.Client, source: str) -> dict[str, str]:
    inline = portal.get(f"{source}/segment_properties/info").json()["inline"]
    return dict(zip(inline["ids"], inline["properties"][0]["values"], strict=True))


def test_a_state_has_a_layer_for_every_surface(layers: dict[str, dict[str, Any]]) -> None:
    assert {name: layer["visible"] for name, layer in layers.items()} == {
        "cytosolic ribosome orientedpoint": False,  # the mesh stands in for it
        "cytosolic ribosome orientedmesh": True,
        "mitochondrion mesh": True,
        "endoplasmic reticulum mesh": True,
        "membrane segmentation": True,
        "vesicle instancesegmentation": True,
    }
    assert layers["mitochondrion mesh"]["segments"] == ["1"]
    assert "segments" not in layers["vesicle instancesegmentation"]


def test_served_and_stored_states_have_the_same_colours(
    surfaces: Archive, layers: dict[str, dict[str, Any]]
) -> None:  # F165
    stored = json.loads(surfaces.store.get(f"{FOLDER}/NeuroglancerPrecompute/100-neuroglancer_config.json"))["layers"]

    def colors(found: list[dict[str, Any]]) -> dict[str, str]:
        given = ((layer["name"], layer.get("annotationColor") or layer.get("segmentDefaultColor")) for layer in found)
        return {name.split(" ", 1)[1]: color for name, color in given if color}

    served = colors(list(layers.values()))
    assert len(served) == 5
    assert colors(stored[1:]) == served
    distinct = sorted(set(served.values()))
    assert len(distinct) == 4
    assert min(color_distance(a, b) for a in distinct for b in distinct if a < b) > 40


def test_a_triangular_mesh(portal: httpx.Client, layers: dict[str, dict[str, Any]]) -> None:
    source = _source(layers["mitochondrion mesh"])
    vertices, _ = _segment(portal, source)
    (z, y, x), radius = BALL
    np.testing.assert_allclose((vertices.min(axis=0) + vertices.max(axis=0)) / 2, (x, y, z), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(vertices - (x, y, z), axis=1), radius, atol=0.8)
    assert _names(portal, source) == {"1": "mitochondrion"}


def test_one_mesh_of_a_group(portal: httpx.Client, layers: dict[str, dict[str, Any]]) -> None:
    vertices, _ = _segment(portal, _source(layers["endoplasmic reticulum mesh"]))
    first, last = (np.array(corner)[::-1] for corner in BOX)
    np.testing.assert_allclose([vertices.min(axis=0), vertices.max(axis=0)], [first - 0.5, last + 0.5])


def test_a_mesh_at_every_oriented_point(portal: httpx.Client, layers: dict[str, dict[str, Any]]) -> None:
    """The second particle is turned by psi = -90°: its x axis points along y of the tomogram, its y against x."""
    vertices, _ = _segment(portal, _source(layers["cytosolic ribosome orientedmesh"]))
    corners = PARTICLE / SPACING
    np.testing.assert_allclose(vertices[:4] - PARTICLES[0][:3], corners, atol=1e-4)
    turned = np.stack([-corners[:, 1], corners[:, 0], corners[:, 2]], axis=1)
    np.testing.assert_allclose(vertices[4:] - PARTICLES[1][:3], turned, atol=1e-4)


def test_the_surface_of_a_mask(portal: httpx.Client, layers: dict[str, dict[str, Any]]) -> None:
    source = _source(layers["membrane segmentation"], 1)
    vertices, _ = _segment(portal, source)
    first, last = (np.array(corner)[::-1] for corner in MASK)
    np.testing.assert_allclose([vertices.min(axis=0), vertices.max(axis=0)], [first - 0.5, last + 0.5])
    assert _names(portal, source) == {"1": "membrane"}
    assert portal.get(f"{source}/2:0").status_code == 404


def test_the_surfaces_of_instances(portal: httpx.Client, layers: dict[str, dict[str, Any]]) -> None:
    source = _source(layers["vesicle instancesegmentation"], 1)
    for label, corners in INSTANCES.items():
        vertices, _ = _segment(portal, source, label)
        first, last = (np.array(corner)[::-1] for corner in corners)
        np.testing.assert_allclose([vertices.min(axis=0), vertices.max(axis=0)], [first - 0.5, last + 0.5])
    assert _names(portal, source) == {"3": "vesicle 3", "7": "vesicle 7"}
    assert portal.get(f"{source}/4").status_code == 404


def test_a_large_mask_is_drawn_from_a_lower_level(
    portal: httpx.Client, layers: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its voxels are boxes of finer ones, whose centres are the integers: the surface stays where it is."""
    source = _source(layers["vesicle instancesegmentation"], 1)
    fine, _ = _segment(portal, source, 7)
    monkeypatch.setattr("tomoportal.formats.meshes.labels._MOST_VOXELS", 24 * 48 * 64 // 8)
    monkeypatch.setattr("tomoportal.server.viewer.layer_replies.__version__", "none of it is cached")
    coarse, _ = _segment(portal, source, 7)
    assert len(coarse) < len(fine) / 2
    np.testing.assert_allclose(coarse.mean(axis=0), fine.mean(axis=0), atol=0.75)
    rough = 12 * len(fine)  # of the finest level too many triangles, of the next not
    monkeypatch.setattr("tomoportal.formats.meshes.labels._MOST_VOXELS", 10**9)
    monkeypatch.setattr("tomoportal.formats.meshes.labels._ROUGHEST", rough // 8)
    monkeypatch.setattr("tomoportal.server.viewer.layer_replies.__version__", "nothing yet")
    assert len(_segment(portal, source, 7)[0]) == len(coarse)
    monkeypatch.setattr("tomoportal.formats.meshes.labels._MOST_VOXELS", 10)
    monkeypatch.setattr("tomoportal.server.viewer.layer_replies.__version__", "nor is this")
    answer = portal.get(f"{source}/7")
    assert (answer.status_code, "small enough" in answer.text) == (422, True)


def test_meshes_are_cached_by_the_version_of_their_file(
    portal: httpx.Client, layers: dict[str, dict[str, Any]]
) -> None:
    for url in (f"{_source(layers['mitochondrion mesh'])}/1", f"{_source(layers['membrane segmentation'], 1)}/1"):
        answer = portal.get(url, headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert portal.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    preflight = portal.options(url, headers={"Origin": "https://x.example", "Access-Control-Request-Method": "GET"})
    assert preflight.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("part", ["", "other", "0:0", "0", "1:1", "-1:0", "١:0", "1" * 30, "1:0/x"])
def test_parts_that_a_mesh_does_not_have(portal: httpx.Client, layers: dict[str, dict[str, Any]], part: str) -> None:
    answer = portal.get(f"{_source(layers['mitochondrion mesh'])}/{part}")
    assert answer.status_code == 404
    assert answer.text.strip()


def test_files_without_surfaces(portal: httpx.Client) -> None:
    query = '{ annotationFiles(where: {format: {_in: ["ndjson", "mrc"]}}) { id } }'
    files = portal.post("/graphql", json={"query": query}).json()["data"]["annotationFiles"]
    assert len(files) == 3
    for number in (*(file["id"] for file in files), 999999, "x"):
        assert portal.get(f"/viewer/meshes/{number}/info").status_code == 404


def test_a_broken_surface_says_so(surfaces: Archive, portal: httpx.Client, layers: dict[str, dict[str, Any]]) -> None:
    (key,) = [
        stat.key for stat in surfaces.store.list(FOLDER) if stat.key.endswith("mitochondrion-1.0_triangularmesh.glb")
    ]
    data = surfaces.store.get(key)
    try:
        surfaces.store.put(key, data[:100])
        answer = portal.get(f"{_source(layers['mitochondrion mesh'])}/1")
        assert answer.status_code == 422
        assert "cut off" in answer.text
    finally:
        surfaces.store.put(key, data)
