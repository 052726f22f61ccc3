"""One real server for all page tests, and a reader of HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from tomoportal.server import LiveServer, Settings
from tomoportal.testing.sample_archive import write_sample_archive


class Page(HTMLParser):
    """What a page links to, loads and says."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.unnamed_images = 0
        self.text = ""
        self._hidden = 0
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        if tag in {"img", "script", "iframe"} and found.get("src"):
            self.loads.append(found["src"] or "")
        if tag == "link" and found.get("href"):
            self.loads.append(found["href"] or "")
        if tag == "img" and "alt" not in found:
            self.unnamed_images += 1
        if found.get("id"):
            self.ids.append(found["id"] or "")
        self.inline += [name for name in found if name == "style" or name.startswith("on")]
        if tag in {"script", "style"}:
            self._hidden += 1
            self.inline += [tag] if tag == "style" or not found.get("src") else []

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += f" {data}"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("archive")
    write_sample_archive(folder)
    with LiveServer(Settings(archive=str(folder))) as server:
        yield server


@pytest.fixture
def http(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture(scope="session")
def parse() -> type[Page]:
    return Page
