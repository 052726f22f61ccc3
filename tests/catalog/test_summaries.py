"""Counts on record are those of the rows, whatever happened, and do not change an answer (F110, F111)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from tomoportal.archive import Archive
from tomoportal.catalog import ANYONE, Bases, Catalog, GraphQL, browse, index
from tomoportal.catalog.migrations import downgrade
from tomoportal.catalog.statements import StatementCount
from tomoportal.catalog.summaries import is_summarised
from tomoportal.model.entities import ENTITIES

NewUrl = Callable[[str], str]
BASES = Bases("s3://b", "http://h/files")


@pytest.fixture
def catalog(new_url: NewUrl) -> Iterator[Catalog]:
    with Catalog.open(new_url("summaries"), create=True) as catalog:
        yield catalog


def on_record(catalog: Catalog) -> list[tuple[Any, ...]]:
    with catalog.read() as connection:
        return sorted(tuple(row) for row in connection.execute(select(catalog.tables.summary)))


def is_right(catalog: Catalog) -> bool:
    """Whether the counts are used, and are those of the rows."""
    with catalog.read() as connection:
        _, used = catalog.data_version(connection)
    found = on_record(catalog)
    with catalog.write() as connection:
        catalog.summaries.count_again(connection)
    return used and found == on_record(catalog) and bool(found)


def questions() -> Iterator[str]:
    for entity in ENTITIES.values():
        yield f"{{{entity.root}Aggregate {{aggregate {{count}}}}}}"
        for field in entity.fields:
            if is_summarised(entity, field.name):
                yield f"{{{entity.root}Aggregate {{aggregate {{count groupBy {{{field.wire}}}}}}}}}"
                group = f"groupBy {{v: {field.wire}}}"
                yield f"{{a: {entity.root}Aggregate {{aggregate {{n: count {group} __typename m: count}}}}}}"


def test_every_count_follows_the_rows(catalog: Catalog, example: Any) -> None:
    documents, run = dict(example.documents), example.run
    assert index(example.write(), catalog).changed
    assert is_right(catalog)

    annotation = next(key for key in documents if "/Annotations/" in key and "object_count" in documents[key])
    example.documents[annotation]["annotation_object"]["name"] = "something else"
    dataset = "10001/dataset_metadata.json"
    example.documents[dataset] = {**documents[dataset], "organism": {"name": "Escherichia coli", "taxonomy_id": 562}}
    assert index(example.write(), catalog).updated
    assert is_right(catalog)
    assert any(row[2] == "Escherichia coli" for row in on_record(catalog))

    example.documents = {key: value for key, value in documents.items() if not key.startswith(f"{run}/Reconstructions")}
    assert index(example.write(), catalog).removed
    assert is_right(catalog)
    assert not any(row[0].startswith("annotation") for row in on_record(catalog))

    shutil.rmtree(example.folder / "10001")
    assert index(Archive.open(example.folder), catalog).removed
    assert is_right(catalog)
    assert {row[0].partition(".")[0] for row in on_record(catalog)} == {
        "deposition",
        "deposition_author",
        "deposition_type",
    }


def test_answers_are_the_same_with_and_without(catalog: Catalog, seed: dict[str, Any], fill: Any) -> None:  # F111
    fill(catalog, seed)
    plain = {query: GraphQL(catalog).execute(query, bases=BASES).body for query in questions()}
    with catalog.write() as connection:
        catalog.summaries.count_again(connection)
        catalog.set_info(connection, "summary", catalog.summaries.stamp("0"))
    service = GraphQL(catalog)
    assert {query: service.execute(query, bases=BASES).body for query in questions()} == plain
    assert any(b'"count":0' in body for body in plain.values()), "no empty table was asked"
    with catalog.read() as connection:
        table = catalog.tables.summary
        number = connection.execute(select(table.c.number).where(table.c.place == "run")).scalar()
    assert json.loads(plain["{runsAggregate {aggregate {count}}}"])["data"]["runsAggregate"]["aggregate"] == [
        {"count": number}
    ]


def test_what_the_counts_cannot_say_is_counted(catalog: Catalog, seed: dict[str, Any], fill: Any) -> None:
    """Whoever does not see all rows gets the numbers of those that he sees; so does a filter."""
    fill(catalog, seed)
    queries = [
        "{annotationsAggregate {aggregate {count groupBy {objectName}}}}",
        "{annotationsAggregate(where: {id: {_gt: 1}}) {aggregate {count groupBy {objectName}}}}",
        "{annotationsAggregate {aggregate {count groupBy {objectName methodType}}}}",
        "{annotationsAggregate {aggregate {count(columns: objectName) groupBy {objectName}}}}",
        "{annotationsAggregate {aggregate {count max {id} groupBy {objectName}}}}",
        "{annotationsAggregate {aggregate {count groupBy {run {name}}}}}",
    ]

    def rule(table: str, viewer: object, alias: str | None) -> str | None:
        return f"{alias}.id <> 1" if table == "annotation" else None

    plain = [GraphQL(catalog, rule=rule).execute(query, bases=BASES).body for query in queries]
    everything = [GraphQL(catalog).execute(query, bases=BASES).body for query in queries]
    with catalog.write() as connection:
        catalog.summaries.count_again(connection)
        catalog.set_info(connection, "summary", catalog.summaries.stamp("0"))
    assert [GraphQL(catalog, rule=rule).execute(query, bases=BASES).body for query in queries] == plain
    assert [GraphQL(catalog).execute(query, bases=BASES).body for query in queries] == everything
    assert plain[0] != everything[0]


def test_counts_of_another_version_are_not_used_and_are_mended(catalog: Catalog, example: Any) -> None:
    archive = example.write()
    index(archive, catalog)
    query = "{annotationsAggregate {aggregate {count}}}"
    right = GraphQL(catalog).execute(query, bases=BASES).body
    with catalog.write() as connection:
        connection.execute(catalog.tables.summary.update().values(number=77))
        catalog.set_info(connection, "summary", "another program's")
    assert GraphQL(catalog).execute(query, bases=BASES).body == right
    index(archive, catalog)
    assert is_right(catalog)
    assert GraphQL(catalog).execute(query, bases=BASES).body == right


def test_an_older_catalog_gets_its_counts_by_the_next_index(new_url: NewUrl, example: Any) -> None:
    url, archive = new_url("older"), example.write()
    with Catalog.open(url, create=True) as catalog:
        index(archive, catalog)
        with catalog.write() as connection:
            downgrade(connection, "0001")
    with Catalog.open(url, create=True) as catalog:
        assert b'"count":' in GraphQL(catalog).execute("{runsAggregate {aggregate {count}}}", bases=BASES).body
        assert index(archive, catalog).read == 0
        assert is_right(catalog)


def test_the_home_page_counts_nothing(catalog: Catalog, example: Any) -> None:  # F110
    index(example.write(), catalog)
    before = browse.landing_counts(catalog, ANYONE)
    with catalog.write() as connection:
        connection.execute(
            catalog.tables.summary.update().where(catalog.tables.summary.c.place == "run").values(number=5)
        )
    statements = StatementCount(catalog)
    after = browse.landing_counts(catalog, ANYONE)
    assert (before.runs, after.runs) == (1, 5), "the numbers on record were not used"
    assert statements.value <= 7
