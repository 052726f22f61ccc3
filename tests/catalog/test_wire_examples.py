"""The recorded requests and answers of the public API, one test per pair (contracts/README.md)."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tomoportal.catalog import Bases, GraphQL

_CONTRACTS = Path(os.environ.get("TOMOPORTAL_SHARED", Path(__file__).parents[3] / "shared")) / "contracts"
_EXAMPLES = _CONTRACTS / "wire_examples.json"
_PAIRS = json.loads(_EXAMPLES.read_bytes())["pairs"] if _EXAMPLES.is_file() else []
_MASKED = "Unexpected error."


@pytest.mark.parametrize("pair", _PAIRS, ids=lambda pair: pair["id"])
def test_pair(pair: dict[str, Any], service: GraphQL, seed_bases: Bases) -> None:
    answer = service.execute(pair["query"], pair.get("variables"), pair.get("operationName"), seed_bases)
    if pair.get("expected_error"):
        assert answer.status in {200, 400}
        assert answer.status == 400 or json.loads(answer.body)["errors"]
        return
    assert answer.status == pair["status"], answer.body
    if "response_text" in pair:
        return
    expected = pair.get("expected", pair.get("response"))
    found = json.loads(answer.body)
    assert_equal(found.get("data"), expected.get("data"), "data", set(pair.get("ordered_paths", ())))
    assert bool(found.get("errors")) == bool(expected.get("errors")), found.get("errors")
    texts = {error["message"] for error in expected.get("errors", ())} - {_MASKED}
    assert texts <= {error["message"] for error in found.get("errors", ())}
    assert _MASKED not in {error["message"] for error in found.get("errors", ())}


def assert_equal(found: Any, expected: Any, path: str, ordered: set[str]) -> None:
    """Lists at ``ordered`` paths in order, others as multisets; floats within 1e-9."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), path
        assert found.keys() == expected.keys(), path
        for key in expected:
            assert_equal(found[key], expected[key], f"{path}.{key}", ordered)
    elif isinstance(expected, list):
        assert isinstance(found, list), path
        assert len(found) == len(expected), f"{path}: {found} != {expected}"
        if path not in ordered:
            found, expected = sorted(found, key=_rank), sorted(expected, key=_rank)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other, path, ordered)
    elif isinstance(expected, float) or isinstance(found, float):
        assert math.isclose(found, expected, rel_tol=1e-9), path
    else:
        assert found == expected, path


def _rank(value: Any) -> str:
    def rounded(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: rounded(part[key]) for key in sorted(part)}
        if isinstance(part, list):
            return sorted((rounded(item) for item in part), key=str)
        return f"{part:.9g}" if isinstance(part, float) else part

    return json.dumps(rounded(value), sort_keys=True)


def test_all_pairs_are_there(contracts: Path) -> None:
    assert len(json.loads((contracts / "wire_examples.json").read_bytes())["pairs"]) == 100
