"""``orderBy`` → ORDER BY (graphql-api 9). ``id`` is always the last key, so every list has one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tomoportal.catalog.filters import children_of, deeper
from tomoportal.catalog.statement import Source, Statement, conjunction
from tomoportal.errors import QueryError
from tomoportal.model.entities import Entity, Field, Relation

__all__ = ["DIRECTIONS", "MAX_KEYS", "Key", "order_keys", "order_terms"]

MAX_KEYS = 64
"""Most keys of one order."""

DIRECTIONS: Mapping[str, str] = {
    "asc": "ASC NULLS LAST",
    "asc_nulls_first": "ASC NULLS FIRST",
    "asc_nulls_last": "ASC NULLS LAST",
    "desc": "DESC NULLS FIRST",
    "desc_nulls_first": "DESC NULLS FIRST",
    "desc_nulls_last": "DESC NULLS LAST",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of an order: ``name`` says which, as ``run.name``."""

    name: str
    field: Field
    expression: str
    direction: str

    @property
    def nullable(self) -> bool:
        return not self.field.required or "." in self.name

    @property
    def term(self) -> str:
        return f"{self.expression} {DIRECTIONS[self.direction]}"


def order_terms(
    statement: Statement, source: Source, order_by: Sequence[Mapping[str, Any]] | None, budget: int, path: str
) -> list[str]:
    """Terms of an ORDER BY, ending with the id."""
    *keys, _ = order_keys(statement, source, order_by, budget, path)
    return [*(key.term for key in keys), source.id]


def order_keys(
    statement: Statement, source: Source, order_by: Sequence[Mapping[str, Any]] | None, budget: int, path: str
) -> list[Key]:
    """Keys of an order, ending with the id.

    In one object the keys apply in schema order, scalars before relations; a key through a relation without a row is
    null and follows the direction's rule for nulls.
    """
    found: list[Key] = []
    for index, keys in enumerate(order_by or ()):
        found += _keys(statement, source, keys, budget, f"{path}[{index}]", "")
        if len(found) > MAX_KEYS:
            raise QueryError(f"{path} has more than {MAX_KEYS} keys")
    last = statement.graph.member(source.entity, "id")
    assert isinstance(last, Field)
    return [*found, Key("id", last, source.id, "asc")]


def _keys(
    statement: Statement, source: Source, keys: Mapping[str, Any], budget: int, path: str, name: str
) -> list[Key]:
    found: list[Key] = []
    for member in _priority(source.entity, keys):
        value = keys[member.wire]
        if value is None:
            raise QueryError(f"{path}.{member.wire} is null; the directions are {', '.join(DIRECTIONS)}")
        if isinstance(member, Field):
            found.append(Key(name + member.wire, member, statement.value(source, member), value))
            continue
        left = deeper(budget, 1)
        parent = statement.source(statement.graph.target(member))
        tie = conjunction(children_of(statement, source, member, parent))
        found += [
            replace(key, expression=f"(SELECT {key.expression} FROM {parent.clause}{tie})")
            for key in _keys(statement, parent, value, left, f"{path}.{member.wire}", f"{name}{member.wire}.")
        ]
    return found


def _priority(entity: Entity, keys: Mapping[str, Any]) -> list[Field | Relation]:
    """The members that an object orders by, in the order in which they count: scalars, foreign keys, relations."""
    members = {member.name: member for member in entity.members}
    ordered = [members[name] for name in entity.order_by]
    scalars = [member for member in ordered if isinstance(member, Field)]
    references = [field for field in entity.fields if field.references is not None]
    relations = [member for member in ordered if isinstance(member, Relation)]
    priority: list[Field | Relation] = [*scalars, *references, *relations]
    return [member for member in priority if member.wire in keys]
