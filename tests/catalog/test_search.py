"""The root field ``search`` of the extended schema, on both databases (F143)."""

# ruff: noqa: E501  requests are easier to read on one line
from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from tomoportal.catalog import Bases, Catalog, GraphQL, Viewer, index
from tomoportal.catalog.migrations import downgrade
from tomoportal.catalog.search_field import MAX_TEXT, MAX_WORDS
from tomoportal.catalog.search_rows import KINDS, ROWS
from tomoportal.model.entities import ENTITIES

Ask = Callable[..., dict[str, Any]]
SEARCH = "query S($text: String!, $types: [EntityType!], $first: Int, $after: String) {search(text: $text, types: $types, first: $first, after: $after) {totalCount pageInfo {hasNextPage hasPreviousPage startCursor endCursor} edges {cursor score node {__typename _id ...on Dataset {id} ...on Run {id name} ...on Annotation {id objectName}}}}}"


def ask_of(service: GraphQL) -> Ask:
    def ask(text: str, query: str = SEARCH, **variables: Any) -> dict[str, Any]:
        answer = service.execute(query, {"text": text, **variables}, bases=Bases("s3://b", "http://h"), extended=True)
        assert answer.status == 200
        return json.loads(answer.body)

    return ask


@pytest.fixture(scope="module")
def catalog(session_url: Any, example_in: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """The example archive, with a second dataset that only differs in its names."""
    example = example_in(tmp_path_factory.mktemp("search") / "archive")
    for key, document in list(example.documents.items()):
        if key.startswith("10001/"):
            text = json.dumps(document).replace("10001", "10002").replace("TS_run1", "Zürich_2")
            example.documents[key.replace("10001", "10002").replace("TS_run1", "Zürich_2")] = json.loads(text)
    with Catalog.open(session_url("search"), create=True) as catalog:
        index(example.write(), catalog)
        yield catalog


@pytest.fixture(scope="module")
def ask(catalog: Catalog) -> Ask:
    return ask_of(GraphQL(catalog))


def found(answer: dict[str, Any]) -> list[tuple[str, int]]:
    assert "errors" not in answer, answer
    return [(edge["node"]["__typename"], edge["score"]) for edge in answer["data"]["search"]["edges"]]


def test_words_find_rows_of_every_kind_best_first(ask: Ask) -> None:  # F143
    hits = found(ask("ada author"))
    assert hits == sorted(hits, key=lambda hit: (-hit[1], KINDS.index(hit[0])))
    assert {kind for kind, _ in hits} >= {
        "Dataset",
        "Deposition",
        "DatasetAuthor",
        "DepositionAuthor",
        "TomogramAuthor",
        "AnnotationAuthor",
    }
    assert {score for _, score in hits} == {10}  # two words in names


def test_a_name_counts_more_than_a_mention(ask: Ask) -> None:
    hits = found(ask("ts_run1"))
    assert hits[0] == ("Run", 20)
    assert ("Dataset", 2) in hits


@pytest.mark.parametrize("text", ["zurich", "ZÜRICH", "zür", "Zu\u0308rich_2", "2 Zürich"])
def test_case_accents_and_last_letters(ask: Ask, text: str) -> None:
    assert ("Run", 10 * len(re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text)))) in found(ask(text))


def test_a_single_letter_stands_for_itself(ask: Ask) -> None:
    assert found(ask("z")) == []
    assert ("Run", 10) in found(ask("zü"))


def test_an_id_finds_its_row(ask: Ask) -> None:
    (run,) = [edge["node"] for edge in ask("zurich 2", types=["Run"])["data"]["search"]["edges"]]
    assert found(ask(f"RN-{run['id']}")) == [("Run", 100)]
    kinds = {kind for kind, score in found(ask("1", first=1000)) if score == 100}
    assert kinds >= {"PerSectionParameters", "Frame", "GainFile", "AnnotationShape", "AnnotationFile", "Alignment"}
    assert found(ask("ds-10002"))[0] == ("Dataset", 100)
    assert found(ask("DS-77777")) == []


