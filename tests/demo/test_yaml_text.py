from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoportal.demo.yaml_text import yaml_text

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
KEYS = st.from_regex(r"k[a-z_]{0,8}", fullmatch=True)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(st.dictionaries(KEYS, inner) | SCALARS | st.lists(SCALARS)) | st.dictionaries(KEYS, inner),
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
@settings(max_examples=50)
def test_what_is_written_is_read_again(document: dict[str, Any]) -> None:
    text = yaml_text(document)
    text.encode("ascii")
    read = yaml.safe_load(text) if document else {}
    assert _plain(read) == _plain(document)


def test_words_that_yaml_takes_for_something_else_are_quoted() -> None:
    for word in (
        "no",
        "Null",
        "1.3.0",
        "2024-01-01",
        "",
        " x",
        "a: b",
        "# c",
        "*d",
        "{run}",
        "0x10",
        "1e5",
        "é",
        "~",
        "-",
    ):
        assert yaml.safe_load(yaml_text({"key": word})) == {"key": word}


def test_anchors_are_written_once() -> None:
    authors = [{"name": "A"}, {"name": "B"}]
    text = yaml_text({"first": {"authors": authors}, "second": [{"authors": authors}]}, {"authors": authors})
    assert text.count("name: A") == 1
    assert yaml.safe_load(text) == {"first": {"authors": authors}, "second": [{"authors": authors}]}


def _plain(value: Any) -> Any:
    """YAML 1.1 reads 1e+16 as text; the config holds no such number, so compare numbers by their text."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, float) else value
