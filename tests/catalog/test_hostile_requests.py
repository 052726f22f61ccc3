"""What nobody should send, to both schemas on both databases: bounded time, clear errors, nothing leaks or changes."""

# ruff: noqa: E501  requests are easier to read on one line
from __future__ import annotations

import base64
import json
import time
from typing import Any

import orjson
import pytest

from tomoportal.catalog import Bases, Catalog, GraphQL
from tomoportal.catalog.filters import MAX_LOGIC
from tomoportal.catalog.statement import MAX_PARTS

_CPU_SECONDS = 5.0  # a database of its own process ends what takes longer than `GraphQL` allows
EXTENDED = pytest.mark.parametrize("extended", [False, True], ids=["default", "extended"])


def _nested(before: str, inner: str, after: str, times: int) -> str:
    return before * times + inner + after * times


GROUPS = " ".join(f"{name} {{id}}" for name in ("alignments", "annotations", "tiltseries", "tomograms", "frames"))
BOTH = {
    "10,000 aliases": (
        "{" + " ".join(f"a{number}: datasets {{id}}" for number in range(10_000)) + "}",
        "10000 root fields; at most 200",
    ),
    "depth 60": ("{datasets {" + _nested("runs {edges {node {dataset {", "id", "}}}}", 30) + "}}", "nested too deeply"),
    "circles": (
        "{runs {" + _nested("annotations {edges {node {run {tomograms {edges {node {run {", "id", "}}}}}}}}", 2) + "}}",
        "comes back to Run",
    ),
    "recursive fragments": (
        "{datasets {...A}} fragment A on Dataset {id ...B} fragment B on Dataset {...A}",
        "within itself via 'B'",
    ),
    "a fragment of itself": (
        "{datasets {...A}} fragment A on Dataset {runs {edges {node {dataset {...A}}}}}",
        "within itself",
    ),
    "hostile regex": ('{datasets(where: {title: {_regex: "^(([a-z])+.)+[A-Z]([a-z])+$(a|a)*(a|aa)+$"}}) {id}}', None),
    "repeats of repeats": (
        '{datasets(where: {title: {_regex: "((a{1,99}){1,99}){1,99}"}}) {id}}',
        "datasets.where.title._regex",
    ),
    "back references": (r'{datasets(where: {title: {_regex: "(a*)*\\1b"}}) {id}}', "back references"),
    "wildcards": ('{datasets(where: {title: {_ilike: "' + "%a" * 4_000 + '"}}) {id}}', None),
    "filter 200 deep": ("{runs(where: " + _nested("{dataset: {runs: ", "{}", "}}", 100) + ") {id}}", "too deep"),
    "5,000 braces": ("{" * 5_000, "Syntax Error"),
    "5,000 brackets": ("{runs(orderBy: " + "[" * 5_000 + ") {id}}", "nested too deeply"),
    "5,000 order keys": ("{runs(orderBy: [" + "{id: asc}," * 5_000 + "]) {id}}", "runs.orderBy has more than 64 keys"),
    "2,000 functions": (
        "{runsAggregate {aggregate {" + " ".join(f"a{n}: min {{id}}" for n in range(2_000)) + "}}}",
        "runsAggregate has more than 500 functions",
    ),
    "125 joins": (
        "{datasetsAggregate {aggregate {count groupBy {"
        + " ".join(f"a{n}: runs {{{GROUPS}}}" for n in range(25))
        + "}}}}",
        None,  # the same relation is joined once
    ),
    "40,000 ids": ("{runs(where: {id: {_in: [" + ",".join(map(str, range(40_000))) + "]}}) {id}}", None),
    "20,000 texts": ("{runs(where: {name: {_in: [" + '"x",' * 20_000 + "]}}) {id}}", None),
    "40,000 decimals": (
        "{tomogramVoxelSpacings(where: {voxelSpacing: {_in: [" + "1.5," * 40_000 + "]}}) {id}}",
        "-",
    ),  # one database takes them all, the other says in parts
    "large numbers": ("{runs(where: {id: {_eq: " + "9" * 5_000 + "}}) {id}}", "runs.where.id._eq"),
    "large offset": ("{runs(limitOffset: {limit: 2147483647, offset: 2147483647}) {id}}", None),
    "200 groupings": (
        "{"
        + " ".join(
            f"a{n}: annotationsAggregate {{aggregate {{count groupBy {{objectName run {{name}}}}}}}}"
            for n in range(200)
        )
        + "}",
        None,
    ),
    "products": (
        "{annotationsAggregate {aggregate {count groupBy {run {dataset {runs {annotations {id}}}}}}}}",
        "Max filter depth exceeded",
    ),
    "introspection": (
        "{__schema {types {" + _nested("fields {type {", "name", "}}", 12) + "}}}",
        "introspection depth",
    ),
}
ONLY_EXTENDED = {
    "9,000 alternatives": ("{runs(where: {_or: [" + "{id: {_eq: 1}}," * 9_000 + "]}) {id}}", f"at most {MAX_PARTS}"),
    "4,000 alternatives": ("{runs(where: {_or: [" + "{id: {_eq: 1}}," * 4_000 + "]}) {id}}", None),
    "4,000 conditions": ("{runs(where: {_and: [" + "{id: {_eq: 1}}," * 4_000 + "]}) {id}}", None),
    "alternatives of alternatives": (
        "{runs(where: " + _nested("{_or: [{id: {_lt: 0}}, ", "{id: {_gt: 0}}", "]}", MAX_LOGIC) + ") {id}}",
        None,
    ),
    "3,000 times not": ("{runs(where: " + _nested("{_not: ", "{}", "}", 3_000) + ") {id}}", "nested too deeply"),
    "1,000 per level": (
        "{datasets {" + _nested("runs(first: 1000) {nodes {dataset {", "id", "}}}", 4) + "}}",
        "comes back to Dataset",
    ),
    "back once": ("{datasets {" + _nested("runs(first: 1000) {nodes {dataset {", "id", "}}}", 2) + "}}", None),
    "back with few": ("{datasets {" + _nested("runs(first: 2) {nodes {dataset {", "id", "}}}", 4) + "}}", None),
    "1,000 searches": (
        "{" + " ".join(f'a{n}: search(text: "a b c d") {{totalCount}}' for n in range(1_000)) + "}",
        "1000 root fields; at most 200",
    ),
    "100 searches": (
        "{" + " ".join(f'a{n}: search(text: "a b c d e f g h") {{totalCount}}' for n in range(100)) + "}",
        None,
    ),
    "deep search": (
        '{search(text: "a") {nodes {...on Run {' + _nested("annotations {nodes {run {", "id", "}}}", 20) + "}}}}",
        "nested too deeply",
    ),
}
CASES = [
    pytest.param(query, refused, extended, id=name)
    for cases, extended in ((BOTH, False), (ONLY_EXTENDED, True))
    for name, (query, refused) in cases.items()
]


