"""Viewer states and annotation layers, made when they are asked for (viewer.md sections 4 and 6; F163-F165, F173)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tomoportal.server import LiveServer, Settings
from tomoportal.server.viewer.contrast import estimated_contrast, stored_contrast
from tomoportal.storage import open_store
from tomoportal.testing.sample_archive import ORIENTED, PARTICLES, SAMPLE_SHAPE


@pytest.fixture
def ids(http: httpx.Client) -> dict[str, Any]:
    query = """{ runs(orderBy: [{id: asc}]) { id name }
      tomograms(orderBy: [{id: asc}]) { id runId isVisualizationDefault alignmentId }
      annotationFiles { id format annotationShape { shapeType annotation { annotationIngestId } } } }"""
    data = http.post("/graphql", json={"query": query}).json()["data"]
    run = next(row for row in data["runs"] if row["name"] == "TS_1")
    tomograms = [row for row in data["tomograms"] if row["runId"] == run["id"]]
    files = {
        (row["annotationShape"]["annotation"]["annotationIngestId"], row["annotationShape"]["shapeType"]): row["id"]
        for row in data["annotationFiles"]
        if row["format"] == "ndjson"
    }
    return {
        "run": run["id"],
        "plain_run": next(row["id"] for row in data["runs"] if row["name"] != "TS_1"),
        "default": next(row["id"] for row in tomograms if row["isVisualizationDefault"]),
        "other": next(row["id"] for row in tomograms if not row["isVisualizationDefault"]),
        "files": files,
    }


def get_state(http: httpx.Client, run: int, tomogram: int | None = None, **headers: str) -> dict[str, Any]:
    parameters = {} if tomogram is None else {"tomogram": str(tomogram)}
    answer = http.get(f"/viewer/runs/{run}/state.json", params=parameters, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    state: dict[str, Any] = answer.json()
    return state


def test_the_state_of_a_run(http: httpx.Client, server: LiveServer, ids: dict[str, Any]) -> None:
    state = get_state(http, ids["run"], ids["default"])
    z, y, x = SAMPLE_SHAPE
    assert state["position"] == [x / 2, y / 2, z / 2]
    assert state["dimensions"] == {axis: [1e-9, "m"] for axis in "xyz"}
    assert [layer["type"] for layer in state["layers"]] == [
        "image",
        "annotation",
        "annotation",
        "segmentation",
        "annotation",
    ]
    image, points, oriented, mask, instances = state["layers"]
    assert image["name"] == "TS_1"
    assert image["source"]["url"].startswith(f"zarr://{server.url}/files/10001/TS_1/")
    low, high = image["shaderControls"]["contrast"]["range"]
    assert -4 < low < 0 < high < 8
    assert points["name"] == "100 cytosolic ribosome point"
    assert oriented["name"] == "101 cytosolic ribosome orientedpoint"
    assert mask["name"] == "102 membrane segmentation"
    assert mask["segments"] == ["1"]
    assert instances["name"] == "100 microtubule instancesegmentation"
    assert instances["source"]["transform"]["inputDimensions"]["x"] == [2e-9, "m"]
    file = ids["files"]["sample-100", "Point"]
    assert points["source"]["url"] == f"precomputed://{server.url}/viewer/annotations/{file}/"


def test_annotations_of_another_alignment_are_left_out(http: httpx.Client, ids: dict[str, Any]) -> None:
    state = get_state(http, ids["run"], ids["other"])
    assert [layer["name"] for layer in state["layers"]] == ["TS_1", "103 membrane point"]


def test_without_a_tomogram_the_default_is_shown(http: httpx.Client, ids: dict[str, Any]) -> None:
    assert get_state(http, ids["run"]) == get_state(http, ids["run"], ids["default"])


def test_a_run_with_an_odd_name(http: httpx.Client, ids: dict[str, Any]) -> None:
    state = get_state(http, ids["plain_run"])
    url = state["layers"][0]["source"]["url"]
    assert "/10001/Zelle%202%20%C2%B5/" in url
    assert http.get(url.removeprefix("zarr://") + ".zattrs").status_code == 200


def test_limits_of_whole_numbers_fit_their_type(http: httpx.Client, ids: dict[str, Any]) -> None:
    """The viewer drops all controls of a layer whose limits int8 cannot hold."""
    controls = get_state(http, ids["plain_run"])["layers"][0]["shaderControls"]
    for name in ("contrast", "contrast_3D"):
        (low, high), (first, last) = controls[name]["range"], controls[name]["window"]
        assert all(isinstance(value, int) for value in (low, high, first, last))
        assert -128 <= first <= low < high <= last <= 127


def test_every_source_of_a_state_answers(http: httpx.Client, ids: dict[str, Any]) -> None:
    for layer in get_state(http, ids["run"], ids["default"])["layers"]:
        sources = layer["source"] if isinstance(layer["source"], list) else [layer["source"]]
        for source in sources:
            kind, _, url = source["url"].partition("://")
            probe = ".zattrs" if kind == "zarr" else "info"
            answer = http.get(f"{url}{probe}")
            assert answer.status_code == 200, url
            assert answer.headers["access-control-allow-origin"] == "*"


def test_addresses_follow_the_request_and_the_settings(http: httpx.Client, folder: Path, ids: dict[str, Any]) -> None:
    """F89, F164."""
    text = str(get_state(http, ids["run"], Host="cryoet.lab.example"))
    assert "zarr://http://cryoet.lab.example/files/" in text
    assert "127.0.0.1" not in text
    settings = Settings(archive=str(folder), public_url="https://p.example", files_url="https://f.example/d")
    with LiveServer(settings) as other, httpx.Client(base_url=other.url) as client:
        text = str(get_state(client, ids["run"]))
    assert "zarr://https://f.example/d/10001/" in text
    assert "precomputed://https://p.example/viewer/annotations/" in text


def test_states_are_cached_by_their_content(http: httpx.Client, ids: dict[str, Any]) -> None:
    url = f"/viewer/runs/{ids['run']}/state.json"
    etag = http.get(url).headers["etag"]
    assert http.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert http.get(url, headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/viewer/runs/999999/state.json", 404),
        ("/viewer/runs/{run}/state.json?tomogram=999999", 404),
        ("/viewer/runs/{plain_run}/state.json?tomogram={default}", 404),
        ("/viewer/runs/{run}/state.json?tomogram=first", 400),
        ("/viewer/runs/x/state.json", 404),
        ("/viewer/annotations/999999/info", 404),
        ("/viewer/annotations/x/info", 404),
    ],
)
def test_what_is_not_there_says_so(http: httpx.Client, ids: dict[str, Any], path: str, status: int) -> None:
    answer = http.get(path.format(**ids))
    assert answer.status_code == status
    assert answer.text.strip()


def layer_of(http: httpx.Client, file: int, part: str) -> httpx.Response:
    answer = http.get(f"/viewer/annotations/{file}/{part}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    return answer


def test_points_as_records(http: httpx.Client, ids: dict[str, Any]) -> None:
    file = ids["files"]["sample-100", "Point"]
    info = layer_of(http, file, "info")
    assert info.headers["content-type"] == "application/json"
    described = info.json()
    assert described["annotation_type"] == "point"
    assert described["lower_bound"] == [0, 0, 0]
    assert described["upper_bound"] == list(SAMPLE_SHAPE[::-1])
    assert described["dimensions"]["x"] == [1e-9, "m"]
    cell = layer_of(http, file, "spatial0/0_0_0").content
    (count,) = struct.unpack_from("<Q", cell)
    assert count == len(PARTICLES)
    assert len(cell) == 8 + 32 * count
    records = np.frombuffer(cell, "<f4", 6 * count, 8).reshape(count, 6)
    assert records[:, :3].tolist() == [list(point) for point in PARTICLES]
    assert np.frombuffer(cell, "<u8", count, 8 + 24 * count).tolist() == [0, 1, 2]
    assert layer_of(http, file, "by_id/1").content == cell[8 + 24 : 8 + 48]


def test_oriented_points_are_three_lines(http: httpx.Client, ids: dict[str, Any]) -> None:
    file = ids["files"]["sample-101", "OrientedPoint"]
    assert layer_of(http, file, "info").json()["annotation_type"] == "line"
    cell = layer_of(http, file, "spatial0/0_0_0").content
    (count,) = struct.unpack_from("<Q", cell)
    assert count == 3
    ends = np.array([struct.unpack_from("<6f", cell, 8 + 40 * line) for line in range(3)])
    assert ends[:, :3].tolist() == [list(ORIENTED[0])] * 3
    directions = ends[:, 3:] - ends[:, :3]
    # The particle's x axis lies along y of the tomogram, y along x, z against z.
    assert np.sign(directions).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, -1]]


@pytest.mark.parametrize("part", ["by_id/99", "by_id/x", "spatial0/1_0_0", "spatial1/0_0_0", "spatial0/x", "other", ""])
def test_parts_that_a_layer_does_not_have(http: httpx.Client, ids: dict[str, Any], part: str) -> None:
    file = ids["files"]["sample-100", "Point"]
    assert http.get(f"/viewer/annotations/{file}/{part}").status_code == 404


def test_layers_are_cached_by_version(http: httpx.Client, ids: dict[str, Any]) -> None:
    url = f"/viewer/annotations/{ids['files']['sample-100', 'Point']}/info"
    etag = http.get(url).headers["etag"]
    assert http.get(url, headers={"If-None-Match": etag}).status_code == 304
    preflight = http.options(url, headers={"Origin": "https://x.example", "Access-Control-Request-Method": "GET"})
    assert preflight.headers["access-control-allow-origin"] == "*"


def test_stored_contrast_is_preferred() -> None:
    config = (
        '{"layers": [{"type": "annotation"}, {"type": "image", "shaderControls":'
        ' {"contrast": {"range": [-1, 2]}, "contrast_3D": {"range": [-3, 1]}}}]}'
    )
    assert stored_contrast(config) == ((-1, 2), (-3, 1))
    for other in (None, "", "{", "{}", '{"layers": []}', '{"layers": [{"type": "image"}]}', "[1]"):
        assert stored_contrast(other) is None


def test_estimated_contrast(archive: Any) -> None:
    key = "10001/TS_1/Reconstructions/VoxelSpacing10.000/Tomograms/100/TS_1.mrc"
    (low, high), (low_3d, high_3d) = estimated_contrast(archive.store, key)
    assert -3 < low < -1.5
    assert 3 < high < 7
    assert low_3d < low
    assert high_3d < high
    assert estimated_contrast(archive.store, key) == ((low, high), (low_3d, high_3d))
    store = open_store("memory://")
    store.put("flat.mrc", archive.store.get(key)[:1024] + bytes(4 * 48 * 80 * 96))
    assert estimated_contrast(store, "flat.mrc")[0] == (0.0, 0.0)
