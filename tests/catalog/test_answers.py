"""What the recorded pairs do not cover: right answers where the public portal is wrong, messages, limits, rules."""

# ruff: noqa: E501  requests are easier to read on one line
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from tomoportal.catalog import Bases, Catalog, GraphQL, Viewer
from tomoportal.catalog.addresses import stored_address
from tomoportal.catalog.compiler import MAX_NESTING
from tomoportal.catalog.execute import MAX_ROOT_FIELDS
from tomoportal.catalog.statement import MAX_PARTS

Ask = Callable[..., dict[str, Any]]


def ids(rows: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in rows]


def data(answer: dict[str, Any]) -> Any:
    assert "errors" not in answer, answer
    return answer["data"]


def message(answer: dict[str, Any]) -> str:
    assert answer["data"] is None, answer
    return "\n".join(error["message"] for error in answer["errors"])


class TestRightAnswers:
    """R1 to R16 of graphql-api 17."""

    def test_r1_limit_zero(self, ask: Ask) -> None:
        assert data(ask("{annotations(limitOffset: {limit: 0}) {id}}"))["annotations"] == []
        assert data(ask("{annotations(limitOffset: {limit: 0, offset: 2}) {id}}"))["annotations"] == []

    def test_r2_aliases_of_one_relation(self, ask: Ask) -> None:
        query = (
            '{runs(where: {id: {_lte: 4}}, orderBy: [{id: asc}]) {id a: annotations(where: {objectName: {_eq: "Ribosome"}},'
            ' orderBy: [{objectName: asc}]) {edges {node {id}}} b: annotations(where: {objectName: {_eq: "Spike Protein"}},'
            " orderBy: [{objectName: asc}]) {edges {node {id}}}}}"
        )
        found = data(ask(query))["runs"]
        assert [ids([edge["node"] for edge in run["a"]["edges"]]) for run in found] == [[2], [3], [4], [5]]
        assert [ids([edge["node"] for edge in run["b"]["edges"]]) for run in found] == [[], [], [], [6]]

    def test_r3_order_through_a_nullable_relation(self, ask: Ask) -> None:
        query = "{annotations(orderBy: [{deposition: {id: %s}}]) {id}}"
        assert ids(data(ask(query % "asc"))["annotations"]) == [4, 5, 6, 2, 3, 1]
        assert ids(data(ask(query % "desc"))["annotations"]) == [1, 2, 3, 4, 5, 6]
        assert ids(data(ask(query % "desc_nulls_last"))["annotations"]) == [2, 3, 4, 5, 6, 1]

    def test_r4_filter_without_predicate(self, ask: Ask) -> None:
        query = (
            "{annotationsAggregate(where: {annotationShapesAggregate: {count: {filter: {shapeType: {_eq: Point}}}}})"
            " {aggregate {count}}}"
        )
        assert data(ask(query))["annotationsAggregate"]["aggregate"] == [{"count": 2}]

    def test_r5_and_r11_counts(self, ask: Ask) -> None:
        query = (
            "{annotationsAggregate {aggregate {a: count b: count(columns: objectName, distinct: true)"
            " c: count(columns: confidencePrecision) d: count(distinct: true)}}}"
        )
        assert data(ask(query))["annotationsAggregate"]["aggregate"][0] | {"c": 0} == {"a": 6, "b": 3, "c": 0, "d": 6}

    def test_r6_names_with_digits(self, ask: Ask, seed: dict[str, Any]) -> None:
        query = "{runsAggregate {aggregate {count(columns: s3Prefix, distinct: true) max {s3Prefix httpsPrefix}}}}"
        (found,) = data(ask(query))["runsAggregate"]["aggregate"]
        assert found["count"] == 10
        assert found["max"]["s3Prefix"] == max(row["s3_prefix"] for row in seed["entities"]["Run"]["rows"])

    def test_r7_fragments_inside_aggregates(self, ask: Ask) -> None:
        query = (
            "{annotationsAggregate {...on AnnotationAggregate {aggregate {...F x: groupBy {...G}}}}}"
            " fragment F on AnnotationAggregateFunctions {count}"
            " fragment G on AnnotationGroupByOptions {run {dataset {...D}}} fragment D on DatasetGroupByOptions {id}"
        )
        groups = data(ask(query))["annotationsAggregate"]["aggregate"]
        assert [(group["count"], group["x"]["run"]["dataset"]["id"]) for group in groups] == [(3, 20001), (3, 20002)]

    def test_r8_statistics_of_whole_numbers_are_rounded(self, ask: Ask) -> None:
        query = "{annotationsAggregate {aggregate {avg {objectCount} variance {objectCount} stddev {objectCount}}}}"
        (found,) = data(ask(query))["annotationsAggregate"]["aggregate"]
        assert all(isinstance(value, int) for one in found.values() for value in one.values())

    def test_r9_count_is_never_null(self, ask: Ask) -> None:
        query = "{datasets(where: {runsAggregate: {count: {predicate: {_is_null: %s}}}}) {id}}"
        assert len(data(ask(query % "false"))["datasets"]) == 8
        assert data(ask(query % "true"))["datasets"] == []

    def test_r10_several_operations(self, ask: Ask) -> None:
        two = "query A {datasets {id}} query B {runs {id}}"
        assert "operationName" in message(ask(two))
        assert len(data(ask(two, operation_name="B"))["runs"]) == 10

    def test_r12_large_sums(self, service: GraphQL, ask: Ask) -> None:
        with service.catalog.write() as connection:
            connection.exec_driver_sql("SAVEPOINT s")
        big = "{depositionsAggregate {aggregate {sum {id}}}}"
        assert data(ask(big))["depositionsAggregate"]["aggregate"][0]["sum"]["id"] == 33 + 88888 + 99999

    def test_r13_pages_have_one_order(self, ask: Ask) -> None:
        whole = ids(data(ask("{annotationFiles {id}}"))["annotationFiles"])
        pages: list[int] = []
        for offset in range(0, 13, 4):
            page = ask(f"{{annotationFiles(limitOffset: {{limit: 4, offset: {offset}}}) {{id}}}}")
            pages += ids(data(page)["annotationFiles"])
        assert pages == whole == sorted(whole)

    def test_r15_too_deep_count_filters(self, ask: Ask) -> None:
        deep = (
            "{datasets(where: {runsAggregate: {count: {filter: {annotationsAggregate: {count: {filter:"
            " {annotationShapes: {id: {_gt: 0}}}}}}}}}) {id}}"
        )
        assert message(ask(deep)) == "Max filter depth exceeded"
        assert "errors" not in ask(deep.replace("annotationShapes: {id: {_gt: 0}}", "id: {_gt: 0}"))


