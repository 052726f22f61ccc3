"""Surfaces in a real browser: meshes, groups, meshes at oriented points, masks and instances (viewer.md 4.6 and 7)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from tomoportal.archive import Archive
from tomoportal.formats.neuroglancer import with_base
from tomoportal.ingest import load_config, make_plan, open_source, run_plan
from tomoportal.server import LiveServer, Settings
from tomoportal.testing.mesh_sources import write_mesh_sources

Shown = Callable[[Page], None]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]

CLIENT = "/viewer/v/portal/"
FAULTS = """viewer.layerManager.managedLayers.flatMap((managed) => managed.layer.dataSources.flatMap((source) => [
  ...(source.loadState.error ? [`${managed.name}: ${source.loadState.error.message}`] : []),
  ...(source.loadState.subsources || []).flatMap((part) => [...part.messages].map((one) => one.message)),
]))"""
STORED = "10001/TS_01/Reconstructions/VoxelSpacing13.480/NeuroglancerPrecompute/100-neuroglancer_config.json"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder: Path = tmp_path_factory.mktemp("meshes")
    config = load_config(write_mesh_sources(folder / "raw"))
    source = open_source(folder / "raw", config.source_prefix, beside=config.folder)
    archive = Archive.open(folder / "archive", create=True)
    assert run_plan(make_plan(config, source, archive), archive, source.store).ok
    with LiveServer(Settings(archive=str(folder / "archive"))) as server:
        yield server


def _shown(page: Page, wait_until_shown: Shown, state: dict[str, Any], portal: LiveServer, *names: str) -> Pixels:
    """Only the layers with these words in their names, in one panel that shows space."""
    for layer in state["layers"]:
        layer["visible"] = any(name in layer["name"] for name in names)
    state |= {"layout": "3d", "showAxisLines": False, "showDefaultAnnotations": False, "showSlices": False}
    state["layerListPanel"] = {"visible": False}
    page.goto("about:blank")
    page.goto(f"{portal.url}{CLIENT}#!{quote(json.dumps(state))}")
    wait_until_shown(page)
    assert page.evaluate(FAULTS) == []
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))[60:].astype(np.uint8)


def _pixels_of(image: Pixels, color: str) -> int:
    """Pixels of a colour, lit from any side: those of its hue that are not dark."""
    wanted = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)], float)
    wanted /= np.linalg.norm(wanted)
    length = np.linalg.norm(image.astype(float), axis=2)
    along = image.astype(float) @ wanted
    return int(((along > 0.985 * length) & (length > 60)).sum())


@pytest.mark.parametrize("origin", ["served", "stored"])
def test_surfaces_are_seen(page: Page, portal: LiveServer, wait_until_shown: Shown, origin: str) -> None:
    """From the portal's own state, and from the file in the archive with a host put in (F164)."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    if origin == "served":
        state = httpx.get(f"{portal.url}/viewer/runs/1/state.json").json()
    else:
        state = with_base(httpx.get(f"{portal.url}/files/{STORED}").json(), f"{portal.url}/files")
    colors = {layer["name"]: layer.get("segmentDefaultColor") for layer in state["layers"]}
    words = ["orientedmesh", "mitochondrion mesh", "reticulum mesh"]
    if origin == "served":
        words.append("membrane segmentation")  # the stored state has masks in sections only
    own = {word: next(color for name, color in colors.items() if word in name) for word in words}
    image = _shown(page, wait_until_shown, state, portal, *words)
    counts = {word: _pixels_of(image, color) for word, color in own.items()}
    assert min(counts.values()) > 1000, counts
    for word in words[:2] if origin == "served" else ():
        image = _shown(page, wait_until_shown, state, portal, word)
        counts = {each: _pixels_of(image, color) for each, color in own.items()}
        assert counts.pop(word) > 1000
        assert max(counts.values()) < 50, counts
    assert errors == []


def test_the_surface_of_an_instance_is_drawn_when_it_is_chosen(
    page: Page, portal: LiveServer, wait_until_shown: Shown
) -> None:
    state = httpx.get(f"{portal.url}/viewer/runs/1/state.json").json()
    layer = state["layers"][-1]
    assert layer["name"] == "104 vesicle instancesegmentation"
    assert (_shown(page, wait_until_shown, state, portal, layer["name"]) > 60).mean() < 0.001
    layer |= {"segments": ["7"], "segmentColors": {"7": "#ff6ee0"}}
    assert _pixels_of(_shown(page, wait_until_shown, state, portal, layer["name"]), "#ff6ee0") > 1000


def test_a_mesh_lies_where_its_mask_lies(page: Page, portal: LiveServer, wait_until_shown: Shown) -> None:
    """Seen along z, the section of the mask and its surface (without perspective) begin in one place (F174)."""
    state = httpx.get(f"{portal.url}/viewer/runs/1/state.json").json()
    mask = next(layer for layer in state["layers"] if "membrane" in layer["name"])
    state["layers"] = [mask]
    state |= {"showAxisLines": False, "showDefaultAnnotations": False, "layerListPanel": {"visible": False}}
    state |= {"position": [3.5, 12, 12], "crossSectionScale": 0.04, "projectionScale": 32, "showSlices": False}
    state["projectionOrientation"] = [0, 0, 0, 1]

    def edge(**change: Any) -> int:
        """The first coloured column in the rows around the middle."""
        page.goto("about:blank")
        page.goto(f"{portal.url}{CLIENT}#!{quote(json.dumps({**state, **change}))}")
        wait_until_shown(page)
        image = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        rows = image[400:500].max(axis=(0, 2))
        return int(np.flatnonzero(rows > 40)[0])

    section, surface = mask["source"]
    of_mask = edge(layout="xy", layers=[{**mask, "source": section, "visible": True}])
    space = {"type": "3d", "orthographicProjection": True}
    of_mesh = edge(layout=space, layers=[{**mask, "source": surface, "visible": True}])
    # The mask begins at voxel 4, whose border, 3.5, is the middle of the page; a voxel is about 25 pixels wide.
    assert of_mask == pytest.approx(700, abs=4)
    assert of_mesh == pytest.approx(700, abs=4)
