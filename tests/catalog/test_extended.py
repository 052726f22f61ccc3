"""What the extended schema adds, case by case; random requests are in ``test_parity``."""

# ruff: noqa: E501  requests are easier to read on one line
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from tomoportal.catalog import Catalog, GraphQL

NewUrl = Callable[[str], str]


@pytest.fixture
def ask(service: GraphQL) -> Callable[..., Any]:
    return lambda query, **variables: answered(service, query, **variables)


def answered(service: GraphQL, query: str, **variables: Any) -> Any:
    found = json.loads(service.execute(query, variables, extended=True).body)
    assert "errors" not in found, found
    return found["data"]


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


def test_alternatives_through_relations(ask: Any) -> None:
    where = '{_or: [{id: {_eq: 1}}, {run: {_or: [{name: {_eq: "RUN2"}}, {dataset: {id: {_lt: 0}}}]}}]}'
    both = ids(ask(f"{{annotations(where: {where}) {{id}}}}")["annotations"])
    one = ids(ask('{annotations(where: {run: {name: {_eq: "RUN2"}}}) {id}}')["annotations"])
    assert both == sorted({1, *one})
    assert ids(ask(f"{{annotations(where: {{_not: {where}}}) {{id}}}}")["annotations"]) == sorted(
        {*range(1, 7)} - {*both}
    )


def test_what_is_compared_with_null_stays_unknown(ask: Any) -> None:
    """Annotation 1 has no deposition: no row for a filter on its key or its opposite, a row for "has none"."""
    key = "{depositionId: {_gt: 0}}"
    assert 1 not in ids(ask(f"{{annotations(where: {key}) {{id}}}}")["annotations"])
    assert 1 not in ids(ask(f"{{annotations(where: {{_not: {key}}}) {{id}}}}")["annotations"])
    assert ids(ask("{annotations(where: {_not: {deposition: {}}}) {id}}")["annotations"]) == [1]
    assert ids(ask("{annotations(where: {_not: {deposition: {id: {_gt: 0}}}}) {id}}")["annotations"]) == [1]
    having = {row["depositionId"] for row in ask("{annotations {depositionId}}")["annotations"]}
    without = {row["id"] for row in ask("{depositions {id}}")["depositions"]} - having
    assert set(ids(ask("{depositions(where: {_not: {annotations: {id: {_gt: 0}}}}) {id}}")["depositions"])) == without


def test_empty_lists_and_null_comparisons(ask: Any) -> None:
    counts = {
        where: len(ask(f"{{annotations(where: {where}) {{id}}}}")["annotations"])
        for where in (
            "{_and: []}",
            "{_or: []}",
            "{_not: {}}",
            "{_or: [{}]}",
            "{_not: {id: {_gt: null}}}",
            "{_or: {id: {_eq: 1}}}",
        )
    }
    assert list(counts.values()) == [6, 0, 0, 6, 0, 1]


def test_foreign_keys(ask: Any) -> None:
    rows = ask("{annotations(orderBy: [{depositionId: desc_nulls_last}]) {id depositionId}}")["annotations"]
    known = [row["depositionId"] for row in rows if row["depositionId"] is not None]
    assert known == sorted(known, reverse=True)
    assert rows[-1]["id"] == 1
    groups = ask("{annotationsAggregate {aggregate {count groupBy {depositionId}}}}")["annotationsAggregate"][
        "aggregate"
    ]
    assert sum(group["count"] for group in groups) == 6  # through the relation the row without one would drop out
    assert None in [group["groupBy"]["depositionId"] for group in groups]
    (found,) = ask("{annotationsAggregate {aggregate {count(columns: depositionId)}}}")["annotationsAggregate"][
        "aggregate"
    ]
    assert found["count"] == 5


def test_total_count_is_of_all_pages(ask: Any) -> None:
    query = "{datasets(where: {id: {_eq: 20001}}) {runs(%s) {totalCount nodes {id} edges {node {id}}}}}"
    for arguments, size in (("first: 1", 1), ("first: 0", 0), ("last: 1", 1), ("first: 1000", 2)):
        (dataset,) = ask(query % arguments)["datasets"]
        assert dataset["runs"]["totalCount"] == 2
        assert ids(dataset["runs"]["nodes"]) == ids([edge["node"] for edge in dataset["runs"]["edges"]])
        assert len(dataset["runs"]["nodes"]) == size
    (dataset,) = ask(query % 'where: {name: {_eq: "RUN1"}}')["datasets"]
    assert dataset["runs"]["totalCount"] == 1