class TestMessages:
    """Every message names the place and what is allowed."""

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            (
                "{annotations(where: {methodType: {_eq: bogus}}) {id}}",
                ["bogus", "annotation_method_type_enum", "manual, automated, hybrid"],
            ),
            ("{annotations {nope}}", ["nope", "Annotation"]),
            ("{annotations(where: {depositionId: null}) {id}}", ["annotations.where.depositionId", "_is_null"]),
            ("{datasets(where: {runsAggregate: null}) {id}}", ["datasets.where.runsAggregate", "count"]),
            ("{annotations(where: {id: {_in: null}}) {id}}", ["annotations.where.id._in", "list"]),
            ('{annotations(where: {objectName: {_regex: "("}}) {id}}', ["annotations.where.objectName._regex", "'('"]),
            ('{annotations(where: {objectName: {_regex: "(a)\\\\1"}}) {id}}', ["_regex", "back references"]),
            ('{annotations(where: {objectName: {_like: "a\\\\"}}) {id}}', ["objectName._like", "escape"]),
            ("{annotations(limitOffset: {limit: -1}) {id}}", ["annotations.limitOffset.limit", "-1", "negative"]),
            ("{annotations(limitOffset: {offset: 1}) {id}}", ["Cannot use offset without limit"]),
            ("{annotations(orderBy: [{id: null}]) {id}}", ["annotations.orderBy[0].id", "asc_nulls_first"]),
            ('{annotations(where: {releaseDate: {_gt: "soon"}}) {id}}', ["soon", "ISO 8601"]),
            ("{runs {annotations(first: -1) {edges {node {id}}}}}", ["Run.annotations.first", "negative"]),
            ("{runs {annotations(first: 101) {edges {node {id}}}}}", ["Argument 'first' cannot be higher than 100."]),
            ('{runs {annotations(after: "junk") {edges {node {id}}}}}', ["Run.annotations.after", "junk", "cursor"]),
            ("{runsAggregate {aggregate {groupBy {name}}}}", ["No aggregate functions selected"]),
            ("{runs {annotations(limitOffset: {limit: 1}) {edges {node {id}}}}}", ["limitOffset"]),
            ("mutation {deleteRun(where: {id: {_eq: 1}}) {id}}", ["read-only API"]),
            ("subscription {runs {id}}", ["subscription"]),
            ("{", ["Syntax Error"]),
            ("fragment F on Run {id}", ["F"]),
        ],
    )
    def test_message(self, ask: Ask, query: str, words: list[str]) -> None:
        text = message(ask(query))
        assert all(word in text for word in words), text

    def test_place_of_the_error(self, ask: Ask) -> None:
        (error,) = ask("{a: datasets {id}\n b: annotations(limitOffset: {limit: -1}) {id}}")["errors"]
        assert error["path"] == ["b"]
        assert error["locations"] == [{"line": 2, "column": 2}]
        assert set(error) == {"message", "locations", "path"}

    def test_errors_of_nullable_fields_leave_the_rest(self, ask: Ask) -> None:
        answer = ask(
            "{runs(where: {id: {_eq: 1}}) {id a: annotationsAggregate {aggregate {groupBy {objectName}}}"
            " dataset(where: {runsAggregate: null}) {id} b: annotationsAggregate {aggregate {count}}}}"
        )
        assert answer["data"]["runs"] == [{"id": 1, "a": None, "dataset": None, "b": {"aggregate": [{"count": 2}]}}]
        assert [error["path"] for error in answer["errors"]] == [["runs", 0, "a"], ["runs", 0, "dataset"]]

    def test_wrong_enum_in_a_variable(self, ask: Ask) -> None:
        query = "query Q($w: AnnotationWhereClause) {annotations(where: $w) {id}}"
        text = message(ask(query, {"w": {"methodType": {"_eq": "bogus"}}}))
        assert all(word in text for word in ("$w", "methodType", "bogus", "manual, automated, hybrid"))

    def test_wrong_variable(self, ask: Ask) -> None:
        text = message(
            ask("query Q($w: AnnotationWhereClause) {annotations(where: $w) {id}}", {"w": {"id": {"_eq": "x"}}})
        )
        assert "$w" in text
        assert "id" in text

    def test_unknown_operation_and_mutation_by_get(self, service: GraphQL) -> None:
        assert service.execute("query A {runs {id}}", operation_name="B").status == 400
        mutation = "mutation {deleteRun(where: {id: {_eq: 1}}) {id}}"
        assert service.execute(mutation, queries_only=True).status == 400
        assert service.execute(mutation).status == 200