@pytest.mark.parametrize("text", ["", " ", "-_.", "nowhere", "ada nowhere", "' OR 1=1 --", '" * title : "', "%", "NOT"])
def test_nothing_is_found(ask: Ask, text: str) -> None:
    search = ask(text)["data"]["search"]
    assert search["totalCount"] == 0
    assert search["edges"] == []
    assert search["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }


def test_pages_follow_one_another(ask: Ask) -> None:
    whole = ask("author", first=1000)["data"]["search"]
    assert whole["totalCount"] == len(whole["edges"]) > 10
    cursor, collected, pages = None, [], 0
    while True:
        page = ask("author", first=3, after=cursor)["data"]["search"]
        collected += page["edges"]
        assert page["totalCount"] == whole["totalCount"]
        assert page["pageInfo"]["hasPreviousPage"] is (pages > 0)
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        pages += 1
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert collected == whole["edges"]
    beyond = ask("author", first=0, after=cursor)["data"]["search"]
    assert (beyond["edges"], beyond["pageInfo"]["hasNextPage"]) == ([], False)


def test_types(ask: Ask) -> None:
    assert {kind for kind, _ in found(ask("author", types=["Dataset", "TomogramAuthor"]))} == {
        "Dataset",
        "TomogramAuthor",
    }
    assert found(ask("author", types=[])) == []


def test_everything_of_a_hit_can_be_asked_for(ask: Ask) -> None:
    query = "query S($text: String!) {search(text: $text, types: [Run, Dataset]) {__typename nodes {__typename ...on Run {name dataset {title} annotations(first: 1) {nodes {objectName} totalCount}} ...on Node {_id}} edges {__typename}}}"
    search = ask("zurich", query)["data"]["search"]
    assert search["__typename"] == "SearchConnection"
    run = next(node for node in search["nodes"] if node["__typename"] == "Run")
    assert run["name"] == "Zürich_2"
    assert run["dataset"]["title"] == "Dataset 1"
    assert run["annotations"]["totalCount"] > 0
    assert len(search["edges"]) == len(search["nodes"])


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"text": "x" * (MAX_TEXT + 1)}, ["search.text", str(MAX_TEXT), "301"]),
        ({"text": " ".join(f"w{n}" for n in range(MAX_WORDS + 1))}, ["search.text", f"at most {MAX_WORDS}"]),
        ({"text": "a", "first": 1001}, ["'first'", "1000"]),
        ({"text": "a", "first": -1}, ["search.first", "negative"]),
        ({"text": "a", "after": "junk"}, ["search.after", "junk", "cursor"]),
        ({"text": "a", "after": "YXJyYXljb25uZWN0aW9uOjA="}, ["search.after", "cursor"]),
        ({"text": "a", "after": "c2VhcmNoOlsxLDIsIngiXQ=="}, ["search.after", "cursor"]),
        ({"text": "a", "types": ["Nothing"]}, ["Nothing", "EntityType", "Dataset, Deposition, Run"]),
        ({"text": 1}, ["$text"]),
    ],
)
def test_messages(ask: Ask, variables: dict[str, Any], words: list[str]) -> None:
    answer = ask(**variables)
    assert answer["data"] is None
    text = answer["errors"][0]["message"]
    assert all(word in text for word in words), text


def test_one_statement(catalog: Catalog, ask: Ask) -> None:
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(catalog.reading_engine, "before_cursor_execute", note)
    try:
        assert found(ask("one statement only 1")) == []
    finally:
        event.remove(catalog.reading_engine, "before_cursor_execute", note)
    assert sum("catalog_search" in statement for statement in statements) == 1


def test_what_may_not_be_seen_is_not_found(catalog: Catalog) -> None:
    service = GraphQL(
        catalog,
        rule=lambda table, viewer, alias: (
            f"{alias}.id < 0" if table in {"dataset", "tomogram_author"} and viewer == Viewer() else None
        ),
    )
    kinds = {kind for kind, _ in found(ask_of(service)("author"))}
    assert "AnnotationAuthor" in kinds
    assert not kinds & {"Dataset", "TomogramAuthor"}
    assert found(ask_of(service)("DS-10001")) == []


WORDS = st.sampled_from(
    [
        "ada",
        "ben",
        "author",
        "run1",
        "zürich",
        "2",
        "ts",
        "one",
        "go",
        "1",
        "membrane",
        "0000",
        "open",
        "agency",
        "mem",
        "xyz",
        "serialem",
        "krios",
    ]
)


@settings(max_examples=40)
@given(
    words=st.lists(WORDS, min_size=1, max_size=3), types=st.lists(st.sampled_from(KINDS[2:]), min_size=1, unique=True)
)
def test_a_plain_search_finds_the_same(catalog: Catalog, ask: Ask, words: list[str], types: list[str]) -> None:
    """Beside the SQL: each word against each text of each row, in Python."""
    text = " ".join(words) + " "
    answer = ask(text, types=types, first=1000)
    expected = {}
    for name in types:
        for row, texts in _searched(catalog, name).items():
            scores = [
                max((weight for weight, found in texts if _begins(found, word)), default=0)
                for word in dict.fromkeys(words)
            ]
            if all(scores):
                expected[name, row] = sum(scores)
        if len(words) == 1 and words[0].isdigit():
            expected |= {(name, int(words[0])): 100 for row in _ids(catalog, name) if row == int(words[0])}
    order = sorted(expected, key=lambda hit: (-expected[hit], KINDS.index(hit[0]), hit[1]))
    got = [
        tuple(base64.b64decode(edge["node"]["_id"]).decode().split(":")) for edge in answer["data"]["search"]["edges"]
    ]
    assert [(kind, int(number)) for kind, number in got] == order


