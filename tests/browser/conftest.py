"""Headless Chromium for the tests: the system's own browser, driven by Playwright, drawing in software.

Without a browser these tests are skipped; ``apt-get install chromium`` (or the environment variable ``CHROMIUM``)
brings them back.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Error, Frame, Page, expect

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# A place is shown when the client has all that it shows, and a frame with it has been drawn.
_SHOWN = """async (count) => {
  const {viewer} = window;
  const has = () => Boolean(viewer && viewer.display.panels.size && viewer.layerManager.managedLayers.length >= count
    && viewer.isReady());
  if (!has()) return false;
  viewer.display.draw();
  for (let frames = 0; frames < 2; frames++) await new Promise((resolve) => requestAnimationFrame(resolve));
  return has();
}"""

expect.set_options(timeout=120_000)  # milliseconds; on a busy machine nothing is late


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """How pytest-playwright starts the browser."""
    named = os.environ.get("CHROMIUM")
    path = named or next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on the path: apt-get install chromium, or set CHROMIUM to its path")
    return {**browser_type_launch_args, "executable_path": path, "args": list(_FLAGS)}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1400, "height": 900}}


@dataclass
class Watch:
    """What a page did besides what it shows."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def outside(self, origin: str) -> list[str]:
        """Requests that left the portal's own origin."""
        own = (f"{origin}/", "data:", f"blob:{origin}/")
        return [address for address in self.requests if not address.startswith(own)]


@pytest.fixture(scope="session")
def watching() -> Callable[[Page], Watch]:
    """``watching(page)`` collects errors and requests of a page; call it before the first navigation."""

    def watch(page: Page) -> Watch:
        seen = Watch()
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("request", lambda request: seen.requests.append(request.url))
        return seen

    return watch


@pytest.fixture
def context(context: BrowserContext) -> BrowserContext:
    context.set_default_timeout(120_000)
    return context


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    """``wait_until(page, script)`` polls a JavaScript expression until it is true, and returns its value.

    Playwright's own ``wait_for_function`` compiles its text in the page, which a strict security policy refuses.
    """
    return _wait_until


@pytest.fixture(scope="session")
def wait_until_shown() -> Callable[..., None]:
    """``wait_until_shown(page, count=1)`` waits until Neuroglancer has at least so many layers and has drawn them.

    A frame may be given instead of a page.
    """

    def wait(page: Page | Frame, count: int = 1) -> None:
        _wait_until(page, _SHOWN, count)

    return wait


def _wait_until(page: Page | Frame, script: str, value: Any = None, seconds: float = 180.0) -> Any:
    end = time.monotonic() + seconds
    while True:
        try:
            found = page.evaluate(script, value)
        except Error as error:
            if "Execution context was destroyed" not in str(error):
                raise
            found = None
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not true within {seconds:g} s: {script}")
        page.wait_for_timeout(50)