class TestValues:
    def test_typename_and_global_id_everywhere(self, ask: Ask) -> None:
        query = (
            "{__typename runs(where: {id: {_eq: 1}}) {__typename _id dataset {__typename} annotations(first: 1)"
            " {__typename pageInfo {__typename} edges {__typename node {__typename _id}}} annotationsAggregate {__typename"
            " aggregate {__typename count min {__typename} avg {__typename} groupBy {__typename run {__typename}}}}}}"
        )
        assert data(ask(query)) == {
            "__typename": "Query",
            "runs": [
                {
                    "__typename": "Run",
                    "_id": "UnVuOjE=",
                    "dataset": {"__typename": "Dataset"},
                    "annotations": {
                        "__typename": "AnnotationConnection",
                        "pageInfo": {"__typename": "PageInfo"},
                        "edges": [
                            {
                                "__typename": "AnnotationEdge",
                                "node": {"__typename": "Annotation", "_id": "QW5ub3RhdGlvbjox"},
                            }
                        ],
                    },
                    "annotationsAggregate": {
                        "__typename": "AnnotationAggregate",
                        "aggregate": [
                            {
                                "__typename": "AnnotationAggregateFunctions",
                                "count": 2,
                                "min": {"__typename": "AnnotationMinMaxColumns"},
                                "avg": {"__typename": "AnnotationNumericalColumns"},
                                "groupBy": {
                                    "__typename": "AnnotationGroupByOptions",
                                    "run": {"__typename": "RunGroupByOptions"},
                                },
                            }
                        ],
                    },
                }
            ],
        }

    def test_fragments_on_interfaces(self, ask: Ask) -> None:
        query = "{runs(where: {id: {_eq: 1}}) {...on Node {_id} ...on EntityInterface {a: _id} ...on Run {id}}}"
        assert data(ask(query))["runs"] == [{"_id": "UnVuOjE=", "a": "UnVuOjE=", "id": 1}]

    def test_merged_selections(self, ask: Ask) -> None:
        query = (
            "{runs(where: {id: {_eq: 1}}) {annotations {edges {node {id}}} ...F}}"
            " fragment F on Run {annotations {edges {node {objectName}}} dataset {id} dataset {title}}"
        )
        (run,) = data(ask(query))["runs"]
        assert run["annotations"]["edges"][0]["node"].keys() == {"id", "objectName"}
        assert run["dataset"].keys() == {"id", "title"}

    def test_two_aggregates_of_one_field_are_merged(self, ask: Ask) -> None:
        found = data(ask("{runsAggregate {aggregate {count} x: aggregate {max {id}}}}"))["runsAggregate"]
        assert found["aggregate"] == [{"count": 10}]
        assert found["x"][0]["max"]["id"] >= 10

    def test_an_empty_page(self, ask: Ask) -> None:
        query = (
            "{runs(where: {id: {_eq: 1}}) {annotations(first: 0) {edges {node {id}} pageInfo {hasNextPage hasPreviousPage"
            " startCursor endCursor}}}}"
        )
        (run,) = data(ask(query))["runs"]
        assert run["annotations"] == {
            "edges": [],
            "pageInfo": {"hasNextPage": True, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
        }

    def test_variables_unsupplied_null_and_defaults(self, ask: Ask) -> None:
        query = (
            "query Q($_a: Int, $b: Int = 1) {datasets(where: {id: {_eq: $_a}, runsAggregate: {count: {predicate: {_gt: $b}}}})"
            " {id}}"
        )
        assert ids(data(ask(query))["datasets"]) == [20001, 20002]
        assert data(ask(query, {"_a": None}))["datasets"] == []
        assert ids(data(ask(query, {"_a": 20001}))["datasets"]) == [20001]
        assert len(data(ask(query, {"b": 0}))["datasets"]) == 8

    def test_many_ids(self, ask: Ask) -> None:
        numbers = list(range(1, 40_000))
        query = "query Q($ids: [Int!]) {runs(where: {id: {_in: $ids}}) {id}}"
        assert len(data(ask(query, {"ids": numbers}))["runs"]) == 10
        assert len(data(ask(f"{{runs(where: {{id: {{_in: {numbers[:5000]}}}}}) {{id}}}}"))["runs"]) == 10

    def test_every_field_of_every_entity(self, ask: Ask, seed: dict[str, Any]) -> None:
        """The form of the Python client: all scalars of one type, literals in the text."""
        for name, part in seed["entities"].items():
            fields = {column["wire"]: key for key, column in part["columns"].items()}
            rows = data(ask(f"{{{part['root_field']} {{{' '.join(fields)}}}}}"))[part["root_field"]]
            expected = [{wire: row.get(key) for wire, key in fields.items()} for row in part["rows"]]
            assert rows == sorted(expected, key=lambda row: row["id"]), name


class TestAddresses:
    def test_bases_are_put_in_when_answering(self, service: GraphQL) -> None:
        query = '{runs(where: {s3Prefix: {_eq: "s3://other/20001/RUN1/"}}) {s3Prefix httpsPrefix}}'
        answer = service.execute(query, bases=Bases("s3://other", "https://lab.example/files/"))
        assert json.loads(answer.body)["data"]["runs"] == [
            {"s3Prefix": "s3://other/20001/RUN1/", "httpsPrefix": "https://lab.example/files/20001/RUN1/"}
        ]

    def test_filters_and_orders_see_the_whole_address(self, ask: Ask) -> None:
        query = '{runs(where: {httpsPrefix: {_like: "http://localhost:4444/20001/%"}}, orderBy: [{httpsPrefix: desc}]) {id}}'
        assert ids(data(ask(query))["runs"]) == [2, 1]

    def test_foreign_addresses_are_served_as_they_are(self, ask: Ask, seed: dict[str, Any]) -> None:
        row = next(row for row in seed["entities"]["Run"]["rows"] if row["id"] == 5)
        found = data(ask("{runs(where: {id: {_eq: 5}}) {s3Prefix httpsPrefix}}"))["runs"]
        assert found == [{"s3Prefix": row["s3_prefix"], "httpsPrefix": row["https_prefix"]}]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("10001/plain & ü'\"/", "10001/plain & ü'\"/"),
        ("10001/100% #1?/", "10001/100%25 %231%3F/"),
        ("10001/%23/", "10001/%2523/"),
        ("10001/a\\b/", "10001/a%5Cb/"),
        ("?", "%3F"),
    ],
)
def test_keys_that_mean_something_in_an_address(new_url: Callable[[str], str], key: str, path: str) -> None:
    bases = Bases("s3://b", "http://h/files")
    with Catalog.open(new_url("catalog"), create=True) as catalog:
        stored = stored_address(f"s3://b/{key}", f"http://h/files/{path}", bases)
        assert stored == key
        row = {"id": 1, "voxel_spacing": 1.0, "prefix_key": stored, "natural_key": "k", "unit": "u"}
        with catalog.write() as connection:
            connection.execute(catalog.tables["tomogram_voxel_spacing"].insert(), [row])
        query = "query Q($a: String!) {tomogramVoxelSpacings(where: {httpsPrefix: {_eq: $a}}) {s3Prefix httpsPrefix}}"
        answer = GraphQL(catalog).execute(query, {"a": f"http://h/files/{path}"}, bases=bases)
        found = {"s3Prefix": f"s3://b/{key}", "httpsPrefix": f"http://h/files/{path}"}
        assert json.loads(answer.body) == {"data": {"tomogramVoxelSpacings": [found]}}


