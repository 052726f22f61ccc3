"""The cache of values made on request."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.server.byte_cache import ByteCache


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 40)), max_size=60))
def test_never_more_than_its_limit_and_always_the_right_value(asked: list[tuple[int, int]]) -> None:
    cache: ByteCache[bytes] = ByteCache(100, len)
    for key, size in asked:
        value = cache.get((key, size), lambda key=key, size=size: bytes([key]) * size)
        assert value == bytes([key]) * size
        assert cache.used <= 100


def test_the_least_recently_used_goes_first() -> None:
    cache: ByteCache[bytes] = ByteCache(20, len)
    made: list[str] = []

    def make(name: str) -> bytes:
        made.append(name)
        return b"0123456789"

    for name in ("a", "b", "a", "c", "a", "b"):
        cache.get(name, lambda name=name: make(name))
    assert made == ["a", "b", "c", "b"]


def test_what_is_larger_than_the_cache_is_handed_out_and_not_kept() -> None:
    cache: ByteCache[bytes] = ByteCache(10, len)
    assert cache.get("large", lambda: b"x" * 11) == b"x" * 11
    assert len(cache) == 0


def test_one_value_is_made_once_however_many_ask() -> None:
    cache: ByteCache[bytes] = ByteCache(10, len)
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        time.sleep(0.05)
        return b"value"

    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(cache.get("k", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (made, found) == ([1], [b"value"] * 8)


def test_a_failure_reaches_all_who_ask_and_is_tried_again() -> None:
    cache: ByteCache[bytes] = ByteCache(10, len)

    def fail() -> bytes:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        cache.get("k", fail)
    assert cache.get("k", lambda: b"ok") == b"ok"
