"""The examples of docs/reference/graphql.md are answered, and its numbers are those of the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tomoportal.catalog import Catalog, GraphQL, aggregates, execute, filters, index, ordering, search_field, statement
from tomoportal.catalog.compiler import MAX_AGAIN, MAX_NESTING
from tomoportal.catalog.variants import DEFAULT, EXTENDED

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "graphql.md").read_text()
EXAMPLES = re.findall(r"```graphql( extended)?\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def service(example_in: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphQL]:
    folder = tmp_path_factory.mktemp("page")
    with Catalog.open(f"sqlite:///{folder}/catalog.sqlite", create=True) as catalog:
        index(example_in(folder / "archive").write(), catalog)
        yield GraphQL(catalog)


@pytest.mark.parametrize(("extended", "query"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_are_answered(service: GraphQL, extended: str, query: str) -> None:
    answer = json.loads(service.execute(query, extended=bool(extended)).body)
    assert "errors" not in answer
    assert all(answer["data"].values())
    if extended:
        assert json.loads(service.execute(query).body)["data"] is None
    else:
        assert json.loads(service.execute(query, extended=True).body).keys() == {"data"}


def test_there_are_examples() -> None:
    assert [bool(extended) for extended, _ in EXAMPLES] == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        ("length of a request", [execute.MAX_LENGTH, execute.MAX_TOKENS]),
        ("root fields", [execute.MAX_ROOT_FIELDS]),
        ("fields, tables and filters", [statement.MAX_PARTS, statement.MAX_VALUES]),
        ("relations that a selection", [MAX_NESTING]),
        ("rows of pages under", [MAX_AGAIN]),
        (
            "relation steps",
            [DEFAULT.list_depth, DEFAULT.aggregate_depth, EXTENDED.list_depth, EXTENDED.aggregate_depth],
        ),
        ("`_and`, `_or`, `_not` inside", [filters.MAX_LOGIC]),
        ("keys of an order", [ordering.MAX_KEYS, aggregates.MAX_COLUMNS, aggregates.MAX_JOINS]),
        ("rows of a page", [DEFAULT.most_rows, EXTENDED.most_rows]),
        ("text of a search", [search_field.MAX_TEXT, search_field.MAX_WORDS]),
    ],
)
def test_limits_are_those_of_the_code(row: str, numbers: list[int]) -> None:
    (limits,) = re.findall(rf"^\| {re.escape(row)}.* \| (.*) \|$", PAGE, re.MULTILINE)
    found = [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", limits)]
    assert found[: len(numbers)] == numbers