def _begins(text: str, word: str) -> bool:
    def plain(one: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFKD", one.lower()) if not unicodedata.combining(c))

    tokens = re.findall(r"[^\W_]+", plain(text))
    return plain(word) in tokens or (len(word) > 1 and any(token.startswith(plain(word)) for token in tokens))


def _ids(catalog: Catalog, name: str) -> list[int]:
    with catalog.read() as connection:
        return list(connection.exec_driver_sql(f"SELECT id FROM {ENTITIES[name].table}").scalars())


_AUTHOR = {"name": 5, "orcid": 8, "kaggle_id": 8, "affiliation_name": 1}
_COLUMNS = {
    "Run": {"name": 10},
    "Annotation": {
        "object_name": 10,
        "object_id": 8,
        "annotation_publication": 8,
        "object_description": 1,
        "object_state": 1,
        "annotation_method": 1,
        "annotation_software": 1,
        "ground_truth_used": 1,
    },
    "Tomogram": {
        "name": 10,
        "publications": 8,
        "related_database_entries": 8,
        "processing_software": 1,
        "reconstruction_software": 1,
    },
    "IdentifiedObject": {"object_name": 10, "object_id": 8, "object_description": 1, "object_state": 1},
    "Tiltseries": {
        "related_empiar_entry": 8,
        "microscope_model": 1,
        "microscope_energy_filter": 1,
        "microscope_phase_plate": 1,
        "microscope_image_corrector": 1,
        "microscope_additional_info": 1,
        "camera_manufacturer": 1,
        "camera_model": 1,
        "tilting_scheme": 1,
        "data_acquisition_software": 1,
    },
    "DatasetFunding": {"funding_agency_name": 5, "grant_id": 8},
    "AnnotationMethodLink": {"name": 10, "link": 1},
    "DatasetAuthor": _AUTHOR,
    "DepositionAuthor": _AUTHOR,
    "TomogramAuthor": _AUTHOR,
    "AnnotationAuthor": _AUTHOR,
}


def _searched(catalog: Catalog, name: str) -> dict[int, list[tuple[int, str]]]:
    weights = _COLUMNS.get(name, {})
    if not weights:
        return {}
    with catalog.read() as connection:
        rows = connection.exec_driver_sql(f"SELECT id, {', '.join(weights)} FROM {ENTITIES[name].table}").all()
    return {
        row[0]: [(weight, text) for weight, text in zip(weights.values(), row[1:], strict=True) if text] for row in rows
    }


def test_all_entities_can_be_found() -> None:
    assert sorted(KINDS) == sorted(ENTITIES)


def test_what_leaves_the_archive_is_not_found_any_more(new_url: Callable[[str], str], example: Any) -> None:
    with Catalog.open(new_url("catalog"), create=True) as catalog:
        ask = ask_of(GraphQL(catalog))
        index(example.write(), catalog)
        assert ("Annotation", 10) in found(ask("membrane"))
        for key in [key for key in (*example.documents, *example.files) if "/Annotations/" in key]:
            example.documents.pop(key, None)
            example.files.pop(key, None)
        index(example.write(), catalog)
        assert {kind for kind, _ in found(ask("membrane"))} == set()
        assert ("Run", 20) in found(ask("ts_run1"))
        for key in [key for key in (*example.documents, *example.files) if key.startswith("10001/")]:
            example.documents.pop(key, None)
            example.files.pop(key, None)
        index(example.write(), catalog)
        assert {kind for kind, _ in found(ask("author"))} == {"Deposition", "DepositionAuthor"}
        with catalog.read() as connection:
            assert len(connection.execute(ROWS.select()).all()) == 2
            numbers = connection.exec_driver_sql(
                f"SELECT {'number' if catalog.dialect.name == 'postgresql' else 'rowid'} FROM catalog_search"
            ).scalars()
            assert sorted(number > 0 for number in numbers) == [False, False, True]


def test_an_older_catalog_is_filled_when_it_is_upgraded(new_url: Callable[[str], str], example: Any) -> None:
    url = new_url("older")
    with Catalog.open(url, create=True) as catalog:
        index(example.write(), catalog)
        with catalog.read() as connection:
            before = connection.execute(ROWS.select()).all()
        with catalog.write() as connection:
            downgrade(connection, "0002")
    with Catalog.open(url, create=True) as catalog:
        with catalog.read() as connection:
            assert sorted(row[1:] for row in connection.execute(ROWS.select())) == sorted(row[1:] for row in before)
        assert found(ask_of(GraphQL(catalog))("ts_run1"))[0] == ("Run", 20)
