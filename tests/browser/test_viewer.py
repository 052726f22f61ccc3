"""The viewer in a real browser: it boots from our own origin and shows tomogram, points, orientations and masks.

viewer.md sections 2, 5 and 9; F157 (no external requests), F164, F173.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserType, Page

from tomoportal.formats.neuroglancer import PALETTE, colors_of
from tomoportal.server import LiveServer, Settings
from tomoportal.testing.sample_archive import PARTICLES, SAMPLE_SHAPE, SPHERE, write_sample_archive

CLIENT = "/viewer/v/portal/"
# The objects of the run in the order of their annotations' ids: two of them are number 100, at 10 and at 20 Å.
RIBOSOME, _MICROTUBULE, MEMBRANE = colors_of(["GO:0022626", "GO:0005874", "GO:0016020"]).values()
FAULTS = """(() => {
  const found = [];
  for (const managed of viewer.layerManager.managedLayers) {
    const layer = managed.layer;
    if (!layer) { found.push(`${managed.name}: no layer`); continue; }
    for (const source of layer.dataSources || []) {
      const loaded = source.loadState;
      if (!loaded) { found.push(`${managed.name}: a source is not loaded`); continue; }
      if (loaded.error) found.push(`${managed.name}: ${loaded.error.message}`);
      for (const part of loaded.subsources || [])
        for (const message of part.messages || []) found.push(`${managed.name}: ${message.message}`);
    }
    const shaders = [layer.shaderError, layer.annotationDisplayState && layer.annotationDisplayState.shaderError];
    for (const shader of shaders)
      if (shader && shader.value) found.push(`${managed.name}: shader: ${JSON.stringify(shader.value)}`);
  }
  return found;
})()"""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class Watch(Protocol):
    errors: list[str]

    def outside(self, origin: str) -> list[str]: ...


Wait = Callable[[Page, str], Any]
Shown = Callable[[Page], None]


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("archive")
    write_sample_archive(folder)
    with LiveServer(Settings(archive=str(folder))) as server:
        yield server


@pytest.fixture(scope="module")
def run(portal: LiveServer) -> int:
    query = '{ runs(where: {name: {_eq: "TS_1"}}) { id } }'
    answer = httpx.post(f"{portal.url}/graphql", json={"query": query}).json()
    return int(answer["data"]["runs"][0]["id"])


@dataclass
class Viewer:
    """One page with the run's state, changed by the tests one after the other."""

    page: Page
    watch: Watch
    wait_until_shown: Shown

    def show(self, change: str) -> Pixels:
        """Change the state in JavaScript (``state``), wait until all is drawn, return the pixels."""
        self.page.evaluate(
            f"(() => {{ const state = viewer.state.toJSON(); {change}; viewer.state.reset(); "
            "viewer.state.restoreState(state); })()"
        )
        return self.pixels()

    def pixels(self) -> Pixels:
        """What is on the screen: (rows, columns, rgb) uint8."""
        self.wait_until_shown(self.page)
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))


@pytest.fixture(scope="module")
def viewer(
    browser: Browser,
    browser_context_args: dict[str, Any],
    portal: LiveServer,
    run: int,
    watching: Callable[[Page], Watch],
    wait_until_shown: Shown,
) -> Iterator[Viewer]:
    context = browser.new_context(**browser_context_args)
    page = context.new_page()
    viewer = Viewer(page, watching(page), wait_until_shown)
    page.goto(f"{portal.url}{CLIENT}#!{portal.url}/viewer/runs/{run}/state.json")
    wait_until_shown(page)
    yield viewer
    context.close()


ONE_SECTION = """
  state.layout = 'xy'; state.showAxisLines = false; state.showDefaultAnnotations = false;
  state.crossSectionScale = 0.125;
  state.toolPalettes = {}; state.selectedLayer = {visible: false}; state.layerListPanel = {visible: false};
"""


def only(*names: str) -> str:
    return f"for (const layer of state.layers) layer.visible = {list(names)}.some((name) => layer.name.includes(name));"


def at(x: float, y: float, z: float) -> str:
    return f"state.position = [{x}, {y}, {z}];"


def share_of(image: Pixels, colour: str, tolerance: int = 40) -> float:
    wanted = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)], int)
    return float((np.abs(image.astype(int) - wanted).max(axis=2) <= tolerance).mean())


def test_the_viewer_boots_and_shows_the_volume(viewer: Viewer, portal: LiveServer) -> None:
    image = viewer.pixels()
    assert viewer.page.evaluate(FAULTS) == []
    assert viewer.watch.errors == []
    assert viewer.watch.outside(portal.url) == []
    state = viewer.page.evaluate("viewer.state.toJSON()")
    z, y, x = SAMPLE_SHAPE
    assert state["position"] == [x / 2, y / 2, z / 2]
    assert [layer["type"] for layer in state["layers"]] == [
        "image",
        "annotation",
        "annotation",
        "segmentation",
        "annotation",
    ]
    assert viewer.page.get_by_text("Disconnected").count() == 0
    assert image.std() > 20, "nothing but black"


