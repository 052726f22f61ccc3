"""The bar above the viewer acts on the Neuroglancer instance below it and on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Frame, Page

from tomoportal.server import LiveServer, Settings
from tomoportal.testing.sample_archive import write_sample_archive

Wait = Callable[[Page, str], Any]
Shown = Callable[[Frame], None]

INNER = "document.getElementById('viewer').contentWindow.viewer"
VISIBLE = f"{INNER}.layerManager.managedLayers.map((layer) => layer.visible)"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder: Path = tmp_path_factory.mktemp("archive")
    write_sample_archive(folder)
    with LiveServer(Settings(archive=str(folder))) as server:
        yield server


def _frame(page: Page) -> Frame:
    element = page.wait_for_selector("iframe#viewer")
    frame = element.content_frame() if element is not None else None
    assert frame is not None
    frame.wait_for_url("**/viewer/v/portal/**")
    return frame


@pytest.fixture
def viewed(page: Page, portal: LiveServer, wait_until_shown: Shown) -> Page:
    page.goto(f"{portal.url}/view/runs/1")
    wait_until_shown(_frame(page))
    return page


def test_another_layout_keeps_the_axes_and_the_place(viewed: Page, wait_until: Wait, wait_until_shown: Shown) -> None:
    state = f"(({{dimensions, position}}) => [Object.keys(dimensions), position])({INNER}.state.toJSON())"
    before = viewed.evaluate(state)
    assert before[0] == ["x", "y", "z"]
    viewed.get_by_label("Layout").select_option("xy-3d")
    wait_until(viewed, f"{INNER}.state.toJSON().layout === 'xy-3d'")
    wait_until_shown(_frame(viewed))
    assert viewed.evaluate(state) == before


def test_hiding_and_showing_annotations_changes_nothing(viewed: Page) -> None:
    layers = f"{INNER}.layerManager.managedLayers"
    viewed.evaluate(f"{layers}[{layers}.length - 1].setVisible(false)")
    before = viewed.evaluate(VISIBLE)
    assert sum(before) > 1
    viewed.get_by_role("button", name="Hide annotations").click()
    assert viewed.evaluate(VISIBLE) == [True, *[False] * (len(before) - 1)]
    viewed.get_by_role("button", name="Show annotations").click()
    assert viewed.evaluate(VISIBLE) == before
    viewed.get_by_role("button", name="Hide annotations").click()
    assert sum(viewed.evaluate(VISIBLE)) == 1


def test_a_shared_view_comes_back_with_its_layout(viewed: Page, wait_until: Wait, wait_until_shown: Shown) -> None:
    viewed.get_by_label("Layout").select_option("xz")
    wait_until(viewed, f"{INNER}.state.toJSON().layout === 'xz'")
    viewed.get_by_role("button", name="Copy link").click()
    link = viewed.evaluate("document.getElementById('share').dataset.copy")
    viewed.goto("about:blank")
    viewed.goto(link)
    wait_until_shown(_frame(viewed))
    wait_until(viewed, "document.getElementById('layout').value === 'xz'")
    assert viewed.evaluate(f"{INNER}.state.toJSON().layout") == "xz"
