"""``/metrics``, the access log, and how pages travel."""

from __future__ import annotations

import gzip
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.archive import Archive
from tomoportal.catalog import Catalog, default_url, index
from tomoportal.server import LiveServer, Settings
from tomoportal.server.addresses import client_of
from tomoportal.server.metrics import Metrics
from tomoportal.server.observation import ACCESS, JsonLines
from tomoportal.testing.sample_archive import write_sample_archive

BROWSER = {"Accept": "text/html,*/*;q=0.8"}
_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="[^"\n]*",?)*)\})? ([0-9.e+-]+|\+Inf)')


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LiveServer]:
    write_sample_archive(tmp_path / "archive")
    with LiveServer(Settings(archive=str(tmp_path / "archive"), trusted_proxies=("127.0.0.1",))) as server:
        yield server


def samples(text: str) -> dict[str, float]:
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = _SAMPLE.fullmatch(line)
            assert match, line
            found[line.rpartition(" ")[0]] = float(match[3])
    return found


def test_requests_are_counted_by_route(own: LiveServer) -> None:
    document = "10001/dataset_metadata.json"
    expected = {
        'tomoportal_http_requests_total{route="/files/{key:path}",method="GET",status="200"}': 3,
        'tomoportal_http_requests_total{route="/files/{key:path}",method="GET",status="404"}': 1,
        'tomoportal_http_requests_total{route="/files/{key:path}",method="other",status="405"}': 1,
        'tomoportal_http_requests_total{route="/s3/{path:path}",method="GET",status="200"}': 1,
        'tomoportal_http_requests_total{route="none",method="GET",status="404"}': 5,
        'tomoportal_http_request_duration_seconds_count{route="/graphql"}': 1,
        'tomoportal_http_request_duration_seconds_bucket{route="/graphql",le="+Inf"}': 1,
        "tomoportal_http_requests_in_progress": 1,
        'tomoportal_catalog_rows{entity="runs"}': 2,
        "tomoportal_catalog_up": 1,
    }
    metrics = 'tomoportal_http_requests_total{route="/metrics",method="GET",status="200"}'
    with httpx.Client(base_url=own.url, headers={"Accept-Encoding": "identity"}) as http:
        size = sum(len(http.get(f"/files/{document}").content) for _ in range(3))
        http.head(f"/files/{document}")
        http.get("/files/missing")
        http.request("PROPFIND", "/files/coffee")
        http.get("/s3/tomoportal/" + document)
        http.post("/graphql", json={"query": "{ datasets { id } runs { id } }"})
        for number in range(5):
            http.get(f"/no/such/place/{number}")
        for asked in range(600):  # a request is counted when its answer is on the way
            answer = http.get("/metrics")
            found = samples(answer.text)
            if asked and {**found, **expected, metrics: asked} == found:
                break
            time.sleep(0.05)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert {name: found.get(name) for name in [*expected, metrics]} == {**expected, metrics: asked}
    assert found['tomoportal_http_response_bytes_total{route="/files/{key:path}"}'] >= size
    assert found["tomoportal_sql_statements_total"] >= 2
    assert "place" not in answer.text, "a visitor can make as many lines as he likes"


@given(st.lists(st.floats(0, 100), max_size=40))
def test_the_histogram_is_one(seconds: list[float]) -> None:
    metrics = Metrics()
    for each in seconds:
        metrics.record("/", "GET", 200, each, 1)
    found = samples("\n".join(metrics.lines()))
    buckets = {name: value for name, value in found.items() if "_bucket" in name}
    for name, value in buckets.items():
        bound = float(name.partition('le="')[2].removesuffix('"}'))
        assert value == sum(each <= bound for each in seconds)
    assert len(buckets) == (15 if seconds else 0)


def test_metrics_can_be_left_out(tmp_path: Path) -> None:
    write_sample_archive(tmp_path)
    with LiveServer(Settings(archive=str(tmp_path), metrics=False)) as server:
        assert httpx.get(f"{server.url}/metrics").status_code == 404


