"""Neuroglancer itself reads what ``formats.neuroglancer`` makes, from plain files behind a dumb file server.

No part of our server takes part: an archive in a bucket can be viewed with the state and the layers that are in it.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from tomoportal.formats.convert import convert_volume
from tomoportal.formats.mrc import open_mrc
from tomoportal.formats.neuroglancer import (
    PALETTE,
    MaskLayer,
    PointLayer,
    Tomogram,
    annotation_layer,
    build_state,
    with_base,
    write_point_layer,
)
from tomoportal.formats.neuroglancer.palette import rgb
from tomoportal.formats.points import VoxelPoints
from tomoportal.formats.rotations import about_z
from tomoportal.formats.source import Kind
from tomoportal.storage import open_store
from tomoportal.testing.sources import write_mrc

SHAPE = (64, 96, 128)
SPACING = 13.48
CENTRE = np.array([[64.0, 48.0, 32.0]])
Site = tuple[str, Path, list[str]]
Show = Callable[[str, dict[str, Any]], None]
GUARD = Path(__file__).parents[2] / "src/tomoportal/server/static/portal-viewer.js"
STUB = """<script>window.EventSource = class {
  constructor() {
    setTimeout(() => {
      this.onopen && this.onopen(new Event("open"));
      this.onmessage && this.onmessage({data: JSON.stringify({k: "c", s: {showUIControls: false}, g: "1"})});
    }, 0);
  }
  close() {} addEventListener() {} removeEventListener() {}
};</script>"""

COMPLAINTS = """() => viewer.layerManager.managedLayers.flatMap(managed => {
  const layer = managed.layer, found = [];
  for (const source of layer.dataSources) {
    const state = source.loadState;
    if (!state) found.push(managed.name + ": not loaded");
    else if (state.error) found.push(managed.name + ": " + state.error);
    else for (const part of state.subsources) for (const message of part.messages) found.push(message.message);
  }
  const shader = layer.shaderError || (layer.annotationDisplayState || {}).shaderError;
  if (shader && shader.value) found.push(managed.name + ": " + JSON.stringify(shader.value));
  return found;
})"""


class _Server(ThreadingHTTPServer):
    # A browser opens many connections at once; by default five may wait, and a dropped one is never asked again.
    request_queue_size = 128


class Files(SimpleHTTPRequestHandler):
    """A folder and the viewer's client, with byte ranges."""

    client: Path
    asked: list[str]

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.asked.append(path)
        if path == "/viewer/v/portal/":
            page = (self.client / "index.html").read_text().replace("<head>", "<head>" + STUB)
            self.answer(200, page.encode(), "text/html")
        elif path.startswith("/viewer/v/portal/"):
            file = self.client / path.rsplit("/", 1)[1]
            kind = {".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm"}.get(file.suffix, "")
            self.answer(200, file.read_bytes(), kind)
        elif not Path(self.translate_path(path)).is_file():
            self.answer(404, b"", "text/plain")
        else:
            data = Path(self.translate_path(path)).read_bytes()
            wanted = self.headers.get("Range")
            if wanted is None:
                self.answer(200, data, "application/octet-stream")
            else:
                begin, _, end = wanted.removeprefix("bytes=").partition("-")
                first = int(begin) if begin else len(data) - int(end)
                last = min(int(end), len(data) - 1) if begin and end else len(data) - 1
                self.answer(
                    206, data[first : last + 1], "application/octet-stream", f"bytes {first}-{last}/{len(data)}"
                )

    def answer(self, status: int, body: bytes, kind: str, part: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if part:
            self.send_header("Content-Range", part)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    found = find_spec("neuroglancer")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the viewer's client is not installed")
    asked: list[str] = []
    client = Path(found.submodule_search_locations[0]) / "static/client"
    handler = partial(type("Handler", (Files,), {"client": client, "asked": asked}), directory=str(tmp_path))
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", tmp_path, asked
        server.shutdown()
        thread.join()


def write_zarr(folder: Path, array: np.ndarray, spacing: float) -> None:
    """One uncompressed level in one chunk."""
    axes = [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"]
    level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [spacing] * 3}]}
    documents = {
        ".zgroup": {"zarr_format": 2},
        ".zattrs": {"multiscales": [{"version": "0.4", "name": "/", "axes": axes, "datasets": [level]}]},
        "0/.zarray": {
            "zarr_format": 2,
            "shape": array.shape,
            "chunks": array.shape,
            "dtype": array.dtype.str,
            "compressor": None,
            "fill_value": 0,
            "filters": None,
            "order": "C",
            "dimension_separator": "/",
        },
    }
    (folder / "0/0/0").mkdir(parents=True)
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    (folder / "0/0/0/0").write_bytes(array.tobytes())


