"""``orderBy`` → ORDER BY (graphql-api 9). ``id`` is always the last key, so every list has one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tomoportal.catalog.filters import children_of, deeper
from tomoportal.catalog.statement import Source, Statement, conjunction
from tomoportal.errors import QueryError
from tomoportal.model.entities import Entity, Field, Relation

__all__ = ["DIRECTIONS", "order_terms"]

DIRECTIONS: Mapping[str, str] = {
    "asc": "ASC NULLS LAST",
    "asc_nulls_first": "ASC NULLS FIRST",
    "asc_nulls_last": "ASC NULLS LAST",
    "desc": "DESC NULLS FIRST",
    "desc_nulls_first": "DESC NULLS FIRST",
    "desc_nulls_last": "DESC NULLS LAST",
}


def order_terms(
    statement: Statement, source: Source, order_by: Sequence[Mapping[str, Any]] | None, budget: int, path: str
) -> list[str]:
    """Terms of an ORDER BY, ending with the id.

    In one object the keys apply in schema order, scalars before relations; a key through a relation without a row is
    null and follows the direction's rule for nulls.
    """
    terms: list[str] = []
    for index, keys in enumerate(order_by or ()):
        place = f"{path}[{index}]"
        for expression, direction in _keys(statement, source, keys, budget, place):
            terms.append(f"{expression} {DIRECTIONS[direction]}")
    return [*terms, source.id]


def _keys(
    statement: Statement, source: Source, keys: Mapping[str, Any], budget: int, path: str
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for member in _priority(source.entity):
        if member.wire not in keys:
            continue
        value = keys[member.wire]
        if value is None:
            raise QueryError(f"{path}.{member.wire} is null; the directions are {', '.join(DIRECTIONS)}")
        if isinstance(member, Field):
            found.append((statement.value(source, member), value))
            continue
        left = deeper(budget, 1)
        parent = statement.source(statement.graph.target(member))
        tie = conjunction(children_of(statement, source, member, parent))
        for expression, direction in _keys(statement, parent, value, left, f"{path}.{member.wire}"):
            found.append((f"(SELECT {expression} FROM {parent.clause}{tie})", direction))
    return found


def _priority(entity: Entity) -> list[Field | Relation]:
    scalars: list[Field | Relation] = []
    relations: list[Field | Relation] = []
    members = {member.name: member for member in entity.members}
    for name in entity.order_by:
        member = members[name]
        (scalars if isinstance(member, Field) else relations).append(member)
    return scalars + relations
