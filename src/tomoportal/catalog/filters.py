"""``where`` → SQL conditions: comparators, relation filters, count filters (graphql-api 6 to 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tomoportal.catalog.graph import AggregateOf
from tomoportal.catalog.patterns import check_like, check_regex
from tomoportal.catalog.statement import Source, Statement, conjunction
from tomoportal.errors import QueryError
from tomoportal.model.entities import Field, Relation

__all__ = ["AGGREGATE_DEPTH", "LIST_DEPTH", "TOO_DEEP", "children_of", "conditions", "deeper"]

LIST_DEPTH = 4
"""Relation steps that ``where`` and ``orderBy`` of lists, connections and to-one fields may take."""
AGGREGATE_DEPTH = 3
"""Relation steps that ``where`` and ``groupBy`` of aggregates may take."""
TOO_DEEP = "Max filter depth exceeded"

_FALSE, _TRUE = "1=0", "1=1"
_COMPARISONS = {"_eq": "=", "_neq": "<>", "_gt": ">", "_gte": ">=", "_lt": "<", "_lte": "<="}


def deeper(budget: int, steps: int) -> int:
    """What is left of the depth budget after ``steps``. Raises :class:`QueryError`."""
    if budget < steps:
        raise QueryError(TOO_DEEP)
    return budget - steps


def conditions(
    statement: Statement, source: Source, where: Mapping[str, Any] | None, budget: int, path: str
) -> list[str]:
    """Conditions for the rows of ``source`` that match ``where``; ``path`` names the place in messages."""
    found: list[str] = []
    for wire, value in (where or {}).items():
        place = f"{path}.{wire}"
        member = statement.graph.member(source.entity, wire)
        if isinstance(member, Field):
            if value is None:
                raise QueryError(
                    f"{place} is null; give a comparator such as {{_is_null: true}} or leave the field out"
                )
            found += compare(statement, statement.value(source, member), value, place)
        elif isinstance(member, Relation):
            found.append(_related(statement, source, member, value, deeper(budget, 1), place))
        else:
            found += _counted(statement, source, member, value, deeper(budget, 2), place)
    return found


def children_of(statement: Statement, parent: Source, relation: Relation, child: Source) -> list[str]:
    """Conditions that tie ``child`` (the relation's target) to ``parent``, with the child's visibility."""
    if relation.many:
        tie = f"{child[relation.column]} = {parent.id}"
    else:
        tie = f"{child.id} = {parent[relation.column]}"
    return [tie, *statement.visible(child)]


def _related(
    statement: Statement, source: Source, relation: Relation, where: Mapping[str, Any] | None, budget: int, path: str
) -> str:
    """Has at least one related row that matches; an empty filter still asks for a row."""
    child = statement.source(statement.graph.target(relation))
    matching = conditions(statement, child, where, budget, path)
    if not matching:
        return f"EXISTS (SELECT 1 FROM {child.clause}{conjunction(children_of(statement, source, relation, child))})"
    # Not correlated: the database evaluates it once and drives the outer table by its index.
    matching += statement.visible(child)
    if relation.many:
        return f"{source.id} IN (SELECT {child[relation.column]} FROM {child.clause}{conjunction(matching)})"
    return f"{source[relation.column]} IN (SELECT {child.id} FROM {child.clause}{conjunction(matching)})"


def _counted(
    statement: Statement, source: Source, member: AggregateOf, value: Mapping[str, Any] | None, budget: int, path: str
) -> list[str]:
    if value is None or value.get("count") is None:
        raise QueryError(f"{path} is null; give {{count: {{predicate: …}}}} or leave the field out")
    count = value["count"]
    path = f"{path}.count"
    predicate = count.get("predicate")
    if predicate is None:
        if count.get("filter") is None:
            return []
        return [_related(statement, source, member.relation, count["filter"], budget, f"{path}.filter")]
    child = statement.source(statement.graph.target(member.relation))
    rows = children_of(statement, source, member.relation, child)
    rows += conditions(statement, child, count.get("filter"), budget, f"{path}.filter")
    counted = "*"
    if column := count.get("arguments"):
        field = statement.graph.member(child.entity, column)
        assert isinstance(field, Field)
        counted = f"{'DISTINCT ' if count.get('distinct') else ''}{statement.value(child, field)}"
    number = f"(SELECT count({counted}) FROM {child.clause}{conjunction(rows)})"
    return compare(statement, number, predicate, f"{path}.predicate")


def compare(statement: Statement, expression: str, comparators: Mapping[str, Any], path: str) -> list[str]:
    """Conditions of one comparator object; all operators must hold."""
    return [
        _OPERATORS[operator](statement, expression, operator, value, f"{path}.{operator}")
        for operator, value in comparators.items()
    ]


def _comparison(statement: Statement, expression: str, operator: str, value: object, path: str) -> str:
    if value is None:
        return {"_eq": f"{expression} IS NULL", "_neq": f"{expression} IS NOT NULL"}.get(operator, _FALSE)
    return f"{expression} {_COMPARISONS[operator]} {statement.bind(value)}"


def _is_null(statement: Statement, expression: str, operator: str, value: object, path: str) -> str:
    return f"{expression} IS {'' if value else 'NOT '}NULL"


def _membership(statement: Statement, expression: str, operator: str, values: Any, path: str) -> str:
    if values is None:
        raise QueryError(f"{path} is null; give a list, or leave the operator out")
    if not values:
        return _FALSE if operator == "_in" else _TRUE
    inside = statement.dialect.contains(expression, values, statement.bind)
    return inside if operator == "_in" else f"NOT ({inside})"


def _like(statement: Statement, expression: str, operator: str, pattern: Any, path: str) -> str:
    if pattern is None:
        return _FALSE
    check_like(pattern, path)
    ignore_case = operator in {"_ilike", "_nilike"}
    matches = statement.dialect.like(expression, pattern, ignore_case, statement.bind)
    return matches if operator in {"_like", "_ilike"} else f"NOT ({matches})"


def _regex(statement: Statement, expression: str, operator: str, pattern: Any, path: str) -> str:
    if pattern is None:
        return _FALSE
    check_regex(pattern, path)
    ignore_case = operator in {"_iregex", "_niregex"}
    matches = statement.dialect.regex(expression, pattern, ignore_case, statement.bind)
    return matches if operator in {"_regex", "_iregex"} else f"NOT ({matches})"


_Operator = Callable[[Statement, str, str, Any, str], str]
_OPERATORS: Mapping[str, _Operator] = {
    **dict.fromkeys(_COMPARISONS, _comparison),
    "_is_null": _is_null,
    "_in": _membership,
    "_nin": _membership,
    **dict.fromkeys(("_like", "_nlike", "_ilike", "_nilike"), _like),
    **dict.fromkeys(("_regex", "_nregex", "_iregex", "_niregex"), _regex),
}