class TestOneStatement:
    @pytest.mark.parametrize(
        "query",
        [
            "{datasets {id title}}",
            "{annotations(where: {run: {dataset: {id: {_gt: 0}}}}, orderBy: [{run: {name: asc}}], limitOffset: {limit: 3}) {id}}",
            "{depositions {datasets {edges {node {runs {edges {node {annotations {edges {node {annotationShapes {edges {node"
            " {annotationFiles {edges {cursor node {id alignment {id tiltseries {id}}}} pageInfo {hasNextPage}}}}}}}}}}}}}}}}",
            "{runs {annotationsAggregate {aggregate {count groupBy {annotationShapes {annotationFiles {format}}}}}}}",
        ],
    )
    def test_one_statement_per_root_field(self, seed_catalog: Catalog, seed_bases: Bases, query: str) -> None:
        service = GraphQL(seed_catalog)
        statements: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            statements.append(statement)

        engine = seed_catalog.reading_engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            answer = service.execute(query, bases=seed_bases)
            doubled = service.execute(f"{{a: {query[1:-1]} b: {query[1:]}", bases=seed_bases)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        assert "errors" not in json.loads(answer.body)
        assert "errors" not in json.loads(doubled.body)
        # A connection that is new, or was made by others, is first told the time limit.
        assert len([statement for statement in statements if not statement.startswith("SET ")]) == 3


