"""Pages over real HTTP: what they say, where their links lead, and that nothing comes from elsewhere."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

PAGES = [
    "/",
    "/browse-data/datasets",
    "/browse-data/depositions",
    "/datasets/10001",
    "/depositions/10301",
    "/runs/1",
    "/runs/2",
    "/view/runs/1",
]


def test_every_link_of_the_site_leads_somewhere_and_nothing_comes_from_elsewhere(
    http: httpx.Client, parse: type[Any]
) -> None:  # F157
    todo, seen, broken, foreign = ["/"], set(), [], []
    while todo:
        address = todo.pop()
        if address in seen:
            continue
        seen.add(address)
        answer = http.get(address, follow_redirects=True, headers={"Accept": "text/html,*/*"})
        if answer.status_code != 200:
            broken.append((address, answer.status_code))
            continue
        if "text/html" not in answer.headers["content-type"] or address.startswith("/viewer/"):
            continue
        page = parse(answer.text)
        for target in [*page.links, *page.loads]:
            parts = urlsplit(urljoin(str(answer.url), target))
            if parts.netloc != urlsplit(str(answer.url)).netloc:
                foreign += [target] if target in page.loads and parts.scheme != "data" else []
                continue
            if parts.fragment and parts.path == urlsplit(str(answer.url)).path and not parts.fragment.startswith("!"):
                assert parts.fragment in page.ids, f"{address} links to #{parts.fragment}, which is not on it"
            todo.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    assert not broken
    assert not foreign
    assert set(PAGES) - {"/view/runs/1"} <= seen, "the pages must be reachable from home"


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_complete_and_needs_no_inline_code(http: httpx.Client, parse: type[Any], address: str) -> None:
    answer = http.get(address)
    assert answer.status_code == 200
    page = parse(answer.text)
    assert not page.inline, "the content security policy refuses inline styles and scripts"
    assert not page.unnamed_images
    assert "<title>" in answer.text
    assert '<html lang="en">' in answer.text
    assert len(page.ids) == len(set(page.ids)), "an id stands twice"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "None" not in page.text
    assert "not_reported" not in page.text


def test_home_counts_what_the_archive_holds(http: httpx.Client, parse: type[Any]) -> None:
    text = parse(http.get("/").text).text
    assert "1 dataset " in text
    assert "Latest datasets" in text


def test_the_run_page_shows_tomograms_annotations_and_downloads(http: httpx.Client, parse: type[Any]) -> None:
    page = parse(http.get("/runs/1").text)
    for word in ("TS_1", "Tomograms", "Ground truth", "oriented point", "segmentation mask", "10 Å", "Tilt series"):
        assert word in page.text, word
    downloads = [link for link in page.links if link.startswith("/files/")]
    assert any(link.endswith(".mrc") for link in downloads)
    assert any(link.endswith(".ndjson") for link in downloads)
    for link in downloads:
        assert http.head(link).status_code == 200, link


@pytest.mark.parametrize("address", ["/runs/1", "/datasets/10001"])
def test_the_snippet_of_a_page_downloads_every_tomogram_to_a_file_of_its_own(
    http: httpx.Client, tmp_path: Path, address: str
) -> None:  # F105, F138
    snippet = html.unescape(re.findall(r"<code>(from .*?)</code>", http.get(address).text, re.DOTALL)[0])
    subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, check=True, capture_output=True)
    where = "{id: {_eq: 1}}" if address == "/runs/1" else "{}"
    asked = {"query": f"{{runs(where: {where}) {{tomograms {{edges {{node {{id}}}}}}}}}}"}
    runs = http.post("/graphql", json=asked).json()["data"]["runs"]
    expected = sum(len(run["tomograms"]["edges"]) for run in runs)
    assert expected > 1
    assert len(list(tmp_path.rglob("*.mrc"))) == expected


def test_a_page_says_the_same_about_frames_as_the_page_of_its_dataset(http: httpx.Client, parse: type[Any]) -> None:
    """Exposures that an mdoc lists are no files that can be downloaded."""
    run, dataset = (parse(http.get(address).text).text for address in ("/runs/1", "/datasets/10001"))
    said = [re.search(r"Frames (Not submitted|Available)", text) for text in (run, dataset)]
    assert all(said)
    assert said[0][1] == said[1][1]  # type: ignore[index]


def test_a_run_name_with_odd_characters_works_everywhere(http: httpx.Client, parse: type[Any]) -> None:
    page = parse(http.get("/runs/2").text)
    assert "Zelle 2 µ" in page.text
    for link in (link for link in page.links if link.startswith("/files/")):
        assert http.head(link).status_code == 200, link


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", 1),
        ("Ada", 1),
        ("ada author", 1),
        ("DS-10001", 1),
        ("ds-10001", 1),
        ("10001", 1),
        ("CZCDP-10301", 1),
        ("DS-10002", 0),
        ("TS_1", 1),
        ("no-such-thing", 0),
        ("ada no-such-thing", 0),
        ("%", 0),
        ("_", 1),
        ("'; drop table dataset; --", 0),
    ],
)
def test_search_looks_everywhere_and_takes_every_text_as_text(
    http: httpx.Client, parse: type[Any], search: str, found: int
) -> None:
    text = parse(http.get("/browse-data/datasets", params={"search": search}).text).text
    assert f"{found} of 1 dataset" in text
    if not found:
        assert "No results found" in text


def test_what_a_visitor_types_is_never_code(http: httpx.Client) -> None:
    answer = http.get("/browse-data/datasets", params={"search": '"><script>alert(1)</script>'})
    assert "<script>alert(1)" not in answer.text


@pytest.mark.parametrize("page", ["0", "-1", "7", "x", "99999999999999999999"])
def test_a_page_number_out_of_range_shows_a_page_all_the_same(http: httpx.Client, page: str) -> None:
    assert http.get("/browse-data/datasets", params={"page": page}).status_code == 200


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("/DS-10001", "/datasets/10001"),
        ("/czcdp-10301", "/depositions/10301"),
        ("/RN-1", "/runs/1"),
        ("/TM-1", "/runs/1#TM-1"),
        ("/AN-1", "/runs/1#AN-1"),
        ("/AL-1", "/runs/1#AL-1"),
        ("/datasets/DS-10001", "/datasets/10001"),
        ("/runs/RN-1?from=x", "/runs/1?from=x"),
        ("/browse-data", "/browse-data/datasets"),
    ],
)
def test_ids_with_prefixes_lead_to_their_pages(http: httpx.Client, address: str, target: str) -> None:  # F131
    answer = http.get(address)
    assert answer.is_redirect
    assert answer.headers["location"] == target
    assert http.get(target).status_code == 200


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/datasets/999", 404),
        ("/runs/999", 404),
        ("/depositions/1", 404),
        ("/TM-999", 404),
        ("/no/such/page", 404),
        ("/nothing", 404),
        ("/datasets/abc", 400),
        ("/runs/DS-1", 400),
        ("/runs/99999999999999999999", 400),
        ("/view/runs/1?tomogram=999", 404),
        ("/static/0/style.css", 404),
    ],
)
def test_addresses_that_lead_nowhere_get_a_page_that_helps(http: httpx.Client, address: str, status: int) -> None:
    """F142."""
    answer = http.get(address, headers={"Accept": "text/html"})
    assert answer.status_code == status
    assert "Search datasets" in answer.text
