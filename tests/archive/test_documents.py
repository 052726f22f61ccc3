from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoportal.archive import documents
from tomoportal.errors import DocumentError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values))
def test_a_document_comes_back(document: dict[str, Any]) -> None:
    data = documents.dump(document)
    assert documents.load(data) == document
    assert documents.dump(documents.load(data)) == data


def test_the_form_is_upstreams() -> None:
    data = documents.dump({"b": [1, 2.0], "a": {"name": "Å"}})
    assert data == b'{\n    "b": [\n        1,\n        2.0\n    ],\n    "a": {\n        "name": "\\u00c5"\n    }\n}'


def test_rows() -> None:
    rows = [{"object_id": "GO:1", "object_name": "a/b"}]
    data = documents.dump_rows(rows)
    assert data == b'[\n    {\n        "object_id":"GO:1",\n        "object_name":"a\\/b"\n    }\n]'
    assert json.loads(data) == rows


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(DocumentError):
        documents.dump({"a": value})
    with pytest.raises(DocumentError):
        documents.dump_rows([{"a": value}])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b"", "line 1"),
        (b"[]", "not a JSON object"),
        (b'{"a": "\xff"}', "not UTF-8"),
    ],
)
def test_errors_have_a_place(data: bytes, text: str) -> None:
    with pytest.raises(DocumentError, match=text) as caught:
        documents.load(data, "10001/dataset_metadata.json")
    assert "10001/dataset_metadata.json" in str(caught.value)


def test_documents_are_checked_against_the_schema() -> None:
    good = {"run_name": "TS_1", "deposition_id": 10301, "last_updated_at": 0}
    documents.check("10001/TS_1/run_metadata.json", good)
    with pytest.raises(DocumentError, match="run_nmae") as caught:
        documents.check("10001/TS_1/run_metadata.json", {**good, "run_nmae": "TS_1"})
    assert "10001/TS_1/run_metadata.json" in str(caught.value)
    with pytest.raises(DocumentError, match="not the key of a metadata document"):
        documents.check("10001/TS_1/other.json", good)


@given(st.dictionaries(st.text(), values))
def test_the_bytes_are_those_of_json_with_an_indent(document: dict[str, Any]) -> None:
    assert documents.dump(document) == json.dumps(document, indent=4).encode("ascii")


def test_what_the_fast_way_refuses_is_written_all_the_same() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"a": deep}
    for document in ({"a": "\ud800"}, {"a": 10**400}, deep):
        assert documents.dump(document) == json.dumps(document, indent=4).encode("ascii")