def test_the_volume_is_where_and_what_it_is(viewer: Viewer) -> None:
    (z, y, x), radius = SPHERE
    through = viewer.show(ONE_SECTION + at(x, y, z) + only("TS_1"))
    middle = _centre(through, 8 * radius // 2)
    assert middle.mean() > 200, "the sphere is bright"
    above = viewer.show(ONE_SECTION + at(x, y, z + radius + 4) + only("TS_1"))
    noise = _centre(above, 8 * radius // 2)
    assert noise.std() > 20
    assert noise.mean() < 160


def test_points_are_drawn_at_their_voxels(viewer: Viewer) -> None:
    colour = RIBOSOME
    x, y, z = PARTICLES[0]
    with_point = viewer.show(ONE_SECTION + at(x, y, z) + only("ribosome point"))
    assert share_of(_centre(with_point, 3), colour) > 0.9
    assert share_of(_centre(with_point, 200), colour) < 0.1
    elsewhere = viewer.show(ONE_SECTION + at(x, y, z + 20) + only("ribosome point"))
    assert share_of(_centre(elsewhere, 200), colour) == 0


def test_orientations_are_lines_in_three_colours(viewer: Viewer) -> None:
    image = viewer.show(ONE_SECTION + at(20, 60, 24) + only("orientedpoint"))
    assert viewer.page.evaluate(FAULTS) == []
    # The particle's x axis (red) lies along y of the tomogram, which points down; its y axis (green) along x.
    row, column = _middle_of_panel(image)
    below = image[row + 30 : row + 110, column - 4 : column + 4]
    right = image[row - 4 : row + 4, column + 30 : column + 110]
    assert share_of(below, "#ff0000") > 0.1
    assert share_of(right, "#00ff00") > 0.1


def test_the_mask_covers_its_object(viewer: Viewer) -> None:
    (z, y, x), radius = SPHERE
    image = viewer.show(ONE_SECTION + at(x, y, z) + only("segmentation"))
    colour = MEMBRANE
    assert share_of(_centre(image, 8 * radius // 2), colour) > 0.95
    area = share_of(image, colour) * image.shape[0] * image.shape[1]
    assert area == pytest.approx(np.pi * (8 * radius) ** 2, rel=0.1)


def test_another_spacing_is_scaled_onto_the_tomogram(viewer: Viewer) -> None:
    # Instance 0 lies at voxel (8, 8, 12) of 20 Å, which is (16, 16, 24) of 10 Å.
    image = viewer.show(ONE_SECTION + at(16, 16, 24) + only("microtubule"))
    assert share_of(_centre(image, 3), PALETTE[0]) > 0.9


def test_all_layers_together(viewer: Viewer, portal: LiveServer) -> None:
    image = viewer.show("for (const layer of state.layers) layer.visible = true")
    assert share_of(image, RIBOSOME) > 0.0001
    assert share_of(image, "#ff0000") > 0.0001
    assert viewer.page.evaluate(FAULTS) == []
    assert viewer.watch.errors == []
    assert viewer.watch.outside(portal.url) == []


def test_a_tomogram_of_whole_numbers_keeps_its_contrast(
    page: Page, portal: LiveServer, wait_until_shown: Shown
) -> None:
    query = '{ runs(where: {name: {_neq: "TS_1"}}) { id } }'
    answer = httpx.post(f"{portal.url}/graphql", json={"query": query}).json()
    source = f"{portal.url}/viewer/runs/{answer['data']['runs'][0]['id']}/state.json"
    page.goto(f"{portal.url}{CLIENT}#!{source}")
    wait_until_shown(page)
    wanted = httpx.get(source).json()["layers"][0]["shaderControls"]
    shown = page.evaluate("viewer.state.toJSON().layers[0].shaderControls")
    for name in ("contrast", "contrast_3D"):
        assert shown[name]["range"] == wanted[name]["range"]
    assert page.evaluate(FAULTS) == []


def test_an_empty_address_starts_an_empty_viewer(
    page: Page, portal: LiveServer, watching: Callable[[Page], Watch], wait_until: Wait
) -> None:
    watch = watching(page)
    page.goto(f"{portal.url}{CLIENT}")
    page.wait_for_load_state("networkidle")
    wait_until(page, "Boolean(window.viewer) && location.hash !== ''")
    assert watch.errors == []
    assert watch.outside(portal.url) == []


def test_a_slow_machine_loses_no_layer(
    page: Page, portal: LiveServer, run: int, wait_until: Wait, wait_until_shown: Shown
) -> None:
    """The client writes its state to the address at the latest 400 ms after a change, even while it restores a state.

    A layer that is not restored yet has no sources to write; the error took the layer that was being restored away.
    """
    state = httpx.get(f"{portal.url}/viewer/runs/{run}/state.json").json()
    page.goto(f"{portal.url}{CLIENT}#!{quote(json.dumps(state))}")
    wait_until_shown(page)
    names = page.evaluate(
        """state => {
          const manager = viewer.layerManager, add = manager.addManagedLayer;
          manager.addManagedLayer = function (managed, ...values) {
            const {layer} = managed, restore = layer.restoreState;
            layer.restoreState = function (value) {
              viewer.state.changed.dispatch();
              for (const end = performance.now() + 500; performance.now() < end; );
              viewer.state.changed.dispatch();
              return restore.call(this, value);
            };
            return add.call(this, managed, ...values);
          };
          viewer.state.reset();
          viewer.state.restoreState(state);
          return manager.managedLayers.map(layer => layer.name);
        }""",
        state,
    )
    assert names == [layer["name"] for layer in state["layers"]]
    page.evaluate("viewer.navigationState.position.value = new Float32Array([1, 2, 3])")
    wait_until(page, "decodeURIComponent(location.hash).includes('\"position\":[1,2,3]')")


def test_on_a_plain_host_name(
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, Any],
    portal: LiveServer,
    run: int,
    wait_until_shown: Shown,
) -> None:
    """No secure context: http on a name of the local network (F167)."""
    origin = f"http://lab.example:{portal.url.rpartition(':')[2]}"
    arguments = [*browser_type_launch_args["args"], "--host-resolver-rules=MAP lab.example 127.0.0.1"]
    browser = browser_type.launch(**{**browser_type_launch_args, "args": arguments})
    try:
        page = browser.new_page()
        page.goto(f"{origin}{CLIENT}#!{origin}/viewer/runs/{run}/state.json")
        wait_until_shown(page)
        assert page.evaluate(FAULTS) == []
        assert page.evaluate("window.isSecureContext") is False
    finally:
        browser.close()


def test_the_frame_and_the_page_around_it_keep_in_step(
    page: Page, portal: LiveServer, run: int, wait_until: Wait
) -> None:
    page.goto(f"{portal.url}/healthz")
    page.evaluate(
        """(source) => {
          window.heard = [];
          window.addEventListener("message", (event) => window.heard.push(event.data));
          const frame = document.createElement("iframe");
          frame.width = 800; frame.height = 600; frame.src = source;
          document.body.append(frame);
          window.inner = () => frame.contentWindow.viewer;
        }""",
        f"{CLIENT}#!{portal.url}/viewer/runs/{run}/state.json",
    )
    wait_until(page, "Boolean(inner() && inner().layerManager.managedLayers.length > 0 && inner().isReady())")
    wait_until(page, "heard.some((message) => message.type === 'synchash' && message.hash.length > 100)")
    # Said until it is heard: what the client writes into the address in its first moments goes before.
    page.evaluate(
        """() => void setInterval(() => {
          if (inner().state.toJSON().layout === "xz") return;
          document.querySelector("iframe").contentWindow.postMessage(
            {type: "hashchange", hash: "#!" + encodeURIComponent('{"layers": [], "layout": "xz"}')}, location.origin);
        }, 200)"""
    )
    wait_until(page, "inner().state.toJSON().layout === 'xz'")


def test_the_explorer_asks_and_answers(
    page: Page, portal: LiveServer, watching: Callable[[Page], Watch], wait_until: Wait
) -> None:
    watch = watching(page)
    page.goto(f"{portal.url}/graphql")
    page.get_by_label("Query").fill("{ datasets { id title } }")
    page.get_by_role("button", name="Run").click()
    wait_until(page, "document.getElementById('answer').textContent.includes('Sample dataset')")
    wait_until(page, "document.getElementById('roots').options.length > 10")
    page.get_by_label("Start from").select_option("runs")
    page.get_by_label("Query").press("Control+Enter")
    wait_until(page, "document.getElementById('answer').textContent.includes('TS_1')")
    page.reload()
    wait_until(page, "document.getElementById('answer').textContent.includes('TS_1')")
    assert page.locator("#roots option[value=search]").count() == 0
    page.get_by_label("Extended schema").check()
    wait_until(page, "document.querySelector('#roots option[value=search]') !== null")
    page.get_by_label("Start from").select_option("search")
    page.get_by_label("Query").press("Control+Enter")
    wait_until(page, "document.getElementById('answer').textContent.includes('cytosolic ribosome')")
    page.reload()
    wait_until(page, "document.getElementById('answer').textContent.includes('totalCount')")
    assert page.get_by_label("Extended schema").is_checked()
    assert watch.errors == []
    assert watch.outside(portal.url) == []


def _middle_of_panel(image: Pixels) -> tuple[int, int]:
    """Row and column of the middle of the only panel, which lies below the bar at the top."""
    height, width = image.shape[0], image.shape[1]
    bars = 24  # the top bar, in pixels
    return bars + (height - bars) // 2, width // 2


def _centre(image: Pixels, half: int) -> Pixels:
    row, column = _middle_of_panel(image)
    return image[row - half : row + half, column - half : column + half]
