"""``where`` → SQL conditions: comparators, relation filters, count filters (graphql-api 6 to 8), and or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tomoportal.catalog.graph import AggregateOf
from tomoportal.catalog.patterns import check_like, check_regex
from tomoportal.catalog.statement import Source, Statement, conjunction
from tomoportal.errors import QueryError
from tomoportal.model.entities import Field, Relation

__all__ = ["MAX_LOGIC", "TOO_DEEP", "children_of", "conditions", "deeper"]

TOO_DEEP = "Max filter depth exceeded"
MAX_LOGIC = 8
"""How many ``_and``, ``_or`` and ``_not`` of the extended schema may stand inside one another."""

_FALSE, _TRUE, _UNKNOWN = "1=0", "1=1", "NULL"
_COMPARISONS = {"_eq": "=", "_neq": "<>", "_gt": ">", "_gte": ">=", "_lt": "<", "_lte": "<="}
_LOGIC = {"_and", "_or", "_not"}
_CHAIN = 32


def deeper(budget: int, steps: int) -> int:
    """What is left of the depth budget after ``steps``. Raises :class:`QueryError`."""
    if budget < steps:
        raise QueryError(TOO_DEEP)
    return budget - steps


def conditions(
    statement: Statement, source: Source, where: Mapping[str, Any] | None, budget: int, path: str
) -> list[str]:
    """Conditions for the rows of ``source`` that match ``where``; ``path`` names the place in messages."""
    return _conditions(statement, source, where, _Place(path, budget))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a filter we are, and what may still come below."""

    path: str
    budget: int
    logic: int = MAX_LOGIC
    negated: bool = False
    """Whether the condition stands below a ``_not`` about the same row, where false and unknown differ."""

    def at(self, name: str) -> _Place:
        return _Place(f"{self.path}.{name}", self.budget, self.logic, self.negated)

    def related(self, name: str, steps: int) -> _Place:
        """A filter on other rows."""
        return _Place(f"{self.path}.{name}", deeper(self.budget, steps), self.logic)

    def inside(self, name: str) -> _Place:
        """An operand of ``_and``, ``_or`` or ``_not``."""
        if not self.logic:
            raise QueryError(f"{self.path}: at most {MAX_LOGIC} _and, _or and _not may stand inside one another")
        return _Place(f"{self.path}.{name}", self.budget, self.logic - 1, self.negated or name == "_not")


def _conditions(statement: Statement, source: Source, where: Mapping[str, Any] | None, place: _Place) -> list[str]:
    found: list[str] = []
    for wire, value in (where or {}).items():
        if wire in _LOGIC:
            found += _combined(statement, source, wire, value, place)
            continue
        member = statement.graph.member(source.entity, wire)
        if isinstance(member, Field):
            if value is None:
                raise QueryError(
                    f"{place.path}.{wire} is null; give a comparator such as {{_is_null: true}} or leave the field out"
                )
            found += compare(statement, statement.value(source, member), value, f"{place.path}.{wire}")
        elif isinstance(member, Relation):
            found.append(_related(statement, source, member, value, place.related(wire, 1), place.negated))
        else:
            found += _counted(statement, source, member, value, place.related(wire, 2), place.negated)
    return found


def _combined(statement: Statement, source: Source, wire: str, operands: Any, place: _Place) -> list[str]:
    """``_and``, ``_or`` and ``_not`` with SQL's three values: what is unknown stays unknown when it is negated."""
    if operands is None:
        form = "a filter" if wire == "_not" else "a list of filters"
        raise QueryError(f"{place.path}.{wire} is null; give {form}, or leave it out")
    if wire == "_not":
        statement.count()
        inner = _conditions(statement, source, operands, place.inside("_not"))
        return [f"NOT ({_joined(inner, 'AND') or _TRUE})"]
    found: list[str] = []
    for index, operand in enumerate(operands):
        statement.count()
        each = _conditions(statement, source, operand, place.inside(f"{wire}[{index}]"))
        found.append(f"({_joined(each, 'AND') or _TRUE})")
    if wire == "_and":
        return [f"({_joined(found, 'AND') or _TRUE})"]
    return [f"({_joined(found, 'OR') or _FALSE})"]


