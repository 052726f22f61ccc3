"""One root field with its whole selection → one SQL statement that yields JSON text.

Objects become JSON in the database; Python only joins the rows of a root list. Nested lists, connections and
aggregates are correlated subqueries on indexed foreign keys, limited per parent in the database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from graphql import FieldNode, GraphQLError

from tomoportal.catalog.aggregates import aggregate_parts
from tomoportal.catalog.arguments import Page
from tomoportal.catalog.connections import connection_parts
from tomoportal.catalog.dialect import Dialect, Part
from tomoportal.catalog.filters import children_of, conditions
from tomoportal.catalog.graph import Graph
from tomoportal.catalog.ordering import order_terms
from tomoportal.catalog.search_field import search_sql
from tomoportal.catalog.selection import Fields, Request
from tomoportal.catalog.statement import LimitError, Source, Statement, conjunction
from tomoportal.catalog.variants import DEFAULT, Variant
from tomoportal.catalog.visibility import Rule, Viewer
from tomoportal.errors import QueryError
from tomoportal.model.entities import Entity, Field, Relation

_T = TypeVar("_T")

__all__ = ["MAX_AGAIN", "MAX_NESTING", "Compiler", "Path", "Plan"]

MAX_NESTING = 12
"""Most relations that a selection may go through; the site goes through four."""

MAX_AGAIN = 10_000
"""Most rows for each row that is met again: what the pages of a selection that goes in circles multiply to."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement for one root field; ``many``: one row per item of a list, else one row with the value.

    ``quick`` says the same from the counts of ``summaries``, where those have it.
    """

    key: str
    sql: str
    parameters: dict[str, object]
    many: bool
    quick: str | None = None


class Compiler:
    """Compiles the root fields of one request. ``errors`` collects those of nullable fields, which become null."""

    def __init__(
        self,
        graph: Graph,
        dialect: Dialect,
        request: Request,
        viewer: Viewer,
        rule: Rule,
        variant: Variant = DEFAULT,
    ) -> None:
        self.graph = graph
        self.dialect = dialect
        self.request = request
        self.variant = variant
        self.errors: list[GraphQLError] = []
        self._above: list[str] = []
        self._again = 1
        self._viewer = viewer
        self._rule = rule
        self.statement = Statement(graph, dialect, viewer, rule, variant)

    def root(self, key: str, nodes: Sequence[FieldNode]) -> Plan:
        """Plan of one root field. Raises ``GraphQLError`` with its path."""
        self.statement = Statement(self.graph, self.dialect, self._viewer, self._rule, self.variant)
        name = nodes[0].name.value
        if name == "search":
            sql = self.located(nodes, (key,), lambda: search_sql(self, nodes, (key,)))
            return Plan(key, sql, self.statement.parameters, many=False)
        entity, is_aggregate = self.graph.roots[name]
        compile_field = self._root_aggregate if is_aggregate else self._root_list
        sql = self.located(nodes, (key,), lambda: compile_field(entity, nodes, (key,)))
        plain, summary = self.statement.summarised or ("", None)
        quick = sql.replace(plain, summary) if is_aggregate and summary is not None else None
        return Plan(key, sql, self.statement.parameters, many=not is_aggregate, quick=quick)

    def _root_list(self, entity: Entity, nodes: Sequence[FieldNode], path: Path) -> str:
        arguments = self.request.arguments("Query", nodes[0])
        name = nodes[0].name.value
        page = Page.of(arguments.get("limitOffset"), f"{name}.limitOffset")
        statement = self.statement
        rows = statement.source(entity)

        def where(source: Source) -> list[str]:
            return [
                *statement.visible(source),
                *conditions(statement, source, arguments.get("where"), self.variant.list_depth, f"{name}.where"),
            ]

        def order(source: Source) -> str:
            terms = order_terms(statement, source, arguments.get("orderBy"), self.variant.list_depth, f"{name}.orderBy")
            return f" ORDER BY {', '.join(terms)}"

        text = self.dialect.answer(self.dialect.text(self.object_parts(rows, nodes, (*path, 0))))
        if page.limit is None or not arguments.get("orderBy"):
            tail = f"{conjunction(where(rows))}{order(rows)}{page.clause}"
        else:
            # Sort bare keys and cut, then make JSON of the rows that are left.
            cut = statement.source(entity)
            picked = f"SELECT {cut.id} FROM {cut.clause}{conjunction(where(cut))}{order(cut)}{page.clause}"
            tail = f" WHERE {rows.id} IN ({picked}){order(rows)}"
        return f"SELECT {text} FROM {rows.clause}{tail}"

    def _root_aggregate(self, entity: Entity, nodes: Sequence[FieldNode], path: Path) -> str:
        where = self.request.arguments("Query", nodes[0]).get("where")
        parts = aggregate_parts(self, entity, nodes, where, None, None, nodes[0].name.value)
        return f"SELECT {self.dialect.answer(self.dialect.text(parts))}"

    def object_parts(self, source: Source, nodes: Sequence[FieldNode], path: Path) -> list[Part]:
        """JSON of one object: the selection below ``nodes`` over a row of ``source``."""
        entity = source.entity
        fields = self.request.collect(entity.name, nodes)
        self._above.append(entity.name)
        try:
            return self._scalar_parts(source, fields) or self.record(
                entity.name, fields, lambda name, key, found: self._member_parts(source, name, found, (*path, key))
            )
        finally:
            self._above.pop()

    @contextmanager
    def page(self, parent: Entity, size: int) -> Iterator[None]:
        """A page of ``size`` rows of each row of ``parent``. Raises :class:`LimitError` for circles that grow.

        From datasets to their runs and on, a selection finds every row once. If it comes back, say from annotations to
        their run and to its annotations, each row is answered as often as pages are gone through, whatever the catalog
        holds.
        """
        before = self._again
        if self._above.count(parent.name) > 1:
            self._again *= size
        if self._again > MAX_AGAIN:
            raise LimitError(
                f"The selection is nested too deeply: it comes back to {parent.name}, and its pages multiply to more"
                f" than {MAX_AGAIN} rows for each; ask for fewer with `first`, or in several requests"
            )
        try:
            yield
        finally:
            self._again = before

    def _scalar_parts(self, source: Source, fields: dict[str, list[FieldNode]]) -> list[Part] | None:
        members: list[tuple[str, str, Field]] = []
        for key, nodes in fields.items():
            name = nodes[0].name.value
            member = None if name.startswith("_") else self.graph.member(source.entity, name)
            if not isinstance(member, Field):
                return None
            members.append((key, self.statement.value(source, member), member))
        found = self.dialect.scalar_object(members)
        if found is None:
            return None
        for _ in members:
            self.statement.count()
        return [found]

    def record(
        self, type_name: str, fields: Fields, value: Callable[[str, str, list[FieldNode]], list[Part]]
    ) -> list[Part]:
        """JSON of an object of the schema; ``value(name, key, nodes)`` is that of one of its fields."""
        parts: list[Part] = ["{"]
        for index, (key, nodes) in enumerate(fields.items()):
            self.statement.count()
            parts.append(f'{"," if index else ""}"{key}":')
            name = nodes[0].name.value
            parts += [json.dumps(type_name)] if name == "__typename" else value(name, key, nodes)
        return [*parts, "}"]

    def _member_parts(self, source: Source, name: str, nodes: Sequence[FieldNode], path: Path) -> list[Part]:
        entity = source.entity
        if name == "_id":
            return [self.dialect.global_id(entity.name, source.id)]
        member = self.graph.member(entity, name)
        if isinstance(member, Field):
            return [self.dialect.scalar(self.statement.value(source, member), member)]
        if sum(isinstance(step, str) for step in path) > 4 * MAX_NESTING:
            raise LimitError(f"The selection is nested too deeply; it may go through at most {MAX_NESTING} relations")
        if isinstance(member, Relation):
            if member.many:
                return self.located(nodes, path, lambda: connection_parts(self, source, member, nodes, path))
            return self._nullable(nodes, path, lambda: self._to_one(source, member, nodes, path))
        return self._nullable(nodes, path, lambda: self._nested_aggregate(source, member.relation, nodes))

    def _to_one(self, source: Source, relation: Relation, nodes: Sequence[FieldNode], path: Path) -> list[Part]:
        arguments = self.request.arguments(source.entity.name, nodes[0])
        place = f"{source.entity.name}.{relation.wire}"
        row = self.statement.source(self.graph.target(relation))
        order_terms(
            self.statement, row, arguments.get("orderBy"), self.variant.list_depth, f"{place}.orderBy"
        )  # checked only
        rows = children_of(self.statement, source, relation, row)
        rows += conditions(self.statement, row, arguments.get("where"), self.variant.list_depth, f"{place}.where")
        text = self.dialect.text(self.object_parts(row, nodes, path))
        return [self.dialect.optional(text, f"{row.clause}{conjunction(rows)}")]

    def _nested_aggregate(self, source: Source, relation: Relation, nodes: Sequence[FieldNode]) -> list[Part]:
        where = self.request.arguments(source.entity.name, nodes[0]).get("where")
        place = f"{source.entity.name}.{relation.wire}Aggregate"
        return aggregate_parts(self, self.graph.target(relation), nodes, where, source, relation, place)

    def located(self, nodes: Sequence[FieldNode], path: Path, work: Callable[[], _T]) -> _T:
        """Do ``work``; an error gets the field's place in the request and in the answer."""
        try:
            return work()
        except QueryError as error:
            raise GraphQLError(error.what, nodes, path=list(path), original_error=error) from error
        except GraphQLError as error:
            if error.path is None:
                raise GraphQLError(error.message, error.nodes or nodes, path=list(path)) from error
            raise

    def _nullable(self, nodes: Sequence[FieldNode], path: Path, work: Callable[[], list[Part]]) -> list[Part]:
        try:
            return self.located(nodes, path, work)
        except GraphQLError as error:
            if isinstance(error.original_error, LimitError):
                raise
            self.errors.append(error)
            return ["null"]
