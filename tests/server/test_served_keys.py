"""Which keys are served."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.server.served_keys import is_ours, is_plain


@given(st.text(st.sampled_from("a./\x00\x1f\x7f\ufffe\ud800é ~"), max_size=8))
def test_a_plain_key_has_plain_parts(key: str) -> None:
    letters = all(letter >= " " and letter not in "\x7f\ufffe\ud800" for letter in key)
    assert is_plain(key) == (letters and all(part not in {"", ".", ".."} for part in key.split("/")))


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        (".tomoportal/ids.json", True),
        ("10001/.tomoportal-tmp-1", True),
        (".tomoportal", True),
        ("10001/x.tomoportal", False),
        ("10001/tomoportal/x", False),
    ],
)
def test_what_is_ours(key: str, ours: bool) -> None:
    assert is_ours(key) is ours