def _is_clean(text: str) -> None:
    for secret in ("Traceback", "SELECT ", "sqlalchemy", "sqlite", "psycopg", "OperationalError", ".py", "/work"):
        assert secret not in text, text[max(text.find(secret) - 200, 0) :][:600]


@pytest.mark.parametrize(("query", "refused", "extended"), CASES)
def test_bounded(service: GraphQL, query: str, refused: str | None, extended: bool) -> None:
    """Answered, or refused with a message that says what is too much."""
    begin = time.process_time()
    answer = service.execute(query, extended=extended)
    assert time.process_time() - begin < _CPU_SECONDS
    assert answer.status == 200
    text = answer.body.decode()
    _is_clean(text[:100_000])
    found = json.loads(text)
    assert "see the log" not in text[:10_000]
    if refused is None:
        assert "errors" not in found, text[:1000]
    elif refused != "-":
        assert refused in found["errors"][0]["message"]
    assert json.loads(service.execute("{runs(where: {id: {_eq: 1}}) {id}}").body) == {"data": {"runs": [{"id": 1}]}}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("{runs(where: " + _nested("{_not: ", "{}", "}", MAX_LOGIC + 1) + ") {id}}", ["runs.where._not._not", f"at most {MAX_LOGIC}"]),
        ("{runs(where: {_or: [" + "{}," * (MAX_PARTS + 1) + "]}) {id}}", ["too large", str(MAX_PARTS)]),
        ("{runs(where: {_or: null}) {id}}", ["runs.where._or", "list of filters"]),
        ("{runs(where: {_and: null}) {id}}", ["runs.where._and", "list of filters"]),
        ("{runs(where: {_not: null}) {id}}", ["runs.where._not", "a filter"]),
        ("{runs(where: {_or: [{id: null}]}) {id}}", ["runs.where._or[0].id", "_is_null"]),
        ("{runs(where: {_not: {dataset: {_or: [{}, {id: {_in: null}}]}}}) {id}}", ["runs.where._not.dataset._or[1].id._in", "list"]),
        ("{runs(where: {_nor: []}) {id}}", ["_nor", "RunWhereClause"]),
        ("{runs(orderBy: [{datasetId: null}]) {id}}", ["runs.orderBy[0].datasetId", "asc_nulls_first"]),
        ("{runs(orderBy: [{datasetId: up}]) {id}}", ["up", "orderBy", "asc, asc_nulls_first"]),
        ("{runs {annotations(first: 1001) {nodes {id}}}}", ["Argument 'first' cannot be higher than 1000."]),
        ("{runs {annotations(last: -1) {totalCount}}}", ["Run.annotations.last", "negative"]),
        ('{runs {annotations(after: "junk") {nodes {id}}}}', ["Run.annotations.after", "junk", "cursor"]),
        ('{runs {annotations(before: "YXJyYXljb25uZWN0aW9uOjE=") {nodes {id}}}}', ["Run.annotations.before", "cursor"]),
        ("{datasets(where: " + _nested("{runs: {dataset: ", "{}", "}}", 4) + ") {id}}", ["Max filter depth exceeded"]),
        ("{runs {annotations {sum}}}", ["sum", "AnnotationConnection"]),
    ],
)  # fmt: skip
def test_messages_of_the_extended_schema(service: GraphQL, query: str, words: list[str]) -> None:
    answer = json.loads(service.execute(query, extended=True).body)
    assert answer["data"] is None
    text = "\n".join(error["message"] for error in answer["errors"])
    assert all(word in text for word in words), text