def test_the_access_log_has_fields(own: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    asked = {
        "/files/10001/%0d%1b[31mforged?a=%0d": {"User-Agent": "test/1"},
        "/healthz?1": {"X-Forwarded-For": "192.0.2.7, 10.0.0.1"},
        "/healthz?2": {"X-Forwarded-For": "not an address"},
    }
    lines: list[logging.LogRecord] = []
    with caplog.at_level(logging.INFO, logger=ACCESS):
        for number, (path, headers) in enumerate(asked.items(), start=1):
            httpx.get(f"{own.url}{path}", headers=headers)
            end = time.monotonic() + 60  # a line is written when its answer is on the way
            while len(lines) < number and time.monotonic() < end:
                time.sleep(0.01)
                lines = [record for record in caplog.records if record.name == ACCESS]
    first, second, third = lines
    line = json.loads(JsonLines().format(first))
    assert line["path"] == "/files/10001/%0d%1b[31mforged?a=%0d"
    assert (line["method"], line["status"], line["route"]) == ("GET", 404, "/files/{key:path}")
    assert (line["client"], line["user_agent"], line["level"]) == ("127.0.0.1", "test/1", "INFO")
    assert 0 < line["seconds"] < 60
    assert line["bytes"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert '"GET /files/10001/%0d%1b[31mforged?a=%0d" 404' in first.getMessage()
    assert "192.0.2.7" in second.getMessage()
    assert third.getMessage().startswith("127.0.0.1 ")


def test_proxies_that_are_not_trusted_say_nothing() -> None:
    scope = {"client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", b"192.0.2.7")]}
    assert client_of(scope, Settings(archive="/a")) == "127.0.0.1"
    assert client_of({**scope, "client": None}, Settings(archive="/a", trusted_proxies=("*",))) == "192.0.2.7"


def test_errors_are_json_lines_too() -> None:
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        record = logging.getLogger("x").makeRecord(
            "x", logging.ERROR, __file__, 1, "went %s", ("wrong",), sys.exc_info()
        )
    text = JsonLines().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["message"], line["level"]) == ("went wrong", "ERROR")
    assert "broken\nin two lines" in line["traceback"]


# --- pages


@pytest.mark.parametrize("path", ["/", "/browse-data/datasets", "/datasets/10001", "/browse-data/depositions"])
def test_pages_are_compressed_and_validated(http: httpx.Client, path: str) -> None:
    plain = http.get(path, headers=BROWSER)
    assert "content-encoding" not in plain.headers
    packed_by_wire = {**BROWSER, "Accept-Encoding": "gzip, br"}
    with http.stream("GET", path, headers=packed_by_wire) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(raw)
    assert gzip.decompress(raw) == plain.content
    assert answer.headers["etag"] == plain.headers["etag"]
    assert "Accept-Encoding" in answer.headers["vary"]
    assert plain.headers["cache-control"] == "no-cache"
    again = http.get(path, headers={**packed_by_wire, "If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == plain.headers["content-security-policy"]
    head = http.head(path, headers=BROWSER)
    assert (head.status_code, head.headers["etag"]) == (200, plain.headers["etag"])


def test_style_sheets_are_compressed(http: httpx.Client) -> None:
    address = re.search(r"/static/[0-9a-z]+/style\.css", http.get("/", headers=BROWSER).text)
    assert address
    answer = http.get(address[0], headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == http.get(address[0]).text
    assert "immutable" in answer.headers["cache-control"]


def test_errors_and_data_are_left_alone(http: httpx.Client) -> None:
    packed = {**BROWSER, "Accept-Encoding": "gzip"}
    assert "etag" not in http.get("/no/such/page", headers=packed).headers
    listing = http.get("/files/10001/", headers=packed)
    assert listing.status_code == 200
    assert "content-encoding" not in http.get("/s3/tomoportal/10001/dataset_metadata.json", headers=packed).headers


# --- new data


def test_new_data_is_seen_without_a_restart(own: LiveServer) -> None:
    query = {"query": "{ datasets { title } }"}
    with httpx.Client(base_url=own.url) as http:
        before = http.get("/graphql", params=query)
        page = http.get("/datasets/10001", headers=BROWSER)
        document = Path(own.settings.archive) / "10001" / "dataset_metadata.json"
        document.write_text(document.read_text().replace("Sample dataset", "Renamed dataset"))
        command = [sys.executable, "-m", "tomoportal", "index", "--archive", own.settings.archive]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        after = http.get("/graphql", params=query, headers={"If-None-Match": before.headers["etag"]})
        assert after.status_code == 200
        assert after.json()["data"]["datasets"] == [{"title": "Renamed dataset"}]
        renewed = http.get("/datasets/10001", headers={**BROWSER, "If-None-Match": page.headers["etag"]})
        assert (renewed.status_code, "Renamed dataset" in renewed.text) == (200, True)
        versions = [name for name in samples(http.get("/metrics").text) if "catalog_info" in name]
        archive = Archive.open(own.settings.archive)
        with Catalog.open(default_url(archive)) as catalog:
            index(archive, catalog)
            assert versions == [f'tomoportal_catalog_info{{version="{catalog.version}"}}']
