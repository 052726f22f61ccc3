"""The site in a real browser: the viewer's bar, the keyboard, and pages without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from tomoportal.server import LiveServer, Settings
from tomoportal.testing.sample_archive import write_sample_archive

Shown = Callable[[Frame], None]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("archive")
    write_sample_archive(folder)
    with LiveServer(Settings(archive=str(folder))) as server:
        yield server.url


def viewer_frame(page: Page, wait_until_shown: Shown) -> Frame:
    """The Neuroglancer frame once everything visible has been drawn."""
    element = page.wait_for_selector("iframe#viewer")
    frame = element.content_frame() if element is not None else None
    assert frame is not None
    frame.wait_for_url("**/viewer/v/portal/**")
    wait_until_shown(frame)
    return frame


def test_the_viewer_bar_switches_tomograms_hides_annotations_and_shares(
    page: Page, site: str, watching: Callable[[Page], Any], wait_until_shown: Shown
) -> None:
    watch = watching(page)
    page.goto(f"{site}/runs/1")
    page.get_by_role("link", name="View tomogram", exact=True).click()
    frame = viewer_frame(page, wait_until_shown)
    names = frame.evaluate("() => viewer.layerManager.managedLayers.map((layer) => layer.name)")
    assert len(names) > 2

    frame.evaluate("() => { viewer.navigationState.position.value = Float32Array.of(30, 31, 20) }")
    choices = page.locator("#tomogram option")
    other = choices.nth(choices.count() - 1).get_attribute("value")
    page.select_option("#tomogram", other)
    expect(page).to_have_url(f"{site}/view/runs/1?tomogram={other}")
    viewer_frame(page, wait_until_shown)
    spacing = frame.evaluate("() => viewer.state.toJSON().dimensions.x[0]")
    position = frame.evaluate("() => viewer.state.toJSON().position")
    assert [round(value * spacing * 1e10) for value in position[:2]] == [300, 310], "the place is kept, in Å"

    page.get_by_role("button", name="Hide annotations").click()
    shown = frame.evaluate("() => viewer.layerManager.managedLayers.filter((layer) => layer.visible).length")
    assert shown == 1, "only the tomogram is left"
    page.get_by_role("button", name="Show annotations").click()

    page.select_option("#layout", "xy")
    assert frame.evaluate("() => viewer.state.toJSON().layout") == "xy"
    page.get_by_role("button", name="Copy link to this view").click()
    link = page.locator("#share").get_attribute("data-copy")
    assert link
    page.goto("about:blank")
    page.goto(link)
    assert viewer_frame(page, wait_until_shown).evaluate("() => viewer.state.toJSON().layout") == "xy"
    assert not watch.errors
    assert not watch.outside(site)


def test_the_search_is_reached_and_used_with_the_keyboard_alone(page: Page, site: str) -> None:  # F156
    page.goto(site)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.name") == "search":
            break
    page.keyboard.type("sample")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site}/browse-data/datasets?search=sample")


def test_pages_work_without_javascript_on_a_small_screen(browser: Browser, site: str) -> None:
    with browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640}) as context:
        page = context.new_page()
        page.goto(site)
        page.get_by_role("link", name="Browse data").click()
        page.locator("tbody th a").first.click()
        page.locator("tbody th a").first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("TS_1")
        with page.expect_download() as download:
            page.get_by_role("link", name="MRC").first.click()
        assert download.value.suggested_filename == "TS_1.mrc"
        page.get_by_role("link", name="View tomogram", exact=True).click()
        expect(page.get_by_role("link", name="TS_1")).to_be_visible()


def test_the_lines_for_a_copick_project_are_copied_and_stand_there_without_javascript(
    page: Page, browser: Browser, site: str
) -> None:
    page.goto(f"{site}/datasets/10001")
    page.get_by_role("link", name="Open as copick project").click()
    expect(page.get_by_role("heading", name="Open as copick project")).to_be_in_viewport()
    page.evaluate(  # the clipboard itself is the reader's: what would go there is kept instead
        """() => {
            Object.defineProperty(navigator, "clipboard", {value: undefined, configurable: true});
            HTMLTextAreaElement.prototype.select = function () { window.kept = this.value; };
            document.execCommand = () => true;
            window.setTimeout = () => 0;  // the answer stays on the button
        }"""
    )
    box = page.locator("#copick")
    for name, start in (("Copy command", "tomoportal copick from-portal DS-10001"), ("Copy Python lines", "import ")):
        button = box.get_by_role("button", name=name)
        button.click()
        expect(button).to_have_text("Copied")
        assert page.evaluate("() => window.kept").startswith(start)
    expect(box.locator("code").last).to_be_hidden()
    box.get_by_text("With the package copick").click()
    expect(box.locator("code").last).to_contain_text("FSSPEC_S3_ENDPOINT_URL")
    with browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640}) as context:
        bare = context.new_page()
        bare.goto(f"{site}/depositions/10301")
        box = bare.locator("#copick")
        expect(box.locator("code").first).to_contain_text("--overlay copick-deposition-10301")
        expect(box.get_by_role("button")).to_have_count(0)
        box.get_by_text("With the package copick").click()
        expect(box.locator("code").last).to_be_visible()


def test_nothing_is_wider_than_a_phone(browser: Browser, site: str) -> None:  # F156
    with browser.new_context(viewport={"width": 320, "height": 640}) as context:
        page = context.new_page()
        for address in ("/", "/browse-data/datasets", "/datasets/10001", "/runs/1", "/depositions/10301"):
            page.goto(site + address)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 320, address