def _joined(conditions: Sequence[str], operator: str) -> str:
    """Conditions as a balanced tree: databases limit how deep an expression may be, and a chain is as deep as long."""
    if len(conditions) <= _CHAIN:
        return f" {operator} ".join(conditions)
    middle = len(conditions) // 2
    return f"({_joined(conditions[:middle], operator)}) {operator} ({_joined(conditions[middle:], operator)})"


def children_of(statement: Statement, parent: Source, relation: Relation, child: Source) -> list[str]:
    """Conditions that tie ``child`` (the relation's target) to ``parent``, with the child's visibility."""
    if relation.many:
        tie = f"{child[relation.column]} = {parent.id}"
    else:
        tie = f"{child.id} = {parent[relation.column]}"
    return [tie, *statement.visible(child)]


def _related(
    statement: Statement,
    source: Source,
    relation: Relation,
    where: Mapping[str, Any] | None,
    place: _Place,
    negated: bool,
) -> str:
    """Has at least one related row that matches; an empty filter still asks for a row."""
    child = statement.source(statement.graph.target(relation))
    matching = _conditions(statement, child, where, place)
    if not matching:
        return f"EXISTS (SELECT 1 FROM {child.clause}{conjunction(children_of(statement, source, relation, child))})"
    # Not correlated: the database evaluates it once and drives the outer table by its index.
    matching += statement.visible(child)
    own, other = (source.id, child[relation.column]) if relation.many else (source[relation.column], child.id)
    found = f"{own} IN (SELECT {other} FROM {child.clause}{conjunction(matching)})"
    # IN is unknown where a key is null; that there is such a row is true or false.
    return f"({found}) IS TRUE" if negated else found


def _counted(
    statement: Statement,
    source: Source,
    member: AggregateOf,
    value: Mapping[str, Any] | None,
    place: _Place,
    negated: bool,
) -> list[str]:
    if value is None or value.get("count") is None:
        raise QueryError(f"{place.path} is null; give {{count: {{predicate: …}}}} or leave the field out")
    count = value["count"]
    inner = place.at("count.filter")
    predicate = count.get("predicate")
    if predicate is None:
        if count.get("filter") is None:
            return []
        return [_related(statement, source, member.relation, count["filter"], inner, negated)]
    child = statement.source(statement.graph.target(member.relation))
    rows = children_of(statement, source, member.relation, child)
    rows += _conditions(statement, child, count.get("filter"), inner)
    counted = "*"
    if column := count.get("arguments"):
        field = statement.graph.member(child.entity, column)
        assert isinstance(field, Field)
        counted = f"{'DISTINCT ' if count.get('distinct') else ''}{statement.value(child, field)}"
    number = f"(SELECT count({counted}) FROM {child.clause}{conjunction(rows)})"
    return compare(statement, number, predicate, f"{place.path}.count.predicate")


def compare(statement: Statement, expression: str, comparators: Mapping[str, Any], path: str) -> list[str]:
    """Conditions of one comparator object; all operators must hold."""
    return [
        _OPERATORS[operator](statement, expression, operator, value, f"{path}.{operator}")
        for operator, value in comparators.items()
    ]


def _comparison(statement: Statement, expression: str, operator: str, value: object, path: str) -> str:
    if value is None:
        return {"_eq": f"{expression} IS NULL", "_neq": f"{expression} IS NOT NULL"}.get(operator, _UNKNOWN)
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
        return _UNKNOWN
    check_like(pattern, path)
    ignore_case = operator in {"_ilike", "_nilike"}
    matches = statement.dialect.like(expression, pattern, ignore_case, statement.bind)
    return matches if operator in {"_like", "_ilike"} else f"NOT ({matches})"


def _regex(statement: Statement, expression: str, operator: str, pattern: Any, path: str) -> str:
    if pattern is None:
        return _UNKNOWN
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
