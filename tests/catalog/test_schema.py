"""The schema equals that of the public client, in both directions."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from graphql import (
    DangerousChangeType,
    GraphQLSchema,
    build_client_schema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
    get_introspection_query,
    print_schema,
    validate_schema,
)

from tomoportal.catalog import GraphQL
from tomoportal.catalog import schema as own
from tomoportal.catalog.variants import EXTENDED


@pytest.fixture(scope="module")
def published() -> GraphQLSchema:
    return build_schema((files("cryoet_data_portal") / "data" / "schema.graphql").read_text())


@pytest.fixture(scope="module")
def built() -> GraphQLSchema:
    return own.build_schema()


def changes(old: GraphQLSchema, new: GraphQLSchema) -> list[str]:
    """Breaking and dangerous changes.

    The published file says nothing of directives; graphql-core adds its own, with a place that older clients do not
    know and our introspection therefore leaves out.
    """
    found = [change.description for change in (*find_breaking_changes(old, new), *find_dangerous_changes(old, new))]
    return [text for text in found if text != "DIRECTIVE_DEFINITION was removed from @deprecated."]


def test_no_change_in_either_direction(published: GraphQLSchema, built: GraphQLSchema) -> None:
    assert changes(published, built) == changes(built, published) == []


def test_printed_schema_reads_back_equal(published: GraphQLSchema, built: GraphQLSchema) -> None:
    printed = build_schema(print_schema(built))
    for old, new in ((published, printed), (printed, published)):
        assert find_breaking_changes(old, new) == find_dangerous_changes(old, new) == []
    assert {name for name in printed.type_map if not name.startswith("__")} == {
        name for name in published.type_map if not name.startswith("__")
    }


def test_schema_is_valid_and_of_the_right_size(built: GraphQLSchema) -> None:
    assert validate_schema(built) == []
    assert len([name for name in built.type_map if not name.startswith("__")]) == 406
    assert len(built.query_type.fields) == 46  # type: ignore[union-attr]
    assert len(built.mutation_type.fields) == 69  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["objects", "orders"])
def test_members_stand_in_the_published_order(published: GraphQLSchema, built: GraphQLSchema, kind: str) -> None:
    ends = ("OrderByClause", "CountColumns") if kind == "orders" else ("", "GroupByOptions", "WhereClause")
    for entity in ("Annotation", "Dataset", "Tomogram", "DatasetAuthor", "Tiltseries", "PerSectionParameters"):
        for end in ends:
            name = f"{entity}{end}"
            one, other = built.type_map[name], published.type_map[name]
            members = "values" if end == "CountColumns" else "fields"
            assert list(getattr(one, members)) == list(getattr(other, members)), name


def test_the_extended_schema_only_adds(built: GraphQLSchema) -> None:
    extended = own.build_schema(variant=EXTENDED)
    assert validate_schema(extended) == []
    assert find_breaking_changes(built, extended) == []
    added = {change.type for change in find_dangerous_changes(built, extended)}
    assert added == {DangerousChangeType.OPTIONAL_INPUT_FIELD_ADDED, DangerousChangeType.VALUE_ADDED_TO_ENUM}
    for name, kind in built.type_map.items():
        members = getattr(kind, "fields", None) or getattr(kind, "values", {})
        more = getattr(extended.type_map[name], "fields", None) or getattr(extended.type_map[name], "values", {})
        assert [member for member in more if member in members] == list(members), name
    operators = {"_and", "_or", "_not"}
    wheres = [kind for name, kind in extended.type_map.items() if name.endswith("WhereClause")]
    assert len(wheres) == 23 + 22  # entities, and aggregates of those that something has many of
    assert all(operators <= set(kind.fields) for kind in wheres if "Aggregate" not in kind.name)  # type: ignore[attr-defined]


def test_introspection_through_the_service(service: GraphQL, published: GraphQLSchema) -> None:
    answer = json.loads(service.execute(get_introspection_query()).body)
    client = build_client_schema(answer["data"])
    assert changes(published, client) == changes(client, published) == []


def test_introspection_beside_data_and_with_fragments_and_variables(service: GraphQL) -> None:
    query = (
        "query Q($n: String!) {a: __typename t: __type(name: $n) {...T} datasets(where: {id: {_eq: 20001}}) {id}}"
        " fragment T on __Type {kind name}"
    )
    answer = json.loads(service.execute(query, {"n": "Run"}).body)
    assert answer == {
        "data": {"a": "Query", "t": {"kind": "OBJECT", "name": "Run"}, "datasets": [{"id": 20001}]},
    }