def layers_of_one_point(root: Path, kind: str, points: VoxelPoints, spacing: float) -> PointLayer:
    layer = annotation_layer(points, voxel_spacing=spacing, object_name="ribosome", color="#ff00ff", diameter=200)
    write_point_layer(open_store(root), f"layers/{kind}", layer)
    return PointLayer(kind, f"layers/{kind}", spacing, "#ff00ff", points.kind, visible=True)


@pytest.fixture
def show(page: Page, wait_until_shown: Callable[[Page, int], None]) -> Callable[[str, dict[str, Any]], None]:
    """``show(origin, state)`` until all of it has been drawn."""

    def show(origin: str, state: dict[str, Any]) -> None:
        page.add_init_script(path=GUARD)  # without it a slow machine may lose a layer (test_viewer.py)
        page.goto(f"{origin}/viewer/v/portal/#!{quote(json.dumps(with_base(state, origin)))}")
        wait_until_shown(page, len(state["layers"]))

    return show


def drawn(page: Page) -> np.ndarray:
    """Pixels of the data panels, (y, x, 3): the page without the panels at its left and bottom."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), int)[:780, 310:]


def color_share(page: Page, color: tuple[int, int, int]) -> float:
    return float((np.abs(drawn(page) - color).max(axis=2) < 40).mean())


def test_every_kind_of_layer_is_shown_without_a_complaint(page: Page, site: Site, show: Show) -> None:
    origin, root, asked = site
    volume = np.random.default_rng(0).normal(0, 1, SHAPE).astype("<f4")
    write_zarr(root / "t.zarr", volume, SPACING)
    mask = np.zeros(SHAPE, "|i1")
    mask[30:34, 10:20, 10:20] = 1
    write_zarr(root / "mask.zarr", mask, SPACING)
    layers = [
        layers_of_one_point(root, "points", VoxelPoints(CENTRE), SPACING),
        layers_of_one_point(root, "instances", VoxelPoints(CENTRE + 20, instance_ids=np.array([5])), SPACING),
        layers_of_one_point(root, "oriented", VoxelPoints(CENTRE * 2 + [40, -40, 0], about_z([30])), SPACING / 2),
        MaskLayer("mask", "mask.zarr", SPACING, "#ffff00", visible=True),
    ]
    state = build_state(Tomogram("TS_run1", "t.zarr", SHAPE, SPACING, (-3.0, 3.0), (-3.0, 3.0)), layers)
    state["showSlices"] = False  # they would hide what lies behind them in 3D
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    show(origin, state)
    assert page.evaluate(COMPLAINTS) == []
    assert problems == []
    kept = page.evaluate("() => viewer.state.toJSON()")
    print(json.dumps(kept["layers"])[:3000])
    assert [layer["name"] for layer in kept["layers"]] == [layer["name"] for layer in state["layers"]]
    assert kept["dimensions"] == state["dimensions"]
    np.testing.assert_allclose(kept["position"], state["position"])
    assert color_share(page, (255, 0, 255)) > 1e-4
    assert color_share(page, rgb(PALETTE[5])) > 1e-4  # the instance, at another depth than the slices
    for kind in ("points", "instances", "oriented"):
        assert f"/layers/{kind}/spatial0/0_0_0" in asked


def test_a_record_is_found_in_the_shard(
    page: Page, site: Site, show: Show, wait_until: Callable[[Page, str], Any]
) -> None:
    """The selection of the state names annotation 1,500: the viewer reads it by its id from the shard."""
    origin, root, asked = site
    write_zarr(root / "t.zarr", np.zeros(SHAPE, "<f4"), SPACING)
    points = VoxelPoints(np.random.default_rng(1).uniform(5, 60, (2000, 3)))
    layer = layers_of_one_point(root, "points", points, SPACING)
    state = build_state(Tomogram("TS_run1", "t.zarr", SHAPE, SPACING), [layer])
    state["selection"] = {
        "visible": True,
        "row": 2,
        "layers": {"points": {"annotationId": "1500", "annotationSource": 0, "annotationSubsource": "default"}},
    }
    show(origin, state)
    text = wait_until(page, "document.body.innerText.includes('point_index') && document.body.innerText")
    assert "/layers/points/by_id/0.shard" in asked
    assert page.evaluate(COMPLAINTS) == []
    assert "1500" in text


def test_voxel_and_point_of_one_index_are_concentric(page: Page, site: Site, show: Show) -> None:
    """The rule of coordinates: integers are voxel centres, for the image, the mask and the points."""
    origin, root, _ = site
    write_zarr(root / "t.zarr", np.zeros(SHAPE, "<f4"), SPACING)
    mask = np.zeros(SHAPE, "|i1")
    mask[32, 48, 64] = 1
    write_zarr(root / "mask.zarr", mask, SPACING)
    points = layers_of_one_point(root, "points", VoxelPoints(CENTRE), SPACING)
    state = build_state(
        Tomogram("TS_run1", "t.zarr", SHAPE, SPACING, (-1.0, 1.0)),
        [MaskLayer("mask", "mask.zarr", SPACING, "#ffff00", visible=True), points],
        layout="xy",
    )
    state["crossSectionScale"] = 0.01  # the voxel is 100 pixels wide
    state["showAxisLines"] = False
    show(origin, state)
    assert page.evaluate(COMPLAINTS) == []
    pixels = drawn(page)
    marker = np.argwhere(np.abs(pixels - (255, 0, 255)).max(axis=2) < 40).mean(axis=0)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    voxel = np.argwhere((red - blue > 60) & (np.abs(red - green) < 30))
    assert len(voxel) > 5000
    corners = (voxel.min(axis=0) + voxel.max(axis=0)) / 2
    np.testing.assert_allclose(corners, marker, atol=3)


@pytest.mark.parametrize("ngff", ["0.4", "0.5"])
def test_what_the_converter_writes_is_read_in_both_versions(
    page: Page, site: Site, show: Show, ngff: Literal["0.4", "0.5"]
) -> None:
    """Zarr 3 with shards has the same source address as Zarr 2: the viewer finds out which it is."""
    origin, root, asked = site
    store = open_store(root)
    mask = np.zeros(SHAPE, np.int8)
    mask[16:48, 24:72, 32:96] = 1
    volume = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
    kinds: dict[str, tuple[np.ndarray, Kind]] = {"t": (volume, "tomogram"), "mask": (mask, "semantic_mask")}
    for name, (array, kind) in kinds.items():
        write_mrc(root / f"{name}-source.mrc", array, SPACING)
        convert_volume(
            open_mrc(store, f"{name}-source.mrc"),
            store,
            mrc_key=f"{name}.mrc",
            zarr_prefix=f"{name}.zarr",
            voxel_spacing=SPACING,
            kind=kind,
            ngff=ngff,
        )
    assert (root / "t.zarr/zarr.json").exists() == (ngff == "0.5")
    tomogram = Tomogram("TS_run1", "t.zarr", SHAPE, SPACING, (100.0, 101.0), (100.0, 101.0))  # all black
    state = build_state(tomogram, [MaskLayer("mask", "mask.zarr", SPACING, PALETTE[0], visible=True)])
    show(origin, state)
    assert page.evaluate(COMPLAINTS) == []
    color = np.array(rgb(PALETTE[0]))
    assert color_share(page, tuple((color // 2).tolist())) > 0.02  # half transparent over black
    pieces = [path for path in asked if "/mask.zarr/0/" in path and not path.endswith((".zarray", "zarr.json"))]
    assert pieces
    assert all(("/0/c/" in path) == (ngff == "0.5") for path in pieces)