def _spacings(catalog: Catalog, rows: dict[int, float | None]) -> None:
    values = [
        {"id": number, "voxel_spacing": value, "prefix_key": "k", "run_id": 1, "natural_key": str(number), "unit": "u"}
        for number, value in rows.items()
    ]
    with catalog.write() as connection:
        connection.execute(catalog.tables["tomogram_voxel_spacing"].insert(), values)


PAGE = "query Q($after: String, $before: String, $first: Int, $last: Int) {runs {tomogramVoxelSpacings(orderBy: [{voxelSpacing: desc}], after: $after, before: $before, first: $first, last: $last) {nodes {id} pageInfo {startCursor endCursor hasNextPage hasPreviousPage}}}}"


def test_pages_keep_their_place_when_rows_come_and_go(new_url: NewUrl, seed: dict[str, Any], fill: Any) -> None:
    """The row of the cursor goes, one comes before it and one behind it: nothing is shown twice, nothing is left out."""
    with Catalog.open(new_url("pages"), create=True) as catalog:
        table = catalog.tables["tomogram_voxel_spacing"]
        fill(catalog, {**seed, "entities": {name: seed["entities"][name] for name in ("Deposition", "Dataset", "Run")}})
        with catalog.write() as connection:
            connection.execute(catalog.tables["run"].delete().where(catalog.tables["run"].c.id != 1))
        _spacings(catalog, {1: 1.0, 2: 2.0, 3: 0.1, 4: 13.48, 5: 13.48, 6: 1 / 3})
        service = GraphQL(catalog)

        def page(**variables: Any) -> tuple[list[int], dict[str, Any]]:
            (run,) = answered(service, PAGE, **variables)["runs"]
            return ids(run["tomogramVoxelSpacings"]["nodes"]), run["tomogramVoxelSpacings"]["pageInfo"]

        first, info = page(first=3)
        assert (first, info["hasNextPage"], info["hasPreviousPage"]) == ([4, 5, 2], True, False)
        with catalog.write() as connection:
            connection.execute(table.delete().where(table.c.id == 2))
        _spacings(catalog, {7: 99.0, 8: 0.5})
        second, after = page(after=info["endCursor"], first=3)
        assert (second, after["hasNextPage"], after["hasPreviousPage"]) == ([1, 8, 6], True, True)
        assert page(after=after["endCursor"])[0] == [3]
        assert page(before=after["startCursor"], last=2)[0] == [4, 5]
        assert page(after=info["endCursor"], before=after["endCursor"])[0] == [1, 8]


@pytest.mark.parametrize(
    "query",
    [
        "{datasets(where: {_or: [{id: {_gt: 0}}, {_not: {runs: {annotations: {id: {_eq: 1}}}}}]}, orderBy: [{depositionId: asc}]) {runs(first: 1000) {totalCount nodes {annotations {totalCount nodes {id} pageInfo {startCursor endCursor hasNextPage}}}}}}",
        "{annotationsAggregate(where: {_not: {run: {name: {_eq: null}}}}) {aggregate {count(columns: runId, distinct: true) groupBy {depositionId}}}}",
    ],
)
def test_one_statement_per_root_field(seed_catalog: Catalog, query: str) -> None:
    service = GraphQL(seed_catalog)
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(seed_catalog.reading_engine, "before_cursor_execute", note)
    try:
        answered(service, query)
    finally:
        event.remove(seed_catalog.reading_engine, "before_cursor_execute", note)
    # A connection that is new, or was made by others, is first told the time limit.
    assert len([one for one in statements if "catalog_info" not in one and not one.startswith("SET ")]) == 1


def test_the_default_schema_stays_as_it_is(service: GraphQL) -> None:
    query = "{runs(where: {id: {_eq: 1}}) {annotations(first: 1) {edges {cursor}}}}"
    default, extended = (json.loads(service.execute(query, extended=extended).body) for extended in (False, True))
    assert default["data"]["runs"][0]["annotations"]["edges"] == [{"cursor": "YXJyYXljb25uZWN0aW9uOjA="}]
    assert default != extended
    for text in (
        "{runs {annotations {totalCount}}}",
        "{annotations(orderBy: [{runId: asc}]) {id}}",
        '{search(text: "a") {totalCount}}',
        "{runs(where: {_and: []}) {id}}",
    ):
        assert json.loads(service.execute(text).body)["data"] is None
        assert json.loads(service.execute(text, extended=True).body)["data"] is not None