class TestLimits:
    def test_nesting(self, ask: Ask) -> None:
        def nested(levels: int) -> str:
            text = "id"
            for level in range(levels):
                text = f"runs {{edges {{node {{{text}}}}}}}" if level % 2 else f"dataset {{{text}}}"
            return f"{{{'datasets' if levels % 2 == 0 else 'runs'} {{{text}}}}}"

        assert "errors" not in ask(nested(6))
        assert "nested too deeply" in message(ask(nested(2 * MAX_NESTING + 8)))
        for levels in range(7, 30):
            answer = ask(nested(levels))
            assert "errors" not in answer or "nested too deeply" in message(answer)

    def test_too_many_fields(self, ask: Ask) -> None:
        many = " ".join(f"a{number}: runs {{id}}" for number in range(MAX_ROOT_FIELDS + 1))
        assert str(MAX_ROOT_FIELDS) in message(ask(f"{{{many}}}"))
        many = " ".join(f"a{number}: id" for number in range(MAX_PARTS + 1))
        assert "too large" in message(ask(f"{{runs {{{many}}}}}"))

    def test_a_hundred_fields_of_one_object(self, ask: Ask) -> None:
        many = " ".join(f"a{number}: id b{number}: dataset {{title}}" for number in range(200))
        (run,) = data(ask(f"{{runs(where: {{id: {{_eq: 1}}}}) {{{many}}}}}"))["runs"]
        assert len(run) == 400
        assert run["a199"] == 1

    def test_fragments_that_unfold_without_end(self, ask: Ask) -> None:
        fragments = " ".join(
            f"fragment F{number} on Run {{a: dataset {{runs {{edges {{node {{...F{number + 1}}}}}}}}}"
            f" b: dataset {{runs {{edges {{node {{...F{number + 1}}}}}}}}}}}"
            for number in range(20)
        )
        text = message(ask(f"{{runs {{...F0}}}} {fragments} fragment F20 on Run {{id}}"))
        assert "too large" in text or "too deeply" in text

    def test_long_request(self, ask: Ask) -> None:
        assert "longer" in message(ask("{" + " " * 2_000_001 + "}"))
        assert "tokens" in message(ask("{" + "a " * 100_001 + "}"))

    def test_a_request_that_takes_too_long(self, seed_catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tomoportal.catalog.sqlite._STEPS", 100)
        query = "{annotationFiles {id} annotationsAggregate {aggregate {count groupBy {run {dataset {id}}}}}}"
        slow: dict[str, Any] = {"seconds": 0.0}
        if seed_catalog.dialect.name == "postgresql":
            slow = {"seconds": 0.1, "rule": lambda *_: "pg_sleep(1) IS NOT NULL"}
        assert "too long" in message(json.loads(GraphQL(seed_catalog, **slow).execute(query).body))
        assert "errors" not in json.loads(GraphQL(seed_catalog).execute(query).body)

    def test_numbers_are_checked_although_shapes_are_validated_once(self, seed_catalog: Catalog) -> None:
        service = GraphQL(seed_catalog)
        query = '{annotations(where: {id: {_eq: %s}, releaseDate: {_gt: "%s"}}) {id}}'
        assert data(json.loads(service.execute(query % (1, "2000-01-01")).body))["annotations"] == [{"id": 1}]
        assert data(json.loads(service.execute(query % (2, "2000-01-01")).body))["annotations"] == [{"id": 2}]
        for number, day in (
            ("3000000000", "2000-01-01"),
            ("1.0", "2000-01-01"),
            ("1", "2000-13-41"),
            ("01", "2000-01-01"),
        ):
            assert message(json.loads(service.execute(query % (number, day)).body))


class TestVisibility:
    def test_the_rule_is_asked_for_every_table(self, seed_catalog: Catalog, seed_bases: Bases) -> None:
        asked: set[tuple[str, Viewer]] = set()

        def rule(table: str, viewer: Viewer, alias: str) -> str | None:
            asked.add((table, viewer))
            return f"{alias}.id <> 1" if table in {"annotation", "dataset", "run"} else None

        service = GraphQL(seed_catalog, rule=rule)
        viewer = Viewer("someone")

        def ask(query: str) -> Any:
            return json.loads(service.execute(query, bases=seed_bases, viewer=viewer).body)["data"]

        assert ids(ask("{annotations {id}}")["annotations"]) == [2, 3, 4, 5, 6]
        found = ask("{annotations(where: {id: {_eq: 2}}) {run {id} runId}}")["annotations"]
        assert found == [{"run": None, "runId": 1}]
        assert ask('{annotations(where: {run: {name: {_eq: "RUN1"}}}) {id}}')["annotations"] == []
        assert ask("{tiltseries(where: {id: {_eq: 1}, run: {}}) {id}}")["tiltseries"] == []
        runs = ask("{datasets(where: {id: {_eq: 20001}}) {runs {edges {node {id}}} runsAggregate {aggregate {count}}}}")
        assert runs["datasets"] == [
            {"runs": {"edges": [{"node": {"id": 2}}]}, "runsAggregate": {"aggregate": [{"count": 1}]}}
        ]
        counted = ask("{datasets(where: {runsAggregate: {count: {predicate: {_eq: 2}}}}) {id}}")["datasets"]
        assert ids(counted) == [20002]
        groups = ask("{annotationsAggregate {aggregate {count groupBy {run {id}}}}}")["annotationsAggregate"][
            "aggregate"
        ]
        assert [group["groupBy"]["run"]["id"] for group in groups] == [2, 3, 4]
        ordered = ask("{tiltseries(orderBy: [{run: {name: asc_nulls_first}}], limitOffset: {limit: 1}) {id}}")
        assert ids(ordered["tiltseries"]) == [1]
        assert {one for _, one in asked} == {viewer}

    def test_plans_are_kept_per_viewer(self, seed_catalog: Catalog, seed_bases: Bases) -> None:
        service = GraphQL(seed_catalog, rule=lambda table, viewer, alias: "1=0" if viewer.name is None else None)
        query = "{runs {id}}"
        assert json.loads(service.execute(query, bases=seed_bases).body)["data"]["runs"] == []
        answer = service.execute(query, bases=seed_bases, viewer=Viewer("someone"))
        assert len(json.loads(answer.body)["data"]["runs"]) == 10


def test_floats_come_back_exactly(new_url: Callable[[str], str]) -> None:
    values = [0.1, 13.48, 1 / 3, 1e-320, 1.7976931348623157e308, 5e-324, 2**53 + 2.0, -0.0, 123456789.123456789]
    with Catalog.open(new_url("catalog"), create=True) as catalog:
        table = catalog.tables["tomogram_voxel_spacing"]
        with catalog.write() as connection:
            connection.execute(
                table.insert(),
                [
                    {"id": number, "voxel_spacing": value, "prefix_key": "k", "natural_key": str(number), "unit": "u"}
                    for number, value in enumerate(values, 1)
                ],
            )
        service = GraphQL(catalog)
        rows = json.loads(service.execute("{tomogramVoxelSpacings {voxelSpacing}}").body)["data"][
            "tomogramVoxelSpacings"
        ]
        assert [row["voxelSpacing"] for row in rows] == values
        for number, value in enumerate(values, 1):
            for comparators in (f"_eq: {value!r}", f"_in: [{value!r}]"):
                query = f"{{tomogramVoxelSpacings(where: {{voxelSpacing: {{{comparators}}}}}) {{id}}}}"
                answer = json.loads(service.execute(query).body)
                assert ids(answer["data"]["tomogramVoxelSpacings"]) == [number], answer


@pytest.mark.parametrize(
    "text", ['quote " and \\', "line\nfeed", "tab\t", "nul\x00", "µ 中 🙂", "\x1f\x7f", "", "100%", "%s %d"]
)
def test_texts_come_back_exactly(new_url: Callable[[str], str], text: str) -> None:
    with Catalog.open(new_url("catalog"), create=True) as catalog:
        table = catalog.tables["dataset_funding"]
        with catalog.write() as connection:
            row = {"id": 1, "funding_agency_name": text, "natural_key": "k", "unit": "u"}
            if "\0" in text and catalog.dialect.name == "postgresql":
                return  # refused below, and by `index` on either database
            connection.execute(table.insert(), [row])
        service = GraphQL(catalog)
        for selection in ("fundingAgencyName", "fundingAgencyName __typename"):
            answer = json.loads(service.execute(f"{{datasetFunding {{{selection}}}}}").body)
            assert answer["data"]["datasetFunding"][0]["fundingAgencyName"] == text
        query = "query Q($t: String!) {datasetFunding(where: {fundingAgencyName: {_eq: $t, _in: [$t]}}) {id}}"
        assert json.loads(service.execute(query, {"t": text}).body)["data"]["datasetFunding"] == [{"id": 1}]


def test_aggregates_are_kept_until_the_data_changes(new_url: Callable[[str], str]) -> None:
    query = "{datasetFundingAggregate {aggregate {count}} datasetFunding {id}}"
    statements: list[str] = []
    with Catalog.open(new_url("kept"), create=True) as catalog:
        table, service = catalog.tables["dataset_funding"], GraphQL(catalog)
        event.listen(catalog.reading_engine, "before_cursor_execute", lambda *a: statements.append(a[2]))

        def ask() -> tuple[int, int, int]:
            statements.clear()
            found = data(json.loads(service.execute(query).body))
            asked = sum("count(*)" in statement for statement in statements)
            return found["datasetFundingAggregate"]["aggregate"][0]["count"], len(found["datasetFunding"]), asked

        assert ask() == (0, 0, 1)
        assert ask() == (0, 0, 0)
        for number in (1, 2):
            with catalog.write() as connection:
                connection.execute(table.insert(), [{"id": number, "natural_key": str(number), "unit": "u"}])
                catalog.set_info(connection, "data_version", f"version {number}")
            assert ask() == (number, number, 1)
            assert ask() == (number, number, 0)
