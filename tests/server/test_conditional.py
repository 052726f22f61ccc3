"""Byte ranges and conditional requests, against the rules of RFC 9110."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.server.conditional import (
    UnsatisfiableRangeError,
    compressed_etag,
    http_date,
    is_unchanged,
    parse_range,
    precondition_holds,
    range_applies,
)

TAG = '"abc"'


@given(size=st.integers(0, 300), first=st.integers(0, 320), last=st.integers(0, 320))
def test_a_range_is_what_python_slicing_says(size: int, first: int, last: int) -> None:
    data = bytes(index % 251 for index in range(size))
    header = f"bytes={first}-{last}"
    if last < first:
        assert parse_range(header, size) is None
    elif first >= size:
        with pytest.raises(UnsatisfiableRangeError):
            parse_range(header, size)
    else:
        interval = parse_range(header, size)
        assert interval is not None
        start, stop = interval
        assert data[start:stop] == data[first : last + 1]


@given(size=st.integers(1, 300), length=st.integers(1, 400))
def test_a_suffix_is_the_end_of_the_file(size: int, length: int) -> None:
    data = bytes(index % 251 for index in range(size))
    interval = parse_range(f"bytes=-{length}", size)
    assert interval is not None
    start, stop = interval
    assert data[start:stop] == data[-length:]


@given(st.text(max_size=20))
def test_any_header_is_survived(text: str) -> None:
    try:
        interval = parse_range(text, 100)
    except UnsatisfiableRangeError:
        return
    assert interval is None or 0 <= interval[0] < interval[1] <= 100


@pytest.mark.parametrize("header", [None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,4-5"])
def test_what_is_no_single_range_asks_for_the_whole_file(header: str | None) -> None:
    assert parse_range(header, 100) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-1", 0)])
def test_ranges_without_any_byte_are_unsatisfiable(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        parse_range(header, size)


@pytest.mark.parametrize(
    ("headers", "unchanged"),
    [
        ({}, False),
        ({"if-none-match": TAG}, True),
        ({"if-none-match": '"x", W/"abc"'}, True),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": '"abd"'}, False),
        ({"if-none-match": compressed_etag(TAG)}, True),
        ({"if-modified-since": http_date(1000)}, True),
        ({"if-modified-since": http_date(999)}, False),
        ({"if-modified-since": "yesterday"}, False),
        ({"if-none-match": '"other"', "if-modified-since": http_date(2000)}, False),
    ],
)
def test_not_modified(headers: dict[str, str], unchanged: bool) -> None:
    assert is_unchanged(headers, TAG, 1000.7) is unchanged


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        (None, True),
        (TAG, True),
        ('W/"abc"', False),
        ('"other"', False),
        (compressed_etag(TAG), False),
        (http_date(1000), True),
        (http_date(1001), False),
        ("nonsense", False),
    ],
)
def test_if_range(condition: str | None, applies: bool) -> None:
    assert range_applies({} if condition is None else {"if-range": condition}, TAG, 1000.2) is applies


def test_if_match() -> None:
    assert precondition_holds({}, TAG, 0.0)
    assert precondition_holds({"if-match": "*"}, TAG, 0.0)
    assert precondition_holds({"if-match": '"x", "abc"'}, TAG, 0.0)
    assert not precondition_holds({"if-match": '"x"'}, TAG, 0.0)
    assert not precondition_holds({"if-match": 'W/"abc"'}, TAG, 0.0)