_RANGE = "Int is a whole number from -2147483648 to 2147483647"


@pytest.mark.parametrize(
    ("query", "variables", "said"),
    [
        ("{runs(where: {id: {_eq: " + "9" * 5_000 + "}}) {id}}", None, "runs.where.id._eq: a number of 5000 digits is no Int"),
        ("{runs(where: {dataset: {id: {_in: [1, -" + "9" * 5_000 + "]}}}) {id}}", None, "runs.where.dataset.id._in: a number of 5000 digits is no Int"),
        ("{runs(limitOffset: {limit: 2147483648}) {id}}", None, "runs.limitOffset.limit: 2147483648 is no Int"),
        ("{runs(limitOffset: {limit: -2147483649}) {id}}", None, "runs.limitOffset.limit: -2147483649 is no Int"),
        ("{runs {annotations(first: 99999999999) {edges {node {id}}}}}", None, "runs.annotations.first: 99999999999 is no Int"),
        ("{runs(where: {id: {_eq: 1.5}}) {id}}", None, "runs.where.id._eq: 1.5 is no Int"),
        ('{runs(where: {id: {_eq: "' + "x" * 100 + '"}}) {id}}', None, 'runs.where.id._eq: "' + "x" * 39 + "… is no Int"),
        ("query ($a: Int = " + "9" * 5_000 + ") {runs(where: {id: {_eq: $a}}) {id}}", None, "$a: a number of 5000 digits is no Int"),
        ("query ($a: Int) {runs(where: {id: {_eq: $a}}) {id}}", {"a": 2**31}, "Variable '$a' has invalid value: 2147483648 is no Int"),
        ("query ($a: Int!) {runs(where: {id: {_eq: $a}}) {id}}", {"a": 10**30}, "Variable '$a' has invalid value: 1" + "0" * 30 + " is no Int"),
        ("query ($a: [Int!]) {runs(where: {id: {_in: $a}}) {id}}", {"a": [1, float("inf")]}, "Variable '$a' has invalid value at [1]: inf is no Int"),
    ],
)  # fmt: skip
def test_a_number_that_is_no_int_is_told_with_its_place_and_the_range(
    service: GraphQL, query: str, variables: dict[str, Any] | None, said: str
) -> None:
    (error,) = json.loads(service.execute(query, variables).body)["errors"]
    assert error["message"] == f"{said}: {_RANGE}"
    assert error["locations"]


def _cursor(*values: Any) -> str:
    return base64.b64encode(b"keyset:" + orjson.dumps(values)).decode()


def _mark(service: GraphQL, order: str) -> str:
    query = f"{{runs(where: {{id: {{_eq: 1}}}}) {{annotations(first: 1, orderBy: {order}) {{edges {{cursor}}}}}}}}"
    (run,) = json.loads(service.execute(query, extended=True).body)["data"]["runs"]
    text = base64.b64decode(run["annotations"]["edges"][0]["cursor"]).removeprefix(b"keyset:")
    return str(orjson.loads(text)[0])


