"""Aggregates and ``groupBy``, at the root and below an object (graphql-api 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graphql import FieldNode

from tomoportal.catalog.dialect import Part, Sql
from tomoportal.catalog.filters import children_of, conditions, deeper
from tomoportal.catalog.selection import Fields
from tomoportal.catalog.statement import Source, conjunction
from tomoportal.catalog.summaries import is_summarised, summary_select
from tomoportal.errors import QueryError
from tomoportal.model.entities import Entity, Field, Relation

if TYPE_CHECKING:
    from tomoportal.catalog.compiler import Compiler

__all__ = ["MAX_COLUMNS", "MAX_JOINS", "NO_FUNCTIONS", "aggregate_parts"]

NO_FUNCTIONS = "No aggregate functions selected"
MAX_COLUMNS = 500
"""Most functions and group keys of one aggregate."""
MAX_JOINS = 30
"""Most relations that one ``groupBy`` goes through."""

_STATISTICS = {"sum": "sum", "avg": "avg", "stddev": "stddev_samp", "variance": "var_samp"}
_EXTREMES = {"min", "max"}


def aggregate_parts(
    compiler: Compiler,
    entity: Entity,
    nodes: Sequence[FieldNode],
    where: Mapping[str, Any] | None,
    parent: Source | None,
    relation: Relation | None,
    place: str,
) -> list[Part]:
    """JSON of an aggregate over ``entity``: over all rows, or over those related to a row of ``parent``."""
    return _Aggregate(compiler, entity, place).parts(nodes, where, parent, relation)


class _Aggregate:
    """One SELECT with the group keys ``g0, g1, …`` and the functions ``f0, f1, …`` as columns."""

    def __init__(self, compiler: Compiler, entity: Entity, place: str) -> None:
        self.compiler = compiler
        self.request = compiler.request
        self.statement = compiler.statement
        self.dialect = compiler.dialect
        self.entity = entity
        self.place = place
        self.base = self.statement.source(entity)
        self.alias = self.statement.alias()
        self.keys: dict[str, str] = {}
        self.functions: list[str] = []
        self.joins: dict[tuple[str, ...], tuple[Source, list[str]]] = {}

    def parts(
        self,
        nodes: Sequence[FieldNode],
        where: Mapping[str, Any] | None,
        parent: Source | None,
        relation: Relation | None,
    ) -> list[Part]:
        type_name = f"{self.entity.name}Aggregate"
        selected = False

        def rows_of(name: str, key: str, group: list[FieldNode]) -> list[Part]:
            nonlocal selected
            fields = self.request.collect(f"{self.entity.name}AggregateFunctions", group)
            names = {found[0].name.value for found in fields.values()}
            selected = selected or bool(names - {"groupBy", "__typename"})
            return ["[", Sql(self.dialect.rows(self.dialect.text(self._row(fields)))), "]"]

        outside = self.compiler.record(type_name, self.request.collect(type_name, nodes), rows_of)
        if not selected:
            raise QueryError(NO_FUNCTIONS)
        rows = [*self.statement.visible(self.base)]
        if parent is not None and relation is not None:
            rows = children_of(self.statement, parent, relation, self.base)
        rows += conditions(
            self.statement, self.base, where, self.statement.variant.aggregate_depth, f"{self.place}.where"
        )
        text = self.dialect.text(outside)
        empty = f" WHERE {self.alias}.n > 0" if parent is not None and not self.keys else ""
        select = self._select(rows)
        if not rows and not self.joins and set(self.functions) <= {"count(*)"} and len(self.keys) <= 1:
            self.statement.summarised = (select, self._summary())
        return [Sql(f"(SELECT {text} FROM ({select}) {self.alias}{empty})", nested=True)]

    def _summary(self) -> str | None:
        """The same from the counts on record, if those have the column."""
        names = [column.name for column in self.compiler.graph.columns[self.entity.name]]
        columns = [name for name in names if self.base[name] in self.keys]
        if len(columns) != len(self.keys):
            return None
        column = columns[0] if columns else None
        if column is not None and not is_summarised(self.entity, column):
            return None
        return summary_select(self.entity.table, column, [f"f{index}" for index in range(len(self.functions))])

    def _select(self, rows: list[str]) -> str:
        if len(self.keys) + len(self.functions) > MAX_COLUMNS:
            raise QueryError(f"{self.place} has more than {MAX_COLUMNS} functions and group keys")
        if len(self.joins) > MAX_JOINS:
            raise QueryError(f"{self.place}: groupBy goes through more than {MAX_JOINS} relations")
        columns = [f"{expression} AS {name}" for expression, name in self.keys.items()]
        columns += [f"{expression} AS f{index}" for index, expression in enumerate(self.functions)]
        columns.append("count(*) AS n")
        joins = "".join(f" JOIN {source.clause} ON {' AND '.join(tie)}" for source, tie in self.joins.values())
        numbers = [str(index + 1) for index in range(len(self.keys))]
        groups = f" GROUP BY {', '.join(numbers)}" if numbers else ""
        order = f" ORDER BY {', '.join(f'{number} ASC NULLS LAST' for number in numbers)}" if numbers else ""
        return f"SELECT {', '.join(columns)} FROM {self.base.clause}{joins}{conjunction(rows)}{groups}{order}"

    def _row(self, fields: Fields) -> list[Part]:
        def value(name: str, key: str, nodes: list[FieldNode]) -> list[Part]:
            if name == "count":
                return [Sql(self._function(self._count(nodes[0])))]
            if name == "groupBy":
                return self._group(self.base, (), nodes, self.statement.variant.aggregate_depth)
            return self._columns(name, nodes)

        return self.compiler.record(f"{self.entity.name}AggregateFunctions", fields, value)

    def _count(self, node: FieldNode) -> str:
        arguments = self.request.arguments(f"{self.entity.name}AggregateFunctions", node)
        column = arguments.get("columns")
        if column is None:
            return "count(*)"
        field = self._field(self.entity, column)
        distinct = "DISTINCT " if arguments.get("distinct") else ""
        return f"count({distinct}{self.statement.value(self.base, field)})"

    def _columns(self, function: str, nodes: Sequence[FieldNode]) -> list[Part]:
        type_name = f"{self.entity.name}{'MinMaxColumns' if function in _EXTREMES else 'NumericalColumns'}"

        def value(name: str, key: str, group: list[FieldNode]) -> list[Part]:
            field = self._field(self.entity, name)
            column = self.statement.value(self.base, field)
            if function in _EXTREMES:
                expression = f"{function}({column})"
            else:
                expression = f"{_STATISTICS[function]}({column})"
                if field.type == "Int" and function != "sum":
                    expression = self.dialect.rounded(expression)
            return [self._json(self._function(expression), field)]

        return self.compiler.record(type_name, self.request.collect(type_name, nodes), value)

    def _group(self, source: Source, steps: tuple[str, ...], nodes: Sequence[FieldNode], budget: int) -> list[Part]:
        type_name = f"{source.entity.name}GroupByOptions"

        def value(name: str, key: str, group: list[FieldNode]) -> list[Part]:
            member = self.compiler.graph.member(source.entity, name)
            if isinstance(member, Field):
                return [self._json(self._key(self.statement.value(source, member)), member)]
            assert isinstance(member, Relation)
            left = deeper(budget, 1)
            joined = self._join(source, (*steps, member.name), member)
            return self._group(joined, (*steps, member.name), group, left)

        return self.compiler.record(type_name, self.request.collect(type_name, nodes), value)

    def _join(self, source: Source, steps: tuple[str, ...], relation: Relation) -> Source:
        """The related table: rows without one drop out, several related rows count as several."""
        if steps not in self.joins:
            target = self.statement.source(self.compiler.graph.target(relation))
            self.joins[steps] = (target, children_of(self.statement, source, relation, target))
        return self.joins[steps][0]

    def _key(self, expression: str) -> str:
        return f"{self.alias}.{self.keys.setdefault(expression, f'g{len(self.keys)}')}"

    def _function(self, expression: str) -> str:
        self.functions.append(expression)
        return f"{self.alias}.f{len(self.functions) - 1}"

    def _field(self, entity: Entity, wire: str) -> Field:
        field = self.compiler.graph.member(entity, wire)
        assert isinstance(field, Field)
        return field

    def _json(self, column: str, field: Field) -> Sql:
        return self.dialect.scalar(column, replace(field, required=False))
