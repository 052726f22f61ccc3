"""Content types, Accept headers and gzip."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.server.encoding import accepts, accepts_gzip, compress, content_type, prefers_html


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("10001/dataset_metadata.json", "application/json"),
        ("a/x.zarr/.zattrs", "application/json"),
        ("a/x.zarr/0/.zarray", "application/json"),
        ("a/x.zarr/0/0/0/0", "application/octet-stream"),
        ("a/x.zarr/c/0.5", "application/octet-stream"),
        ("a/x.mrc", "application/octet-stream"),
        ("a/x_point.ndjson", "application/x-ndjson"),
        ("a/KEY.PNG", "image/png"),
        ("a/x.rawtlt", "text/plain; charset=utf-8"),
        ("a/x.html", "application/octet-stream"),
        ("a/x.svg", "application/octet-stream"),
        ("a/x.js", "application/octet-stream"),
    ],
)
def test_content_types(key: str, kind: str) -> None:
    assert content_type(key) == kind


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("gzip;q=0", False),
        ("*", True),
        ("*;q=0.1, gzip;q=0", False),
        ("identity", False),
        ("gzip;q=nonsense", False),
    ],
)
def test_gzip_only_for_those_who_accept_it(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_who_is_a_browser() -> None:
    chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
    assert prefers_html(chrome)
    assert not prefers_html("*/*")
    assert not prefers_html("application/json, text/html;q=0.5")
    assert not prefers_html(None)
    assert accepts("application/json;q=0.2", "application/json")
    assert not accepts("*/*", "application/json")


@given(st.binary(max_size=5000))
def test_compressed_bytes_come_back(body: bytes) -> None:
    packed, compressed = compress(body, "gzip")
    assert (gzip.decompress(packed) if compressed else packed) == body
    assert compress(body, "gzip")[0] == packed
    assert compress(body, None) == (body, False)