@pytest.mark.parametrize(
    ("order", "values"),
    [
        ("[]", ["1"]),
        ("[]", [None]),
        ("[]", [True]),
        ("[]", [1.5]),
        ("[]", [2**63]),
        ("[]", [-(2**64) + 1]),
        ("[]", [10**400]),
        ("[]", [[1]]),
        ("[]", [{"a": 1}]),
        ("[]", [1, 2]),
        ("[]", []),
        ("[{objectName: asc}]", [1, 1]),
        ("[{objectName: asc}]", [None, 1]),
        ("[{objectName: asc}]", ["\ud800", 1]),
        ("[{confidencePrecision: asc}]", ["1.0", 1]),
        ("[{groundTruthStatus: asc}]", [1, 1]),
        ("[{releaseDate: asc}]", [5, 1]),
    ],
    ids=str,
)
def test_cursors_that_were_made_up(service: GraphQL, order: str, values: list[Any]) -> None:
    answer = _after(service, order, values)
    assert answer["data"] is None
    assert "Run.annotations.after" in answer["errors"][0]["message"]
    _is_clean(json.dumps(answer))


def test_texts_in_cursors_are_values(service: GraphQL) -> None:
    sql = "'; DROP TABLE annotation; --"
    assert "errors" not in _after(service, "[{objectName: desc}]", [sql, 1])
    nul = _after(service, "[{objectName: asc}]", ["a\0b", 1])
    assert "errors" not in nul or "NUL" in nul["errors"][0]["message"]


def _after(service: GraphQL, order: str, values: list[Any]) -> Any:
    plain = f"keyset:{json.dumps([_mark(service, order), *values])}"
    cursor = base64.b64encode(plain.encode()).decode()
    query = f'{{runs {{annotations(orderBy: {order}, after: "{cursor}") {{nodes {{id}} pageInfo {{hasNextPage}}}}}}}}'
    return json.loads(service.execute(query, extended=True).body)


def test_a_cursor_of_another_order(service: GraphQL) -> None:
    cursor = _cursor(_mark(service, "[{objectName: asc}]"), "a", 1)
    query = f'{{runs {{annotations(orderBy: [{{objectName: desc}}], after: "{cursor}") {{nodes {{id}}}}}}}}'
    text = json.loads(service.execute(query, extended=True).body)["errors"][0]["message"]
    assert all(word in text for word in ("Run.annotations.after", "another", "objectName desc, id asc")), text


SQL = ["'", '"', "') OR 1=1; DROP TABLE run; --", "\\'; SELECT 1; --", "%s %(x)s :x ? $1", "\\"]


@EXTENDED
@pytest.mark.parametrize("text", SQL)
def test_sql_in_every_place_for_a_text(seed_catalog: Catalog, service: GraphQL, text: str, extended: bool) -> None:
    like = text.rstrip("\\")
    filters = ["_eq", "_neq", "_gt", "_gte", "_lt", "_lte"]
    wheres = [{"name": {name: text}} for name in filters] + [{"name": {"_in": [text]}}, {"name": {"_nin": [text]}}]
    wheres += [{"name": {name: like}} for name in ("_like", "_nlike", "_ilike", "_nilike")]
    wheres += [{"name": {name: text}} for name in ("_regex", "_nregex", "_iregex", "_niregex")]
    wheres += [{"httpsPrefix": {"_eq": text}}, {"annotations": {"releaseDate": {"_eq": text}}}]
    query = "query Q($w: RunWhereClause) {runs(where: $w) {id name} runsAggregate(where: $w) {aggregate {count groupBy {name}}}}"
    for where in wheres:
        answer = service.execute(query, {"w": where}, bases=Bases(text, text), extended=extended)
        assert answer.status == 200
        literal = service.execute(
            query.replace("$w: RunWhereClause", "$x: Int").replace("$w", _literal(where)), {}, extended=extended
        )
        for body in (answer.body, literal.body):
            _is_clean(body.decode().replace(json.dumps(text)[1:-1], ""))
            assert b"see the log" not in body, (where, body)
    for name, value in (("after", text), ("before", text)):
        quoted = json.dumps(value)
        answer = service.execute(
            f"{{runs {{annotations({name}: {quoted}) {{pageInfo {{endCursor}}}}}}}}", extended=extended
        )
        assert f"Run.annotations.{name}" in answer.body.decode()
    assert service.execute("query A {runs {id}}", operation_name=text).status == 400
    if extended:
        answer = service.execute("query S($t: String!) {search(text: $t) {totalCount}}", {"t": text}, extended=True)
        assert b'"errors"' not in answer.body
    with seed_catalog.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM run").scalar() == 10


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_literal(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value)
