"""Headless Chromium for the tests: the system's own browser, driven by Playwright, drawing in software.

Without a browser these tests are skipped; ``apt-get install chromium`` (or the environment variable ``CHROMIUM``)
brings them back.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Error, Page

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


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    """``wait_until(page, script)`` polls a JavaScript expression until it is true, and returns its value.

    Playwright's own ``wait_for_function`` compiles its text in the page, which a strict security policy refuses.
    """

    def wait(page: Page, script: str, seconds: float = 120.0) -> Any:
        for _ in range(int(seconds * 10)):
            try:
                value = page.evaluate(script)
            except Error as error:
                if "Execution context was destroyed" not in str(error):
                    raise
                value = None
            if value:
                return value
            page.wait_for_timeout(100)
        raise AssertionError(f"not true within {seconds:g} s: {script}")

    return wait
